"""Build a column of mouse V1 from its parameter tables."""

import dataclasses
from functools import partial
from importlib.metadata import version

from twincortex.models.circuit import Circuit, Projection
from twincortex.models.column.background import connect_background
from twincortex.models.column.lgn_units import build_lgn_units
from twincortex.models.column.placement import make_node_types, place_neurons
from twincortex.models.column.recurrent import connect_recurrent
from twincortex.models.column.sizes import column_size
from twincortex.models.column.synaptic_weights import draw_weights, weight_law
from twincortex.models.column.thalamic import connect_lgn
from twincortex.models.column.weight_rules import find_weight_rule


def build_column(size, seed, weight_rule="none", unit_psp="recomputed", fluctuate=False, n_threads=None, progress=None):
    """Build a column.

    Parameters
    ----------
    size : str, float [um] or ColumnSize
        A named size (tiny, profile, small, core, full) or a radius; ``column_size`` also sets the core radius.
    seed : int
        The same seed gives the same circuit, whatever the number of threads.
    weight_rule : str
        ``"none"``: PSPs independent of tuning, as in the paper's networks; ``"like_to_like"``.
    unit_psp : str
        ``"recomputed"``, or ``"published"`` for the recurrent weights of the paper (see ``unit_psp_table``).
    fluctuate : bool
        Draw the number of neurons of each cell model from a Poisson distribution.
    n_threads : int, optional
        All processors by default.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Circuit
        With projections ``v1_to_v1``, ``lgn_to_v1`` and ``bkg_to_v1``.

    Raises
    ------
    InputError
        Unknown size, weight rule or unit PSPs.

    Source
    ------
    Ito, Haufler, Galvan Fraile, ..., Arkhipov (2025), biorealistic-v1-model.
    """
    *_, circuit = grow_column(size, seed, weight_rule, unit_psp, fluctuate, n_threads, progress)
    return circuit


def grow_column(size, seed, weight_rule="none", unit_psp="recomputed", fluctuate=False, n_threads=None, progress=None):
    """Build a column step by step, so that what is finished can be written while the rest is being built.

    Parameters
    ----------
    size, seed, weight_rule, unit_psp, fluctuate, n_threads, progress
        As for `build_column`.

    Yields
    ------
    Circuit
        First with the recurrent projection alone, last whole. All share their arrays.
    """
    size, rule, node_types = column_size(size), find_weight_rule(weight_rule), make_node_types()
    law = weight_law(node_types, unit_psp)
    recurrent_progress, weight_progress, lgn_progress = (
        partial(progress, stage) if progress else None
        for stage in ("recurrent connections", "recurrent weights", "LGN connections")
    )
    nodes = place_neurons(size.radius_um, seed, fluctuate)
    topology = connect_recurrent(nodes, node_types, size.core_radius_um, seed, n_threads, recurrent_progress)
    weight = draw_weights(topology, nodes, law, rule, seed, n_threads, weight_progress)
    recurrent = Projection(source="v1", n_sources=len(nodes.x), weight=weight, **topology._asdict())
    provenance = {
        "size": size.name,
        "radius_um": size.radius_um,
        "core_radius_um": size.core_radius_um,
        "seed": int(seed),
        "weight_rule": weight_rule,
        "unit_psp": unit_psp,
        "fluctuate": bool(fluctuate),
        "version": version("twincortex"),
    }
    column = Circuit(nodes, node_types, build_lgn_units(seed), {"v1_to_v1": recurrent}, provenance)
    yield column
    projections = column.projections | {
        "lgn_to_v1": connect_lgn(nodes, node_types, column.lgn_units, seed, n_threads, lgn_progress),
        "bkg_to_v1": connect_background(nodes, node_types, seed),
    }
    yield dataclasses.replace(column, projections=projections)
