"""The pictures of an evaluation: one PNG each, below one folder."""

from twincortex.training.evaluation.activity_figures import draw_fano_curves, draw_rasters
from twincortex.training.evaluation.box_plots import draw_box_plots
from twincortex.training.evaluation.direction_figures import draw_agreement, draw_single_cells, draw_tuning_curves
from twincortex.training.evaluation.networks import TRAINED, UNTRAINED
from twincortex.training.evaluation.weight_figures import draw_weight_distributions


def draw_evaluation(folder, networks, core, protocol, results):
    """Draw and save them.

    Parameters
    ----------
    folder : Path
        Made here.
    networks : Networks
    core : Core
    protocol : EvaluationProtocol
    results : dict of network -> NetworkResult
    """
    circuit = networks.any_circuit
    made = circuit.provenance
    caption = (
        f"{made.get('size', 'a')} column, {circuit.n_neurons:,} neurons, circuit seed {made.get('seed')}; core of "
        f"{len(core.neurons):,} neurons within {core.radius_um:g} um; {protocol.n_directions} directions x "
        f"{protocol.n_trials} trials of {protocol.gray_ms / 1000:g} s gray and {protocol.grating_ms / 1000:g} s "
        f"grating, seed {protocol.seed}."
    )
    if networks.is_run:
        caption += f" Trained weights: {networks.weights_from}."
    figures = {
        "rates_and_selectivity": draw_box_plots(core, results, caption),
        "tuning_curves": draw_tuning_curves(core, protocol, results, caption),
        "single_cells": draw_single_cells(circuit, core, protocol, results, caption),
        "preferred_directions": draw_agreement(circuit, core, results, caption),
        "rasters": draw_rasters(circuit, core, protocol, results, caption),
        "fano_curves": draw_fano_curves(protocol, results, caption),
    }
    if networks.is_run:
        before, after = networks.circuits[UNTRAINED], networks.circuits[TRAINED]
        figures["weights"] = draw_weight_distributions(before, after, caption)
    folder.mkdir()
    for name, figure in figures.items():
        # The report of a run shows it as text.
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Description": figure.get_supxlabel()})
