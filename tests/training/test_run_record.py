"""The run folder: never written over, one process at a time, and metrics that go on after a resume."""

import os
import signal
import subprocess
import sys

import pytest
from small_disk import small_disk

from twincortex.models.errors import InputError
from twincortex.training.run_record import RunRecord


def test_a_run_folder_is_never_written_over(tmp_path):
    RunRecord(tmp_path / "run", "steps: 1\n")
    with pytest.raises(InputError, match="not empty"):
        RunRecord(tmp_path / "run", "steps: 1\n")


def test_without_a_folder_the_run_is_named_by_time_and_latest_points_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = RunRecord(None, "steps: 1\n")
    assert (tmp_path / "runs/latest").resolve() == record.folder.resolve()
    assert (tmp_path / "runs/latest/config.yaml").read_text() == "steps: 1\n"


def test_after_a_resume_the_metrics_go_on_from_the_checkpoint(tmp_path):
    record = RunRecord(tmp_path, "steps: 3\n")
    for step in (1, 2, 3):
        record.metrics.add({"step": step, "loss": 1 / step, "clipped": 0})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1")  # the beginning of row 10, cut short
    resumed = RunRecord(tmp_path, "steps: 9\n", resume=True)
    resumed.keep(2)
    resumed.metrics.add({"clipped": 7, "loss": 0.25, "step": 3})
    expected = [{"step": 1, "loss": 1.0, "clipped": 0}, {"step": 2, "loss": 0.5, "clipped": 0}]
    assert resumed.metrics.rows == [*expected, {"step": 3, "loss": 0.25, "clipped": 7}]
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,loss,clipped", "1,1.0,0", "2,0.5,0", "3,0.25,7"]
    assert (tmp_path / "config.yaml").read_text() == "steps: 9\n"


@pytest.mark.parametrize("n_bytes", range(1, 8))
def test_a_last_row_that_is_cut_anywhere_is_left_out(tmp_path, n_bytes):
    record = RunRecord(tmp_path, "")
    for step in (1, 2):
        record.metrics.add({"step": step, "loss": 0.25})
    content = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "metrics.csv").write_bytes(content[:-n_bytes])
    resumed = RunRecord(tmp_path, "", resume=True)
    resumed.keep(2)
    assert resumed.metrics.rows == [{"step": 1, "loss": 0.25}]


def test_a_run_resumed_from_its_start_writes_new_metrics(tmp_path):
    RunRecord(tmp_path, "").metrics.add({"step": 1, "loss": 2.0})
    resumed = RunRecord(tmp_path, "", resume=True)
    resumed.keep(0)
    resumed.metrics.add({"step": 1, "loss": 3.0})
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,loss", "1,3.0"]


TRAIN_FOR_EVER = """
import sys, time
from twincortex.training.run_record import RunRecord
record = RunRecord(sys.argv[1], "steps: 3")
print("ready", flush=True)
time.sleep(1000)
"""


def test_two_processes_never_train_in_one_folder_and_a_killed_one_lets_go(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", TRAIN_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(InputError, match=rf"is being trained by process {process.pid} on .*End that one first"):
            RunRecord(tmp_path, "steps: 9\n", resume=True)
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "config.yaml").read_text() == "steps: 3"
    RunRecord(tmp_path, "steps: 9\n", resume=True)


def test_a_folder_in_which_a_run_never_began_may_be_used(tmp_path):
    # What a process leaves that is killed before its configuration is there.
    (tmp_path / ".lock").write_text("process 1 on nowhere")
    (tmp_path / f".config.yaml.{16 * 'a'}.partial").write_text("st")
    RunRecord(tmp_path, "steps: 1\n")
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".lock"]


def test_leftovers_of_a_killed_run_are_cleared_away(tmp_path):
    RunRecord(tmp_path, "steps: 1\n")
    for name in (f".circuit.{16 * '0'}.partial", f"checkpoints/.step_000002.{16 * 'f'}.removed"):
        (tmp_path / name / "network").mkdir(parents=True)
        (tmp_path / name / "network" / "nodes.h5").touch()
        (tmp_path / name / f".nodes.h5.{16 * '0'}.partial").touch()
    (tmp_path / "weights").mkdir()
    (tmp_path / f"weights/.v1_v1_edges.h5.{16 * '1'}.partial").touch()
    (tmp_path / "checkpoints/.mine").touch()
    RunRecord(tmp_path, "steps: 1\n", resume=True)
    assert sorted(path.name for path in tmp_path.rglob(".*")) == [".lock", ".mine"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs, which only Linux has")
def test_metrics_on_a_full_disk_end_the_run_by_name(tmp_path):
    with small_disk(tmp_path / "disk", megabytes=0.1) as disk:
        record = RunRecord(disk / "run", "steps: 1\n")
        free = os.statvfs(disk)
        (disk / "something else").write_bytes(bytes(free.f_bavail * free.f_bsize))
        with pytest.raises(InputError, match=r"metrics.csv cannot be written: .*No space left.*--resume .*run"):
            record.metrics.add({"step": 1, "loss": 2.0})
        del record  # and with it the lock, which keeps the disk busy
