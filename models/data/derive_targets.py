"""Derive the Neuropixels summaries of this folder: ``python derive_targets.py SOURCE`` (SOURCE holds targets/*).

Shipped are the quantities per unit, their distribution per cell type and the mean Fano curves; the recordings stay
where they are.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.models.neuropixels import MIN_PREFERRED_RATE_HZ

HERE = Path(__file__).parent

SOURCE_NOTE = (
    "# Allen Institute, Visual Coding Neuropixels (Siegle et al. 2021), mouse V1; license: LICENSE.neuropixels"
)

# Hundredths, refined where firing rates have their long tail.
LEVELS = np.r_[np.arange(0, 95) / 100, np.arange(190, 198) / 200, np.arange(990, 1001) / 1000]

QUANTITIES = {
    "evoked_rate_Hz": "Ave_Rate(Hz)",
    "spontaneous_rate_Hz": "firing_rate_sp",
    "preferred_direction_rate_Hz": "max_mean_rate(Hz)",
    "OSI": "OSI",
    "DSI": "DSI",
}
WINDOWS_MS = (300, 1800)
CONDITIONS = {"evoked": "evoked", "spontaneous": "spont"}
BINS_MS = 1000 * np.logspace(-3, 0, 20)


def derive_units(source):
    """What is compared with the model, unit by unit.

    Parameters
    ----------
    source : pathlib.Path
        Holds ``targets/neuropixels_v1_units.csv``.

    Returns
    -------
    pandas.DataFrame
        One row per unit, by cell type and in the order of the source: evoked, spontaneous and preferred-direction rate
        [Hz], OSI, DSI; the last two NaN for silent units and units below 0.5 Hz at their preferred direction.
    """
    recorded = pd.read_csv(source / "targets/neuropixels_v1_units.csv", sep=" ")
    units = recorded[["cell_type", *QUANTITIES.values()]].set_axis(["cell_type", *QUANTITIES], axis=1)
    tuned = (units.evoked_rate_Hz != 0) & (units.preferred_direction_rate_Hz >= MIN_PREFERRED_RATE_HZ)
    units.loc[~tuned, ["OSI", "DSI"]] = np.nan
    return units.sort_values("cell_type", kind="stable").set_index("cell_type")


def derive_summary(source):
    """Number of units, mean and quantiles per cell type and quantity.

    Parameters
    ----------
    source : pathlib.Path
        Holds ``targets/neuropixels_v1_units.csv``.

    Returns
    -------
    pandas.DataFrame
        One row per (cell_type, quantity): n_units, mean and one column per quantile level, in the unit of the quantity.
        OSI and DSI leave out silent units and units below 0.5 Hz at their preferred direction.
    """
    units = derive_units(source)
    rows = []
    for cell_type in units.index.unique():
        for quantity in QUANTITIES:
            values = units.loc[cell_type, quantity].dropna()
            rows.append((cell_type, quantity, len(values), values.mean(), *np.quantile(values, LEVELS)))
    columns = ["cell_type", "quantity", "n_units", "mean", *(f"quantile_{level:.3f}" for level in LEVELS)]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2])


def derive_fano_curves(source):
    """Mean Fano factor over recordings per window, condition and bin width.

    Parameters
    ----------
    source : pathlib.Path
        Holds ``targets/v1_fano_running_{300,1800}ms_{evoked,spont}.npy``, where 0 and NaN mean unused.

    Returns
    -------
    pandas.DataFrame
        One row per (window_ms, condition, bin_ms): fano, its standard error over recordings, number of recordings.
    """
    rows = []
    for window in WINDOWS_MS:
        for condition, name in CONDITIONS.items():
            curves = np.load(source / f"targets/v1_fano_running_{window}ms_{name}.npy")
            for bin_ms, values in zip(BINS_MS, curves.T, strict=True):
                used = values[np.isfinite(values) & (values != 0)]
                if len(used):
                    error = used.std(ddof=1) / np.sqrt(len(used))
                    rows.append((window, condition, bin_ms, used.mean(), error, len(used)))
    columns = ["window_ms", "condition", "bin_ms", "fano", "fano_standard_error", "n_recordings"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:3])


def derive_contrast(source):
    """Which contrasts recorded units prefer, per cell type.

    Parameters
    ----------
    source : pathlib.Path
        Holds ``targets/neuropixels_v1_units.csv`` and ``targets/contrast_best_model.csv``.

    Returns
    -------
    pandas.DataFrame
        One row per cell type, in numbers of units: n_units (with contrast gratings), driven_units (p < 0.01 against
        blanks) and, of these, high_units, band_units and low_units by the contrast model that fits best.
    """
    units = pd.read_csv(source / "targets/neuropixels_v1_units.csv", sep=" ")
    contrast = pd.read_csv(source / "targets/contrast_best_model.csv")
    units = units.merge(contrast, left_on="ecephys_unit_id", right_on="unit_id", validate="one_to_one")
    driven = units[units["sig0.01"]]
    table = pd.DataFrame({"n_units": units.cell_type.value_counts(), "driven_units": driven.cell_type.value_counts()})
    for preference in ("high", "band", "low"):
        table[f"{preference}_units"] = driven.cell_type[driven.best_model == preference].value_counts()
    return table.fillna(0).astype(int).sort_index()


def write_targets(source, folder=HERE):
    """Write the tables, each below a line that names source and license, into a folder."""
    tables = {
        "neuropixels_units": derive_units(source),
        "neuropixels_summary": derive_summary(source),
        "fano_curves": derive_fano_curves(source),
        "neuropixels_contrast": derive_contrast(source),
    }
    for name, table in tables.items():
        text = table.to_csv(float_format="%.6g", lineterminator="\n")
        Path(folder, f"{name}.csv").write_text(f"{SOURCE_NOTE}\n{text}")


if __name__ == "__main__":
    write_targets(Path(sys.argv[1]))
