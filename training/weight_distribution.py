"""Weight distributions: how far the weights of each pair of cell types have moved from the initial ones, as a crowd."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numba import njit

from twincortex.models.errors import InputError
from twincortex.training.step_threads import run_by_rows


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
    by_group : (E,) int32 array
        Connections, pair after pair of cell types.
    n_in_group : (G,) int array
        Connections in each group.
    """

    projection: str
    initial: np.ndarray
    target: np.ndarray
    n_receptors: int
    per_threshold: np.ndarray
    by_group: np.ndarray
    n_in_group: np.ndarray

    def scaled(self, weight):
        """Weights, (E,) tensor [pA], divided by V_th - E_L of their target [pA/mV]."""
        return weight * self._per_threshold_of_target

    @cached_property
    def _per_threshold_of_target(self):
        return self.per_threshold.index_select(0, self.target // self.n_receptors)

    @cached_property
    def share(self):
        """1 / (connections in the group) / (groups), (E,) tensor, group after group."""
        share = 1 / (self.n_in_group.double() * len(self.n_in_group))
        return share.repeat_interleave(self.n_in_group).to(self.per_threshold.dtype)

    def order(self, scaled):
        """Connections, group after group, in each from the smallest weight to the largest, (E,) int tensor."""
        grouped = scaled.index_select(0, self.by_group)
        if scaled.device.type == "cpu":
            within = _sort_each_group(grouped.numpy(), self.n_in_group.numpy(), torch.get_num_threads())
            return self.by_group.index_select(0, torch.from_numpy(within))
        # Groups lie further apart than any weight reaches; in float64 the shift moves no weight by more than 2e-13 of
        # the largest, so that order within a group is kept to that distance.
        spacing = 3 * grouped.abs().max().double()
        group = torch.arange(len(self.n_in_group), device=scaled.device).repeat_interleave(self.n_in_group)
        return self.by_group[(grouped.double() + spacing * group).argsort()]

    @cached_property
    def sorted_initial(self):
        """Initial weights, scaled, (E,) tensor [pA/mV], ascending within each group.

        Made by the operations that the loss does on the weights, in the same precision: as long as no weight has
        changed, each difference is exactly 0, and with it the gradient.
        """
        scaled = self.scaled(self.initial)
        return scaled.index_select(0, self.order(scaled))


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
    return WeightDistribution(
        projection=projection,
        initial=edges.weight,
        target=edges.target,
        n_receptors=circuit.n_receptors,
        per_threshold=1 / (circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L")),
        by_group=np.argsort(pair, kind="stable").astype(np.int32),
        n_in_group=n_in_pair[n_in_pair > 0],
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
        parts[initial.projection] = _EarthMoversDistance.apply(scaled, initial)
    return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


class _EarthMoversDistance(torch.autograd.Function):
    """Mean over groups of the mean absolute difference of sorted values from sorted initial ones."""

    @staticmethod
    def forward(ctx, scaled, initial):
        order = initial.order(scaled)
        difference = scaled.index_select(0, order).sub_(initial.sorted_initial)
        slope = torch.empty_like(scaled)
        if scaled.device.type == "cpu":
            run_by_rows(_place_slopes, (order, difference, initial.share), slope)
        else:
            slope[order] = difference.sign() * initial.share
        ctx.save_for_backward(slope)
        return difference.abs_() @ initial.share

    @staticmethod
    def backward(ctx, gradient):
        (slope,) = ctx.saved_tensors
        return slope * gradient, None


def _sort_each_group(values, n_in_group, n_threads):
    """Places of the values, group after group in ascending order; numpy sorts without holding other threads up."""
    ends = np.cumsum(n_in_group)
    places = np.empty(len(values), dtype=np.int32)

    def sort(start, end):
        places[start:end] = start + np.argsort(values[start:end])

    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(sort, ends - n_in_group, ends))
    return places


@njit(cache=True, nogil=True)
def _place_slopes(order, difference, share, slope):
    """slope[order] = sign(difference) * share, all (n,) arrays but slope; without indices of 64 bits."""
    for k in range(len(order)):
        slope[order[k]] = (np.int64(difference[k] > 0) - np.int64(difference[k] < 0)) * share[k]
