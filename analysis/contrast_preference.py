"""Which neurons respond to contrast, how reliably, and which contrasts they prefer, beside the recordings."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import gammainc, gammaincc

from twincortex.analysis.resampling import ordered_types
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_populations, read_table

SIGNIFICANT = 0.01
STEEPNESS = 10.0  # of the sigmoids, per unit of contrast
C50 = np.linspace(0, 1, 21)
PREFERENCES = ("high", "band", "low")


def quasi_poisson_p(total, n_windows, blank_count):
    """Test whether a neuron fires more, or fewer, spikes than in blanks.

    Parameters
    ----------
    total : (N,) array
        Spikes in all response windows.
    n_windows : int
        How many windows that is, each as long as a blank.
    blank_count : (N, B) array
        Spikes in every blank, B at least 2.

    Returns
    -------
    driven, suppressed : (N,) arrays
        P(X >= k) and P(X <= k) for X Poisson of mean mu, with k = total / phi, mu = expected / phi and phi = var / mean
        of the blanks, continued to k between whole numbers by the incomplete gamma function.

    Raises
    ------
    InputError
        Fewer than two blanks.

    Source
    ------
    Ito et al. (2025), quasi-Poisson test, which takes P(X > floor(k)). Neurons without a spike in any blank are tested
    as if they had fired one, with phi 1; equal counts in all blanks give phi 1 too. The expected count is taken as
    known, so few blanks give more than the nominal share of false alarms.
    """
    n_blanks = blank_count.shape[1]
    if n_blanks < 2:
        raise InputError(
            f"{n_blanks} blanks: a test against blanks needs at least two. Run the experiment with blanks."
        )
    mean = np.maximum(blank_count.mean(axis=1), 1 / n_blanks)
    variance = blank_count.var(axis=1, ddof=1)
    is_defined = (variance > 0) & (blank_count.sum(axis=1) > 0)
    phi = np.where(is_defined, variance / mean, 1.0)
    k, mu = total / phi, mean * n_windows / phi
    driven = np.where(k > 0, gammainc(np.maximum(k, np.finfo(float).tiny), mu), 1.0)
    return driven, gammaincc(k + 1, mu)


def responsiveness(responses):
    """Test every neuron's response to all contrasts and directions together against blanks.

    Parameters
    ----------
    responses : GratingCounts

    Returns
    -------
    driven, suppressed : (N,) arrays
        p values of `quasi_poisson_p`.
    """
    return quasi_poisson_p(
        responses.count.sum(axis=(1, 2, 3)), int(np.prod(responses.count.shape[1:])), responses.blank_count
    )


def tuning_reliability(responses):
    """Correlate tuning curves of the first and the second half of the trials.

    Parameters
    ----------
    responses : GratingCounts

    Returns
    -------
    (N, C) array
        Pearson's r over directions at every contrast; NaN where a half does not vary over directions. Of an odd number
        of trials the last is left out.

    Raises
    ------
    InputError
        Fewer than two trials.
    """
    n_half = responses.count.shape[3] // 2
    if not n_half:
        raise InputError("one trial per grating: reliability needs at least two. Run the experiment with more trials.")
    first, second = (responses.count[..., start : start + n_half].mean(axis=3) for start in (0, n_half))
    return pearson(first, second)


def pearson(a, b):
    """Pearson's r along the last axis, NaN where either is constant."""
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    power = (a**2).sum(axis=-1) * (b**2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, (a * b).sum(axis=-1) / np.sqrt(power), np.nan)


