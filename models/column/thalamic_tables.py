"""Tables of the LGN to V1 rule: the units in the visual field, what kinds of cells prefer, what each cell wants."""

from functools import cache

import numpy as np
import pandas as pd
import scipy.special

from twincortex.models.column.lgn_units import FIELD_HEIGHT, FIELD_WIDTH, TILE
from twincortex.models.column.thalamic_sampling import COMPOSITE_TOLERANCE, MAX_UNITS, SPREAD, Cells, Field, Rules
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_lgn_units, read_populations
from twincortex.models.randomness import philox

AZIMUTH_PER_UM, ELEVATION_PER_UM = 0.07, 0.04  # deg/um along x and z of the column: retinotopy
SYNAPSE_SHARE = 0.2  # of the synapses of an L4 excitatory cell come from the LGN
HIGHEST_FREQUENCY = 30  # Hz; that a cell prefers more has a probability of 1e-24
_SHIFT_SIGN = {"sON": -1.0, "sOFF": -1.0, "tOFF": 1.0}  # against or along the tuning axis; composite units stay


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
    types = ordered_unit_types()
    n_rows = int(np.ceil(FIELD_HEIGHT / TILE))
    column, row = ((units[axis].to_numpy() // TILE).astype(np.int64) for axis in ("x", "y"))
    model = types.index.get_indexer(units.model).astype(np.int64)
    tile, number = np.unique(column * n_rows + row, return_inverse=True)
    kind = number * len(types) + model
    order = np.argsort(kind, kind="stable")
    shift = types.index.to_series().str.partition("_")[0].map(_SHIFT_SIGN).fillna(0.0).to_numpy()
    return Field(
        unit=order,
        model=model[order],
        x=units.x.to_numpy()[order],
        y=units.y.to_numpy()[order],
        shift=shift[model[order]],
        tuning_angle=units.tuning_angle.to_numpy()[order],
        start=np.searchsorted(kind[order], np.arange(len(tile))[:, None] * len(types) + np.arange(len(types) + 1)),
        tile_x=(tile // n_rows + 0.5) * TILE,
        tile_y=(tile % n_rows + 0.5) * TILE,
        tile_radius=TILE / np.sqrt(2.0),
    )


@cache
def ordered_unit_types():
    """The table of LGN unit types with those at the two ends that a cell may ignore: sustained ON, sustained OFF."""
    types = read_lgn_units()
    family = types.index.to_series().str.partition("_")[0]
    return types.iloc[np.argsort(family.map({"sON": 0, "sOFF": 2}).fillna(1), kind="stable")]


@cache
def make_rules():
    """Tabulate the preferences of all kinds of cells.

    Returns
    -------
    Rules
        Row ``2 f`` is for OFF cells that prefer f Hz, row ``2 f + 1`` for ON cells.
    """
    frequencies = range(HIGHEST_FREQUENCY + 1)
    types = ordered_unit_types()
    preference = np.array(
        [subtype_preferences(f, ignored)[types.index] for f in frequencies for ignored in ("sON", "sOFF")]
    )
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
    probability = nothing + draw * (1.0 - nothing)
    frequency = np.empty(len(draw), dtype=np.int64)
    for value in np.unique(mean):
        at_most = scipy.special.pdtr(np.arange(1, HIGHEST_FREQUENCY), value)
        frequency[mean == value] = 1 + np.searchsorted(at_most, probability[mean == value])
    return frequency
