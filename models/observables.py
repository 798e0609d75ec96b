"""What is measured of activity: one definition each, shared by the losses and the figures.

Everything but `rates_of` and `isi_cv` takes numpy arrays or torch tensors, keeps gradients, and never imports torch.
"""

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.spikes import ROUNDING


def _elementwise(name, array, *others):
    """Apply the method that a torch tensor has, or numpy's function of the same name."""
    method = getattr(array, name, None)
    return method(*others) if method is not None else getattr(np, name)(array, *others)


def firing_rate(spikes, dt):
    """Mean firing rate over time.

    Parameters
    ----------
    spikes : (n_steps, ...) float array
        Spikes per step.
    dt : float [ms]

    Returns
    -------
    (...) array [Hz]
    """
    # Not mean(0), the same number: its gradient would be a copy for each step.
    return spikes.sum(0) / len(spikes) * (1000.0 / dt)


def rates_of(trains, start, stop):
    """Mean firing rate of every unit of recorded spike trains.

    Parameters
    ----------
    trains : SpikeTrains
    start, stop : float [ms]
        Spikes in (start, stop] count, as stamps are ends of steps.

    Returns
    -------
    (n_units,) float64 array [Hz]

    Raises
    ------
    InputError
        stop is not after start.
    """
    if not stop > start:
        raise InputError(f"rates between {start:g} and {stop:g} ms: expected a stop after the start.")
    first, last = np.searchsorted(trains.times, np.array([start, stop]) * (1 + ROUNDING), side="right")
    return np.bincount(trains.node_ids[first:last], minlength=trains.n_units) * (1000.0 / (stop - start))


def response_vector(rates, direction, harmonic):
    """Mean response vector of a tuning curve, its length between 0 and 1.

    Parameters
    ----------
    rates : (..., n_directions) array [Hz]
    direction : (n_directions,) array of the same kind [deg]
        Evenly spaced over the circle.
    harmonic : int
        1 for direction, 2 for orientation.

    Returns
    -------
    cosine, sine : (...) arrays
        Real and imaginary part of sum r exp(i harmonic direction) / sum r; NaN where all rates are 0.
    """
    angle = direction * (harmonic * np.pi / 180)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = rates / rates.sum(-1)[..., None]
    return (share * _elementwise("cos", angle)).sum(-1), (share * _elementwise("sin", angle)).sum(-1)


def orientation_selectivity(rates, direction):
    """Orientation and direction selectivity: one minus the circular variance of the tuning curve.

    Parameters
    ----------
    rates : (..., n_directions) array [Hz]
        Trial means.
    direction : (n_directions,) array of the same kind [deg]

    Returns
    -------
    osi, dsi : (...) arrays
        abs(sum r exp(2 i direction)) / sum r and abs(sum r exp(i direction)) / sum r; NaN where all rates are 0.

    Source
    ------
    Mazurek, Kager and Van Hooser (2014) Robust quantification of orientation selectivity and direction selectivity.
    """
    lengths = []
    for harmonic in (2, 1):
        cosine, sine = response_vector(rates, direction, harmonic)
        lengths.append((cosine**2 + sine**2) ** 0.5)
    return tuple(lengths)


def preferred_direction(rates, direction):
    """Preferred direction: half the angle of the orientation vector, on the side of the direction vector.

    Parameters
    ----------
    rates : (..., n_directions) array [Hz]
    direction : (n_directions,) array of the same kind [deg]

    Returns
    -------
    (...) array [deg], 0 to 360
        NaN where all rates are 0.
    """
    cosine, sine = response_vector(rates, direction, 2)
    orientation = _elementwise("arctan2", sine, cosine) / 2
    cosine, sine = response_vector(rates, direction, 1)
    side = cosine * _elementwise("cos", orientation) + sine * _elementwise("sin", orientation)
    return (orientation * (180 / np.pi) + 180 * (side < 0)) % 360


def crowd_selectivity(rates, delta_direction, membership, floor=5e-4):
    """Selectivity of a crowd: the population vector of each cell type, measured from each cell's own tuning angle.

    Needs one direction per trial only, because the cells of a type sample all tuning angles.

    Parameters
    ----------
    rates : (n_trials, n_cells) array
        In any unit; divided by each cell's average rate, so that no cell speaks for the crowd.
    delta_direction : (n_trials, n_cells) array of the same kind [deg]
        Direction of the stimulus minus tuning angle.
    membership : (n_cells, n_types) array of the same kind
        1/n in the column of the cell's type (n cells), 0 elsewhere.
    floor : float
        Smallest crowd mean to divide by, in the unit of rates.

    Returns
    -------
    osi, dsi : (n_types,) arrays
        Mean over trials of <r cos 2 delta> / <r> and of <r cos delta> / <r>, <> the mean over the cells of a type.

    Source
    ------
    Ito et al. (2025), crowd form of the selectivity targets.
    """
    crowd = (rates @ membership).clip(floor)
    angle = delta_direction * (np.pi / 180)
    osi = ((rates * _elementwise("cos", 2 * angle)) @ membership / crowd).mean(0)
    dsi = ((rates * _elementwise("cos", angle)) @ membership / crowd).mean(0)
    return osi, dsi


def fano_factor_curve(counts, bin_steps, min_mean=1e-7):
    """Fano factor of spike counts against the width of the bins in which they are counted.

    Parameters
    ----------
    counts : (n_steps, n_pools) float array
        Summed spikes of each pool of neurons, per step.
    bin_steps : sequence of int
        Bin widths; bins do not overlap, an incomplete last bin is left out.
    min_mean : float
        Smallest mean count to divide by, so that silent pools count as 0.

    Returns
    -------
    list of (n_pools,) arrays
        Population variance over mean of the counts in the bins, one array per width.
    """
    curve = []
    for width in bin_steps:
        n_bins = len(counts) // width
        binned = counts[: n_bins * width].reshape(n_bins, width, -1).sum(1)
        mean = binned.mean(0)
        variance = ((binned - mean) ** 2).mean(0)
        curve.append(variance / mean.clip(min_mean))
    return curve


def isi_cv(times, node_ids, n_units, min_intervals=2):
    """Coefficient of variation of the interspike intervals of every unit.

    Parameters
    ----------
    times : (n_spikes,) numpy array [ms]
    node_ids : (n_spikes,) numpy int array
    n_units : int
    min_intervals : int
        Units with fewer intervals get NaN.

    Returns
    -------
    (n_units,) numpy array
        1 for a Poisson process, 0 for a clock.
    """
    order = np.lexsort((times, node_ids))
    ids = np.asarray(node_ids)[order]
    intervals = np.diff(np.asarray(times, dtype=float)[order])
    same_unit = ids[1:] == ids[:-1]
    owner, intervals = ids[1:][same_unit], intervals[same_unit]
    n_intervals = np.bincount(owner, minlength=n_units)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, intervals, n_units) / n_intervals
        variance = np.bincount(owner, (intervals - mean[owner]) ** 2, n_units) / n_intervals
        return np.where(n_intervals >= min_intervals, variance**0.5 / mean, np.nan)
