"""Made-up experiments with known answers, in the shape of the results of `twincortex experiment`."""

import numpy as np
import xarray as xr

DIRECTIONS = np.arange(0, 360, 45.0)
WINDOW_S = 1.8


def tuned_rates(peak, preferred, osi=0.3, dsi=0.1):
    """Rates over DIRECTIONS of neurons with a mean rate, a preferred direction, an OSI and a DSI in closed form."""
    delta = np.deg2rad(DIRECTIONS - np.asarray(preferred)[..., None])
    return np.asarray(peak)[..., None] * (1 + 2 * osi * np.cos(2 * delta) + 2 * dsi * np.cos(delta))


def experiment(count, conditions, cell_type, windows=None, is_core=None, extra=None):
    """Dataset of (condition, trial, neuron) counts; the other windows hold no spike.

    Parameters
    ----------
    count : (n_conditions, n_trials, N) array
    conditions : dict of column -> (n_conditions,) array
    cell_type : (N,) str array
    windows : dict of name -> length [ms]
        The counts are of the last.
    is_core : (N,) bool array, optional
    extra : dict of name -> (dims, array), optional
    """
    windows = windows or {"gray": 400.0, "grating": 1000 * WINDOW_S}
    counts = np.zeros((*count.shape[:2], len(windows), count.shape[2]), dtype=np.uint16)
    counts[:, :, -1] = count
    return xr.Dataset(
        {"spike_count": (("condition", "trial", "window", "neuron"), counts)},
        coords={
            "window": list(windows),
            "window_ms": ("window", list(windows.values())),
            "cell_type": ("neuron", np.asarray(cell_type)),
            "is_core": ("neuron", np.ones(counts.shape[3], dtype=bool) if is_core is None else is_core),
            **{name: ("condition", np.asarray(values)) for name, values in conditions.items()},
            **(extra or {}),
        },
        attrs={"experiment": "synthetic"},
    )


def contrast_experiment(rates, contrasts, cell_type, blank_rate, n_trials=10, seed=0):
    """Poisson counts of (N, C, D) rates [Hz], with three conditions of blanks at (N,) rates."""
    random = np.random.default_rng(seed)
    grid = [(c, d) for c in range(len(contrasts)) for d in range(len(DIRECTIONS))]
    means = [rates[:, c, d] for c, d in grid] + [blank_rate] * 3
    count = random.poisson(np.array(means)[:, None] * WINDOW_S, size=(len(means), n_trials, len(rates)))
    conditions = {
        "contrast": [contrasts[c] for c, _ in grid] + [0.0] * 3,
        "direction_deg": [DIRECTIONS[d] for _, d in grid] + [np.nan] * 3,
    }
    order = random.permutation(len(means))
    conditions = {name: np.array(values)[order] for name, values in conditions.items()}
    return experiment(count[order], conditions, cell_type)
