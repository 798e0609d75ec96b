"""The weight-distribution objective against a literal earth mover's distance per pair of cell types."""

import dataclasses

import numpy as np
import pytest
import torch
from activities import random_activity, small_targets
from scipy.stats import wasserstein_distance

from twincortex.models.errors import InputError
from twincortex.training.weight_distribution import weight_distribution, weight_distribution_loss


def literal_distance(circuit, weight):
    edges = circuit.projections["v1_to_v1"]
    posts = edges.posts(circuit.n_receptors)
    scale = (circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L"))[posts]
    pairs = np.array(
        [f"{a}>{b}" for a, b in zip(circuit.cell_type[edges.sources()], circuit.cell_type[posts], strict=True)]
    )
    distances = []
    for pair in np.unique(pairs):
        inside = pairs == pair
        distances.append(wasserstein_distance(weight[inside] / scale[inside], edges.weight[inside] / scale[inside]))
    return np.mean(distances)


@pytest.fixture(scope="module")
def small():
    circuit, _, tensors = small_targets(n=120)
    return circuit, tensors, random_activity(circuit)


def test_distance_equals_wasserstein_per_pair_of_cell_types(small):
    circuit, tensors, activity = small
    value, parts = weight_distribution_loss(activity, tensors)
    expected = literal_distance(circuit, activity.weights["v1_to_v1"].numpy())
    assert len(tensors.weights[0].n_in_group) > 100
    assert value.item() == parts["v1_to_v1"].item() == pytest.approx(expected, rel=1e-9)  # order kept to 2e-13


def test_initial_weights_have_distance_zero_and_so_has_any_exchange_within_a_group(small):
    circuit, tensors, activity = small
    initial = circuit.projections["v1_to_v1"].weight.astype(float)
    held = tensors.weights[0]
    per_threshold = held.scaled(torch.ones(len(initial), dtype=float)).numpy()
    inside = max(held.by_group.split(held.n_in_group.tolist()), key=len).numpy()
    scaled = initial * per_threshold
    scaled[inside] = np.roll(scaled[inside], 3)
    for weight in (initial, scaled / per_threshold):
        exchanged = dataclasses.replace(activity, weights={"v1_to_v1": torch.tensor(weight)})
        value = weight_distribution_loss(exchanged, tensors)[0].item()
        assert value == pytest.approx(0, abs=1e-9 * np.abs(scaled).max())  # order kept to 2e-13 of the largest


def test_untrained_weights_have_no_gradient_in_the_precision_of_training():
    circuit, targets, _ = small_targets(n=120)
    weight = torch.from_numpy(circuit.projections["v1_to_v1"].weight.copy()).requires_grad_()
    activity = dataclasses.replace(random_activity(circuit), weights={"v1_to_v1": weight})
    value, _ = weight_distribution_loss(activity, targets.to(dtype=torch.float32))
    value.backward()
    assert value.item() == 0
    assert not weight.grad.any()


@pytest.mark.parametrize("n_threads", [1, 3])
def test_gradient_is_that_of_sorted_differences_to_the_last_bit(small, n_threads, torch_threads):
    torch_threads(n_threads)
    _, tensors, activity = small
    held, weight = tensors.weights[0], activity.weights["v1_to_v1"].clone().requires_grad_()
    weight_distribution_loss(dataclasses.replace(activity, weights={"v1_to_v1": weight}), tensors)[0].backward()
    per_threshold = held.per_threshold[held.target.long() // held.n_receptors]
    scaled = weight.detach() * per_threshold
    order = held.order(scaled).long()
    slope = torch.empty_like(scaled)
    slope[order] = (scaled[order] - held.sorted_initial).sign() * held.share
    assert torch.equal(weight.grad, slope * per_threshold)


def test_gradient_equals_finite_differences(small):
    _, tensors, activity = small
    weight = activity.weights["v1_to_v1"].clone().requires_grad_()

    def value(changed):
        return weight_distribution_loss(dataclasses.replace(activity, weights={"v1_to_v1": changed}), tensors)[0]

    value(weight).backward()
    some = np.random.default_rng(0).choice(len(weight), 40, replace=False)
    for i in some:
        step = torch.zeros_like(weight)
        step[i] = 1e-6
        difference = (value(weight + step) - value(weight - step)) / 2e-6
        assert weight.grad[i].item() == pytest.approx(difference.item(), rel=1e-5)  # piecewise linear: rounding only


def test_a_common_factor_on_all_weights_moves_them_by_their_mean_size(small):
    circuit, tensors, activity = small
    initial = torch.tensor(circuit.projections["v1_to_v1"].weight.astype(float))
    larger = dataclasses.replace(activity, weights={"v1_to_v1": 1.2 * initial})
    held = tensors.weights[0]
    expected = 0.2 * (held.sorted_initial.abs() * held.share).sum()
    assert weight_distribution_loss(larger, tensors)[0].item() == pytest.approx(expected.item(), rel=1e-9)


def test_projections_from_other_sources_are_refused(small):
    with pytest.raises(InputError, match=r"bkg_to_v1: .* only for v1 sources"):
        weight_distribution(small[0], "bkg_to_v1")
