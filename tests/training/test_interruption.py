"""Signals that ask training to end: noted once, at once the second time, and never where they are to be ignored."""

import signal
import time

import pytest

from twincortex.training.interruption import Interruption, interrupt_on_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_said(number, capfd):
    with Interruption() as interruption:
        assert not interruption.asked
        signal.raise_signal(number)
        assert interruption.asked
    assert "ending this update and writing a checkpoint" in capfd.readouterr().err


def test_the_same_request_over_several_ways_is_one(capfd):
    with Interruption() as interruption:
        for number in (*SIGNALS, *SIGNALS):
            signal.raise_signal(number)
    assert interruption.asked
    assert capfd.readouterr().err.count("interrupted") == 1


def test_a_second_request_interrupts_at_once():
    with Interruption():
        signal.raise_signal(signal.SIGINT)
        time.sleep(1.1)
        with pytest.raises(KeyboardInterrupt, match="earlier checkpoints stay"):
            signal.raise_signal(signal.SIGTERM)


def test_what_is_to_be_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interrupt_on_signals()
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGHUP)
    assert not interruption.asked
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", SIGNALS)
def test_outside_of_the_updates_every_signal_interrupts(number):
    interrupt_on_signals()
    with Interruption():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
