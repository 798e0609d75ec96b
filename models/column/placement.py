"""Place the neurons of a column: cell models, positions, tuning angles, synapse counts."""

import numpy as np

from twincortex.models.circuit import Nodes, NodeTypes
from twincortex.models.column.sizes import FULL_RADIUS_UM
from twincortex.models.parameters import model_parameters, read_cell_models, read_populations, receptor_layout
from twincortex.models.randomness import philox

# The axis of the column stays free of cells.
INNERMOST_RADIUS_UM = 1.0


def make_node_types():
    """Collect the parameters of the 201 cell models and of their receptors.

    Returns
    -------
    NodeTypes
        Rows in the order of node ids.
    """
    return node_types_of(read_cell_models())


def node_types_of(models):
    """Collect the parameters of some cell models and of their receptors.

    Parameters
    ----------
    models : pandas.DataFrame
        Rows of `read_cell_models()`, with further columns where the equations want more parameters.

    Returns
    -------
    NodeTypes
        One row per row of the table.
    """
    layout = receptor_layout()
    synapse_class = read_populations().synapse_class[models.pop_name]
    return NodeTypes(
        node_type_id=models.index.to_numpy(dtype=np.int64),
        pop_name=models.pop_name.to_numpy(dtype=str),
        parameters=model_parameters(models),
        receptor_parameters={
            name: np.stack([getattr(layout, name)[post] for post in synapse_class])
            for name in ("tau_fast", "tau_slow", "amp_slow")
        },
    )


def count_neurons(radius_um, seed, fluctuate=False):
    """Number of neurons of every cell model.

    Parameters
    ----------
    radius_um : float [um]
    seed : int
    fluctuate : bool
        Draw each count from a Poisson distribution around its expectation (the networks ``core_nll_X`` of the source).

    Returns
    -------
    (M,) int64 array
        Rounded up for each of the 201 models, as in the source: 2 % more neurons than the density of the tissue at
        R = 100 um, 10 % at 50 um, and never fewer than one of each model.

    Source
    ------
    biorealistic-v1-model, build_network.py (add_nodes_v1).
    """
    n_full = read_cell_models().n_full.to_numpy(dtype=np.int64)
    # One division, so that whole numbers of cells are not rounded up by the error of (R / 700)^2.
    counts = np.ceil(n_full * radius_um**2 / FULL_RADIUS_UM**2).astype(np.int64)
    return philox(seed, "column: counts").poisson(counts) if fluctuate else counts


def place_neurons(radius_um, seed, fluctuate=False):
    """Place neurons uniformly in the cylinder of their layer; tuning angles are a full circle per cell model.

    Parameters
    ----------
    radius_um : float [um]
    seed : int
    fluctuate : bool
        See ``count_neurons``.

    Returns
    -------
    Nodes
        Positions are random, so there is no orientation map. Target sizes below one synapse are raised to one.

    Source
    ------
    biorealistic-v1-model, build_network.py (add_nodes_v1), node_funcs.py (generate_random_positions).
    """
    counts = count_neurons(radius_um, seed, fluctuate)
    type_index = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    n_neurons = len(type_index)
    populations = read_populations().loc[read_cell_models().pop_name.iloc[type_index]]

    def uniform(quantity, low, high):
        return philox(seed, f"column: {quantity}").uniform(low, high, n_neurons)

    radius = np.sqrt(uniform("squared radius", INNERMOST_RADIUS_UM**2, radius_um**2))
    azimuth = uniform("azimuth", 0.0, 2 * np.pi)
    depth = uniform("depth", populations.depth_upper_um.to_numpy(), populations.depth_lower_um.to_numpy())
    size = philox(seed, "column: target size").lognormal(
        np.log(populations.n_synapses_scale.to_numpy()), populations.n_synapses_shape.to_numpy()
    )
    return Nodes(
        type_index=type_index,
        x=radius * np.cos(azimuth),
        y=-depth,
        z=radius * np.sin(azimuth),
        tuning_angle=np.concatenate([np.linspace(0.0, 360.0, count, endpoint=False) for count in counts]),
        target_size=np.maximum(np.rint(size), 1).astype(np.int32),
    )


def mean_target_size(populations):
    """Mean number of synapses onto a cell of each population, as the source truncates it.

    Parameters
    ----------
    populations : pandas.DataFrame
        Rows of ``read_populations()``.

    Returns
    -------
    pandas.Series of int
        ``int(scale * exp(shape^2 / 2))``: nsyn_size_mean.
    """
    return (populations.n_synapses_scale * np.exp(populations.n_synapses_shape**2 / 2)).astype(int)
