"""The network that Brian2 runs is the model of DESIGN 4: compared with a plain loop, target numpy."""

import brian2
import numpy as np
import pytest
from brian2.devices.device import get_device

from twincortex.models.brian import plan as plan_module
from twincortex.models.brian import simulate
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.spikes import from_steps

import circuits
from circuits import small_random_circuit, small_random_inputs

ALL = tuple(range(40))


@pytest.mark.parametrize("name", EQUATION_SETS)
@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_the_network_follows_the_propagators_step_by_step(name, dt, with_third_current, assert_follows_the_loop):
    circuit = with_third_current(small_random_circuit(seed=1))
    equation_set = EQUATION_SETS[name](circuit.n_receptors)
    run = Run(250.0, dt, record_v=ALL)
    inputs = small_random_inputs(2, circuit, run.duration, dt)
    recording = simulate(circuit, inputs, run, "numpy", equation_set)
    assert recording.spikes.n_spikes > 50
    assert_follows_the_loop(recording, circuit, inputs, run, equation_set)


def test_one_synapses_object_per_delay_gives_the_same(monkeypatch, assert_follows_the_loop):
    monkeypatch.setattr(plan_module, "MANY_CONNECTIONS", 0)
    circuit, run = small_random_circuit(seed=3), Run(200.0, record_v=(0, 39))
    inputs = small_random_inputs(4, circuit, run.duration)
    names = [pathway.name for pathway in plan_module.plan_network(circuit, inputs, run).pathways]
    assert names[:3] == ["v1_to_v1_1", "v1_to_v1_2", "v1_to_v1_4"]
    assert_follows_the_loop(simulate(circuit, inputs, run, "numpy"), circuit, inputs, run)


def test_the_step_mean_of_the_after_spike_current_is_simulated_too(assert_follows_the_loop):
    circuit, run = small_random_circuit(seed=1), Run(200.0, record_v=ALL, after_spike_current="step_mean")
    inputs = small_random_inputs(2, circuit, run.duration)
    assert_follows_the_loop(simulate(circuit, inputs, run, "numpy"), circuit, inputs, run)


def test_an_injected_current_acts_in_its_step(assert_follows_the_loop):
    circuit = small_random_circuit(seed=1)
    current = np.random.default_rng(5).uniform(0, 500, (240, circuit.n_neurons))
    run = Run(60.0, 0.25, record_v=ALL, current=current)
    recording = simulate(circuit, {}, run, "numpy")
    assert recording.spikes.n_spikes > 20
    assert_follows_the_loop(recording, circuit, {}, run)


def test_a_current_of_one_row_acts_in_all_steps(assert_follows_the_loop):
    circuit = small_random_circuit(seed=1)
    current = np.random.default_rng(5).uniform(-200, 500, (1, circuit.n_neurons))
    recording = simulate(circuit, {}, Run(60.0, 0.25, record_v=ALL, current=current), "numpy")
    assert recording.spikes.n_spikes > 20
    in_all_steps = Run(60.0, 0.25, record_v=ALL, current=np.repeat(current, 240, axis=0))
    assert_follows_the_loop(recording, circuit, {}, in_all_steps)


def test_v_is_held_for_exactly_the_refractory_steps():
    circuit, run = small_random_circuit(seed=1), Run(300.0, record_v=ALL)
    recording = simulate(circuit, small_random_inputs(2, circuit, 300.0), run, "numpy")
    held = np.maximum(1, np.ceil(circuit.neuron_parameter("t_ref") - 1e-9)).astype(int)
    for step, neuron in zip(recording.spikes.steps(1.0), recording.spikes.node_ids, strict=True):
        v, last = recording.v[:, neuron], step + held[neuron]
        assert (v[step : last + 1] == v[step]).all()
        assert last + 1 >= len(v) or v[last + 1] != v[step]


def test_three_spikes_of_a_unit_in_a_step_are_a_spike_of_three_times_the_weight():
    circuit, run = small_random_circuit(seed=1), Run(20.0, record_v=ALL)
    weight = {name: projection.weight / 100 for name, projection in circuit.projections.items()}
    small = circuit.with_weights(weight)
    strong = small.with_weights({"bkg_to_v1": weight["bkg_to_v1"] * 3})
    three, one = (from_steps("bkg", 10, np.full(n, 4), np.full(n, 7), 1.0) for n in (3, 1))
    v_three = simulate(small, {"bkg": three}, run, "numpy").v
    v_one = simulate(strong, {"bkg": one}, run, "numpy").v
    assert np.ptp(v_one) > 1
    # Weights are rounded to float32, 1e-7 of a deflection of less than 1 mV.
    np.testing.assert_allclose(v_three, v_one, rtol=0, atol=1e-7)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_brian_leaks_out_of_a_run(fails, monkeypatch):
    device, dt, preferences = get_device(), brian2.defaultclock.dt, dict(brian2.prefs)
    circuit = small_random_circuit(seed=1, n=4)
    if fails:
        monkeypatch.setattr(brian2.Network, "run", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            simulate(circuit, {}, Run(3.0, 0.5), "numpy")
    else:
        simulate(circuit, {}, Run(3.0, 0.5), "numpy")
    assert get_device() is device
    assert brian2.defaultclock.dt == dt
    assert dict(brian2.prefs) == preferences


def test_weights_that_are_not_finite_are_refused():
    circuit = small_random_circuit(seed=1, n=4)
    weight = circuit.projections["bkg_to_v1"].weight.copy()
    weight[[2, 5]] = np.nan
    with pytest.raises(InputError, match="bkg_to_v1: weights of connections 2, 5 are not finite"):
        simulate(circuit.with_weights({"bkg_to_v1": weight}), {}, Run(5.0), "numpy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "cup"}, "target 'cup' is unknown; did you mean 'cpp'"),
        ({"run": Run(5.0, precision="float32")}, "the Brian2 engine computes in float64"),
        ({"run": Run(5.0, record_v=(4,))}, "record_v"),
        ({"run": Run(5.0, current=np.zeros((5, 3)))}, "shape"),
        ({"run": Run(5.0, dt=2.5)}, "into 0 steps"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    circuit = small_random_circuit(seed=1, n=4)
    with pytest.raises(InputError, match=message):
        simulate(circuit, {}, **{"run": Run(5.0), "target": "numpy", **options})


@pytest.mark.slow
def test_the_cython_target_follows_the_loop_too(monkeypatch, assert_follows_the_loop):
    monkeypatch.setattr(circuits, "DELAYS_MS", np.array([1.0]))
    circuit, run = small_random_circuit(seed=1), Run(200.0, record_v=ALL)
    inputs = small_random_inputs(2, circuit, run.duration)
    assert_follows_the_loop(simulate(circuit, inputs, run, "cython"), circuit, inputs, run)
