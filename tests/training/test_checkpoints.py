"""Checkpoints of a training state: everything that matters comes back bit for bit, and only whole and finite."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from flipped_bits import flip_newest
from small_disk import small_disk

from twincortex.models.column import build_column
from twincortex.models.errors import DivergedError, InputError
from twincortex.models.spikes import SpikeTrains
from twincortex.models.surrogate import ReferenceColumn
from twincortex.training.checkpoints import read_checkpoint, read_last_checkpoint, save_checkpoint
from twincortex.training.loop import OPTIMIZERS
from twincortex.training.processes import Processes
from twincortex.training.schedules import SCHEDULERS, ScheduleStage, make_scheduler
from twincortex.training.training_state import (
    TrainingState,
    join_trials,
    restore_state,
    settled_part,
    state_to_tensors,
)

TRAINED = ("v1_to_v1", "bkg_to_v1")
# What the schedulers of torch ask for beside their defaults.
OPTIONS = {
    "CosineAnnealingLR": {"T_max": 9},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 3, "cycle_momentum": False},
    "ExponentialLR": {"gamma": 0.9},
    "MultiStepLR": {"milestones": [2, 5]},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 20},
    "StepLR": {"step_size": 2},
}


@pytest.fixture(scope="module")
def circuit():
    """A column of 20 um radius, about a hundred neurons."""
    return build_column(20.0, seed=2)


UNTRAINED = {}  # by circuit: making a column takes a second, copying it does not


def start(circuit, optimizer="exponentiated_adam", stages=()):
    if circuit.topology_hash not in UNTRAINED:
        UNTRAINED[circuit.topology_hash] = ReferenceColumn(circuit, dtype=torch.float32, trained=TRAINED)
    column = copy.deepcopy(UNTRAINED[circuit.topology_hash])
    optimizer = OPTIMIZERS[optimizer]([column.weights[name] for name in TRAINED], lr=0.02)
    return TrainingState(column, optimizer, torch.ones(circuit.n_neurons), make_scheduler(optimizer, list(stages)))


def advance(state, steps):
    """Steps with gradients that depend on the step alone, and a rollout of the column from where the last one ended."""
    for _ in range(steps):
        generator = torch.Generator().manual_seed(state.step)
        for name in TRAINED:
            weight = state.column.weights[name]
            weight.grad = torch.randn(weight.shape, generator=generator)
        state.optimizer.step()
        if state.scheduler is not None:
            state.scheduler.step()
        with torch.no_grad():
            state.settled = state.column({}, 3, state.settled).state
        state.rate_average = state.rate_average * 0.9 + state.step
        state.step, state.settled_step = state.step + 1, state.step
    return state


def assert_same(one, other):
    (tensors, facts), (expected, expected_facts) = state_to_tensors(one), state_to_tensors(other)
    assert facts == expected_facts
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {n: t.dtype for n, t in expected.items()}
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, msg=name)


def resumed(circuit, run_folder, *choices, read=read_last_checkpoint):
    state = start(circuit, *choices)
    read(run_folder).restore(state, circuit)
    return state


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_bit_for_bit(circuit, tmp_path, optimizer):
    whole = advance(start(circuit, optimizer), 4)
    save_checkpoint(tmp_path, advance(start(circuit, optimizer), 2), circuit)
    assert_same(advance(resumed(circuit, tmp_path, optimizer), 2), whole)


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step()`:UserWarning")  # torch's own chaining
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedule_goes_on_bit_for_bit(circuit, tmp_path, name):
    stages = [ScheduleStage("LinearLR", 3), ScheduleStage(name, 9, OPTIONS.get(name, {}))]
    whole = advance(start(circuit, stages=stages), 8)
    for step in (2, 5):  # before and after the stage begins
        save_checkpoint(tmp_path, advance(start(circuit, stages=stages), step), circuit)
        state = resumed(circuit, tmp_path, "exponentiated_adam", stages)
        assert state.optimizer.param_groups[0]["lr"] != 0.02
        assert_same(advance(state, 8 - step), whole)


def test_all_files_get_the_permissions_of_the_user(circuit, tmp_path):
    (tmp_path / "usual").touch()
    modes = {path.stat().st_mode for path in save_checkpoint(tmp_path, start(circuit), circuit).iterdir()}
    assert modes == {(tmp_path / "usual").stat().st_mode}


def test_a_state_that_has_not_begun_comes_back(circuit, tmp_path):
    save_checkpoint(tmp_path, start(circuit), circuit)
    assert_same(resumed(circuit, tmp_path), start(circuit))


def test_a_restored_state_does_not_lie_in_the_files_it_came_from(circuit, tmp_path):
    state = advance(start(circuit), 1)
    file = save_checkpoint(tmp_path, state, circuit) / "state.safetensors"
    back = resumed(circuit, tmp_path)
    file.write_bytes(b"\0" * file.stat().st_size)
    assert_same(back, state)


def test_the_best_is_read_by_its_name_and_outlives_the_last(circuit, tmp_path):
    state = advance(start(circuit), 1)
    save_checkpoint(tmp_path, state, circuit, name="best")
    best = advance(start(circuit), 1)
    for _ in range(3):
        save_checkpoint(tmp_path, advance(state, 1), circuit, keep=1)
    assert_same(resumed(circuit, tmp_path, read=lambda folder: read_checkpoint(folder, "best")), best)
    assert read_last_checkpoint(tmp_path).step == 4
    save_checkpoint(tmp_path, state, circuit, keep=3, name="best")
    assert [path.name for path in (tmp_path / "checkpoints").glob("best_*")] == ["best_000004"]


def test_a_damaged_checkpoint_is_skipped_with_a_warning(circuit, tmp_path, caplog):
    state = advance(start(circuit), 1)
    save_checkpoint(tmp_path, state, circuit)
    damaged = save_checkpoint(tmp_path, advance(state, 1), circuit) / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert_same(resumed(circuit, tmp_path), advance(start(circuit), 1))
    assert "step_000002' is damaged (of another length or sha256: 'state.safetensors') and is skipped" in caplog.text


def test_no_flipped_bit_goes_unnoticed(circuit, tmp_path):
    state = start(circuit)
    for _ in range(2):
        save_checkpoint(tmp_path, advance(state, 1), circuit)
    outcomes = list(flip_newest(tmp_path, 200, seed=5))
    assert [what for what, noticed in outcomes if not noticed] == []
    assert len({what.split(":")[0] for what, _ in outcomes}) >= 6  # contents and names of three files, and the folder's


# Each process has settled trials of its own; they write one checkpoint, and each finds its own again.
TWO_PROCESSES = """
import sys
sys.path.insert(0, sys.argv[2])
import torch
from test_checkpoints import advance, assert_same, build_column, start
from twincortex.training.checkpoints import read_last_checkpoint, save_checkpoint
from twincortex.training.processes import open_processes

