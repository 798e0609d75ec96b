"""Weight against response correlation: Pearson, bins, indices and slopes by hand, coverage, the flat null."""

import numpy as np
import pytest
import scipy.stats

from twincortex.analysis.correlation_sums import (
    N_BINS,
    bin_centers,
    bin_means,
    correlations,
    response_vectors,
    straight_line,
    sum_by_correlation,
)
from twincortex.analysis.response_correlation import (
    Resampling,
    correlation_profile,
    correlation_rules,
    like_to_like_measures,
)
from twincortex.models.errors import InputError

from fabricated_wiring import fabricated_wiring

ONE_GROUP = Resampling(n_bootstrap=100, n_shuffles=0)


def sums_of(r, strength):
    """Sums of one group."""
    r, strength = np.asarray(r, dtype=float), np.asarray(strength, dtype=float)
    return sum_by_correlation(r, strength, np.zeros(len(r), dtype=np.int64), 1)[0]


def test_correlations_are_pearsons():
    rng = np.random.default_rng(1)
    responses = rng.poisson(4, (30, 8)).astype(float)
    pre, post = rng.integers(0, 30, (2, 50))
    r = correlations(pre, post, response_vectors(responses))
    expected = [scipy.stats.pearsonr(responses[i], responses[j]).statistic for i, j in zip(pre, post, strict=True)]
    np.testing.assert_allclose(r, expected, atol=1e-12)  # rounding of 8 products


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.3])
def test_neurons_with_the_same_response_to_all_have_no_correlation(constant):
    vectors = response_vectors([[constant] * 7, [1.0, 2, 3, 4, 5, 6, 7]])
    assert np.isnan(correlations(np.array([0]), np.array([1]), vectors)).all()
    assert sums_of([np.nan, 0.3], [1.0, 1.0])[:N_BINS].sum() == 1


@pytest.mark.parametrize(("r", "place"), [(-1, 0), (-0.95, 0), (0.4999, 14), (0.5, 15), (-0.2, 8), (0.0, 10), (1, 19)])
def test_bins_are_a_tenth_wide_and_begin_at_their_lower_edge(r, place):
    assert np.flatnonzero(sums_of([r], [1.0])[:N_BINS]).tolist() == [place]
    assert abs(bin_centers()[place] - r) <= 0.05 + 1e-9


def test_indices_are_those_of_means_of_bins():
    # W0: bins at -0.25, -0.05, 0.05 and 0.25 with means 1, 2, 4 and 9; like: 6 (bin 0.55) and 12 (bin 0.95);
    # unlike: 1 (bin -0.55) and 2 (bin -0.95); bins between them do not count.
    r = [-0.22, -0.05, 0.02, 0.08, 0.21, 0.55, 0.95, 0.96, -0.53, -1.0, 0.35, 0.45, -0.35, -0.45]
    weight = [1.0, 2.0, 3.0, 5.0, 9.0, 6.0, 10.0, 14.0, 1.0, 2.0, 50.0, 90.0, 70.0, 60.0]
    like, anti, _ = like_to_like_measures(sums_of(r, weight), np.ones(N_BINS, dtype=bool))
    assert (like, anti) == pytest.approx(((9 - 4) / 4, (4 - 1.5) / 4))


def test_bins_with_too_few_connections_do_not_count():
    sums = sums_of([0.0, 0.0, 0.6, 0.9, 0.9], [1.0, 1.0, 9.0, 2.0, 2.0])
    like, anti, _ = like_to_like_measures(sums, sums[:N_BINS] >= 2)
    assert like == pytest.approx(1.0)
    assert np.isnan(anti)
    assert np.isnan(bin_means(sums, min_per_bin=2)[16])


def test_slopes_are_those_of_scipy():
    rng = np.random.default_rng(2)
    r, weight = rng.uniform(-1, 1, 400), rng.lognormal(size=400)
    inside = (r >= -0.2) & (r <= 0.5)
    expected = scipy.stats.linregress(r[inside], weight[inside])
    slope, error, mean, n = straight_line(sums_of(r, weight))
    assert (slope, error) == pytest.approx((expected.slope, expected.stderr), rel=1e-9)
    assert (mean, n) == (pytest.approx(weight[inside].mean()), inside.sum())


def test_ols_p_and_pearson_are_those_of_scipy():
    edges, responses = fabricated_wiring(seed=3, slope=0.3, n_edges=3000)
    table = correlation_rules(edges, responses, resampling=ONE_GROUP)
    r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), response_vectors(responses))
    chosen = ((edges.pre_type == "L5_PV") & (edges.post_type == "L5_IT")).to_numpy() & (r >= -0.2) & (r <= 0.5)
    expected = scipy.stats.linregress(r[chosen], edges.weight_pA.abs()[chosen])
    row = table[(table.pre_type == "L5_PV") & (table.post_type == "L5_IT")].iloc[0]
    assert row.slope_ols_p == pytest.approx(expected.pvalue, rel=1e-6)
    assert row.pearson == pytest.approx(expected.rvalue, rel=1e-6)


