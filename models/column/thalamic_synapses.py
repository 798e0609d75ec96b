"""Compiled kernels that give the connections of a cell from the LGN their numbers of synapses."""

from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.hashed_draws import exp_of_negative, uniform
from twincortex.models.column.selection import nth_smallest, smallest_of

MAX_SYNAPSES = np.iinfo(np.uint16).max


class Chosen(NamedTuple):
    """LGN units of one cell that wait for their number of synapses, and room to rank them; (n_units,) arrays.

    unit : int64; distance : squared distance over 2 SPREAD^2; patience : exponentially distributed; weight, time,
    ranked : scratch.
    """

    unit: np.ndarray
    distance: np.ndarray
    patience: np.ndarray
    weight: np.ndarray
    time: np.ndarray
    ranked: np.ndarray


@njit
def yule_simon(rho, probability):
    """Quantile of the Yule-Simon distribution, P(k > n) = n B(n, rho + 1)."""
    n, beyond = 1, 1.0 / (1.0 + rho)
    while beyond > probability and n <= MAX_SYNAPSES:
        n += 1
        beyond *= n / (n + rho)
    return n


@njit
def draw_multiplicities(key, rho, n, n_with):
    """Draw the numbers of synapses of n connections; adds up in ``n_with[k]`` how many have k, returns the largest."""
    largest = 1
    for number in range(n):
        k = yule_simon(rho, uniform(key, number))
        n_with[k] += 1
        largest = max(largest, k)
    return largest


@njit
def give_synapses(chosen, n, n_with, largest, connections):
    """Give the multiplicities, largest first, to units chosen in proportion to exp(-k distance); the rest get one.

    Units race for each multiplicity; what is left of the patience of those that lost is again exponential, because the
    exponential distribution has no memory, so one draw per unit serves all races.

    Parameters
    ----------
    chosen : Chosen
        Its first n rows; used up.
    n : int
    n_with : (MAX_SYNAPSES + 2,) int64 array
        As filled by ``draw_multiplicities``; cleared.
    largest : int
        Largest multiplicity.
    connections : (n,) uint32 array
        Receives ``unit << 16 | synapses``.
    """
    n_left = n
    for k in range(largest, 1, -1):
        if n_with[k] > 0 and n_left > 0:
            n_left = race(k, min(n_with[k], n_left), chosen, n_left, connections[n - n_left :])
        n_with[k] = 0
    n_with[1] = 0
    for runner in range(n_left):
        connections[n - n_left + runner] = chosen.unit[runner] << 16 | 1


@njit(error_model="numpy")
def race(k, n_prizes, chosen, n, connections):
    """Let n units race for a number of connections of k synapses; returns how many units are left.

    Distances count from the nearest unit, so that weights do not vanish.
    """
    unit, distance, patience, weight, time, ranked = chosen
    nearest = smallest_of(distance, n)
    for runner in range(n):
        weight[runner] = exp_of_negative(-k * (distance[runner] - nearest))
        time[runner] = ranked[runner] = patience[runner] / weight[runner]
    last = smallest_of(time, n) if n_prizes == 1 else nth_smallest(ranked[:n], n_prizes)
    n_lost = 0
    for runner in range(n):
        connections[runner - n_lost] = unit[runner] << 16 | k
        unit[n_lost], distance[n_lost] = unit[runner], distance[runner]
        patience[n_lost] = max(patience[runner] - last * weight[runner], 1e-300)
        n_lost += time[runner] > last
    return n_lost
