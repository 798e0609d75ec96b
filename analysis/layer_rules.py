"""Wiring rules onto excitatory cells as a function of layer: like-to-like excitation, anti-like-to-like inhibition."""

import numpy as np
import pandas as pd
import scipy.stats

from twincortex.analysis.resampling import draw_weights, percentile_interval
from twincortex.analysis.response_correlation import MEASURES, Resampling, corrected, correlation_rules
from twincortex.analysis.wiring_rules import cell_type_properties, relative_strength
from twincortex.models.randomness import philox

LAYERS = ("1", "2/3", "4", "5", "6")
DEEP = ("5", "6")
ALL_LAYERS = "all"
_BY = ("pre_layer", "post_layer")
_DIRECTION_MEASURES = ("direction", "orientation")


def inhibition_by_layer(edges, responses, resampling=None):
    """Rules of inhibitory connections onto excitatory cells, by presynaptic and postsynaptic layer.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `wiring_rules.core_connections`.
    responses : (N, S) array
        Mean response of every neuron to every stimulus, measured with the weights of these edges.
    resampling : Resampling, optional

    Returns
    -------
    pandas.DataFrame, one row per pair of layers and measure
        pre_layer (``"all"``: all together), post_layer; measure: like, anti and slope of `correlation_rules`, direction
        (a/c) and orientation (b/c) of the fit a cos d + b cos 2d + c; effect, low, high (95 %, resampled postsynaptic
        neurons); p and q, its false discovery rate over the rows of one measure, those of all layers together being a
        family of their own; n, n_post; pearson (of slope). Positive is like-to-like, negative anti-like-to-like, for
        all measures. Strength is the magnitude of the weight over the mean of its pair of types. p of like, anti and
        slope is that of dealt out responses; that of direction and orientation is of the effect over its bootstrap
        standard error.
    """
    return _by_layer(edges, responses, "i", resampling or Resampling())


def excitation_by_layer(edges, responses, resampling=None):
    """Rules of excitatory connections onto excitatory cells; see `inhibition_by_layer`."""
    return _by_layer(edges, responses, "e", resampling or Resampling())


def direction_rules(edges, strength, by, resampling):
    """Fit a cos d + b cos 2d + c in every group, with intervals over postsynaptic neurons.

    Parameters
    ----------
    edges : pandas.DataFrame
        With delta_deg, post and the columns of `by`.
    strength : (E,) array
    by : sequence of str
    resampling : Resampling

    Returns
    -------
    pandas.DataFrame, one row per group with enough connections and neurons
        The columns of `by`; n, n_post; direction (a/c) and orientation (b/c) with ``_low``, ``_high`` and ``_p``. The
        fit is that of `direction_rule.fit_direction_rule`, whose limits take connections as independent.
    """
    rows = []
    for number, (labels, of_group) in enumerate(edges.assign(strength=strength).groupby(list(by), observed=True)):
        if len(of_group) < resampling.min_connections:
            continue
        post, cell = np.unique(of_group.post, return_inverse=True)
        d = np.radians(of_group.delta_deg.to_numpy())
        design = np.stack([np.cos(d), np.cos(2 * d), np.ones_like(d), of_group.strength.to_numpy()], axis=1)
        products = [np.bincount(cell, left * right) for left in design.T for right in design.T]
        cells = np.stack(products, axis=1)
        times = draw_weights(len(post), resampling.n_bootstrap, philox(resampling.seed, "analysis: directions", number))
        effect, resampled = _effects(cells.sum(axis=0)), _effects(times @ cells)
        low, high = percentile_interval(resampled)
        p = 2 * scipy.stats.norm.sf(np.abs(effect) / np.nanstd(resampled, axis=0, ddof=1))
        facts = dict(zip(by, labels, strict=True)) | {"n": len(of_group), "n_post": len(post)}
        for column, name in enumerate(_DIRECTION_MEASURES):
            facts |= {name: effect[column], f"{name}_low": low[column], f"{name}_high": high[column]}
            facts[f"{name}_p"] = p[column]
        rows.append(facts)
    return pd.DataFrame(rows)


def _effects(products):
    """a/c and b/c, (..., 2), from the sums of all products of cos d, cos 2d, 1 and the strength."""
    products = products.reshape(*products.shape[:-1], 4, 4)
    gram, moments = products[..., :3, :3], products[..., :3, 3]
    determined = np.linalg.cond(gram) < 1e12
    solved = np.linalg.solve(np.where(determined[..., None, None], gram, np.eye(3)), moments[..., None])[..., 0]
    return np.where(determined[..., None], solved[..., :2] / solved[..., 2:], np.nan)


def _by_layer(edges, responses, pre_ei, resampling):
    properties = cell_type_properties()
    ei, layer = properties.ei, properties.layer.astype(str)
    strength = relative_strength(edges)
    chosen = ((edges.pre_type.map(ei) == pre_ei) & (edges.post_type.map(ei) == "e")).to_numpy()
    edges, strength = edges[chosen], strength[chosen]
    edges = edges.assign(post_layer=edges.post_type.map(layer).astype(str))
    tables = []
    for pre_layer in (edges.pre_type.map(layer).astype(str), ALL_LAYERS):
        grouped = edges.assign(pre_layer=pre_layer)
        of_responses = correlation_rules(grouped, responses, _BY, strength, resampling)
        tables.append(_long(of_responses, MEASURES))
        tables.append(_long(direction_rules(grouped, strength, _BY, resampling), _DIRECTION_MEASURES))
    table = pd.concat([one for one in tables if len(one)], ignore_index=True)
    families = table.groupby(["measure", table.pre_layer == ALL_LAYERS])
    table["q"] = pd.concat([pd.Series(corrected(rows.p), rows.index) for _, rows in families])
    order = {name: number for number, name in enumerate((*LAYERS, ALL_LAYERS))}
    key = table.measure.map({name: number for number, name in enumerate((*MEASURES, *_DIRECTION_MEASURES))})
    table = table.assign(_1=key, _2=table.post_layer.map(order), _3=table.pre_layer.map(order))
    return table.sort_values(["_1", "_2", "_3"]).drop(columns=["_1", "_2", "_3"]).reset_index(drop=True)


def _long(table, measures):
    """One row per group and measure."""
    rows = []
    for name in measures:
        facts = table[[*_BY, "n", "n_post"]].assign(measure=name, effect=table[name])
        for part in ("low", "high", "p"):
            facts[part] = table.get(f"{name}_{part}", np.nan)
        rows.append(facts.assign(pearson=table.pearson if name == "slope" else np.nan))
    return pd.concat(rows, ignore_index=True)