def test_an_injected_rule_is_held_by_its_intervals_at_the_nominal_rate():
    # The slope of weight over its mean in [-0.2, 0.5] is slope / (1 + slope x mean r); a weight of 1 + 0.4 r without
    # noise has the same like-to-like index as the noisy one, whatever the correlations in each bin are.
    held = []
    for seed in range(100):
        edges, responses = fabricated_wiring(seed=seed, slope=0.4, n_edges=12_000, types=("L4_Exc",))
        row = correlation_rules(edges, responses, resampling=ONE_GROUP).iloc[0]
        r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), response_vectors(responses))
        counted = sums_of(r, r)[:N_BINS] >= 10
        like, anti, slope = like_to_like_measures(sums_of(r, 1 + 0.4 * r), counted)
        held.append([row.like_low < like < row.like_high, row.anti_low < anti < row.anti_high])
        held[-1].append(row.slope_low < slope < row.slope_high)
    # 4 binomial standard errors of 0.95 in 100 are 0.087; percentiles of 100 resamples cost up to 0.02 more.
    np.testing.assert_array_less(0.95 - 0.087 - 0.02, np.mean(held, axis=0))


def test_the_null_is_flat():
    p = []
    for seed in range(25):
        edges, responses = fabricated_wiring(seed=seed, n_edges=20_000)
        table = correlation_rules(edges, responses, resampling=Resampling(n_bootstrap=2, n_shuffles=20, seed=seed))
        p.append(table[["like_p", "anti_p", "slope_p"]].to_numpy())
    p = np.concatenate(p)
    assert p.shape == (25 * 9, 3)
    for column in p.T:  # 4 binomial standard errors of 0.05 in 225 tests
        assert abs(np.mean(column < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(column))
        assert scipy.stats.kstest(column, "uniform").pvalue > 0.001


def test_an_injected_rule_is_found_and_repeats_with_its_seed():
    edges, responses = fabricated_wiring(seed=4, slope=-0.3)
    first, again = (correlation_rules(edges, responses, resampling=Resampling(50, 20)) for _ in range(2))
    assert (first[["like_q", "anti_q", "slope_q"]] < 0.01).all(axis=None)
    assert (first[["like_high", "anti_high", "slope_high"]] < 0).all(axis=None)
    assert first.equals(again)


def test_groups_are_measured_as_if_each_were_alone():
    edges, responses = fabricated_wiring(seed=5, slope=0.2)
    table = correlation_rules(edges, responses, resampling=ONE_GROUP)
    one = edges[(edges.pre_type == "L2/3_Exc") & (edges.post_type == "L5_PV")]
    alone = correlation_rules(one, responses, resampling=ONE_GROUP).iloc[0]
    row = table[(table.pre_type == "L2/3_Exc") & (table.post_type == "L5_PV")].iloc[0]
    assert (row.n, row.n_post) == (len(one), one.post.nunique())
    assert row[["like", "anti", "slope"]].tolist() == pytest.approx(alone[["like", "anti", "slope"]].tolist())


def test_silent_neurons_and_small_groups_are_left_out():
    edges, responses = fabricated_wiring(seed=6, n_edges=6000)
    responses[::2] = 0.0
    table = correlation_rules(edges, responses, resampling=ONE_GROUP)
    assert table.n.sum() == ((edges.pre % 2 == 1) & (edges.post % 2 == 1)).sum()
    few = Resampling(n_bootstrap=2, n_shuffles=0, min_connections=int(table.n.max()))
    assert len(correlation_rules(edges, responses, resampling=few)) == 1
    with pytest.raises(
        InputError, match="no group of connections by pre_type, post_type has min_connections 1,000,000"
    ):
        correlation_rules(edges, responses, resampling=Resampling(min_connections=1_000_000))
    with pytest.raises(InputError, match=r"shape \(10, 8\)"):
        correlation_rules(edges, responses[:10])


def test_profiles_count_every_connection_once():
    edges, responses = fabricated_wiring(seed=7, slope=0.5, noise=0.01)
    profile = correlation_profile(edges, responses)
    assert profile.n.sum() == len(edges)
    r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), response_vectors(responses))
    weight = edges.weight_pA.abs()[(r >= 0.2) & (r < 0.3)]
    row = profile.iloc[12]
    expected = (0.25, weight.mean(), weight.sem(), len(weight))
    assert (row.correlation, row["mean"], row.standard_error, row.n) == pytest.approx(expected)
    assert scipy.stats.linregress(profile.correlation, profile["mean"]).slope > 0
