"""NaN in training: refused in the step in which it appears, with the neuron where it began and all that is needed."""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_training import TRAINING, train

from twincortex.models.column import build_column
from twincortex.models.errors import DivergedError
from twincortex.models.inputs import read_inputs
from twincortex.models.sonata import read_circuit
from twincortex.training.checkpoint_folders import checkpoint_path, write_folder
from twincortex.training.checkpoints import read_last_checkpoint, read_state, save_checkpoint, write_state
from twincortex.training.config import Protocol, TrainingConfig
from twincortex.training.failure import write_failure
from twincortex.training.loop import Trainer, start_training
from twincortex.training.loss_options import Losses, RateLoss, SynchronyLoss, WeightDistributionLoss
from twincortex.training.training_state import state_to_tensors

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOCOL = Protocol(batch=2, settle_ms=40.0, settle_every=2, evoked_ms=60.0, spontaneous_ms=60.0)
CONFIG = TrainingConfig(steps=4, seed=3, threads=1, protocol=PROTOCOL)
NAN = float("nan")


@pytest.fixture(scope="module")
def circuit():
    """A column of 30 um radius, a few hundred neurons."""
    return build_column(30.0, seed=2)


def fail(circuit, run_folder, spoil, config=CONFIG):
    """Do one step, spoil the state, do another; returns failure.json and the state before the step that failed."""
    trainer = Trainer(circuit, config, start_training(circuit, config))
    trainer.update()
    spoil(trainer)
    before = copy.deepcopy(state_to_tensors(trainer.state)[0])
    with pytest.raises(DivergedError, match="step 2: not finite: ") as error:
        trainer.update()
    text = write_failure(run_folder, trainer, circuit, error.value)
    return json.loads((run_folder / "failure/failure.json").read_text()), text, before


def background_of(circuit, neuron):
    """Row of the first background connection onto a neuron; its units spike all the time."""
    return int(np.flatnonzero(circuit.projections["bkg_to_v1"].posts(circuit.n_receptors) == neuron)[0])


@pytest.mark.parametrize("engine", ["fused", "reference"])
@pytest.mark.parametrize("neuron", [0, 211])
def test_a_weight_that_is_not_a_number_is_found_with_the_neuron_it_spoils(circuit, tmp_path, neuron, engine):
    row = background_of(circuit, neuron)

    def spoil(trainer):
        trainer.state.column.weights["bkg_to_v1"].data[row] = NAN

    facts, text, _ = fail(circuit, tmp_path, spoil, dataclasses.replace(CONFIG, engine=engine))
    assert (facts["step"], facts["seed"], facts["first_bad_neuron"]["node_id"]) == (2, 3, neuron)
    assert (facts["first_bad_weight"]["row"], facts["first_bad_weight"]["target"]) == (row, neuron)
    place = facts["first_bad_neuron"]
    bad = place["v_mV"].index(None)  # JSON has no NaN
    assert place["v_first_step"] + bad == place["step"] < 60
    assert all(-120 < v < -20 for v in place["v_mV"][:bad])
    assert f"neuron {neuron} ({place['pop_name']}) in trial" in text


def test_a_potential_that_is_not_a_number_is_found_in_its_trial(circuit, tmp_path):
    def spoil(trainer):
        state = trainer.settled_state()
        state.x[trainer.state.column.propagators.threshold_state, 17, 1] = NAN

    facts, text, _ = fail(circuit, tmp_path, spoil)
    assert (facts["first_bad_neuron"]["node_id"], facts["first_bad_neuron"]["trial"]) == (17, 1)
    assert (facts["first_bad_neuron"]["condition"], facts["first_bad_weight"]) == ("settle", None)
    assert "neuron 17 " in text
    assert "potentials or weights" in facts["error"]


