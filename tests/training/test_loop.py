"""Training on a very small column: repeatable, resumable, and it learns."""

import dataclasses

import numpy as np
import pytest
import torch

from twincortex.models.column import build_column
from twincortex.models.errors import DivergedError, InputError
from twincortex.training.checkpoints import read_last_checkpoint, save_checkpoint
from twincortex.training.config import Optimization, Protocol, TrainingConfig
from twincortex.training.loop import Trainer, start_training
from twincortex.training.loss_options import Losses, RateLoss, SelectivityLoss, SynchronyLoss, VoltageLoss
from twincortex.training.loss_options import WeightDistributionLoss as WeightLoss
from twincortex.training.schedules import ScheduleStage

PROTOCOL = Protocol(batch=2, settle_ms=40.0, settle_every=2, evoked_ms=60.0, spontaneous_ms=60.0)
CONFIG = TrainingConfig(steps=4, seed=3, threads=1, protocol=PROTOCOL)
RATE_ALONE = Losses(
    selectivity=SelectivityLoss(0),
    synchrony=SynchronyLoss(0),
    voltage=VoltageLoss(0),
    weight_distribution=WeightLoss(0),
)
SCHEDULE = [
    ScheduleStage("LinearLR", 2, {"start_factor": 0.5, "total_iters": 2}),
    ScheduleStage("StepLR", 9, {"step_size": 1}),
]


@pytest.fixture(scope="module")
def circuit():
    """A column of 30 um radius, a few hundred neurons."""
    return build_column(30.0, seed=2)


def trained(circuit, config, steps, state=None):
    state = state or start_training(circuit, config)
    trainer = Trainer(circuit, config, state)
    return state, [trainer.update() for _ in range(steps)]


def weights_of(state):
    return {name: weight.detach().numpy().copy() for name, weight in state.column.weights.items()}


def assert_same_weights(one, other):
    for name, weight in weights_of(one).items():
        np.testing.assert_array_equal(weight, weights_of(other)[name])


def test_the_same_seed_gives_the_same_weights_bit_for_bit(circuit):
    one, rows = trained(circuit, CONFIG, 3)
    other, _ = trained(circuit, CONFIG, 3)
    assert_same_weights(one, other)
    assert all(np.isfinite(list(row.values())).all() for row in rows)


def test_only_the_chosen_weights_change_and_no_sign_flips(circuit):
    state, _ = trained(circuit, CONFIG, 2)
    for name, weight in weights_of(state).items():
        before = circuit.projections[name].weight
        assert np.array_equal(weight, before) == (name == "lgn_to_v1")
        np.testing.assert_array_equal(np.sign(weight), np.sign(before))


@pytest.mark.parametrize(
    ("protocol", "optimization"),
    [
        ({}, {}),
        # Checkpoints between two settlings, whose weights are gone by then.
        ({"settle_every": 3}, {}),
        ({"settle_every": 5, "updates": "sequential"}, {"schedule": SCHEDULE}),
        ({}, {"optimizer": "adam", "learning_rate": 0.5, "schedule": SCHEDULE[1:]}),
    ],
)
def test_a_resumed_run_continues_bit_for_bit_from_any_step(circuit, tmp_path, protocol, optimization):
    protocol, optimization = dataclasses.replace(PROTOCOL, **protocol), Optimization(**optimization)
    config = dataclasses.replace(CONFIG, protocol=protocol, optimization=optimization)
    whole, _ = trained(circuit, config, 4)
    first, _ = trained(circuit, config, 2)
    save_checkpoint(tmp_path, first, circuit)
    resumed = start_training(circuit, config)
    read_last_checkpoint(tmp_path).restore(resumed, circuit)
    assert resumed.step == 2
    resumed, _ = trained(circuit, config, 2, resumed)
    assert_same_weights(resumed, whole)
    torch.testing.assert_close(resumed.rate_average, whole.rate_average, rtol=0, atol=0)


def test_sequential_updates_step_after_each_rollout(circuit):
    sequential = dataclasses.replace(CONFIG, protocol=dataclasses.replace(PROTOCOL, updates="sequential"))
    state, [row] = trained(circuit, sequential, 1)
    assert [moments["step"] for moments in state.optimizer.state.values()] == [2, 2]
    together, [other] = trained(circuit, CONFIG, 1)
    assert [moments["step"] for moments in together.optimizer.state.values()] == [1, 1]
    # The evoked rollout is the same one; the gray one already meets other weights, which have a loss of their own.
    assert row["evoked/rate"] == other["evoked/rate"]
    assert row["spontaneous/voltage/mean"] != other["spontaneous/voltage/mean"]
    assert row["weights/weight_distribution"] > other["weights/weight_distribution"] == 0


def test_weights_are_scored_once_for_each_rollout_of_an_update(circuit):
    state, _ = trained(circuit, CONFIG, 1)
    _, [row] = trained(circuit, CONFIG, 1, state)
    cost = CONFIG.losses.weight_distribution.cost
    assert row["weights/weight_distribution"] == pytest.approx(2 * cost * row["weights/weight_distribution/v1_to_v1"])
    objectives = [value for name, value in row.items() if name.count("/") == 1 and not name.endswith("_Hz")]
    assert row["loss"] == pytest.approx(sum(objectives), rel=1e-6)  # float32


def test_the_learning_rate_follows_its_schedule(circuit):
    config = dataclasses.replace(CONFIG, optimization=Optimization(learning_rate=0.02, schedule=SCHEDULE))
    _, rows = trained(circuit, config, 4)
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.01, 0.015, 0.02, 0.002])


@pytest.mark.slow
def test_training_lowers_the_rate_loss():
    circuit = build_column("tiny", seed=1)
    protocol = Protocol(batch=2, settle_ms=100.0, evoked_ms=200.0, spontaneous_ms=200.0)
    _, rows = trained(circuit, dataclasses.replace(CONFIG, losses=RATE_ALONE, protocol=protocol), 12)
    losses = [row["loss"] for row in rows]
    # Directions differ from step to step; the means over three steps scatter by about 10 %.
    assert np.mean(losses[-3:]) < 0.75 * np.mean(losses[:3])


def test_a_loss_that_is_not_finite_stops_training_with_the_weights_kept(circuit):
    config = dataclasses.replace(CONFIG, losses=Losses(rate=RateLoss(cost=float("inf"))))
    state = start_training(circuit, config)
    before, average = weights_of(state), state.rate_average
    with pytest.raises(DivergedError, match="loss"):
        Trainer(circuit, config, state).update()
    np.testing.assert_array_equal(weights_of(state)["v1_to_v1"], before["v1_to_v1"])
    assert (state.step, state.rate_average is average) == (0, True)


def test_an_update_tells_how_many_weights_were_clipped(circuit):
    state = start_training(circuit, CONFIG)
    state.optimizer.param_groups[0]["max_exponent"] = 1e-3
    _, rows = trained(circuit, CONFIG, 2, state)
    counted = sum(moments["n_clipped"] for moments in state.optimizer.state.values())
    assert rows[0]["clipped"] > 0
    assert rows[0]["clipped"] + rows[1]["clipped"] == counted


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"optimizer": "exponentiated_adm"}, "exponentiated_adam"), ({"projections": ["v1"]}, "v1_to_v1")],
)
def test_unknown_names_get_a_hint(circuit, change, expected):
    with pytest.raises(InputError, match=expected):
        start_training(circuit, dataclasses.replace(CONFIG, optimization=Optimization(**change)))
