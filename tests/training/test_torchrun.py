"""Real trainings of two processes: one of twice the batch; they end together, whatever ends one of them, and go on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
import torch
from killed_training import PATIENCE, REPOSITORY, TRAINING, differences, outcome, train, wait_for

from twincortex.training.checkpoint_folders import checkpoint_path, write_folder
from twincortex.training.checkpoints import read_last_checkpoint, write_state

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("torchrun")]
STEPS = 4
# Steps by the gradient itself: Adam would turn rounding of gradients near zero into whole steps.
OPTIONS = [
    *("--set", f"steps={STEPS}", "--set", "optimization.optimizer=exponentiated_gradient"),
    *("--set", "optimization.learning_rate=0.1"),
]
# float32 sums in another order, over 240 times and trials, carried through four steps.
ROUNDING = 5e-5


def start(*arguments):
    """Start train.py in two processes."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*torchrun, "training/train.py", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, **pipes)


def end(process):
    """Wait for torchrun; returns its exit code, output and errors."""
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def process_of_rank(torchrun, rank):
    """The process of train.py that torchrun has given a rank."""
    children = psutil.Process(torchrun.pid).children(recursive=True)
    return next(child for child in children if child.environ().get("RANK") == str(rank))


def said_by_both(errors):
    """The last words of the two processes: those of process 0, those of process 1."""
    lines = errors.splitlines()
    return [[line for line in lines if line.startswith(name)][-1] for name in ("train.py: ", "train.py, process 1: ")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of two processes of batch 2 that nobody ends: its folder and its output."""
    run_folder = tmp_path_factory.mktemp("whole") / "run"
    code, output, errors = end(start(*TRAINING, *OPTIONS, "--out", run_folder))
    assert code == 0, errors[-3000:]
    return run_folder, output


def test_two_processes_of_two_trials_are_one_process_of_four(tmp_path, whole):
    run_folder, output = whole
    assert output.count("weights_sha256") == 1
    assert json.loads(output.splitlines()[-1])["steps"] == STEPS
    train(*TRAINING, *OPTIONS, "--set", "protocol.batch=4", "--out", tmp_path / "run")
    both, one = (read_last_checkpoint(folder) for folder in (run_folder, tmp_path / "run"))
    assert both.tensors.keys() == one.tensors.keys()
    for name in both.tensors:
        if name.startswith("weights/"):
            torch.testing.assert_close(both.tensors[name], one.tensors[name], rtol=ROUNDING, atol=0, msg=name)
    rows, expected = (outcome(folder)["metrics"] for folder in (run_folder, tmp_path / "run"))
    for row, other in zip(rows, expected, strict=True):
        numbers, others = ({name: float(value) for name, value in one.items()} for one in (row, other))
        assert numbers == pytest.approx(others, rel=1e-3)


@pytest.mark.parametrize("who", ["torchrun", "process 0", "process 1"])
def test_whoever_is_asked_to_end_all_end_after_the_same_step_and_go_on_bit_for_bit(tmp_path, whole, who):
    run_folder = tmp_path / "run"
    torchrun = start(*TRAINING, *OPTIONS, "--out", run_folder)
    wait_for(run_folder, "checkpoints/step_000001", torchrun)
    asked = torchrun if who == "torchrun" else process_of_rank(torchrun, int(who[-1]))
    asked.send_signal(signal.SIGTERM)
    code, _, errors = end(torchrun)
    assert code == 1  # of torchrun, whatever those of its processes
    step = read_last_checkpoint(run_folder).step
    assert step < STEPS
    for said in said_by_both(errors):
        assert said.endswith(f"interrupted; checkpoint of step {step} written; continue with --resume {run_folder}.")
    if who != "torchrun":  # which says more only where it was not asked itself
        assert set(re.findall(r"exitcode  : (\S+)", errors)) == {"130"}
    code, _, errors = end(start("--resume", run_folder))
    assert code == 0, errors[-3000:]
    assert differences(run_folder, outcome(whole[0])) == []


def test_a_process_that_is_killed_takes_the_other_with_it_and_the_checkpoint_stays(tmp_path):
    run_folder = tmp_path / "run"
    torchrun = start(*TRAINING, *OPTIONS, "--set", "steps=1000", "--out", run_folder)
    wait_for(run_folder, "checkpoints/step_000001", torchrun)
    process_of_rank(torchrun, 1).kill()
    code, _, errors = end(torchrun)
    assert code == 1
    assert "train.py: process 0 has lost the others" in errors
    assert "Traceback" not in errors.split("train.py: process 0")[0]
    assert read_last_checkpoint(run_folder).step >= 1


def test_a_nan_in_the_trials_of_one_process_ends_both_and_is_found_where_it_is(tmp_path, whole):
    run_folder, step, neuron = tmp_path / "run", 2, 123
    shutil.copytree(whole[0], run_folder)
    checkpoint = read_last_checkpoint(run_folder)
    checkpoint.tensors["settled/x"][:, neuron, 3] = float("nan")  # trial 1 of process 1
    shutil.rmtree(run_folder / "checkpoints")
    write_folder(
        checkpoint_path(run_folder, "step", step),
        lambda partial: write_state(partial, checkpoint.tensors, checkpoint.facts | {"step": step}),
    )
    code, _, errors = end(start("--resume", run_folder))
    assert code == 1
    assert set(re.findall(r"exitcode  : (\S+)", errors)) == {"3"}
    found = f"Process 1: First of all: neuron {neuron} \\(.*\\) in trial 1 of settle .*/failure_of_process_1;"
    for said in said_by_both(errors):
        assert re.search(found, said)
    facts = json.loads((run_folder / "failure_of_process_1/failure.json").read_text())
    assert (facts["step"], facts["first_bad_neuron"]["node_id"]) == (step + 1, neuron)
    assert json.loads((run_folder / "failure/failure.json").read_text())["first_bad_neuron"] is None