circuit = build_column(20.0, seed=2)
with open_processes("cpu") as processes:
    state = advance(start(circuit), 1)
    state.settled.x.add_(processes.rank)
    save_checkpoint(sys.argv[1], state, circuit, processes=processes)
    torch.distributed.barrier()
    back = start(circuit)
    read_last_checkpoint(sys.argv[1]).restore(back, circuit, processes, batch=1)
    assert_same(back, state)
"""


@pytest.mark.slow
def test_each_of_two_processes_finds_its_own_settled_trials_again(circuit, tmp_path):
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    places = [str(tmp_path / "two.py"), str(tmp_path), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([*command, *places], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    x = resumed(circuit, tmp_path).settled.x  # one process with both trials
    torch.testing.assert_close(x[..., 1], x[..., 0] + 1, rtol=0, atol=0)


def settle(circuit, batch):
    """A state that has settled with spikes on their way, and its column."""
    state = advance(start(circuit), 1)
    units = {source: circuit.projections[f"{source}_to_v1"].n_sources for source in ("lgn", "bkg")}
    inputs = {
        source: [SpikeTrains(source, n, np.arange(1.0, 9.0), (np.arange(8) * 7 + trial) % n) for trial in range(batch)]
        for source, n in units.items()
    }
    state.settled = state.column(inputs, 8).state.detach()
    return state


def test_a_checkpoint_goes_on_in_any_number_of_processes_with_as_many_trials_in_all(circuit, tmp_path):
    whole = settle(circuit, batch=6)
    save_checkpoint(tmp_path, whole, circuit)
    checkpoint, parts = read_last_checkpoint(tmp_path), []
    for rank in range(3):
        back = start(circuit)
        checkpoint.restore(back, circuit, Processes(rank, 3), batch=2)
        assert back.column({}, 5, back.settled).spikes.shape[1] == 2
        parts.append(settled_part(state_to_tensors(back)[0]))
    joined, expected = join_trials(parts), settled_part(state_to_tensors(whole)[0])
    assert sum(len(tensor) for name, tensor in expected.items() if name.endswith("/trial")) > 10
    assert joined.keys() == expected.keys()
    for name in ("settled/x", "settled/refractory", "settled/history"):
        torch.testing.assert_close(joined[name], expected[name], rtol=0, atol=0)
    back = start(circuit)
    restore_state(back, checkpoint.tensors | joined, checkpoint.facts)
    # What reaches one neuron of one trial in a step is added up in the same order.
    spikes, others = (state.column({}, 5, state.settled) for state in (whole, back))
    torch.testing.assert_close(others.v, spikes.v, rtol=0, atol=0)


def test_a_checkpoint_with_another_number_of_trials_is_refused(circuit, tmp_path):
    save_checkpoint(tmp_path, settle(circuit, batch=4), circuit)
    with pytest.raises(InputError, match=r"is of 4 trials per step; protocol.batch 3 in 2 process\(es\) makes 6"):
        read_last_checkpoint(tmp_path).restore(start(circuit), circuit, Processes(0, 2), batch=3)


def test_a_checkpoint_of_another_circuit_is_refused(circuit, tmp_path):
    save_checkpoint(tmp_path, start(circuit), circuit)
    with pytest.raises(InputError, match="another circuit"):
        resumed(build_column(20.0, seed=9), tmp_path)


@pytest.mark.parametrize("place", ["weights", "moments", "rate_average", "settled"])
def test_a_state_that_is_not_finite_is_never_saved(circuit, tmp_path, place):
    state = advance(start(circuit), 1)
    save_checkpoint(tmp_path, state, circuit, keep=1)
    weight = advance(state, 1).column.weights["v1_to_v1"]
    spoilt = {"weights": weight.data, "moments": state.optimizer.state[weight]["exp_avg"],
              "rate_average": state.rate_average, "settled": state.settled.x}[place]  # fmt: skip
    spoilt.view(-1)[17] = float("nan") if place != "moments" else float("inf")
    with pytest.raises(DivergedError, match=r"step 2: the state is not finite: [\w/]+\[.*\] is (nan|inf)"):
        save_checkpoint(tmp_path, state, circuit, keep=1)
    assert read_last_checkpoint(tmp_path).step == 1


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs, which only Linux has")
@pytest.mark.parametrize("n_whole", [1, 2])
def test_a_full_disk_leaves_the_checkpoints_that_are_there(circuit, tmp_path, n_whole):
    size = sum(path.stat().st_size for path in save_checkpoint(tmp_path, advance(start(circuit), 1), circuit).iterdir())
    shutil.rmtree(tmp_path / "checkpoints")
    with small_disk(tmp_path / "disk", megabytes=(n_whole + 0.5) * size / 2**20) as disk:
        state = start(circuit)
        for _ in range(n_whole):
            save_checkpoint(disk, advance(state, 1), circuit)
        with pytest.raises(InputError, match=rf"step_00000{n_whole + 1} cannot be written: .*No space left"):
            save_checkpoint(disk, advance(state, 1), circuit)
        assert read_last_checkpoint(disk).step == n_whole
        assert len(list((disk / "checkpoints").iterdir())) == n_whole


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_checkpoint_written_on_a_gpu_goes_on_there_and_on_the_cpu(circuit, tmp_path, optimizer):
    from twincortex.models.surrogate import FusedColumn

    def start_on(device):
        column = FusedColumn(circuit, device=device, dtype=torch.float32, trained=TRAINED)
        made = OPTIMIZERS[optimizer]([column.weights[name] for name in TRAINED], lr=0.02)
        return TrainingState(column, made, torch.ones(circuit.n_neurons, device=device))

    state = start_on("cuda")
    for name in TRAINED:
        state.column.weights[name].grad = torch.ones_like(state.column.weights[name])
    state.optimizer.step()
    state.settled, state.settled_step, state.step = state.column({}, 3).state.detach(), 0, 1
    save_checkpoint(tmp_path, state, circuit)
    for device in ("cuda", "cpu"):
        back = start_on(device)
        read_last_checkpoint(tmp_path).restore(back, circuit)
        assert_same(back, state)
        back.column({}, 3, back.settled)
        for name in TRAINED:
            back.column.weights[name].grad = torch.ones_like(back.column.weights[name])
        back.optimizer.step()
