"""What recorded V1 activity looks like: distributions per cell type and Fano curves, from Visual Coding Neuropixels."""

from functools import cache

import numpy as np

from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.parameters import read_populations, read_table

# Below it, at the preferred direction, neither a recorded unit nor a cell of the model has an OSI or DSI.
MIN_PREFERRED_RATE_HZ = 0.5


@cache
def read_neuropixels_units():
    """What was recorded, unit by unit (index ``cell_type``, 3,156 rows), in the columns of the summary's quantities.

    OSI and DSI are NaN where they were not measured, and for units below 0.5 Hz at their preferred direction.
    """
    return read_table("neuropixels_units", ["cell_type"])


@cache
def read_neuropixels_summary():
    """Distributions per (``cell_type``, ``quantity``): n_units, mean and quantiles, in the unit the quantity names.

    Quantities are evoked_rate_Hz, spontaneous_rate_Hz, preferred_direction_rate_Hz, OSI and DSI.
    """
    return read_table("neuropixels_summary", ["cell_type", "quantity"])


def recorded_types(pop_name):
    """Name the recorded cell type that stands for each population.

    Parameters
    ----------
    pop_name : (N,) str array

    Returns
    -------
    (N,) str array
        One of the 17 names of the recordings, L5 excitatory cells taken together.

    Raises
    ------
    InputError
        A population has no recorded counterpart.
    """
    of_population = read_populations().neuropixels_type.to_dict()
    unknown = sorted(set(pop_name) - set(of_population))
    if unknown:
        raise InputError(
            f"populations {first_offenders(unknown)} have no counterpart in the recordings. "
            "Name it in the column neuropixels_type of models/data/populations.csv."
        )
    return np.array([of_population[name] for name in pop_name])


@cache
def read_fano_curves():
    """Mean Fano factor over recordings per (``window_ms``, ``condition``, ``bin_ms``)."""
    return read_table("fano_curves", ["window_ms", "condition", "bin_ms"])


def per_type_quantiles(quantity):
    """Quantiles of one quantity for every recorded cell type.

    Parameters
    ----------
    quantity : str

    Returns
    -------
    pandas.DataFrame
        One row per cell type (17), one column per level between 0 and 1 (float), values in the unit of the quantity.

    Raises
    ------
    InputError
        The quantity is not in the summary.
    """
    summary = read_neuropixels_summary()
    known = summary.index.unique("quantity")
    if quantity not in known:
        raise InputError(f"no quantity {quantity!r} in the Neuropixels summary: {near_name_hint(quantity, known)}")
    table = summary.xs(quantity, level="quantity").filter(regex="^quantile_")
    return table.rename(columns=lambda name: float(name.removeprefix("quantile_")))


def sample_quantiles(quantity, cell_type, probability, *, with_silent_unit=False):
    """Evaluate the inverse distribution function of recorded units.

    Parameters
    ----------
    quantity : str
    cell_type : str
        One of the 17 names of the recordings, for example ``"L5 Exc"``.
    probability : array
        Between 0 and 1; uniform random numbers give random units.
    with_silent_unit : bool
        Add one unit with the value 0 to the recorded ones, as the reference training does.

    Returns
    -------
    array like probability, in the unit of the quantity

    Raises
    ------
    InputError
        The quantity or the cell type is not in the summary.

    Source
    ------
    Ito et al. (2025), training targets. With n units sorted and a 0 put before them, the interpolated quantile function
    rises from 0 to the smallest unit below 1/n and is the old one, squeezed into the rest, above.
    """
    table = per_type_quantiles(quantity)
    if cell_type not in table.index:
        hint = near_name_hint(cell_type, table.index)
        raise InputError(f"no cell type {cell_type!r} in the Neuropixels summary: {hint}")
    levels = table.columns.to_numpy(dtype=float)
    values = table.loc[cell_type].to_numpy()
    if with_silent_unit:
        n_units = read_neuropixels_summary().n_units[cell_type, quantity]
        levels = np.r_[0.0, (1 + levels * (n_units - 1)) / n_units]
        values = np.r_[0.0, values]
    return np.interp(probability, levels, values)


def read_fano_curve(window_ms, condition):
    """Fano factor of recorded excitatory pools against bin width, for a counting window of any length.

    Parameters
    ----------
    window_ms : float [ms]
        Time over which bins are counted. Recordings were analyzed in windows of 300 and 1800 ms.
    condition : str
        ``"evoked"`` or ``"spontaneous"``.

    Returns
    -------
    bin_ms : (n,) array [ms]
        The recorded bin widths below half the window.
    fano : (n,) array

    Raises
    ------
    InputError
        Unknown condition, or a window of 2 ms or less.

    Source
    ------
    The recorded curves themselves for 300 and 1800 ms. For other windows: the variance over the k = floor(window / bin)
    bins of one window is about 1 - 1/k of the true one, the main difference between the two recorded curves. Without
    that factor they are interpolated linearly in log(window), held beyond both ends (a bin that only the longer window
    has is taken from there), and the factor of the window asked for is put back.
    """
    table = read_fano_curves().fano
    windows, conditions = table.index.unique("window_ms"), table.index.unique("condition")
    if condition not in conditions:
        raise InputError(f"no Fano curve for condition {condition!r}: {near_name_hint(condition, conditions)}")
    curves = table.xs(condition, level="condition").unstack("window_ms").sort_index()
    curves = curves[curves.index < window_ms / 2]
    if curves.empty:
        raise InputError(f"a window of {window_ms} ms is too short for a Fano factor: expected over 2 ms. Run longer.")
    bin_ms = curves.index.to_numpy(dtype=float)
    short, long = (curves[window].to_numpy() / _shortfall(window, bin_ms) for window in sorted(windows))
    share = np.clip(np.log(window_ms / min(windows)) / np.log(max(windows) / min(windows)), 0, 1)
    fano = np.where(np.isnan(short), long, (1 - share) * short + share * long)
    return bin_ms, fano * _shortfall(window_ms, bin_ms)


def _shortfall(window_ms, bin_ms):
    """Expected population variance over the bins of one window, relative to the true variance."""
    n_bins = np.maximum(window_ms // bin_ms, 2)
    return 1 - 1 / n_bins
