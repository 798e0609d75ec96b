"""What captions say of an experiment: circuit, engine, seeds, how much was shown, how many cells were counted."""

import textwrap

import numpy as np

from twincortex.analysis.experiments.results import provenance

CHARACTERS_PER_INCH = 13.5  # of DejaVu Sans, 9 points


def describe_experiment(dataset):
    """Describe the result of an experiment.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `read_experiment`.

    Returns
    -------
    str
    """
    made_with = provenance(dataset)
    circuit = made_with["circuit"]
    core = int(np.asarray(dataset.is_core).sum())
    return (
        f"Experiment {dataset.attrs['experiment']}: {circuit.get('size', 'imported')} column, "
        f"{dataset.sizes['neuron']:,} neurons, {core:,} of them in the core (radius {made_with['radius_um']:g} um), "
        f"circuit seed {circuit.get('seed', 'unknown')}, weights {made_with['weights_hash'][:8]}, "
        f"{made_with['engine']}, {dataset.sizes['condition']} conditions x {dataset.sizes['trial']} trials, "
        f"seed {made_with['protocol']['seed']}"
    )


def write_caption(figure, text):
    """Write a caption below a figure, in lines as long as the figure is wide."""
    characters = int(CHARACTERS_PER_INCH * figure.get_figwidth())
    figure.supxlabel("\n".join(textwrap.wrap(text, characters)), fontsize=9, ha="left", x=0.01)
