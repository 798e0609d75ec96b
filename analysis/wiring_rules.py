"""Wiring rules: connection strength against the difference of preferred directions, before and after training."""

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from scipy.stats import t as student_t

from twincortex.analysis.direction_rule import direction_difference, fit_direction_rule, shuffle_p_values
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_populations

# Fewer connections between two types say too little about a rule of three coefficients.
MIN_CONNECTIONS = 30
N_SHUFFLES = 200


def cell_type_properties():
    """Layer, ei, synapse class and colours of the 19 cell types (index ``cell_type``), from the pia downwards."""
    table = read_populations().drop_duplicates("cell_type").set_index("cell_type")
    return table[["layer", "ei", "synapse_class", "color", "color_bright"]]


def core_connections(circuit, core_radius_um=None, direction_deg=None):
    """One row per recurrent connection of a circuit: who, how different, how strong.

    A weight of 0 is no connection and gets no row.

    Parameters
    ----------
    circuit : Circuit
    core_radius_um : float [um], optional
        Keep connections between neurons within this distance of the column's axis; all by default.
    direction_deg : (N,) array [deg], optional
        Preferred directions, for example from responses; connections of neurons without one (NaN) are left out. The
        assigned tuning angles by default.

    Returns
    -------
    pandas.DataFrame
        pre, post (node ids); pre_type, post_type (categories, 19 cell types; NaN for others); delta_deg (0 to 180,
        difference of the preferred directions); weight_pA (signed).

    Raises
    ------
    InputError
        No connection is left.
    """
    direction = circuit.nodes.tuning_angle if direction_deg is None else np.asarray(direction_deg, dtype=float)
    kept, pre, post = _core_edges(circuit, core_radius_um, np.isfinite(direction))
    known, names = cell_type_properties().index, pd.Series(circuit.cell_type)
    cell_type = pd.Categorical(names.where(names.isin(known)), categories=known)
    return pd.DataFrame(
        {
            "pre": pre,
            "post": post,
            "pre_type": cell_type[pre],
            "post_type": cell_type[post],
            "delta_deg": direction_difference(direction[pre], direction[post]),
            "weight_pA": circuit.projections["v1_to_v1"].weight[kept].astype(float),
        }
    )


def _core_edges(circuit, core_radius_um, usable):
    """Mask of the connections between usable neurons of the core, and the neurons of those."""
    nodes, projection = circuit.nodes, circuit.projections["v1_to_v1"]
    pre, post = projection.sources(), projection.posts(circuit.n_receptors)
    if core_radius_um is not None:
        usable = usable & (np.hypot(nodes.x, nodes.z) < core_radius_um)
    kept = (projection.weight != 0) & usable[pre] & usable[post]
    if not kept.any():
        raise InputError(
            f"no connection lies within core_radius_um {core_radius_um} of the axis, between neurons that have a "
            "preferred direction. Choose a larger radius, or measure more responses."
        )
    return kept, pre[kept], post[kept]


def pair_table(before, after, core_radius_um=None):
    """One row per recurrent connection: who, how different, how strong before and after.

    A weight of 0 before training is no connection and gets no row.

    Parameters
    ----------
    before, after : Circuit
        The same column with two sets of weights.
    core_radius_um : float [um], optional
        Keep connections between neurons within this distance of the column's axis; all by default.

    Returns
    -------
    pandas.DataFrame
        pre, post, pre_type, post_type, delta_deg as of `core_connections` with the assigned tuning angles;
        weight_before_pA, weight_after_pA (signed); relative_change (after / before - 1).

    Raises
    ------
    InputError
        The circuits are not the same column, or no connection is within the radius.
    """
    if before.topology_hash != after.topology_hash:
        raise InputError(
            f"the circuits before ({before.topology_hash[:12]}...) and after ({after.topology_hash[:12]}...) are "
            "different columns. Expected one column with two sets of weights."
        )
    pairs = core_connections(before, core_radius_um).rename(columns={"weight_pA": "weight_before_pA"})
    kept, _, _ = _core_edges(before, core_radius_um, np.ones(before.n_neurons, dtype=bool))
    pairs["weight_after_pA"] = after.projections["v1_to_v1"].weight[kept].astype(float)
    pairs["relative_change"] = pairs.weight_after_pA / pairs.weight_before_pA - 1
    return pairs


def relative_strength(edges):
    """Magnitude of every weight over the mean of the connections between the same two types, (E,) array.

    So that no pair of types counts more than another because its weights are larger.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `core_connections`.
    """
    strength = edges.weight_pA.abs()
    return (strength / strength.groupby([edges.pre_type, edges.post_type], observed=True).transform("mean")).to_numpy()


