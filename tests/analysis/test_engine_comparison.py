"""Engines beside each other and the yardstick of seeds: spikes, committed results, distances by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from twincortex.analysis.engine_comparison import (
    GratingTest,
    against_the_yardstick,
    distances,
    engines_side_by_side,
    installed_engines,
    measure_cells,
    read_agreements,
)
from twincortex.models.errors import InputError
from twincortex.models.recording import Run

from circuits import small_random_circuit, small_random_inputs

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
SHORT = GratingTest(n_directions=4, n_trials=1, gray_ms=50.0, grating_ms=150.0)


def cells(seed, n=300, shift=0.0):
    """Measured cells of two types with a known distribution."""
    rng = np.random.default_rng(seed)
    osi = rng.normal(0.4 + shift, 0.1, n)
    osi[:20] = np.nan
    return pd.DataFrame(
        {
            "cell_type": np.where(np.arange(n) < n - 3, "L4_Exc", "L4_VIP"),
            "rate_Hz": rng.lognormal(shift, 1, n),
            "OSI": osi,
            "DSI": rng.uniform(size=n),
        }
    )


def test_two_engines_spike_alike_on_the_same_input():
    circuit = small_random_circuit(seed=1)
    inputs = small_random_inputs(1, circuit, 200.0)
    run = Run(200.0, record_v=tuple(range(10)))
    table, recordings = engines_side_by_side(circuit, inputs, run, ["torch", "torch-reference", "brian"])
    assert table.engine.tolist() == list(recordings) == ["torch", "torch-reference", "brian"]
    assert table.spikes.iloc[0] > 100
    assert (table.mismatched == 0).all()
    assert (table.max_dv_mV < 1e-9).all()  # doubles summed in another order
    assert (table.neurons_compared == 10).all()


def test_only_nest_may_be_missing():
    assert installed_engines(["torch", "brian"]) == ["torch", "brian"]
    assert set(installed_engines(["torch", "nest"])) <= {"torch", "nest"}


def test_committed_results_are_one_table():
    table = read_agreements(RESULTS)
    expected = sum(
        len(json.loads((RESULTS / name).read_text())[part])
        for name, part in (("engine_agreement.json", "cases"), ("nest_agreement.json", "against_torch"))
    )
    assert len(table) == expected
    assert "torch and nest" in set(table.engines)


def test_damaged_results_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"engine_agreement\.json cannot be read"):
        read_agreements(tmp_path)


def test_distances_are_those_of_scipy_without_cells_that_lack_the_quantity():
    a, b = cells(1), cells(2, shift=0.1)
    table = distances(a, b).set_index(["cell_type", "quantity"])
    assert set(table.index.get_level_values(0)) == {"L4_Exc"}  # three VIP cells are too few
    for quantity, n in (("rate_Hz", 297), ("OSI", 277), ("DSI", 297)):
        samples = [one.loc[one.cell_type == "L4_Exc", quantity].dropna() for one in (a, b)]
        row = table.loc[("L4_Exc", quantity)]
        assert row.distance == pytest.approx(scipy.stats.ks_2samp(*samples).statistic, abs=1e-12)
        assert (row.n_a, row.n_b) == (n, n)


def test_the_yardstick_tells_another_distribution_from_another_seed():
    seeds = {seed: cells(seed) for seed in range(4)}
    table = against_the_yardstick(seeds, {"same": seeds[0], "other": cells(9, shift=0.4)})
    assert (table.n_pairs == 6).all()
    assert (table.same == 0).all()
    rates = table[table.quantity != "DSI"]
    assert (rates.other > rates.seeds_max).all()
    with pytest.raises(InputError, match="1 seed"):
        against_the_yardstick({1: cells(1)}, {})


def test_cells_are_measured_the_same_by_two_engines_and_differ_between_seeds():
    circuit = small_random_circuit(seed=2, n=60, in_degree=30)
    first, again, other = (
        measure_cells(circuit, engine, seed, SHORT)
        for engine, seed in (("torch", 1), ("torch-reference", 1), ("torch", 2))
    )
    pd.testing.assert_frame_equal(first, again)
    assert first.cell_type.tolist() == circuit.cell_type.tolist()
    assert (first.rate_Hz > 0).any()
    assert not first.rate_Hz.equals(other.rate_Hz)
