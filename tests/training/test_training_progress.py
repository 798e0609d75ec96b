"""Progress and interruption of training."""

import io
import signal

import pytest

from twincortex.training.interruption import Interruption
from twincortex.training.training_progress import TrainingProgress


def test_a_log_file_gets_one_line_a_minute():
    log = io.StringIO()
    with TrainingProgress(0, 100, log) as progress:
        for step in range(1, 101):
            progress.show({"step": step, "loss": 2.5, "evoked/rate_Hz": 4.0, "spontaneous/rate_Hz": 1.0})
    assert log.getvalue() == "update 1 of 100: loss 2.50, evoked 4.00, gray 1.00 Hz\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        signal.raise_signal(number)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
