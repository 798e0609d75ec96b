"""Rate and selectivity against contrast per cell type; the push-pull of VIP and SST cells."""

import numpy as np
import pandas as pd

from twincortex.analysis.grating_counts import selectivity, selectivity_of_noise
from twincortex.analysis.resampling import difference_of_means, mean_with_limits, type_means
from twincortex.models.errors import InputError

# Highlighted by Ito et al. (2025, Fig. 3); then neighbors in the same layer, then all of a class.
PUSH_PULL_PAIRS = (("L2/3_VIP", "L4_SST"), *((f"{layer}_VIP", f"{layer}_SST") for layer in ("L2/3", "L4", "L5", "L6")))


def contrast_curves(responses, seed=0):
    """Mean rate, OSI and DSI of every cell type against contrast.

    Parameters
    ----------
    responses : GratingCounts
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame, one row per cell type, quantity and contrast
        cell_type; quantity (``rate_Hz``, ``OSI``, ``DSI``, and ``noise``: what noise alone would give either of them);
        contrast (0 for blanks, rate only); n (neurons with a value); mean, low, high (95 %, over neurons). Selectivity
        counts neurons of at least 0.5 Hz at their best direction of that contrast.
    """
    rate = responses.rate
    osi, dsi = selectivity(rate, responses.direction)
    noise = np.where(np.isnan(osi), np.nan, selectivity_of_noise(responses.count))
    values = {"rate_Hz": rate.mean(axis=2), "OSI": osi, "DSI": dsi, "noise": noise}
    columns = [
        (quantity, contrast, of_contrast)
        for quantity, of_neurons in values.items()
        for contrast, of_contrast in zip(responses.contrast, of_neurons.T, strict=True)
    ]
    if responses.blank_count.shape[1]:
        columns.insert(0, ("rate_Hz", 0.0, responses.blank_rate))
    tables = [
        type_means(of_neurons, responses.cell_type, seed).assign(quantity=quantity, contrast=contrast)
        for quantity, contrast, of_neurons in columns
    ]
    return pd.concat(tables, ignore_index=True)[["cell_type", "quantity", "contrast", "n", "mean", "low", "high"]]


def contrast_slopes(responses):
    """Slope of each neuron's rate against the logarithm of contrast.

    Parameters
    ----------
    responses : GratingCounts

    Returns
    -------
    (N,) array [Hz per decade of contrast]
        Least squares on the mean over directions and trials; blanks do not enter.

    Raises
    ------
    InputError
        Fewer than two contrasts.
    """
    if len(responses.contrast) < 2:
        raise InputError(f"contrast {responses.contrast.tolist()}: a slope needs at least two contrasts.")
    x = np.log10(responses.contrast)
    x = x - x.mean()
    return responses.rate.mean(axis=2) @ x / (x @ x)


def contrast_preference_index(responses):
    """How much more a neuron fires at the highest than at the lowest contrast.

    Parameters
    ----------
    responses : GratingCounts

    Returns
    -------
    (N,) array, -1 to 1
        (r_high - r_low) / (r_high + r_low) of the means over directions; NaN where both are 0.
    """
    rate = responses.rate.mean(axis=2)
    with np.errstate(invalid="ignore"):
        return (rate[:, -1] - rate[:, 0]) / (rate[:, -1] + rate[:, 0])


def push_pull(slope, cell_type, seed=0, pairs=PUSH_PULL_PAIRS):
    """Compare the contrast dependence of VIP and SST cells.

    Parameters
    ----------
    slope : (N,) array [Hz per decade]
        From `contrast_slopes`.
    cell_type : (N,) str array
    seed : int
    pairs : sequence of (str, str)
        VIP type and SST type; the pair of all VIP and all SST cells comes last.

    Returns
    -------
    pandas.DataFrame, one row per pair
        vip, sst; n_vip, n_sst; vip_slope, sst_slope with 95 % limits (``..._low``, ``..._high``, over neurons);
        difference (sst - vip) with low, high and the p of a permutation of the labels; opposite: ``yes`` if the
        intervals of the slopes lie on either side of 0, VIP below, ``reversed`` if VIP lies above, else ``no``.
        Pairs without cells are left out.

    Source
    ------
    Ito et al. (2025), Fig. 3. Millman et al. (2020) eLife 9:e55130: VIP cells of mouse V1 prefer low contrast, SST
    cells high contrast.
    """
    rows = []
    for vip, sst in (*pairs, ("all VIP", "all SST")):
        chosen = {name: slope[_members(cell_type, name)] for name in (vip, sst)}
        if min(map(len, chosen.values())) == 0:
            continue
        row = {"vip": vip, "sst": sst, "n_vip": len(chosen[vip]), "n_sst": len(chosen[sst])}
        for label, name in (("vip", vip), ("sst", sst)):
            found = mean_with_limits(chosen[name], seed, f"slope of {name}")
            row |= {
                f"{label}_slope": found["mean"],
                f"{label}_slope_low": found["low"],
                f"{label}_slope_high": found["high"],
            }
        row |= difference_of_means(chosen[sst], chosen[vip], seed)
        rows.append(row | {"opposite": _opposite(row)})
    if not rows:
        raise InputError("no VIP or no SST cell among the neurons: push-pull cannot be measured. Take a larger core.")
    return pd.DataFrame(rows)


def _members(cell_type, name):
    """Mask of a cell type, or of all types of a class (``"all VIP"``)."""
    cell_type = np.asarray(cell_type)
    if not name.startswith("all "):
        return cell_type == name
    return np.char.endswith(cell_type.astype(str), name.removeprefix("all "))


def _opposite(row):
    if row["vip_slope_high"] < 0 < row["sst_slope_low"]:
        return "yes"
    return "reversed" if row["sst_slope_high"] < 0 < row["vip_slope_low"] else "no"
