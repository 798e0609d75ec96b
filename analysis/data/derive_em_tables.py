"""Derive the tables of this folder from pairs of cells: ``python derive_em_tables.py SOURCE``.

SOURCE is a folder with microns_response_correlation_vs_size.csv, v1dd_delta_direction_vs_size.csv and
pair_limits_corr.csv. The pairs themselves are not shipped; README.md beside this file names their sources.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from twincortex.analysis.correlation_sums import straight_line, sum_by_correlation
from twincortex.analysis.direction_rule import binned_mean, fit_direction_rule

HERE = Path(__file__).parent
MIN_PER_BIN = 5  # a mean of fewer would be the pairs themselves
TYPE_OF = {"23P": "L2/3_Exc", "4P": "L4_Exc", "5P-IT": "L5_Exc", "5P-ET": "L5_Exc", "6P": "L6_Exc"}


def main(source):
    """Write every table anew."""
    microns, v1dd = microns_pairs(source), v1dd_pairs(source)
    counts = microns.groupby(["pre_type", "post_type"]).size()
    published = pd.read_csv(source / "pair_limits_corr.csv", index_col=["source", "target"]).connections
    if counts.to_dict() != published.to_dict():
        raise SystemExit("the pairs of MICrONS are not as many as pair_limits_corr.csv says")
    _write(correlation_slopes(microns), "microns_slopes.csv")
    _write(correlation_bins(microns), "microns_bins.csv")
    _write(direction_rules(v1dd), "v1dd_direction_rules.csv")
    _write(direction_bins(v1dd), "v1dd_bins.csv")


def microns_pairs(source):
    """Pairs of MICrONS: pre_type, post_type, correlation, size."""
    table = pd.read_csv(source / "microns_response_correlation_vs_size.csv")
    ends = table.pair.str.split("->", expand=True)
    return pd.DataFrame(
        {
            "pre_type": ends[0].map(TYPE_OF),
            "post_type": ends[1].map(TYPE_OF),
            "correlation": table.correlation,
            "size": table.weight,
        }
    )


def v1dd_pairs(source):
    """Pairs of V1DD: pre_type, post_type, delta_deg, size."""
    table = pd.read_csv(source / "v1dd_delta_direction_vs_size.csv")
    ends = table.pair.str.split("->", expand=True) + "_Exc"
    return pd.DataFrame(
        {"pre_type": ends[0], "post_type": ends[1], "delta_deg": table.delta_pref_direction, "size": table.weight}
    )


def correlation_slopes(pairs):
    """Slope of size over correlation within the range of slopes, relative to the mean size there."""
    groups = pairs.groupby(["pre_type", "post_type"])
    labels = groups.size().rename("n").reset_index()
    group = groups.ngroup().to_numpy()
    sums = sum_by_correlation(pairs.correlation.to_numpy(), pairs["size"].to_numpy(float), group, len(labels))
    slope, error, mean, n = straight_line(sums)
    p = 2 * student_t.sf(np.abs(slope / error), np.maximum(n - 2, 1))
    labels = labels.assign(n_slope=n.astype(int), slope=slope / mean, slope_se=error / mean, slope_p=p)
    return labels.assign(correlation_sd=groups.correlation.std().to_numpy())


def correlation_bins(pairs):
    """Mean size per bin of correlation of 0.1, relative to the mean of the pair of types."""
    relative = pairs["size"] / pairs.groupby(["pre_type", "post_type"])["size"].transform("mean")
    bins = np.floor(pairs.correlation / 0.1 + 1e-9) * 0.1 + 0.05
    grouped = relative.groupby([pairs.pre_type, pairs.post_type, bins.round(2)])
    return grouped.agg(mean="mean", standard_error="sem", n="size").reset_index().query("n >= @MIN_PER_BIN")


def direction_rules(pairs):
    """Fit a cos d + b cos 2d + c per pair of types, as shares of c."""
    groups = pairs.groupby(["pre_type", "post_type"])
    labels = groups.size().reset_index()[["pre_type", "post_type"]]
    fit = fit_direction_rule(pairs.delta_deg, pairs["size"], groups.ngroup().to_numpy())
    shares = [f"{name}_over_c{part}" for name in "ab" for part in ("", "_low", "_high")]
    return pd.concat([labels, fit[["n", *shares, "a_p", "b_p"]]], axis=1)


def direction_bins(pairs):
    """Mean size per bin of the direction difference, relative to the mean of the pair of types."""
    tables = []
    for (pre_type, post_type), of_pair in pairs.groupby(["pre_type", "post_type"]):
        bins = binned_mean(of_pair.delta_deg, of_pair["size"] / of_pair["size"].mean(), n_bins=6)
        tables.append(bins.assign(pre_type=pre_type, post_type=post_type))
    columns = ["pre_type", "post_type", "delta_deg", "mean", "standard_error", "n"]
    return pd.concat(tables)[columns].query("n >= @MIN_PER_BIN").astype({"n": int})


def _write(table, name):
    with (HERE / name).open("w", newline="") as file:
        table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