def wiring_rules(pairs, min_connections=MIN_CONNECTIONS, n_shuffles=N_SHUFFLES, seed=0):
    """Direction rule of every pair of cell types, before and after training, and of the change itself.

    Parameters
    ----------
    pairs : pandas.DataFrame
        From `pair_table`.
    min_connections : int
        Pairs of types with fewer are left out.
    n_shuffles : int
        Of the direction differences within a pair of types; 0 leaves the shuffled null out.
    seed : int
        Of the shuffles.

    Returns
    -------
    pandas.DataFrame
        pre_type, post_type, when, and the columns of `fit_direction_rule`. ``when`` is ``"before"`` or ``"after"``: the
        strength is the magnitude of the weight [pA], so that a positive a or b is like to like for inhibition too; or
        ``"change"``: the strength is the relative change, and a_over_c and b_over_c are a and b themselves, as shares
        of the weight before. a_shuffle_p, b_shuffle_p: from `shuffle_p_values`. a_q, b_q: a_p and b_p as false
        discovery rates over all pairs of types.

    Raises
    ------
    InputError
        No pair of types has that many connections.

    Source
    ------
    Ito et al. (2025), Fig. 5. Benjamini and Hochberg (1995) Controlling the false discovery rate.
    """
    groups = pairs.groupby(["pre_type", "post_type"], observed=True)
    kept = pairs[groups.pre.transform("size") >= min_connections]
    if kept.empty:
        raise InputError(
            f"no pair of cell types has min_connections {min_connections:,} connections; the largest has "
            f"{groups.size().max():,}. Lower min_connections, or take a larger core."
        )
    groups = kept.groupby(["pre_type", "post_type"], observed=True)
    labels = groups.size().reset_index()[["pre_type", "post_type"]]
    return _rules(kept.delta_deg, _strengths(kept), groups.ngroup(), labels, n_shuffles, seed)


def pooled_rules(pairs, n_shuffles=N_SHUFFLES, seed=0):
    """Direction rule of the four classes of connections, E or I to E or I, over all their pairs of types.

    Parameters
    ----------
    pairs, n_shuffles, seed
        As in `wiring_rules`.

    Returns
    -------
    pandas.DataFrame
        As from `wiring_rules`, with pre_ei and post_ei in place of the types. Before and after, the strength is the
        magnitude of the weight over the mean before training of the connections between the same two types, so that no
        pair of types counts more because its weights are larger.
    """
    strengths = _strengths(pairs)
    mean = strengths.before.groupby([pairs.pre_type, pairs.post_type], observed=True).transform("mean")
    strengths = strengths.assign(before=strengths.before / mean, after=strengths.after / mean)
    ei = cell_type_properties().ei
    classes = pd.DataFrame({"pre_ei": pairs.pre_type.map(ei), "post_ei": pairs.post_type.map(ei)}).astype(str)
    groups = classes.groupby(["pre_ei", "post_ei"])
    labels = groups.size().reset_index()[["pre_ei", "post_ei"]]
    return _rules(pairs.delta_deg, strengths, groups.ngroup(), labels, n_shuffles, seed)


def _strengths(pairs):
    """What is fitted, one column per stage of the training."""
    return pd.DataFrame(
        {
            "before": pairs.weight_before_pA.abs(),
            "after": pairs.weight_after_pA.abs(),
            "change": pairs.relative_change,
        }
    )


def _rules(delta_deg, strengths, group, labels, n_shuffles, seed):
    shuffled = shuffle_p_values(delta_deg, strengths, group, n_shuffles, seed) if n_shuffles else None
    tables = []
    for number, when in enumerate(strengths):
        table = fit_direction_rule(delta_deg, strengths[when], group)
        if when == "change":
            table = _relative_to_the_weight_before(table)
        if n_shuffles:
            table[["a_shuffle_p", "b_shuffle_p"]] = shuffled[:, number]
        for name in "ab":
            table[f"{name}_q"] = false_discovery_control(table[f"{name}_p"].fillna(1.0))
        table.insert(0, "when", when)
        tables.append(pd.concat([labels, table], axis=1))
    return pd.concat(tables, ignore_index=True)


def _relative_to_the_weight_before(table):
    """Relative changes are in units of the weight before, so their coefficients are effect sizes already."""
    t = student_t.ppf(0.975, np.where(table.n > 3, table.n - 3, np.nan))
    effects = {}
    for name in "ab":
        half = t * table[f"{name}_se"]
        effects |= {
            f"{name}_over_c": table[name],
            f"{name}_over_c_low": table[name] - half,
            f"{name}_over_c_high": table[name] + half,
        }
    return table.assign(**effects)
