"""How many connections a column will have, from the probabilities alone: nothing is placed or drawn."""

import numpy as np

from twincortex.models.column.background import UNITS_PER_NEURON
from twincortex.models.column.placement import count_neurons, mean_target_size
from twincortex.models.column.thalamic_tables import SYNAPSE_SHARE
from twincortex.models.column.wiring_tables import DISPLACED_WITHIN_CORES, cell_types, pair_rules
from twincortex.models.memory_forecast import CircuitCounts
from twincortex.models.parameters import read_cell_models, read_populations, receptor_layout

_DISTANCES, _ANGLES = 200, 32


def expected_counts(size):
    """Neurons and expected connections of a column.

    Parameters
    ----------
    size : ColumnSize

    Returns
    -------
    CircuitCounts
        Within 3 % of what is built.
    """
    counts = count_neurons(size.radius_um, seed=0)
    populations = read_populations().loc[read_cell_models().pop_name]
    n_edges = {
        "v1_to_v1": _recurrent(size, counts, populations),
        "lgn_to_v1": _thalamic(counts, populations),
        "bkg_to_v1": UNITS_PER_NEURON * counts.sum(),
    }
    return CircuitCounts(
        int(counts.sum()), {name: round(float(n)) for name, n in n_edges.items()}, receptor_layout().n_receptors
    )


def _recurrent(size, counts, populations):
    """Peak probability times the mean distance factor of two random points of a disc, summed over pairs of types.

    Orientation and target size have factors of mean 1; that they cannot raise a probability above 1 is left out.
    """
    names, _ = cell_types()
    type_of_model = populations.cell_type.map({name: number for number, name in enumerate(names)})
    n_cells = np.bincount(type_of_model, counts, minlength=len(names))
    rules = pair_rules()
    distance, share = _distances_in_a_disc(size.radius_um)
    displaced = min(1.0, (DISPLACED_WITHIN_CORES * size.core_radius_um / size.radius_um) ** 2)
    factor = sum(
        fraction * np.tensordot(share, _mean_over_directions(rules, distance, shift), axes=1)
        for fraction, shift in ((displaced, rules.displacement), (1 - displaced, 0.0))
    )
    return n_cells @ (rules.pmax * factor) @ n_cells


def _distances_in_a_disc(radius):
    """Distances of two random points of a disc [um], and how often they occur; they sum to 1 (disk line picking)."""
    x = (np.arange(_DISTANCES) + 0.5) / _DISTANCES
    return 2 * radius * x, 16 * x / np.pi * (np.arccos(x) - x * np.sqrt(1 - x**2)) / _DISTANCES


def _mean_over_directions(rules, distance, displacement):
    """Distance factor of `connection_probability`, mean over the directions of the offset, (n_distances, T, T)."""
    angle = 2 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    offsets = (np.multiply.outer(distance, part)[:, :, None, None] for part in (np.cos(angle), np.sin(angle)))
    along, across = offsets
    return np.exp(-0.5 * (((along - displacement) / rules.sigma_along) ** 2 + (across / rules.sigma_across) ** 2)).mean(
        axis=1
    )


def _thalamic(counts, populations):
    """Synapses from the LGN over synapses per connection (Yule-Simon distributed)."""
    yule = populations.lgn_yule_parameter.to_numpy()
    n_synapses = mean_target_size(populations).to_numpy() * SYNAPSE_SHARE * populations.lgn_synapse_ratio.to_numpy()
    return counts @ (n_synapses * (yule - 1) / yule)
