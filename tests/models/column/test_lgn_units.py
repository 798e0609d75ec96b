"""The LGN units: how many, where, and how their filters vary."""

import numpy as np
import pytest

from twincortex.models.column.lgn_units import FILTER_COLUMNS, build_lgn_units
from twincortex.models.parameters import read_lgn_filters, read_lgn_units


@pytest.fixture(scope="module")
def units():
    return build_lgn_units(seed=3)


def test_the_field_holds_17400_units_ordered_by_type(units):
    types = read_lgn_units()
    expected = np.repeat(types.index.to_numpy(), 150 * types.n_per_tile)
    assert len(units) == 17_400
    np.testing.assert_array_equal(units.model, expected)


def test_every_tile_of_8_degrees_holds_the_same_number_of_each_type(units):
    for model, rows in units.groupby("model"):
        per_tile, _, _ = np.histogram2d(rows.x, rows.y, bins=(np.arange(0, 121, 8), np.arange(0, 81, 8)))
        assert np.all(per_tile == read_lgn_units().n_per_tile[model])


def test_sizes_are_triangular_in_simple_and_fixed_in_composite_units(units):
    simple = units.spatial_size[units.tuning_angle.isna()]
    # Triangular (2, 3, 9): mean 14/3, variance 43/18; four standard errors.
    assert simple.mean() == pytest.approx(14 / 3, abs=4 * np.sqrt(43 / 18 / len(simple)))
    assert 2.0 < simple.min() < simple.max() < 9.0
    assert set(units.spatial_size[units.model == "sONsOFF_001"]) == {6.0}
    assert set(units.spatial_size[units.model == "sONtOFF_001"]) == {9.0}


def test_every_filter_parameter_varies_by_two_and_a_half_percent(units):
    fitted = read_lgn_filters().rename(columns=lambda name: name.removesuffix("_ms"))
    for model, rows in units.groupby("model"):
        ratio = rows[list(FILTER_COLUMNS)] / fitted.loc[read_lgn_units().dominant[model], list(FILTER_COLUMNS)]
        varied = ratio.loc[:, ratio.notna().all()]  # a delay of 0 stays 0
        assert varied.min().min() >= 0.975
        assert varied.max().max() <= 1.025
        # Uniform: standard deviation 0.05 / sqrt 12, of which 750 draws leave an error of 2 %; four of those.
        np.testing.assert_allclose(varied.std(), 0.05 / np.sqrt(12), rtol=0.08)


def test_only_composite_units_have_an_axis_and_a_second_filter(units):
    is_composite = units.model.isin(["sONsOFF_001", "sONtOFF_001"])
    for column in ("tuning_angle", "separation", "w0_non_dom", "delay1_non_dom"):
        np.testing.assert_array_equal(units[column].notna(), is_composite)
    separation = units.groupby("model").separation.mean()[["sONsOFF_001", "sONtOFF_001"]]
    np.testing.assert_allclose(separation, [6.0, 4.0], rtol=2e-3)  # four standard errors of 750 draws
    assert np.histogram(units.tuning_angle.dropna(), bins=12, range=(0, 360))[0].min() > 110  # expected 162.5 +- 12


def test_the_same_seed_gives_the_same_units_and_another_does_not(units):
    assert build_lgn_units(seed=3).equals(units)
    assert not build_lgn_units(seed=4).x.equals(units.x)
