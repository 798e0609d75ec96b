"""Processes that share a step take the step that one process would take with all their trials."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from twincortex.models.column import build_column
from twincortex.training.config import Optimization, Protocol, TrainingConfig
from twincortex.training.loop import Trainer, start_training
from twincortex.training.processes import open_processes

PROTOCOL = Protocol(batch=2, settle_ms=40.0, settle_every=2, evoked_ms=60.0, spontaneous_ms=60.0)
# Steps by the gradient itself: Adam would turn rounding of gradients near zero into whole steps.
OPTIMIZATION = Optimization(optimizer="exponentiated_gradient", learning_rate=0.1)
CONFIG = TrainingConfig(steps=2, seed=3, protocol=PROTOCOL, optimization=OPTIMIZATION)
# float32 sums in another order, over 240 times and trials, carried through two steps.
ROUNDING = 2e-5


def train(config):
    """Two steps, in this process and those it shares them with."""
    circuit = build_column(30.0, seed=2)
    with open_processes("cpu") as processes:
        state = start_training(circuit, config)
        trainer = Trainer(circuit, config, state, processes)
        rows = [trainer.update() for _ in range(config.steps)]
        return processes.rank, rows, {name: weight.detach().numpy() for name, weight in state.column.weights.items()}


def train_and_write(folder):
    """What each of the processes of the test does."""
    rank, rows, weights = train(CONFIG)
    Path(folder, f"rows_{rank}.json").write_text(json.dumps(rows))
    np.savez(Path(folder, f"weights_{rank}.npz"), **weights)


@pytest.mark.slow
def test_two_processes_of_two_trials_are_one_process_of_four(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", __file__, tmp_path]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    _, rows, weights = train(dataclasses.replace(CONFIG, protocol=dataclasses.replace(PROTOCOL, batch=4)))
    both = [np.load(tmp_path / f"weights_{rank}.npz") for rank in (0, 1)]
    before = build_column(30.0, seed=2).projections
    for name, weight in weights.items():
        np.testing.assert_array_equal(both[0][name], both[1][name])
        np.testing.assert_allclose(both[0][name], weight, rtol=ROUNDING)
    moved = np.abs(np.log(weights["v1_to_v1"] / before["v1_to_v1"].weight)).max()
    assert moved > 100 * ROUNDING
    for rank in (0, 1):
        for row, shared in zip(rows, json.loads((tmp_path / f"rows_{rank}.json").read_text()), strict=True):
            same = [name for name in row if name != "seconds"]
            assert [shared[name] for name in same] == pytest.approx([row[name] for name in same], rel=1e-3)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train_and_write(sys.argv[1])
