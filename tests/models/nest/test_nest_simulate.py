import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from twincortex.models import nest, surrogate
from twincortex.models.equations import glif3_three_currents
from twincortex.models.errors import InputError
from twincortex.models.nest import Processes
from twincortex.models.parameters import read_populations
from twincortex.models.recording import Run

from circuits import small_random_inputs

ONE_THREAD = Processes(threads=1)


def run_of(circuit, duration=200.0, dt=1.0):
    return Run(duration, dt, tuple(range(circuit.n_neurons)), "step_mean")


def assert_same(ours, in_nest, least=100):
    assert ours.spikes.n_spikes > least
    assert np.array_equal(ours.spikes.times, in_nest.spikes.times)
    assert np.array_equal(ours.spikes.node_ids, in_nest.spikes.node_ids)
    assert np.array_equal(ours.v_ids, in_nest.v_ids)
    # Both are exact; what is left are roundings of exponentials in float64 (as in tests/oracles).
    assert np.abs(ours.v - in_nest.v).max() <= 1e-8


def test_a_recording_of_nest_is_like_any_other(circuit):
    inputs, run = small_random_inputs(1, circuit, 100.0), Run(100.0, record_v=(7, 3), after_spike_current="step_mean")
    ours = surrogate.simulate(circuit, inputs, run)
    steps = []
    in_nest = nest.simulate(circuit, inputs, run, processes=ONE_THREAD, progress=steps.append)
    assert in_nest.engine == "nest"
    assert in_nest.v.shape == (100, 2)
    assert_same(ours, in_nest, least=10)
    for name in ("topology_hash", "weights_hash", "after_spike_current", "precision"):
        assert in_nest.settings[name] == ours.settings[name]
    assert steps[-1] == 100
    assert steps == sorted(steps)


def test_neurons_of_any_order_of_cell_models_spike_alike(circuit):
    shuffled = np.random.default_rng(1).permutation(circuit.nodes.type_index)
    mixed = dataclasses.replace(circuit, nodes=dataclasses.replace(circuit.nodes, type_index=shuffled))
    recurrent = mixed.projections["v1_to_v1"]
    sign = np.where(read_populations().ei.loc[mixed.pop_name].to_numpy() == "i", -1, 1)
    mixed = mixed.with_weights({"v1_to_v1": sign[recurrent.sources()] * np.abs(recurrent.weight)})
    inputs, run = small_random_inputs(1, mixed, 200.0), run_of(mixed)
    assert_same(surrogate.simulate(mixed, inputs, run), nest.simulate(mixed, inputs, run, processes=ONE_THREAD))


def test_three_after_spike_currents_are_nests_too(circuit):
    third = {"asc_decay_2": 0.02, "asc_amp_2": -15.0, "asc_r_2": 0.8}
    types = circuit.node_types
    parameters = types.parameters | {name: np.full(len(types.pop_name), value) for name, value in third.items()}
    circuit = dataclasses.replace(circuit, node_types=dataclasses.replace(types, parameters=parameters))
    inputs, run = small_random_inputs(1, circuit, 200.0), run_of(circuit)
    three = glif3_three_currents(circuit.n_receptors)
    two_in_nest, three_in_nest = (
        nest.simulate(circuit, inputs, run, equations, ONE_THREAD) for equations in ("glif3", "glif3_three_currents")
    )
    assert_same(surrogate.simulate(circuit, inputs, run), two_in_nest)
    assert_same(surrogate.simulate(circuit, inputs, run, three), three_in_nest)
    assert two_in_nest.spikes.n_spikes != three_in_nest.spikes.n_spikes


def test_a_source_that_is_left_out_is_silent(circuit):
    inputs, run = small_random_inputs(1, circuit, 200.0), run_of(circuit)
    only_lgn = {"lgn": inputs["lgn"]}
    assert_same(
        surrogate.simulate(circuit, only_lgn, run), nest.simulate(circuit, only_lgn, run, processes=ONE_THREAD), least=5
    )
    silent = nest.simulate(circuit, {}, Run(20.0, after_spike_current="step_mean"), processes=ONE_THREAD)
    assert silent.spikes.n_spikes == 0


def test_this_process_never_imports_nest(written_circuit, input_folder):
    code = """
import sys
from twincortex.models import nest
from twincortex.models.inputs import read_inputs
from twincortex.models.recording import Run
circuit = nest.open_circuit_folder(sys.argv[1])
inputs, _ = read_inputs(sys.argv[2], circuit)
nest.simulate(circuit, inputs, Run(100.0, after_spike_current="step_mean"), processes=nest.Processes(1))
sys.stdout.write(" ".join(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, written_circuit, input_folder], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "twincortex.models.nest" in loaded
    assert not {"nest", "torch", "brian2"} & set(loaded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"after_spike_current": "exact"}, "Pass --after-spike-current step_mean"),
        ({"precision": "float32"}, "computes in float64, not in float32"),
        ({"current": np.ones((20, 40))}, "acts from step 2 on in NEST"),
    ],
)
def test_a_run_that_nest_would_change_is_refused(circuit, change, message):
    run = Run(**({"duration": 20.0, "after_spike_current": "step_mean"} | change))
    with pytest.raises(InputError, match=message):
        nest.simulate(circuit, {}, run)


def test_cell_models_without_an_after_spike_current_of_the_equations_are_refused(circuit):
    run = Run(20.0, after_spike_current="step_mean")
    with pytest.raises(InputError, match=r"asc_decay holds 2 values; the equations have 3"):
        nest.simulate(circuit, {}, run, "glif3_three_currents", ONE_THREAD)
