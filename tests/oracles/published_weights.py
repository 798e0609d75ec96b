"""Recurrent weights of a column, turned back into PSPs, against the published lognormal laws.

An oracle: written from the formula and the tables of ``models/data`` alone, it shares no code with the builder.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from scipy.special import ndtr, ndtri

from twincortex.models.parameters import (
    POSTSYNAPTIC_CLASSES,
    read_cell_models,
    read_class_pairs,
    read_populations,
    read_synapse_kinetics,
)

LIMITS = 0.001, 0.999  # quantiles beyond which PSPs are set to these
LIMIT_ROUNDING = 3e-4  # of a deviate, by float32 weights where the shape is 0.001
N_QUANTILE_BINS = 20
MIN_CONNECTIONS, MIN_CELLS = 200, 30  # fewer say little of a distribution
MAX_SIZE_SHAPE = 1.0
LOG_PSP_BINS = np.linspace(np.log(1e-3), np.log(30.0), 121)  # of PSPs in mV
_CONNECTIONS_AT_A_TIME = 1 << 20
_DT_MS, _DURATION_MS = 0.02, 40.0


class PspLaw(NamedTuple):
    """Lognormal law of PSPs; arrays over [presynaptic class, ...].

    s, m [mV]: shape and scale, over cells of all sizes; s_n, scale_n: of the sizes of the targets; shape: of the
    connections onto one cell.
    """

    s: np.ndarray
    m: np.ndarray
    s_n: np.ndarray
    scale_n: np.ndarray
    shape: np.ndarray


class PspSums(NamedTuple):
    """Sums over connections, (n_kinds,) arrays, a kind being 19 times the presynaptic class plus the post cell type.

    n; deviate, square: of the logarithm from its median for the size of the cell, in units of ``shape``; limit, beyond:
    number at the two limits, and beyond them; quantile: (n_kinds, N_QUANTILE_BINS). Weighted by 1 / size, which undoes
    that large cells have more connections: weight, weight2 (squares), log_ratio, log_ratio2: logarithm of the PSP over
    m, and its square; histogram: (n_kinds, n_bins) over LOG_PSP_BINS. per_cell: (9, N), number from each presynaptic
    class.
    """

    n: np.ndarray
    deviate: np.ndarray
    square: np.ndarray
    limit: np.ndarray
    beyond: np.ndarray
    quantile: np.ndarray
    weight: np.ndarray
    weight2: np.ndarray
    log_ratio: np.ndarray
    log_ratio2: np.ndarray
    histogram: np.ndarray
    per_cell: np.ndarray


def unit_psp_by_integration(C_m, g, tau_fast, tau_slow, amp_slow):
    """Peak potential after a synapse of 1 pA, from the differential equation of the passive membrane.

    Parameters
    ----------
    C_m, g, tau_fast, tau_slow, amp_slow : (n,) arrays [pF, nS, ms, ms, 1]

    Returns
    -------
    (n,) array [mV]
        Runge-Kutta steps of 0.02 ms for 40 ms, a parabola through the three highest: exact to 1e-8 of it.
    """

    def slope(t, v):
        current = sum(a * t / tau * np.exp(1 - t / tau) for a, tau in ((1.0, tau_fast), (amp_slow, tau_slow)))
        return (current - g * v) / C_m

    v, trajectory = np.zeros(len(C_m)), []
    for t in np.arange(0.0, _DURATION_MS, _DT_MS):
        trajectory.append(v)
        k1 = slope(t, v)
        k2 = slope(t + _DT_MS / 2, v + _DT_MS / 2 * k1)
        k3 = slope(t + _DT_MS / 2, v + _DT_MS / 2 * k2)
        v = v + _DT_MS / 6 * (k1 + 2 * k2 + 2 * k3 + slope(t + _DT_MS, v + _DT_MS * k3))
    peak = np.argmax(trajectory, axis=0)
    before, at, after = (np.array(trajectory)[peak + step, np.arange(len(v))] for step in (-1, 0, 1))
    return at + (after - before) ** 2 / (8 * (2 * at - before - after))  # apex of a parabola


def unit_psps(pre_classes):
    """Unit PSP of the 201 cell models for some presynaptic classes, (n_classes, 201) array [mV / pA]."""
    models = read_cell_models()
    post_classes = read_populations().synapse_class[models.pop_name]
    kinetics = read_synapse_kinetics()[["tau_fast_ms", "tau_slow_ms", "amp_slow"]]
    rows = pd.concat([kinetics.loc[[(pre, post) for post in post_classes]] for pre in pre_classes])
    membrane = (np.tile(models[name].to_numpy(), len(pre_classes)) for name in ("C_m_pF", "g_nS"))
    return unit_psp_by_integration(*membrane, *rows.to_numpy().T).reshape(len(pre_classes), -1)


def psp_laws(populations):
    """Laws of the PSPs of the nine classes of sources onto targets of n populations.

    Parameters
    ----------
    populations : pandas.DataFrame
        n rows of ``read_populations()``.

    Returns
    -------
    PspLaw of (9, n) arrays
    """
    pairs = [(pre, post) for pre in POSTSYNAPTIC_CLASSES for post in populations.synapse_class]
    psp = read_class_pairs().loc[pairs]
    s, m = (psp[name].to_numpy().reshape(9, -1) for name in ("psp_shape", "psp_scale_mV"))
    s_n, scale_n = (np.tile(populations[name].to_numpy(), (9, 1)) for name in ("n_synapses_shape", "n_synapses_scale"))
    return PspLaw(s, m, s_n, scale_n, np.where(s < s_n, 0.001, np.sqrt(np.maximum(s**2 - s_n**2, 0))))


def check_psps(circuit):
    """Compare the PSPs of the connections from every synapse class onto every cell type with their published law.

    Parameters
    ----------
    circuit : Circuit
        With random weights (rule ``"none"``) and recomputed unit PSPs.

    Returns
    -------
    pandas.DataFrame, (n_rows, n_bins) array
        Rows (pre_class, post_type) with MIN_CONNECTIONS. Onto cells of given sizes the logarithm is normal:
        mean_z, variance_z, limit_z (number set to the limits), n_beyond (beyond them), quantile_p (chi square of 20
        bins). Over cells of all sizes: scale_mV, shape, their standard errors and z; shape_published, which
        shape_expected exceeds where sizes vary more than PSPs. Share of PSPs per bin of LOG_PSP_BINS.

    Notes
    -----
    Connections are weighted by 1 / size, for the table describes cells, not connections, and large cells have more of
    these. Where sizes spread further than MAX_SIZE_SHAPE (L5_NP) the smallest cells, which weigh most, have less than
    one connection: z over all sizes means nothing there and is NaN.
    """
    provenance = circuit.provenance
    if (provenance["weight_rule"], provenance["unit_psp"]) != ("none", "recomputed"):
        raise ValueError(f"expected random weights and recomputed unit PSPs, got {provenance}")
    sums = sum_psps(circuit, psp_laws(read_populations().loc[circuit.node_types.pop_name]))
    of_type = read_populations().drop_duplicates("cell_type")
    law = PspLaw(*(values.ravel() for values in psp_laws(of_type)))
    cells = [circuit.cell_type == name for name in of_type.cell_type]
    share_per_cell = sums.per_cell / circuit.nodes.target_size
    cell_weight2 = np.stack([np.sum(share_per_cell[:, chosen] ** 2, axis=1) for chosen in cells], axis=1).ravel()
    enough = (sums.n >= MIN_CONNECTIONS) & (sums.weight**2 >= MIN_CELLS * cell_weight2)
    rows = pd.MultiIndex.from_product([POSTSYNAPTIC_CLASSES, of_type.cell_type], names=["pre_class", "post_type"])
    columns = _given_sizes(sums) | _over_sizes(sums, law, cell_weight2)
    histogram = sums.histogram[enough] / sums.weight[enough, None]
    return pd.DataFrame(columns, index=rows)[enough], histogram


@np.errstate(invalid="ignore", divide="ignore")  # kinds without connections
def _given_sizes(sums):
    variance, fourth = _moments_within_limits()
    expected_limit = 2 * LIMITS[0] * sums.n
    chi_square = np.sum((sums.quantile - sums.n[:, None] / N_QUANTILE_BINS) ** 2, axis=1) * N_QUANTILE_BINS / sums.n
    return {
        "n": sums.n,
        "mean_z": sums.deviate / np.sqrt(sums.n * variance),
        "variance_z": (sums.square / sums.n - variance) * np.sqrt(sums.n / (fourth - variance**2)),
        "n_beyond": sums.beyond,
        "limit_z": (sums.limit - expected_limit) / np.sqrt(expected_limit * (1 - 2 * LIMITS[0])),
        "quantile_p": scipy.stats.chi2.sf(chi_square, N_QUANTILE_BINS - 1),
    }


@np.errstate(invalid="ignore", divide="ignore")
def _over_sizes(sums, law, cell_weight2):
    variance, fourth = _moments_within_limits()
    per_cell, per_connection = cell_weight2 / sums.weight**2, sums.weight2 / sums.weight**2
    expected_variance = law.s_n**2 + law.shape**2 * variance
    mean = sums.log_ratio / sums.weight
    normal = np.where(law.s_n < MAX_SIZE_SHAPE, 1.0, np.nan)
    mean_error = np.sqrt(law.s_n**2 * per_cell + law.shape**2 * variance * per_connection)
    within_cell = law.shape**4 * (fourth - variance**2) + 4 * law.s_n**2 * law.shape**2 * variance
    shape, shape_expected = np.sqrt(sums.log_ratio2 / sums.weight - mean**2), np.sqrt(expected_variance)
    shape_error = np.sqrt(2 * law.s_n**4 * per_cell + within_cell * per_connection) / (2 * shape_expected)
    return {
        "scale_mV": law.m * np.exp(mean),
        "scale_published_mV": law.m,
        "scale_error": mean_error,
        "scale_z": normal * mean / mean_error,
        "shape": shape,
        "shape_published": law.s,
        "shape_expected": shape_expected,
        "shape_error": shape_error,
        "shape_z": normal * (shape - shape_expected) / shape_error,
    }


def _moments_within_limits():
    """Variance and fourth moment of a standard normal deviate that is set to the limits beyond them."""
    deviate = ndtri(np.clip((np.arange(1_000_000) + 0.5) / 1_000_000, *LIMITS))
    return np.mean(deviate**2), np.mean(deviate**4)


def sum_psps(circuit, laws):
    """Turn every recurrent weight back into a PSP and sum what the comparison needs.

    Parameters
    ----------
    circuit : Circuit
    laws : PspLaw of (9, M) arrays
        Onto every cell model.

    Returns
    -------
    PspSums
    """
    nodes, projection = circuit.nodes, circuit.projections["v1_to_v1"]
    synapse_class = read_populations().synapse_class[circuit.pop_name].map(POSTSYNAPTIC_CLASSES.index).to_numpy()
    types = list(dict.fromkeys(read_populations().cell_type))
    cell_type = pd.Series(range(len(types)), index=types)[circuit.cell_type].to_numpy()
    unit, sums = unit_psps(POSTSYNAPTIC_CLASSES), None
    rows = np.searchsorted(projection.indptr, np.arange(0, projection.n_edges, _CONNECTIONS_AT_A_TIME))
    for first, last in itertools.pairwise(np.unique([*rows, projection.n_sources])):
        edges = slice(projection.indptr[first], projection.indptr[last])
        pre_class = np.repeat(synapse_class[first:last], np.diff(projection.indptr[first : last + 1]))
        post = projection.target[edges] // circuit.n_receptors
        place = pre_class, nodes.type_index[post]
        law = PspLaw(*(values[place] for values in laws))
        psp = np.abs(projection.weight[edges].astype(np.float64)) * unit[place]
        part = _sum_some(pre_class * len(types) + cell_type[post], psp, nodes.target_size[post], law, 9 * len(types))
        per_cell = np.bincount(pre_class * circuit.n_neurons + post, minlength=9 * circuit.n_neurons)
        part = PspSums(**part, per_cell=per_cell.reshape(9, -1))
        sums = part if sums is None else PspSums(*map(np.add, sums, part))
    return sums


def _sum_some(kind, psp, size, law, n_kinds):
    deviate = np.log(psp * size / (law.m * law.scale_n)) / law.shape
    log_ratio, weight = np.log(psp / law.m), 1.0 / size

    def total(values=None):
        return np.bincount(kind, values, n_kinds)

    def histogram(bins, n_bins, weights=None):
        return np.bincount(kind * n_bins + np.clip(bins, 0, n_bins - 1), weights, n_kinds * n_bins).reshape(n_kinds, -1)

    n_bins = len(LOG_PSP_BINS) - 1
    return {
        "n": total(),
        "deviate": total(deviate),
        "square": total(deviate**2),
        "limit": total(np.abs(deviate) > ndtri(LIMITS[1]) - LIMIT_ROUNDING),
        "beyond": total(np.abs(deviate) > ndtri(LIMITS[1]) + LIMIT_ROUNDING),
        "quantile": histogram((ndtr(deviate) * N_QUANTILE_BINS).astype(int), N_QUANTILE_BINS),
        "weight": total(weight),
        "weight2": total(weight**2),
        "log_ratio": total(weight * log_ratio),
        "log_ratio2": total(weight * log_ratio**2),
        "histogram": histogram(np.searchsorted(LOG_PSP_BINS, np.log(psp)) - 1, n_bins, weight),
    }