def test_a_loss_that_is_infinite_leaves_weights_and_potentials_unaccused(circuit, tmp_path):
    def spoil(trainer):
        trainer.config = dataclasses.replace(CONFIG, losses=Losses(rate=RateLoss(cost=float("inf"))))

    facts, text, _ = fail(circuit, tmp_path, spoil)
    assert (facts["first_bad_neuron"], facts["first_bad_weight"]) == (None, None)
    assert text.startswith("All weights and potentials are finite.")


def test_the_failure_can_be_made_again_from_what_was_kept(circuit, tmp_path):
    neuron = 30

    def spoil(trainer):
        trainer.state.column.weights["bkg_to_v1"].data[background_of(circuit, neuron)] = NAN

    facts, _, before = fail(circuit, tmp_path, spoil)
    folder, place = tmp_path / "failure", facts["first_bad_neuron"]
    state = start_training(circuit, CONFIG)
    tensors = read_state(folder / "state").tensors
    assert tensors.keys() == before.keys()
    assert all(torch.equal(tensors[name].nan_to_num(), before[name].nan_to_num()) for name in before)
    read_state(folder / "state").restore(state, circuit)
    trials = [read_inputs(folder / f"inputs/{place['condition']}_trial_{trial}", circuit)[0] for trial in range(2)]
    inputs = {source: [trial[source] for trial in trials] for source in trials[0]}
    with torch.no_grad():
        v = state.column(inputs, 60, state.settled).v
    assert torch.isnan(v[place["step"], place["trial"], neuron])
    assert torch.isfinite(v[: place["step"]]).all()
    assert len(facts["directions_deg"]) == len(facts["phases_deg"]) == 2


def test_a_bad_weight_that_no_loss_sees_and_no_spike_meets_is_still_refused(circuit, tmp_path):
    quiet = Protocol(batch=1, settle_ms=1.0, evoked_ms=1.0, spontaneous_ms=1.0)
    off = {"weight_distribution": WeightDistributionLoss(cost=0.0), "synchrony": SynchronyLoss(cost=0.0)}

    def spoil(trainer):
        trainer.state.column.weights["v1_to_v1"].data[7] = NAN

    config = dataclasses.replace(CONFIG, protocol=quiet, losses=Losses(**off))
    facts, text, _ = fail(circuit, tmp_path, spoil, config)
    assert "potentials or weights" in facts["error"]
    assert "loss" not in facts["error"].split(";")[0]
    assert (facts["first_bad_neuron"], facts["first_bad_weight"]["row"]) == (None, 7)
    assert text.startswith("First of all: the weight from v1_to_v1 unit ")


def test_checkpoints_stay_when_training_fails(circuit, tmp_path):
    def spoil(trainer):
        save_checkpoint(tmp_path, trainer.state, circuit)
        trainer.state.column.weights["v1_to_v1"].data[5] = NAN

    fail(circuit, tmp_path, spoil)
    assert read_last_checkpoint(tmp_path).step == 1


@pytest.mark.slow
def test_a_nan_that_comes_into_a_real_run_ends_it_with_exit_code_3_and_the_right_neuron(tmp_path):
    # As if memory had been hit between two steps: the same run, stopped, one weight changed on its way back.
    run_folder, step, neuron = tmp_path / "run", 2, 123
    train(*TRAINING, "--set", f"steps={step}", "--out", run_folder)
    checkpoint, circuit = read_last_checkpoint(run_folder), read_circuit(run_folder / "circuit")
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    tensors["weights/bkg_to_v1"][background_of(circuit, neuron)] = NAN
    checkpoint.folder.rename(tmp_path / "kept")
    folder = checkpoint_path(run_folder, "step", step)
    write_folder(folder, lambda partial: write_state(partial, tensors, checkpoint.facts))
    command = [sys.executable, "training/train.py", "--resume", str(run_folder), "--steps", "4"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr[-2000:]
    assert f"neuron {neuron} (" in done.stderr.splitlines()[-1]
    facts = json.loads((run_folder / "failure/failure.json").read_text())
    assert (facts["step"], facts["first_bad_neuron"]["node_id"]) == (step + 1, neuron)
