"""The reference engine against an independent dense model, finite differences, and the laws it has to obey."""

import dataclasses

import numpy as np
import pytest
import torch
from dense_column import dense_rollout

from twincortex.models.equations import EQUATION_SETS
from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.spikes import SpikeTrains
from twincortex.models.surrogate import REFERENCE_SHAPING, GradientShaping, ReferenceColumn, simulate
from twincortex.models.surrogate.spike_functions import SURROGATES

from circuits import circuit_for, small_random_inputs

T = 120


def one_trial(inputs):
    return {name: [trains] for name, trains in inputs.items()}


def loss_of(spikes, v, seed=0):
    """A loss that weighs every spike and every potential differently."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(*spikes.shape, generator=generator, dtype=torch.float64)
    return (weight * spikes).sum() + 0.01 * (weight.flip(0) * v).sum()


@pytest.mark.parametrize("dt", [1.0, 0.25])
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("equations", EQUATION_SETS)
def test_spikes_potentials_and_gradients_equal_those_of_a_dense_model(equations, surrogate, dt):
    assert_equals_dense_model(equations, GradientShaping(surrogate, width=0.5, gain=0.2), dt)


def test_damping_factors_scale_only_the_paths_they_name():
    assert_equals_dense_model("glif3", REFERENCE_SHAPING, 1.0)
    assert_equals_dense_model("glif3", GradientShaping(gain=0.3, recurrent_factor=0.4, voltage_factor=0.0), 1.0)


def assert_equals_dense_model(equations, shaping, dt):
    circuit = circuit_for(3)
    inputs = small_random_inputs(4, circuit, T * dt, dt, lgn_rate_Hz=80.0 / dt)
    column = ReferenceColumn(circuit, dt, EQUATION_SETS[equations](circuit.n_receptors), shaping=shaping)
    rollout = column(one_trial(inputs), T)
    loss_of(rollout.spikes[:, 0], rollout.v[:, 0]).backward()
    weights = {name: weight.detach().double().clone().requires_grad_() for name, weight in column.weights.items()}
    spikes, v = dense_rollout(circuit, column.propagators, inputs, weights, shaping, T)
    loss_of(spikes, v).backward()
    assert spikes.sum() > 20
    assert torch.equal(rollout.spikes[:, 0], spikes)
    torch.testing.assert_close(rollout.v[:, 0], v, rtol=0, atol=1e-10)
    for name in ("v1_to_v1", "bkg_to_v1"):
        expected = weights[name].grad
        # Sums in another order, over up to T steps of recurrence.
        torch.testing.assert_close(
            column.weights[name].grad, expected, rtol=1e-8, atol=1e-10 * float(expected.abs().max())
        )


def test_gradients_equal_finite_differences_where_the_spikes_do_not_change():
    circuit = circuit_for(5)
    inputs = one_trial(small_random_inputs(6, circuit, T, lgn_rate_Hz=40.0))
    # Gain 0: what is left is the smooth dependence of V on the weights, spike times fixed.
    column = ReferenceColumn(circuit, shaping=GradientShaping(gain=0.0))
    rollout = column(inputs, T)
    loss_of(rollout.spikes, rollout.v).backward()
    generator = torch.Generator().manual_seed(7)
    for name in ("v1_to_v1", "bkg_to_v1"):
        weight = column.weights[name]
        direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.add_(direction, alpha=sign * 1e-4)
                moved = column(inputs, T)
                weight.add_(direction, alpha=-sign * 1e-4)
            assert torch.equal(moved.spikes, rollout.spikes)
            values.append(float(loss_of(moved.spikes, moved.v)))
        finite_difference = (values[0] - values[1]) / 2e-4
        # V is linear in the weights here, so only cancellation limits the difference: 1e-13 / 1e-4 relative to the
        # loss.
        assert float(weight.grad @ direction) == pytest.approx(finite_difference, rel=1e-6)


@pytest.mark.parametrize("batch", [3, 16])
def test_a_batch_is_a_loop_over_trials(batch):
    circuit = circuit_for(10)
    trials = [small_random_inputs(20 + trial, circuit, T) for trial in range(batch)]
    column = ReferenceColumn(circuit)
    with torch.no_grad():
        together = column({name: [trial[name] for trial in trials] for name in ("lgn", "bkg")}, T)
        for number, trial in enumerate(trials):
            alone = column(one_trial(trial), T)
            assert torch.equal(together.spikes[:, number], alone.spikes[:, 0])
            torch.testing.assert_close(together.v[:, number], alone.v[:, 0], rtol=0, atol=1e-11)


def test_a_rollout_continues_where_another_ended_with_spikes_on_their_way():
    circuit = circuit_for(11)
    whole = small_random_inputs(12, circuit, T)
    column, cut = ReferenceColumn(circuit), 50
    with torch.no_grad():
        expected = column(one_trial(whole), T)
        first = column(one_trial({name: _part(trains, 0, cut) for name, trains in whole.items()}), cut)
        second = column(
            one_trial({name: _part(trains, cut, T) for name, trains in whole.items()}), T - cut, first.state
        )
    assert torch.equal(torch.cat([first.spikes, second.spikes]), expected.spikes)
    torch.testing.assert_close(torch.cat([first.v, second.v]), expected.v, rtol=0, atol=1e-11)


def _part(trains, start, stop):
    chosen = (trains.times > start) & (trains.times <= stop)
    return SpikeTrains(trains.population, trains.n_units, trains.times[chosen] - start, trains.node_ids[chosen])


def test_a_zero_weight_is_no_connection():
    circuit = circuit_for(13)
    inputs = small_random_inputs(14, circuit, T)
    weights = circuit.projections["v1_to_v1"].weight.copy()
    silent = np.zeros_like(weights)
    without = dataclasses.replace(circuit.projections["v1_to_v1"], n_sources=circuit.n_neurons)
    empty = dataclasses.replace(
        without, indptr=np.zeros_like(without.indptr), target=without.target[:0], delay_code=without.delay_code[:0],
        weight=without.weight[:0],
    )  # fmt: skip
    cut = dataclasses.replace(circuit, projections=circuit.projections | {"v1_to_v1": empty})
    run = Run(float(T), record_v=tuple(range(circuit.n_neurons)))
    one, other = simulate(circuit.with_weights({"v1_to_v1": silent}), inputs, run), simulate(cut, inputs, run)
    np.testing.assert_array_equal(one.spikes.times, other.spikes.times)
    np.testing.assert_array_equal(one.v, other.v)


def test_potential_is_recorded_after_the_reset_and_held_for_the_refractory_period():
    circuit = circuit_for(15)
    recording = simulate(circuit, small_random_inputs(16, circuit, 300.0), Run(300.0, record_v=tuple(range(24))))
    steps, neurons = recording.spikes.steps(1.0), recording.spikes.node_ids
    hold = ReferenceColumn(circuit).refractory_steps.numpy()
    assert len(steps) > 50
    for step, neuron in zip(steps, neurons, strict=True):
        held = recording.v[step : step + hold[neuron, 0] + 1, neuron]
        np.testing.assert_array_equal(held, circuit.neuron_parameter("V_reset")[neuron])


def test_float32_follows_float64_until_spikes_part():
    circuit = circuit_for(17)
    inputs = small_random_inputs(18, circuit, 40.0)
    one = simulate(circuit, inputs, Run(40.0, record_v=(0, 1, 2), precision="float32"))
    other = simulate(circuit, inputs, Run(40.0, record_v=(0, 1, 2)))
    # float32 resolves 60 mV to 4e-6 mV; 40 steps add up.
    np.testing.assert_allclose(one.v, other.v, atol=1e-3)


def test_a_source_left_out_is_silent_and_its_spikes_on_their_way_still_arrive():
    circuit = circuit_for(19)
    inputs = one_trial(small_random_inputs(20, circuit, 40.0, lgn_rate_Hz=200.0))
    column = ReferenceColumn(circuit)
    with torch.no_grad():
        first = column(inputs, 40)
        nothing = SpikeTrains("lgn", 20, np.zeros(0), np.zeros(0, dtype=int))
        silent = SpikeTrains("bkg", 10, np.zeros(0), np.zeros(0, dtype=int))
        expected = column({"lgn": [nothing], "bkg": [silent]}, 20, first.state)
        found = column({}, 20, first.state)
        cut = column({}, 20, dataclasses.replace(first.state, pending={}))
    assert torch.equal(found.v, expected.v)
    assert not torch.equal(found.v, cut.v)


BAD_INPUTS = {
    "other units": (lambda c, i: c({"lgn": [dataclasses.replace(i["lgn"], n_units=21)]}, T), "21 units"),
    "unknown source": (lambda c, i: c({"lgm": [i["lgn"]]}, T), "did you mean 'lgn'"),
    "other numbers of trials": (lambda c, i: c({"lgn": [i["lgn"]], "bkg": [i["bkg"]] * 2}, T), r"\[1, 2\] trials"),
    "a current of another shape": (lambda c, i: c({}, T, current=torch.zeros(T, 1)), "shape"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_do_not_fit_are_refused(case):
    circuit = circuit_for(21)
    call, expected = BAD_INPUTS[case]
    with pytest.raises(InputError, match=expected):
        call(ReferenceColumn(circuit), small_random_inputs(22, circuit, T))


def test_results_do_not_depend_on_the_order_in_which_sources_are_named():
    circuit = circuit_for(23)
    inputs = one_trial(small_random_inputs(24, circuit, T))
    column = ReferenceColumn(circuit)
    with torch.no_grad():
        one, other = column(inputs, T), column(dict(reversed(inputs.items())), T)
    assert torch.equal(one.v, other.v)
