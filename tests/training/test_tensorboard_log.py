"""TensorBoard events, read back with TensorBoard's own reader."""

import sys
import time

import pytest
from PIL import Image
from small_disk import small_disk
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from twincortex.training.tensorboard_log import TensorBoardLog, tag_of

ROW = {"step": 1, "loss": 2.5, "evoked/rate": 1.5, "evoked/rate/core": 0.1, "spontaneous/rate_Hz": 4.0, "seconds": 0.5}


def events_of(run_folder):
    return EventAccumulator(str(run_folder / "tensorboard")).Reload()


def next_second():
    """Wait until files get names that come later: TensorBoard sorts by the second in them, and by text within it."""
    time.sleep(1 - time.time() % 1)


def points(run_folder, tag):
    return [(event.step, event.value) for event in events_of(run_folder).Scalars(tag)]


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("loss", "loss/total"),
        ("evoked/rate", "loss/evoked/rate"),
        ("weights/weight_distribution", "loss/weights/weight_distribution"),
        ("evoked/selectivity/osi", "parts/evoked/selectivity/osi"),
        ("evoked/rate_Hz", "rates/evoked_Hz"),
        ("gradient_norm", "update/gradient_norm"),
        ("seconds", "time/seconds"),
        ("seconds_input", "time/seconds_input"),
    ],
)
def test_like_metrics_share_a_group(key, tag):
    assert tag_of(key) == tag


def test_every_metric_comes_back_with_its_step(tmp_path):
    with TensorBoardLog(tmp_path) as tensorboard:
        tensorboard.add(ROW)
        tensorboard.add(ROW | {"step": 2, "loss": 2.25})
        tensorboard.add_validation(2, {"OSI": 0.5})
    assert points(tmp_path, "loss/total") == [(1, 2.5), (2, 2.25)]
    assert points(tmp_path, "validation/OSI") == [(2, 0.5)]
    assert set(events_of(tmp_path).Tags()["scalars"]) == {tag_of(key) for key in ROW if key != "step"} | {
        "validation/OSI"
    }


def test_points_of_lost_updates_vanish_after_a_resume(tmp_path):
    with TensorBoardLog(tmp_path) as tensorboard:
        for step in range(1, 6):
            tensorboard.add({"step": step, "loss": 1.0})
    next_second()
    with TensorBoardLog(tmp_path, step=3) as tensorboard:
        tensorboard.add({"step": 4, "loss": 2.0})
    assert points(tmp_path, "loss/total") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]


def test_a_file_that_was_cut_short_does_not_hide_what_comes_after_a_resume(tmp_path):
    with TensorBoardLog(tmp_path) as tensorboard:
        for step in (1, 2, 3):
            tensorboard.add({"step": step, "loss": 1.0})
    (events,) = (tmp_path / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    next_second()
    with TensorBoardLog(tmp_path, step=2) as tensorboard:
        tensorboard.add({"step": 3, "loss": 2.0})
    assert points(tmp_path, "loss/total") == [(1, 1.0), (2, 1.0), (3, 2.0)]


def test_figures_are_stored_as_they_are(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20), "red").save(path)
    with TensorBoardLog(tmp_path) as tensorboard:
        tensorboard.add_figure(7, "training", path)
    (image,) = events_of(tmp_path).Images("figures/training")
    assert (image.step, image.width, image.height) == (7, 30, 20)
    assert image.encoded_image_string == path.read_bytes()


def test_what_was_flushed_can_be_read_while_training_goes_on(tmp_path):
    with TensorBoardLog(tmp_path) as tensorboard:
        tensorboard.add(ROW)
        tensorboard.flush()
        assert points(tmp_path, "loss/total") == [(1, 2.5)]


def test_without_tensorboard_one_line_says_how_to_get_it_and_training_goes_on(tmp_path, monkeypatch, caplog):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as Python itself marks a module that must not be found
    with TensorBoardLog(tmp_path) as tensorboard:
        tensorboard.add(ROW)
        tensorboard.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "no TensorBoard events are written: pip install 'twincortex[tensorboard]'"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of TensorBoard's own thread
def test_training_goes_on_where_the_disk_is_full(tmp_path, caplog):
    with small_disk(tmp_path / "disk", 1) as folder, TensorBoardLog(folder) as tensorboard:
        (folder / "filling").write_bytes(bytes(1_000_000))
        for step in range(2000):
            tensorboard.add({"step": step} | {f"part_{number}": 1.0 for number in range(30)})
        tensorboard.flush()
        tensorboard.add(ROW)
    assert [record.getMessage()[:40] for record in caplog.records] == ["TensorBoard events cannot be written ([E"]


def test_an_update_costs_less_than_a_millisecond(tmp_path):
    row = {"step": 1} | {f"evoked/part_{number}": 1.0 for number in range(40)}
    with TensorBoardLog(tmp_path) as tensorboard:
        started = time.process_time()
        for _ in range(200):
            tensorboard.add(row)
        assert (time.process_time() - started) / 200 < 1e-3  # measured 0.2 ms
