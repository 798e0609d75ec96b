"""LGN to V1: every cell takes units that fit its place, tuning axis, sign and temporal frequency."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats

from twincortex.models.circuit import Projection
from twincortex.models.column.lgn_units import FIELD_HEIGHT, FIELD_WIDTH, TILE
from twincortex.models.column.thalamic_sampling import (
    COMPOSITE_TOLERANCE,
    MAX_SYNAPSES,
    MAX_UNITS,
    SPREAD,
    Cells,
    Connections,
    Field,
    Rules,
    connect_cells,
    sort_by_unit,
)
from twincortex.models.column.unit_psp import unit_psp
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.parameters import (
    read_cell_models,
    read_external_inputs,
    read_lgn_units,
    read_populations,
    receptor_layout,
)
from twincortex.models.randomness import philox

AZIMUTH_PER_UM, ELEVATION_PER_UM = 0.07, 0.04  # deg/um along x and z of the column: retinotopy
SYNAPSE_SHARE = 0.2  # of the synapses of an L4 excitatory cell come from the LGN
UNIT_PSP = 0.345  # mV, of one LGN synapse onto an L4 excitatory cell of mean size
HIGHEST_FREQUENCY = 30  # Hz; that a cell prefers more has a probability of 1e-24
_SHIFT_SIGN = {"sON": -1.0, "sOFF": -1.0, "tOFF": 1.0}  # against or along the tuning axis; composite units stay
_CELLS_PER_TASK = 256


def connect_lgn(nodes, node_types, lgn_units, seed, n_threads=None, progress=None):
    """Connect the LGN to the column.

    A cell whose receptive field is centred at (60 + 0.07 x, 40 + 0.04 z) deg takes units near it: those whose position,
    shifted by 2.5 deg along its tuning axis, falls into a Gaussian elongated across that axis, preferring temporal
    frequencies near its own and either ON or OFF units. The number of connections follows from its synapse count; the
    synapses per connection are Yule-Simon distributed, more of them from nearer units.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    lgn_units : pandas.DataFrame
        As made by ``build_lgn_units``.
    seed : int
    n_threads : int, optional
        All processors by default; the result does not depend on it.
    progress : callable, optional
        Called with (done, total) cells.

    Returns
    -------
    Projection
        Delay 1.7 ms, receptor of class ``exc``; weights of all synapses of a connection together.

    Raises
    ------
    InputError
        More LGN units, or more synapses in one connection, than 16 bits count.

    Source
    ------
    biorealistic-v1-model, edge_funcs.py (select_lgn_sources_powerlaw) and make_lgn_weights.py. There a cell whose draws
    are all above one synapse gives its smallest ones a single synapse; here it does not.
    """
    n_cells = len(nodes.x)
    field, rules = make_field(lgn_units), make_rules()
    cells = make_cells(nodes, node_types, seed)
    start = np.concatenate([[0], np.cumsum(np.minimum(cells.n_wanted, len(lgn_units)))])
    connections = Connections(
        start, np.zeros(n_cells, np.int64), np.empty(start[-1], np.uint16), np.empty(start[-1], np.uint16)
    )

    def connect(first):
        connect_cells(field, cells, rules, first, min(first + _CELLS_PER_TASK, n_cells), connections)
        return min(first + _CELLS_PER_TASK, n_cells)

    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        for done in pool.map(connect, range(0, n_cells, _CELLS_PER_TASK)):
            if progress:
                progress(done, n_cells)
    return _make_projection(nodes, node_types, connections, len(lgn_units))


def lgn_synapse_weights(nodes, node_types):
    """Weight of one LGN synapse onto each cell.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes

    Returns
    -------
    (N,) float64 array [pA]
        0.345 mV over the unit PSP of the cell model, scaled by the mean synapse count of L4 excitatory cells over that
        of the cell, and damped for 11 cell models that were too active.
    """
    rows = np.arange(len(node_types.node_type_id)), _exc_receptor(node_types)
    kinetics = (node_types.receptor_parameters[name][rows] for name in ("tau_fast", "tau_slow", "amp_slow"))
    psp = unit_psp(node_types.parameters["C_m"], node_types.parameters["g"], *kinetics)
    damping = read_cell_models().lgn_damping.loc[node_types.node_type_id].to_numpy()
    l4 = read_populations().loc[lambda table: table.cell_type == "L4_Exc"].iloc[0]
    mean_l4_size = l4.n_synapses_scale * np.exp(l4.n_synapses_shape**2 / 2.0)
    return (UNIT_PSP / psp * damping)[nodes.type_index] * mean_l4_size / nodes.target_size


def subtype_preferences(temporal_frequency, ignored):
    """Preference of a cell for every LGN unit type.

    Parameters
    ----------
    temporal_frequency : int [Hz]
        The cell's own.
    ignored : str
        ``"sON"`` or ``"sOFF"``, the sustained family that the cell does not take.

    Returns
    -------
    pandas.Series
        By unit type. Within a family of n frequencies L, ``(1 - |f - L_k| / sum |f - L|) / (n - 1)``; composite units
        have 1.
    """
    preference = pd.Series(1.0, index=read_lgn_units().index)
    for family, frequencies in _families().items():
        distance = np.abs(temporal_frequency - frequencies.to_numpy())
        chosen = (1.0 - distance / distance.sum()) / (len(distance) - 1)
        preference[frequencies.index] = 0.0 if family == ignored else chosen
    return preference


@cache
def _families():
    """Preferred frequency [Hz] of the simple unit types of each family."""
    types = read_lgn_units()
    name = types.index[types.non_dominant == ""].to_series()
    parts = name.str.extract(r"(?P<family>\w+)_TF(?P<frequency>\d+)")
    return {family: rows.frequency.astype(int) for family, rows in parts.groupby("family")}


def make_field(units):
    """Sort LGN units by the tiles of the visual field, as the kernels want them.

    Parameters
    ----------
    units : pandas.DataFrame

    Returns
    -------
    Field

    Raises
    ------
    InputError
        More units than 16 bits number.
    """
    if len(units) > MAX_UNITS:
        raise InputError(
            f"{len(units):,} LGN units: connections number their units in 16 bits; expected at most {MAX_UNITS:,}. "
            "Use fewer."
        )
    types = read_lgn_units()
    column, row = (units[axis].to_numpy() // TILE for axis in ("x", "y"))
    tile_id = (column * np.ceil(FIELD_HEIGHT / TILE) + row).astype(np.int64)
    order = np.argsort(tile_id, kind="stable")
    tile, start = np.unique(tile_id[order], return_index=True)
    tile_column, tile_row = np.divmod(tile, int(np.ceil(FIELD_HEIGHT / TILE)))
    family = units.model.str.partition("_")[0]
    return Field(
        unit=order,
        model=types.index.get_indexer(units.model)[order].astype(np.int64),
        x=units.x.to_numpy()[order],
        y=units.y.to_numpy()[order],
        shift=family.map(_SHIFT_SIGN).fillna(0.0).to_numpy()[order],
        tuning_angle=units.tuning_angle.to_numpy()[order],
        tile_start=np.append(start, len(units)),
        tile_x=(tile_column + 0.5) * TILE,
        tile_y=(tile_row + 0.5) * TILE,
        tile_radius=TILE / np.sqrt(2.0),
    )


@cache
def make_rules():
    """Tabulate the preferences of all kinds of cells.

    Returns
    -------
    Rules
        Row ``2 f`` is for OFF cells that prefer f Hz, row ``2 f + 1`` for ON cells.
    """
    frequencies = range(HIGHEST_FREQUENCY + 1)
    preference = np.array([subtype_preferences(f, ignored) for f in frequencies for ignored in ("sON", "sOFF")])
    types = read_lgn_units()
    density = types.n_per_tile / TILE**2 * np.where(types.non_dominant == "", 1.0, COMPOSITE_TOLERANCE / 90.0)
    deadline = np.geomspace(1e-6, 1e30, 400)
    # 1 - exp(-T w exp(-distance)), integrated over the plane, is 2 pi SPREAD^2 times the entire exponential integral.
    rate = np.maximum(preference[:, :, None] * deadline, 1e-300)
    entire = np.where(rate < 1e-8, rate, scipy.special.exp1(rate) + np.log(rate) + np.euler_gamma)
    expected = 2.0 * np.pi * SPREAD**2 * np.tensordot(entire, density.to_numpy(), axes=([1], [0]))
    return Rules(preference, deadline, np.ascontiguousarray(expected))


def make_cells(nodes, node_types, seed):
    """Draw what V1 cells want from the LGN.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    seed : int

    Returns
    -------
    Cells
        An ON cell shifts its receptive field along its tuning angle, an OFF cell against it.
    """
    populations = read_populations().loc[node_types.pop_name[nodes.type_index]]
    n_cells = len(nodes.x)
    angle = np.deg2rad(nodes.tuning_angle)
    is_on = philox(seed, "lgn_to_v1: sign").random(n_cells) < populations.lgn_on_ratio.to_numpy()
    draw = philox(seed, "lgn_to_v1: temporal frequency").random(n_cells)
    frequency = _temporal_frequency(draw, populations.lgn_poisson_parameter.to_numpy())
    yule = populations.lgn_yule_parameter.to_numpy()
    n_synapses = nodes.target_size * SYNAPSE_SHARE * populations.lgn_synapse_ratio.to_numpy()
    return Cells(
        x=FIELD_WIDTH / 2 + AZIMUTH_PER_UM * nodes.x,
        y=FIELD_HEIGHT / 2 + ELEVATION_PER_UM * nodes.z,
        axis_x=np.where(is_on, 1.0, -1.0) * np.cos(angle),
        axis_y=np.where(is_on, 1.0, -1.0) * np.sin(angle),
        tuning_angle=np.asarray(nodes.tuning_angle, dtype=np.float64),
        rule=2 * frequency + is_on,
        n_wanted=np.rint(n_synapses * (yule - 1.0) / yule).astype(np.int64),
        yule=yule,
        key=philox(seed, "lgn_to_v1: cells").integers(0, 2**64, n_cells, dtype=np.uint64),
    )


def _temporal_frequency(draw, mean):
    """Quantile of the Poisson distribution without its zero, for a draw from [0, 1); int64 [Hz]."""
    nothing = np.exp(-mean)
    quantile = scipy.stats.poisson.ppf(nothing + draw * (1.0 - nothing), mean)
    return np.clip(quantile, 1, HIGHEST_FREQUENCY).astype(np.int64)


def _exc_receptor(node_types):
    layout = receptor_layout()
    synapse_class = read_external_inputs().synapse_class["lgn"]
    post_class = read_populations().synapse_class.loc[node_types.pop_name]
    return np.array([layout.index[synapse_class, post] for post in post_class])


def _make_projection(nodes, node_types, connections, n_units):
    overflow = np.flatnonzero(connections.n_found < 0)
    if len(overflow):
        raise InputError(
            f"LGN connections with more than {MAX_SYNAPSES:,} synapses onto cells {first_offenders(overflow)}: they do "
            "not fit in 16 bits. Build with another seed."
        )
    target = np.arange(len(nodes.x)) * receptor_layout().n_receptors + _exc_receptor(node_types)[nodes.type_index]
    weight = lgn_synapse_weights(nodes, node_types)
    indptr, target, weight, n_synapses = sort_by_unit(connections, target.astype(np.int32), weight, n_units)
    return Projection(
        source="lgn",
        n_sources=n_units,
        indptr=indptr,
        target=target,
        delay_code=np.zeros(len(target), dtype=np.uint8),
        delay_ms=np.array([read_external_inputs().delay_ms["lgn"]]),
        weight=weight,
        n_synapses=n_synapses,
    )
