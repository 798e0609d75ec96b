"""Weights before and after training: distributions per pair of cell types, lognormal fits, signs and zeros."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from twincortex.models.similarity import similarity

MIN_CONNECTIONS = 15
RECURRENT = "v1_to_v1"


@dataclass(frozen=True)
class LognormalFit:
    """Lognormal distribution of the magnitudes of weights other than 0.

    Attributes
    ----------
    mu, sigma : float
        Mean and standard deviation of ln(weight / 1 pA); NaN where there is none.
    similarity : float
        1 minus the Kolmogorov-Smirnov distance of the weights from the fit.
    """

    mu: float
    sigma: float
    similarity: float


@dataclass(frozen=True)
class PairWeights:
    """Weights of one pair of cell types.

    Attributes
    ----------
    pre_type, post_type : str
    n : int
        Connections.
    similarity : float
        Of the magnitudes after and before.
    before, after : LognormalFit
    """

    pre_type: str
    post_type: str
    n: int
    similarity: float
    before: LognormalFit
    after: LognormalFit


def fit_lognormal(magnitude):
    """Fit a lognormal by the moments of the logarithm.

    Parameters
    ----------
    magnitude : (n,) array [pA], not negative

    Returns
    -------
    LognormalFit
    """
    logarithm = np.sort(np.log(magnitude[magnitude > 0]))
    if len(logarithm) < 2 or logarithm[0] == logarithm[-1]:
        return LognormalFit(np.nan, np.nan, np.nan)
    mu, sigma = float(logarithm.mean()), float(logarithm.std())
    distance = scipy.stats.ks_1samp(logarithm, scipy.stats.norm(mu, sigma).cdf, method="asymp").statistic
    return LognormalFit(mu, sigma, 1 - float(distance))


def compare_pairs(before, after, projection=RECURRENT):
    """Compare the weights of every pair of cell types before and after training.

    Parameters
    ----------
    before, after : Circuit
        Of one topology.
    projection : str
        From v1.

    Returns
    -------
    list of PairWeights
        Pairs that have connections, of the 19 cell types.
    """
    names, cell_type = np.unique(before.cell_type, return_inverse=True)
    edges = before.projections[projection]
    order, bounds = _sort_by_pair(edges, cell_type.astype(np.int16), len(names), before.n_receptors)
    weights = [np.abs(circuit.projections[projection].weight) for circuit in (before, after)]
    pairs = []
    for pair in np.flatnonzero(np.diff(bounds)):
        chosen = order[bounds[pair] : bounds[pair + 1]]
        first, last = (weight[chosen].astype(float) for weight in weights)
        pre, post = divmod(int(pair), len(names))
        alike = similarity(last, first).value
        fits = fit_lognormal(first), fit_lognormal(last)
        pairs.append(PairWeights(str(names[pre]), str(names[post]), len(chosen), alike, *fits))
    return pairs


def _sort_by_pair(edges, cell_type, n_types, n_receptors):
    """Connections sorted by pair (pre, post), and where each pair begins."""
    pair = np.repeat(cell_type * np.int16(n_types), np.diff(edges.indptr))
    pair += cell_type[edges.posts(n_receptors)]
    bounds = np.r_[0, np.cumsum(np.bincount(pair, minlength=n_types**2))]
    return np.argsort(pair, kind="stable"), bounds


def mean_weight_similarity(pairs):
    """Mean similarity over the pairs with at least 15 connections, and how many those are."""
    values = [pair.similarity for pair in pairs if pair.n >= MIN_CONNECTIONS]
    return (float(np.mean(values)) if values else np.nan), len(values)


def count_violations(before, after):
    """Count what training must not do.

    Parameters
    ----------
    before, after : Circuit

    Returns
    -------
    dict of projection -> dict
        Connections, and those whose weight changed, whose sign flipped, that were 0 and no longer are, that became 0.
    """
    counts = {}
    for name, projection in before.projections.items():
        old, new = projection.weight, after.projections[name].weight
        counts[name] = {
            "connections": projection.n_edges,
            "changed": int(np.count_nonzero(old != new)),
            "sign_flipped": int(np.count_nonzero(np.sign(old) * np.sign(new) < 0)),
            "moved_from_zero": int(np.count_nonzero((old == 0) & (new != 0))),
            "moved_to_zero": int(np.count_nonzero((old != 0) & (new == 0))),
        }
    return counts
