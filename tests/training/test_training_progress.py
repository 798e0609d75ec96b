"""Progress of training: what a terminal and a log file are told."""

import io

import pytest

from twincortex.training.durations import spell_duration
from twincortex.training.loss_parts import losses_by_objective
from twincortex.training.training_progress import TrainingProgress

ROW = {
    "loss": 9.0,
    "evoked/rate": 4.0,
    "evoked/rate/core": 0.1,
    "evoked/synchrony": 0.5,
    "evoked/rate_Hz": 4.0,
    "spontaneous/rate": 2.5,
    "spontaneous/rate_Hz": 1.0,
    "weights/weight_distribution": 2.0,
    "seconds": 3.0,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def show(stream, clock, steps, total, seconds, row=ROW):
    with TrainingProgress(steps[0] - 1, total, stream) as progress:
        for step in steps:
            clock.now += seconds
            progress.show(row | {"step": step})
    return stream.getvalue()


def test_a_log_file_gets_a_line_at_once_and_then_one_a_minute(clock):
    lines = show(io.StringIO(), clock, range(1, 101), 100, seconds=2.0).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"step {step} of 100" for step in (1, 31, 61, 91)]


def test_a_line_tells_loss_times_rates_and_parts(clock):
    (line,) = show(io.StringIO(), clock, [1], 100, seconds=2.0).splitlines()
    assert line == (
        "step 1 of 100: loss 9, 2 s/step, 3 min 18 s left, evoked 4.00 Hz, gray 1.00 Hz "
        "(rate 6.5, synchrony 0.5, weights 2)"
    )


def test_a_terminal_gets_a_bar_that_says_the_same(clock):
    bar = show(Terminal(), clock, [1], 100, seconds=2.0)
    assert "training 1/100 |" in bar
    assert "| loss 9, 2 s/step, 3 min 18 s left, evoked 4.00 Hz" in bar


def test_a_line_can_do_without_parts(clock):
    (line,) = show(io.StringIO(), clock, [1], 3, seconds=2.0, row={"loss": 9.0}).splitlines()
    assert line == "step 1 of 3: loss 9, 2 s/step, 4 s left"


def test_after_a_resume_the_estimate_is_of_the_steps_since(clock):
    (line,) = show(io.StringIO(), clock, [901], 1000, seconds=10.0).splitlines()
    assert "10 s/step, 16 min 30 s left" in line


def test_the_first_step_does_not_count_once_there_are_others(clock):
    with TrainingProgress(0, 12, log := io.StringIO()) as progress:
        for step, seconds in enumerate([300.0, 70.0, 70.0], start=1):
            clock.now += seconds
            progress.show(ROW | {"step": step})
    assert "70 s/step, 10 min 30 s left" in log.getvalue().splitlines()[-1]


def test_the_parts_of_a_step_add_up_to_its_loss():
    assert sum(sum(shares.values()) for shares in losses_by_objective(ROW).values()) == ROW["loss"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (42, "42 s"), (60, "1 min"), (3599.7, "1 h"), (3900, "1 h 5 min"), (187_205, "2 d 4 h")],
)
def test_times_are_spelled_in_their_two_largest_units(seconds, text):
    assert spell_duration(seconds) == text
