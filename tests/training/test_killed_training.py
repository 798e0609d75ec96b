"""Real trainings that are killed, interrupted or run out of disk: every one goes on as if nothing had been."""

import signal
import sys
import time

import pytest
from killed_training import (
    MOMENTS,
    TRAINING,
    continue_arguments,
    differences,
    end,
    kill_and_resume,
    outcome,
    start,
    train,
    train_whole,
    wait_for,
)
from small_disk import small_disk

from twincortex.training.checkpoints import read_last_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("killed training")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the run that nobody ends comes to, and the seconds it takes."""
    run_folder = tmp_path_factory.mktemp("whole") / "run"
    seconds = train_whole(run_folder)
    return outcome(run_folder), seconds


@pytest.mark.parametrize("seed", range(1, 6))  # tests/benchmarks/kill_campaign.py has 100
def test_a_killed_training_goes_on_bit_for_bit(tmp_path, whole, seed):
    kills, differing = kill_and_resume(tmp_path, *whole, seed)
    assert differing == [], kills
    assert {kill.moment for kill in kills} == {list(MOMENTS)[seed % len(MOMENTS)]}


# What appears when a training gets there.
INTERRUPTIONS = {
    "while the circuit is written": (signal.SIGTERM, ".circuit.*.partial"),
    "before the first checkpoint": (signal.SIGINT, "circuit"),
    "between updates": (signal.SIGTERM, "metrics.csv"),
    "while a checkpoint is written": (signal.SIGINT, "checkpoints/.step_*.partial"),
    "while the trained weights are written": (signal.SIGHUP, "checkpoints/step_000006"),
}


@pytest.mark.parametrize("moment", INTERRUPTIONS)
def test_an_interrupted_training_says_so_and_goes_on_bit_for_bit(tmp_path, whole, moment):
    (number, pattern), run_folder = INTERRUPTIONS[moment], tmp_path / "run"
    process = start(*TRAINING, "--out", run_folder)
    wait_for(run_folder, pattern, process)
    process.send_signal(number)
    code, errors = end(process)
    if code == 0:
        assert moment == "while the trained weights are written"  # it was quicker than the signal
    else:
        assert (code, "Traceback" in errors) == (130, False)
        assert errors.splitlines()[-1].startswith("train.py: interrupted; ")
        assert f"--resume {run_folder}" in errors.splitlines()[-1]
    train(*continue_arguments(run_folder))
    assert differences(run_folder, whole[0]) == []


def test_a_second_interrupt_while_a_checkpoint_is_written_keeps_the_one_before(tmp_path, whole):
    run_folder = tmp_path / "run"
    with start(*TRAINING, "--out", run_folder) as process:
        wait_for(run_folder, "checkpoints/step_000001", process)
        while process.poll() is None:  # by someone who is impatient
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
    assert process.wait() in (130, -signal.SIGINT)  # the last may find everything done, and Python leaving
    assert read_last_checkpoint(run_folder).step >= 1
    train(*continue_arguments(run_folder))
    assert differences(run_folder, whole[0]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs, which only Linux has")
def test_a_full_disk_ends_a_training_by_name_and_with_room_it_goes_on_bit_for_bit(tmp_path, whole):
    with small_disk(tmp_path / "disk", megabytes=60) as disk:
        run_folder, ballast = disk / "run", disk / "ballast"
        process = start(*TRAINING, "--out", run_folder)
        wait_for(run_folder, "checkpoints/step_000002", process)
        with ballast.open("wb", buffering=0) as file:  # of somebody else
            while True:
                try:
                    file.write(bytes(2**16))
                except OSError:
                    break
        code, errors = end(process)
        assert code == 2, errors[-2000:]
        assert "cannot be written: " in errors.splitlines()[-1]
        assert str(run_folder) in errors.splitlines()[-1]
        assert read_last_checkpoint(run_folder).step >= 2
        ballast.unlink()
        train(*continue_arguments(run_folder))
        assert differences(run_folder, whole[0]) == []
