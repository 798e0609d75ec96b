"""The LGN: 17,400 filter units that cover the visual field, made from the tables of unit types."""

import numpy as np
import pandas as pd

from twincortex.models.parameters import read_lgn_filters, read_lgn_units
from twincortex.models.randomness import philox

FIELD_WIDTH, FIELD_HEIGHT = 120.0, 80.0  # deg of azimuth and elevation
TILE = 8.0  # deg
JITTER = 0.025  # every temporal parameter of every unit is multiplied by U(1 - JITTER, 1 + JITTER)
FILTER_COLUMNS = ("w0", "w1", "kpeak0", "kpeak1", "delay0", "delay1")


def build_lgn_units(seed):
    """Place the LGN units in the visual field and draw their filters.

    Parameters
    ----------
    seed : int

    Returns
    -------
    pandas.DataFrame
        One row per unit, ordered by unit type (rows of ``lgn_units.csv``), within a type by tile (azimuth, then
        elevation). Columns: model; x, y [deg], azimuth 0 to 120 and elevation 0 to 80, upwards; spatial_size [deg];
        w0, w1, kpeak0, kpeak1 [ms], delay0, delay1 [ms] of the only or dominant subunit and, with the ending
        ``_non_dom``, of the other subunit (NaN in simple units); tuning_angle [deg] from the dominant to the other
        subunit and their separation [deg] (NaN in simple units).

    Source
    ------
    biorealistic-v1-model, base_props/lgn_models.csv and build_network.py. There small columns get a small field; here
    it is whole at every size, because a cell of L4 PV looks for 2,500 units.
    """
    rng = philox(seed, "lgn_units")
    types = read_lgn_units()
    return pd.concat([_units_of_type(rng, name, row) for name, row in types.iterrows()], ignore_index=True)


def _units_of_type(rng, model, unit_type):
    corners = np.mgrid[0:FIELD_WIDTH:TILE, 0:FIELD_HEIGHT:TILE].reshape(2, -1)
    corners = np.repeat(corners, unit_type.n_per_tile, axis=1)
    n_units = corners.shape[1]
    x, y = corners + rng.uniform(0.0, TILE, size=(2, n_units))
    units = {"model": [model] * n_units, "x": x, "y": y, "spatial_size": _spatial_size(rng, unit_type, n_units)}
    units |= _jittered_filter(rng, unit_type.dominant, "", n_units)
    units |= _jittered_filter(rng, unit_type.non_dominant, "_non_dom", n_units)
    is_composite = bool(unit_type.non_dominant)
    units["tuning_angle"] = rng.uniform(0.0, 360.0, n_units) if is_composite else np.full(n_units, np.nan)
    units["separation"] = unit_type.separation_deg * _jitter(rng, n_units) if is_composite else np.full(n_units, np.nan)
    return pd.DataFrame(units)


def _spatial_size(rng, unit_type, n_units):
    smallest, mode, largest = unit_type[["spatial_size_min_deg", "spatial_size_mode_deg", "spatial_size_max_deg"]]
    if smallest == largest:
        return np.full(n_units, float(smallest))
    return rng.triangular(smallest, mode, largest, n_units)


def _jittered_filter(rng, filter_model, ending, n_units):
    if not filter_model:
        return {name + ending: np.full(n_units, np.nan) for name in FILTER_COLUMNS}
    fitted = read_lgn_filters().loc[filter_model]
    columns = {"kpeak0": "kpeak0_ms", "kpeak1": "kpeak1_ms", "delay0": "delay0_ms", "delay1": "delay1_ms"}
    return {name + ending: fitted[columns.get(name, name)] * _jitter(rng, n_units) for name in FILTER_COLUMNS}


def _jitter(rng, n_units):
    return rng.uniform(1.0 - JITTER, 1.0 + JITTER, n_units)
