"""Rate, selectivity and voltage objectives against literal implementations, and the table that adds them up."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from activities import EVERYTHING_UM, HALF_UM, random_activity, small_targets

from twincortex.models.errors import InputError
from twincortex.training.loss_options import Losses, RateLoss, VoltageLoss
from twincortex.training.objectives import (
    OBJECTIVES,
    firing_rate_loss,
    selectivity_loss,
    total_loss,
    update_rate_average,
    voltage_loss,
)


def only(**losses):
    """All objectives off but these."""
    off = {name: dataclasses.replace(getattr(Losses(), name), cost=0) for name in OBJECTIVES}
    return Losses(**(off | losses))


ROUNDING = 1e-12  # relative, float64 sums of some hundred terms


def literal_rate_loss(spikes, targets, condition):
    rho = spikes.mean((0, 1))  # spikes/ms, because dt is 1 ms
    total, kappa = 0, 0.002
    for region in targets.regions:
        losses = []
        for k in np.unique(region.type_index):
            model = sorted(rho[region.neurons[region.type_index == k]])
            target = region.rate_Hz[condition][region.type_index == k] / 1000
            for i in range(len(model)):
                u, tau = model[i] - target[i], (i + 1) / len(model)
                huber = u**2 / (2 * kappa) if abs(u) <= kappa else abs(u) - kappa / 2
                losses.append(abs(tau - (u <= 0)) * huber)
        total += region.weight * sum(losses) / len(losses)
    return total


def literal_selectivity_loss(activity, targets):
    rho = activity.spikes.numpy().mean(0) / np.maximum(activity.rate_average.numpy() / 1000, 5e-4)
    total = 0
    for region in targets.regions:
        numerator = denominator = 0
        for k in np.unique(region.type_index):
            cells = region.neurons[region.type_index == k]
            osi, dsi = [], []
            for b, theta in enumerate(activity.direction.numpy()):
                delta = np.deg2rad(theta - targets.tuning_angle[cells])
                crowd = max(rho[b, cells].mean(), 5e-4)
                osi.append((rho[b, cells] * np.cos(2 * delta)).mean() / crowd)
                dsi.append((rho[b, cells] * np.cos(delta)).mean() / crowd)
            error = (np.mean(osi) - targets.osi[k]) ** 2 + (np.mean(dsi) - targets.dsi[k]) ** 2
            numerator, denominator = numerator + len(cells) * error, denominator + len(cells)
        total += region.weight * numerator / denominator
    return total


@pytest.mark.parametrize("radius", [EVERYTHING_UM, HALF_UM])
@pytest.mark.parametrize("condition", ["evoked", "spontaneous"])
def test_rate_loss_equals_its_formula(radius, condition):
    circuit, targets, tensors = small_targets(radius)
    activity = random_activity(circuit, condition)
    value, parts = firing_rate_loss(activity, tensors)
    expected = literal_rate_loss(activity.spikes.numpy(), targets, condition)
    assert value.item() == pytest.approx(expected, rel=ROUNDING)
    assert list(parts) == ["core", "annulus"][: len(targets.regions)]


def test_rate_loss_vanishes_on_target_and_does_not_depend_on_dt():
    _, _, tensors = small_targets()
    circuit = small_targets()[0]
    activity = random_activity(circuit)
    region = tensors.regions[0]
    on_target = torch.zeros_like(activity.spikes)
    on_target[:, :, region.neurons] = region.rate_Hz["evoked"] / 1000
    on_target = dataclasses.replace(activity, spikes=on_target)
    assert firing_rate_loss(on_target, tensors)[0].item() == pytest.approx(0, abs=1e-12)  # rounding of Hz
    finer = dataclasses.replace(activity, spikes=activity.spikes.repeat_interleave(4, 0) / 4, dt=0.25)
    assert firing_rate_loss(finer, tensors)[0].item() == pytest.approx(firing_rate_loss(activity, tensors)[0].item())


def test_silent_neurons_are_pushed_up_in_random_order():
    circuit, _, tensors = small_targets(n=120)
    pushes = []
    for step in range(2):
        activity = dataclasses.replace(random_activity(circuit), step=step)
        spikes = torch.zeros_like(activity.spikes).requires_grad_()
        firing_rate_loss(dataclasses.replace(activity, spikes=spikes), tensors)[0].backward()
        assert (spikes.grad <= 0).all()
        pushes.append(spikes.grad[0, 0])
    assert not torch.equal(*pushes)


@pytest.mark.parametrize("radius", [EVERYTHING_UM, HALF_UM])
def test_selectivity_loss_equals_its_formula(radius):
    circuit, targets, tensors = small_targets(radius)
    activity = random_activity(circuit)
    value, parts = selectivity_loss(activity, tensors)
    assert value.item() == pytest.approx(literal_selectivity_loss(activity, targets), rel=ROUNDING)
    assert set(parts) == {"osi", "dsi"}


def test_selectivity_loss_needs_directions():
    circuit, _, tensors = small_targets()
    activity = dataclasses.replace(random_activity(circuit), direction=None)
    with pytest.raises(InputError, match="direction of every trial"):
        selectivity_loss(activity, tensors)


def test_rate_average_moves_by_a_twentieth_and_carries_no_gradient():
    rates = torch.full((2, 3), 10.0, requires_grad=True)
    average = update_rate_average(torch.full((3,), 3.0), rates)
    torch.testing.assert_close(average, torch.full((3,), 0.95 * 3 + 0.05 * 10))
    assert not average.requires_grad


@pytest.mark.parametrize(
    ("mode", "penalty"),
    [("range", lambda x: np.maximum(np.abs(x - 0.5) - 0.5, 0) ** 2), ("threshold", lambda x: (x - 1) ** 2)],
)
def test_voltage_loss_equals_its_formula(mode, penalty):
    circuit, _, tensors = small_targets()
    activity = random_activity(circuit)
    rest, threshold = circuit.neuron_parameter("E_L"), circuit.neuron_parameter("V_th")
    x = (activity.v.numpy() - rest) / (threshold - rest)
    value, _ = voltage_loss(activity, tensors, mode=mode)
    assert value.item() == pytest.approx(penalty(x).mean(), rel=ROUNDING)


@pytest.mark.parametrize("mode", ["range", "threshold"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_voltage_loss_and_gradient_are_those_of_torch_to_the_last_bit(mode, n_threads, torch_threads):
    torch_threads(n_threads)
    circuit, targets, _ = small_targets()
    tensors = targets.to(dtype=torch.float32)
    v = random_activity(circuit).v.float().transpose(1, 2).contiguous().requires_grad_()  # as the engine has it
    activity = dataclasses.replace(random_activity(circuit), v=v.transpose(1, 2))
    value, parts = voltage_loss(activity, tensors, mode)
    scale = 1 / (tensors.threshold_potential - tensors.resting_potential)
    normalized = torch.addcmul((-tensors.resting_potential * scale)[:, None], v, scale[:, None])
    nearest = torch.ones_like(normalized) if mode == "threshold" else normalized.detach().clamp(0, 1)
    expected = torch.nn.functional.mse_loss(normalized, nearest)
    assert torch.equal(value, expected)
    assert torch.equal(parts["mean"], normalized.mean())
    assert torch.equal(torch.autograd.grad(0.3 * value, v)[0], torch.autograd.grad(0.3 * expected, v)[0])


def test_voltage_loss_suggests_the_near_mode():
    circuit, _, tensors = small_targets()
    with pytest.raises(InputError, match="did you mean 'threshold'"):
        voltage_loss(random_activity(circuit), tensors, mode="treshold")


@pytest.mark.parametrize("radius", [EVERYTHING_UM, HALF_UM])
@pytest.mark.parametrize(
    ("loss", "of"),
    [
        (firing_rate_loss, "spikes"),
        (selectivity_loss, "spikes"),
        (lambda activity, targets: voltage_loss(activity, targets, "range"), "v"),
        (lambda activity, targets: voltage_loss(activity, targets, "threshold"), "v"),
    ],
    ids=["rate", "selectivity", "voltage range", "voltage threshold"],
)
def test_gradients_equal_finite_differences(loss, of, radius):
    circuit, _, tensors = small_targets(radius)
    activity = random_activity(circuit, n_steps=2, n_trials=2)

    def value(changed):
        return loss(dataclasses.replace(activity, **{of: changed}), tensors)[0]

    assert torch.autograd.gradcheck(value, getattr(activity, of).requires_grad_(), eps=1e-7)


def test_total_is_the_sum_of_costs_times_values():
    circuit, _, tensors = small_targets()
    for condition in ("evoked", "spontaneous", "weights"):
        activity = random_activity(circuit, condition)
        total, parts = total_loss(activity, tensors)
        rows = {name: row for name, row in OBJECTIVES.items() if condition in row.conditions}
        costs = {name: getattr(Losses(), name).cost for name in rows}
        expected = {name: costs[name] * row.function(activity, tensors)[0].item() for name, row in rows.items()}
        assert total.item() == pytest.approx(sum(expected.values()), rel=ROUNDING)
        assert {name: parts[name].item() for name in rows} == pytest.approx(expected)


def test_selectivity_counts_only_in_the_evoked_condition():
    circuit, _, tensors = small_targets()
    assert "selectivity" not in total_loss(random_activity(circuit, "spontaneous"), tensors)[1]


def test_costs_and_options_replace_the_defaults_and_cost_zero_is_not_computed():
    circuit, _, tensors = small_targets()
    activity = dataclasses.replace(random_activity(circuit), direction=None)  # selectivity would refuse
    total, parts = total_loss(activity, tensors, only(voltage=VoltageLoss(cost=2.5, mode="range")))
    assert total.item() == pytest.approx(2.5 * voltage_loss(activity, tensors, "range")[0].item())
    assert list(parts) == ["voltage", "voltage/mean"]


def test_parts_carry_no_gradient():
    circuit, _, tensors = small_targets()
    activity = random_activity(circuit)
    activity.spikes.requires_grad_()
    total, parts = total_loss(activity, tensors)
    assert total.requires_grad
    assert not any(part.requires_grad for part in parts.values())


def test_what_each_process_has_on_its_own_counts_by_its_share():
    circuit, _, tensors = small_targets()
    alone = random_activity(circuit)
    one_of_two = dataclasses.replace(alone, share=0.5)
    for loss, share in ((only(voltage=VoltageLoss()), 0.5), (only(rate=RateLoss()), 1.0)):
        total, parts = total_loss(one_of_two, tensors, loss)
        assert total.item() == pytest.approx(share * total_loss(alone, tensors, loss)[0].item())
        assert sum(part.item() for name, part in parts.items() if "/" not in name) == pytest.approx(
            total.item() / share
        )


def test_every_objective_has_options_of_its_own_and_takes_them():
    fields = {field.name: field.type for field in dataclasses.fields(Losses)}
    for name, objective in OBJECTIVES.items():
        options = {field.name: field.default for field in dataclasses.fields(fields[name])}
        options.pop("cost")
        taken = list(inspect.signature(objective.function).parameters.values())[2:]
        assert options == {parameter.name: parameter.default for parameter in taken}
