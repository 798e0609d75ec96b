"""Weight distributions: how far the weights of each pair of cell types have moved from the initial ones, as a crowd."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twincortex.models.errors import InputError


@dataclass(frozen=True)
class WeightDistribution:
    """Initial weights of one projection, to be sorted within each pair of cell types.

    Attributes
    ----------
    projection : str
    group : (E,) int16 array
        Pair of cell types of every connection, in canonical order.
    per_threshold : (E,) float array [1/mV]
        1 / (V_th - E_L) of the target neuron.
    initial : (E,) float array [pA]
        Initial weights, in canonical order.
    rank_share : (E,) float array
        1 / (connections in the group) / (groups), groups one after the other.
    """

    projection: str
    group: np.ndarray
    per_threshold: np.ndarray
    initial: np.ndarray
    rank_share: np.ndarray

    @cached_property
    def sorted_initial(self):
        """Initial weights times per_threshold, (E,) tensor [pA/mV], ascending within each group.

        Made by the operations that the loss does on the weights, in the same precision: as long as no weight has
        changed, each difference is exactly 0, and with it the gradient.
        """
        scaled = self.initial * self.per_threshold
        return scaled[_order_within_groups(scaled, self.group)]


def weight_distribution(circuit, projection):
    """Sort the weights of a projection from v1 within each pair of cell types.

    Parameters
    ----------
    circuit : Circuit
        With the weights that are to be kept in distribution: the initial ones.
    projection : str

    Returns
    -------
    WeightDistribution
        numpy arrays, over the pairs that have connections; of 19 cell types, L5 subtypes apart.
    """
    edges = circuit.projections[projection]
    if edges.source != "v1":
        raise InputError(f"{projection}: weight distributions are held per pair of cell types, so only for v1 sources.")
    posts = edges.posts(circuit.n_receptors)
    names, cell_type = np.unique(circuit.cell_type, return_inverse=True)
    pair = cell_type[edges.sources()] * len(names) + cell_type[posts]
    _, group, n_in_group = np.unique(pair, return_inverse=True, return_counts=True)
    per_threshold = 1 / (circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L"))[posts]
    return WeightDistribution(
        projection=projection,
        group=group.astype(np.int16),
        per_threshold=per_threshold,
        initial=edges.weight,
        rank_share=np.repeat(1 / n_in_group / len(n_in_group), n_in_group),
    )


def weight_distribution_loss(activity, targets):
    """Earth mover's distance of the weights of each pair of cell types from the initial ones, mean over pairs.

    Weights are divided by V_th - E_L of their target. In one dimension the distance is the mean absolute difference of
    the sorted weights; one sort orders all groups at once.

    Parameters
    ----------
    activity : Activity
    targets : Targets

    Returns
    -------
    value : () tensor [pA/mV]
        Summed over the projections whose distributions are held.
    parts : dict
        Per projection.
    """
    parts = {}
    for initial in targets.weights:
        scaled = activity.weights[initial.projection] * initial.per_threshold
        order = _order_within_groups(scaled.detach(), initial.group)
        parts[initial.projection] = ((scaled[order] - initial.sorted_initial).abs() * initial.rank_share).sum()
    return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


def _order_within_groups(scaled, group):
    # Groups lie further apart than any weight reaches; in float64 the shift moves no weight by more than 2e-13 of the
    # largest, so that order within a group is kept to that distance.
    spacing = 3 * scaled.abs().max().double()
    return (scaled.double() + spacing * group).argsort(stable=True)
