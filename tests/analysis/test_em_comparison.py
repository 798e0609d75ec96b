"""Samples as small as those of electron microscopy: counts, spread, recovered rules; the shipped tables."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from twincortex.analysis.em_comparison import (
    compare_with_microns,
    compare_with_v1dd,
    draw_matched,
    excitatory_by_layer,
    read_em_table,
    relative_slopes,
)
from twincortex.models.errors import InputError

from fabricated_wiring import fabricated_wiring

TYPES = ("L2/3_Exc", "L5_IT", "L5_ET", "L5_PV")


def microns_like(n, slope=0.4):
    """A table of electron microscopy with one pair of layers."""
    row = {"pre_type": "L2/3_Exc", "post_type": "L5_Exc", "n": n, "n_slope": n, "slope": slope}
    return pd.DataFrame([row | {"slope_se": 0.1, "slope_p": 0.01, "correlation_sd": 0.1}])


def test_samples_hold_as_many_connections_as_asked_none_twice():
    drawn = draw_matched(50, 20, 300, np.random.default_rng(1))
    assert drawn.shape == (300, 20)
    assert all(len(set(row)) == 20 for row in drawn.tolist())
    # Every connection is drawn as often as any other: chi-square of 50 counts.
    assert scipy.stats.chisquare(np.bincount(drawn.ravel(), minlength=50)).pvalue > 0.001
    with pytest.raises(InputError, match="51 connections cannot be drawn from 50"):
        draw_matched(50, 51, 1, np.random.default_rng(1))


def test_relative_slopes_are_those_of_scipy():
    x, y = np.random.default_rng(2).uniform(1, 2, (2, 3, 40))
    slope, log10_p = relative_slopes(x, y)
    for row in range(3):
        expected = scipy.stats.linregress(x[row], y[row])
        assert slope[row] == pytest.approx(expected.slope / y[row].mean(), rel=1e-9)
        assert log10_p[row] == pytest.approx(np.log10(expected.pvalue), rel=1e-9)


def test_layer_5_is_one_type_and_inhibition_is_left_out():
    edges, _ = fabricated_wiring(seed=1, types=TYPES)
    merged = excitatory_by_layer(edges)
    assert set(merged.pre_type) == set(merged.post_type) == {"L2/3_Exc", "L5_Exc"}
    kept = (edges.weight_pA > 0) & (edges.post_type != "L5_PV")
    assert len(merged) == kept.sum()


def test_samples_spread_around_the_slope_of_the_model_as_their_size_says():
    edges, responses = fabricated_wiring(seed=2, slope=0.4, types=TYPES)
    small, large = (compare_with_microns(edges, responses, microns_like(n), n_samples=400).iloc[0] for n in (40, 640))
    assert (small.n, large.n) == (40, 640)
    for row in (small, large):
        assert row.sample_slope_low < row.slope < row.sample_slope_high
    ratio = (small.sample_slope_high - small.sample_slope_low) / (large.sample_slope_high - large.sample_slope_low)
    assert 3 < ratio < 5.6  # sqrt(16) = 4; percentiles of 400 samples are good to some 10 % each
    assert small.share_significant < large.share_significant
    assert large.sample_log10_p < small.sample_log10_p


def test_a_pair_with_too_few_connections_of_the_model_is_not_testable():
    edges, responses = fabricated_wiring(seed=3, types=TYPES)
    row = compare_with_microns(edges, responses, microns_like(10_000_000), n_samples=5).iloc[0]
    assert row.n_model < row.n
    assert np.isnan(row.share_significant)
    assert compare_with_microns(edges, responses, microns_like(14), n_samples=5).empty  # of 15 in the microscope


def test_samples_of_a_direction_rule_hold_it_and_v1dd_is_placed_among_them():
    edges, _ = fabricated_wiring(seed=4, types=TYPES)
    d = np.radians(edges.delta_deg)
    edges["weight_pA"] *= 1 + 0.4 * np.cos(d) + 0.2 * np.cos(2 * d)
    table = compare_with_v1dd(edges, n_samples=200).set_index(["pre_type", "post_type", "coefficient"])
    row = table.loc[("L2/3_Exc", "L5_Exc", "a/c")]
    assert row.n == 139
    assert row.model == pytest.approx(0.4, abs=0.05)  # about 4 standard errors of some 17,000 connections
    assert row.sample_low < 0.4 < row.sample_high
    assert 0 < row.em_percentile < 1
    assert row.share_significant > 0.5
    assert np.isnan(table.loc[("L4_Exc", "L5_Exc", "b/c")].em_percentile)  # the model has no L4 here


def test_shipped_tables_count_the_pairs_of_their_sources():
    microns, v1dd = read_em_table("microns_slopes"), read_em_table("v1dd_direction_rules")
    assert (microns.n.sum(), len(microns)) == (3934, 16)
    assert (v1dd.n.sum(), len(v1dd)) == (426, 8)
    assert (read_em_table("microns_bins").n >= 5).all()
    assert (read_em_table("v1dd_bins").n >= 5).all()


def test_every_pair_of_layers_of_the_microscopes_can_be_compared():
    edges, responses = fabricated_wiring(seed=5, types=("L2/3_Exc", "L4_Exc", "L5_IT", "L6_Exc"), n_edges=120_000)
    table = compare_with_microns(edges, responses, n_samples=20)
    assert len(table) == 16
    assert table.drop(columns=["pre_type", "post_type"]).notna().all(axis=None)
    assert len(compare_with_v1dd(edges, n_samples=20)) == 2 * 6
