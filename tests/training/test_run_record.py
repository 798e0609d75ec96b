"""The run folder: never written over, and metrics that go on after a resume."""

import pytest

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
        record.add({"step": step, "loss": 1 / step, "clipped": 0})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1")  # the beginning of row 10, cut short
    resumed = RunRecord(tmp_path, "steps: 9\n", resume=True)
    resumed.keep_rows(2)
    resumed.add({"clipped": 7, "loss": 0.25, "step": 3})
    expected = [{"step": 1, "loss": 1.0, "clipped": 0}, {"step": 2, "loss": 0.5, "clipped": 0}]
    assert resumed.rows == [*expected, {"step": 3, "loss": 0.25, "clipped": 7}]
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,loss,clipped", "1,1.0,0", "2,0.5,0", "3,0.25,7"]
    assert (tmp_path / "config.yaml").read_text() == "steps: 9\n"


def test_a_run_resumed_from_its_start_writes_new_metrics(tmp_path):
    RunRecord(tmp_path, "").add({"step": 1, "loss": 2.0})
    resumed = RunRecord(tmp_path, "", resume=True)
    resumed.keep_rows(0)
    resumed.add({"step": 1, "loss": 3.0})
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,loss", "1,3.0"]
