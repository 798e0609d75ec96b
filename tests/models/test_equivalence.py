import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincortex.models.delays import rounded_delays
from twincortex.models.equivalence import Comparison, check_inputs, compare, mismatched_spikes, run_engine
from twincortex.models.errors import DivergedError, InputError
from twincortex.models.recording import Recording, Run
from twincortex.models.spikes import SpikeTrains, from_steps

from circuits import small_random_inputs

spike_lists = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=12)


def trains_of(spikes, dt=0.5):
    steps, ids = np.array(spikes, dtype=np.int64).reshape(-1, 2).T
    return from_steps("v1", 3, steps, ids, dt)


def recording_of(spikes, v=None, v_ids=(), engine="torch"):
    v = np.full((6, len(v_ids)), -70.0) if v is None else v
    return Recording(trains_of(spikes), v, np.array(v_ids, dtype=int), 0.5, 3.0, engine)


@given(spike_lists, spike_lists)
def test_mismatches_are_the_symmetric_difference_of_the_multisets(a, b):
    expected = sorted(a)
    remaining = []
    for spike in b:
        expected.remove(spike) if spike in expected else remaining.append(spike)
    assert sorted(map(tuple, mismatched_spikes(trains_of(a), trains_of(b), 0.5))) == sorted(expected + remaining)


def test_equal_recordings_are_equal():
    a = recording_of([(1, 0), (4, 2)], v_ids=(0, 2))
    comparison = compare(a, recording_of([(4, 2), (1, 0)], v_ids=(2, 0), engine="brian-cpp"))
    assert comparison == Comparison(("torch", "brian-cpp"), (2, 2), 0, None, 0.0, 2)
    assert comparison.is_equal()


def test_a_shifted_spike_is_two_mismatches_and_the_first_is_dated():
    comparison = compare(recording_of([(1, 0), (4, 2)]), recording_of([(1, 0), (3, 2)]))
    assert (comparison.mismatched, comparison.first_mismatch_ms) == (2, 2.0)
    assert comparison.max_dv_mV is None
    assert not comparison.is_equal()


def test_potentials_are_compared_neuron_by_neuron():
    v = np.arange(12.0).reshape(6, 2)
    other = v[:, ::-1].copy()
    other[3, 0] += 0.25
    comparison = compare(recording_of([], v, (5, 7)), recording_of([], other, (7, 5)))
    assert comparison.max_dv_mV == 0.25
    assert not comparison.is_equal()
    assert comparison.is_equal(tolerance_mV=0.25)


def test_a_potential_that_is_not_finite_is_an_error_not_a_number():
    v = np.zeros((6, 1))
    v[2] = np.nan
    with pytest.raises(DivergedError, match="neuron 5 is not finite in step 2"):
        compare(recording_of([], v, (5,)), recording_of([], v, (5,)))


def test_conditions_in_which_two_runs_differ_are_named():
    one, other = recording_of([]), recording_of([(1, 0)])
    one.settings = {"weights_hash": "a", "topology_hash": "t", "stimulus": {"seed": 3}}
    other.settings = {"weights_hash": "b", "topology_hash": "t", "stimulus": {"seed": 4}}
    assert compare(one, other).differ_in == ("weights_hash", "stimulus")
    assert compare(one, one).differ_in == ()


def test_runs_of_different_length_are_not_compared():
    other = recording_of([])
    other.duration = 4.0
    with pytest.raises(InputError, match="differ in duration: 3 and 4 ms"):
        compare(recording_of([]), other)


def test_runs_of_different_circuits_are_not_compared():
    other = recording_of([])
    other.spikes = SpikeTrains("v1", 4, [], [])
    with pytest.raises(InputError, match="have 3 and 4 neurons"):
        compare(recording_of([]), other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": Run(100.0, dt=2.0)}, "dt 2.0 ms turns the delay 0.9 ms into 0 steps.*Choose dt < 1.8 ms"),
        ({"run": Run(50.0)}, "lie outside the run"),
        ({"run": Run(100.0, record_v=(99,))}, r"record_v \[99\]: expected neurons 0 to 39"),
        ({"bkg": SpikeTrains("bkg", 11, [1.0], [0])}, "bkg spikes of 11 units for a circuit with 10"),
    ],
)
def test_what_no_engine_can_run_is_refused_before_one_starts(circuit, change, message):
    inputs = small_random_inputs(1, circuit, 100.0)
    inputs |= {name: trains for name, trains in change.items() if name != "run"}
    with pytest.raises(InputError, match=message):
        check_inputs(circuit, inputs, change.get("run", Run(100.0)))


def test_an_engine_is_found_by_its_name(circuit):
    inputs = small_random_inputs(1, circuit, 50.0)
    recording = run_engine("torch", circuit, inputs, Run(50.0, record_v=(3, 1)))
    assert recording.engine == "torch"
    assert recording.v.shape == (50, 2)


def test_every_recording_keeps_the_equations_and_what_rounding_its_delays_changed(circuit):
    inputs = small_random_inputs(1, circuit, 20.0)
    settings = run_engine("torch", circuit, inputs, Run(20.0), equations="lif_exponential").settings
    assert settings["equations"] == "lif_exponential"
    assert settings["rounded_delays"] == rounded_delays(circuit, 1.0)
    assert settings["rounded_delays"]["v1_to_v1"]["n_changed"] == circuit.projections["v1_to_v1"].n_edges


def test_unknown_equations_get_a_near_name(circuit):
    with pytest.raises(InputError, match="unknown equations 'glif4'; did you mean 'glif3'"):
        run_engine("torch", circuit, {}, Run(10.0), equations="glif4")


def test_an_unknown_engine_gets_a_near_name(circuit):
    with pytest.raises(InputError, match="unknown engine 'brian-ccp'; did you mean 'brian-cpp'"):
        run_engine("brian-ccp", circuit, {}, Run(10.0))
