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
    initial : (E,) float array [pA]
        Initial weights, in canonical order.
    target : (E,) int32 array
        ``post * n_receptors + receptor``.
    n_receptors : int
    per_threshold : (N,) float array [1/mV]
        1 / (V_th - E_L) of every neuron.
    group : (E,) int16 array
        Pair of cell types of every connection.
    n_in_group : (G,) int array
        Connections in each group.
    share : (G,) float array
        1 / (connections in the group) / (groups).
    """

    projection: str
    initial: np.ndarray
    target: np.ndarray
    n_receptors: int
    per_threshold: np.ndarray
    group: np.ndarray
    n_in_group: np.ndarray
    share: np.ndarray

    def scaled(self, weight):
        """Weights, (E,) tensor [pA], divided by V_th - E_L of their target [pA/mV]."""
        return weight * self.per_threshold.index_select(0, self.target // self.n_receptors)

    @cached_property
    def sorted_initial(self):
        """Initial weights, scaled, (E,) tensor [pA/mV], ascending within each group.

        Made by the operations that the loss does on the weights, in the same precision: as long as no weight has
        changed, each difference is exactly 0, and with it the gradient.
        """
        scaled = self.scaled(self.initial)
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
        numpy arrays, those of the connections in the memory of the circuit; groups are the pairs that have connections,
        of 19 cell types, L5 subtypes apart.
    """
    edges = circuit.projections[projection]
    if edges.source != "v1":
        raise InputError(f"{projection}: weight distributions are held per pair of cell types, so only for v1 sources.")
    names, cell_type = np.unique(circuit.cell_type, return_inverse=True)
    cell_type = cell_type.astype(np.int16)
    pair = np.repeat(cell_type * np.int16(len(names)), np.diff(edges.indptr))
    pair += cell_type[edges.posts(circuit.n_receptors)]
    n_in_pair = np.bincount(pair)
    group_of_pair = np.cumsum(n_in_pair > 0) - 1
    n_in_group = n_in_pair[n_in_pair > 0]
    return WeightDistribution(
        projection=projection,
        initial=edges.weight,
        target=edges.target,
        n_receptors=circuit.n_receptors,
        per_threshold=1 / (circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L")),
        group=group_of_pair.astype(np.int16)[pair],
        n_in_group=n_in_group,
        share=1 / n_in_group / len(n_in_group),
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
        scaled = initial.scaled(activity.weights[initial.projection])
        order = _order_within_groups(scaled.detach(), initial.group)
        share = initial.share.repeat_interleave(initial.n_in_group)
        parts[initial.projection] = ((scaled[order] - initial.sorted_initial).abs() * share).sum()
    return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


def _order_within_groups(scaled, group):
    # Groups lie further apart than any weight reaches; in float64 the shift moves no weight by more than 2e-13 of the
    # largest, so that order within a group is kept to that distance.
    spacing = 3 * scaled.abs().max().double()
    return (scaled.double() + spacing * group).argsort(stable=True)
