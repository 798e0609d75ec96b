"""The promise of the project: torch in float64 and Brian2's compiled C++ give the same spikes for the real column.

Strict compiler flags; every neuron's potential is compared at the end of every step of 1 s.
"""

import pytest
from two_engines import CASES, grating_spikes, run_both, tiny_column, with_other_weights

from twincortex.models.equivalence import compare

pytestmark = pytest.mark.slow


def assert_same_model(found, least_spikes=1000):
    assert found.spikes[0] > least_spikes
    assert found.neurons_compared == 1141
    assert found.is_equal(tolerance_mV=1e-9), found


@pytest.mark.parametrize("case", CASES)
def test_same_spikes_and_potentials_on_gratings(case, tmp_path):
    circuit_seed, input_seed, options = CASES[case]
    circuit = tiny_column(circuit_seed)
    found, _ = run_both(circuit, grating_spikes(circuit, input_seed), tmp_path, **options)
    assert_same_model(found)


def test_same_spikes_with_new_weights_in_the_same_compiled_project(tmp_path):
    circuit = tiny_column()
    inputs = grating_spikes(circuit, 7)
    found, before = run_both(circuit, inputs, tmp_path)
    assert_same_model(found)
    program = next(tmp_path.glob("cpp_*/main"))
    made = program.stat().st_mtime_ns
    found, after = run_both(with_other_weights(circuit), inputs, tmp_path)
    assert_same_model(found)
    assert compare(before, after).mismatched > 100
    assert list(tmp_path.glob("cpp_*/main")) == [program]
    assert program.stat().st_mtime_ns == made