def preferred_contrast_range(responses):
    """Tell whether high-pass, band-pass or low-pass describes each neuron's response to contrast best.

    Parameters
    ----------
    responses : GratingCounts

    Returns
    -------
    (N,) str array
        ``"high"``, ``"band"`` or ``"low"``, at the direction with the most spikes.

    Source
    ------
    Ito et al. (2025), as they label recorded units, after Millman et al. (2020) eLife 9:e55130: count = b + h s(c) with
    b, h >= 0 and s(c) a sigmoid of contrast of steepness 10 that rises (high-pass), falls (low-pass), or the product
    of both (band-pass); the smallest AIC wins, with one parameter more for band-pass. They maximize a negative binomial
    likelihood, choose the direction by its p value and use contrasts 0.04 to 1; here it is least squares, with
    half-points on a grid of 0.05.
    """
    best = responses.count.sum(axis=(1, 3)).argmax(axis=1)
    count = responses.count[np.arange(len(best)), :, best]
    n_data = count.shape[1] * count.shape[2]
    mean = count.mean(axis=2)
    within = ((count - mean[..., None]) ** 2).sum(axis=(1, 2))
    aic = []
    for name, n_parameters in zip(PREFERENCES, (3, 4, 3), strict=True):
        between = np.min([_residual(mean, shape) for shape in _shapes(name, responses.contrast)], axis=0)
        residual = np.maximum(within + between * count.shape[2], np.finfo(float).tiny)
        aic.append(n_data * np.log(residual / n_data) + 2 * n_parameters)
    return np.array(PREFERENCES)[np.argmin(aic, axis=0)]


def _shapes(name, contrast):
    """Every shape of one kind on the grid of half-points, each (C,)."""
    rising = [1 / (1 + np.exp(-STEEPNESS * (contrast - c50))) for c50 in C50]
    if name == "high":
        return rising
    if name == "low":
        return [1 - one for one in rising]
    return [up * (1 - down) for up in rising for down in rising]


def _residual(mean, shape):
    """Sum of squares that b + h shape leaves of (N, C) means, with b and h not negative, (N,)."""
    centered = shape - shape.mean()
    power = centered @ centered
    h = mean @ centered / power if power > 0 else np.zeros(len(mean))
    b = mean.mean(axis=1) - h * shape.mean()
    b = np.where(h < 0, mean.mean(axis=1), b)
    h = np.where(b < 0, mean @ shape / (shape @ shape), np.maximum(h, 0))
    return ((mean - np.maximum(b, 0)[:, None] - h[:, None] * shape) ** 2).sum(axis=1)


def preference_table(responses, level=SIGNIFICANT):
    """How many neurons of each cell type are driven by gratings, and which contrasts those prefer.

    Parameters
    ----------
    responses : GratingCounts
        With blanks.
    level : float
        p below which a neuron counts.

    Returns
    -------
    pandas.DataFrame, one row per cell type, from the pia downwards
        cell_type; n; driven, suppressed (neurons); high, band, low (of the driven ones); recorded_n, recorded_driven,
        recorded_high, recorded_band, recorded_low: units of the recorded type (all L5 excitatory types share one) in
        `read_recorded_preferences`.
    """
    driven, suppressed = (p < level for p in responsiveness(responses))
    preference = preferred_contrast_range(responses)
    recorded = read_recorded_preferences()
    recorded_name = read_populations().drop_duplicates("cell_type").set_index("cell_type").neuropixels_type
    rows = []
    for name in ordered_types(responses.cell_type):
        chosen = responses.cell_type == name
        row = {
            "cell_type": name,
            "n": chosen.sum(),
            "driven": driven[chosen].sum(),
            "suppressed": suppressed[chosen].sum(),
        }
        row |= {which: (preference[chosen & driven] == which).sum() for which in PREFERENCES}
        of_type = recorded.reindex([recorded_name[name]]).fillna(0).iloc[0].astype(int)
        rows.append(row | {f"recorded_{column.removesuffix('_units')}": value for column, value in of_type.items()})
    return pd.DataFrame(rows)


@cache
def read_recorded_preferences():
    """Contrast preferences of recorded V1 units per recorded cell type (index ``cell_type``).

    Columns: n_units (with contrast gratings), driven_units (p < 0.01 in the quasi-Poisson test) and, of these,
    high_units, band_units and low_units. Of 7 VIP units 2 are driven: too few to tell what VIP cells prefer.
    """
    return read_table("neuropixels_contrast", ["cell_type"])
