"""Ctrl-C, SIGTERM and SIGHUP during training: the update under way ends first, as checkpoints are of whole steps."""

import os
import signal
import time
from contextlib import suppress

_NOTED = b"\ntrain.py: interrupted; ending this update and writing a checkpoint. Once more ends at once.\n"
# torchrun, SLURM and a terminal may each pass on the same request.
_SECONDS_OF_ONE_REQUEST = 1.0


def signals_to_heed():
    """Signals that ask a process to end, but for those that it was told to ignore (by nohup, or in the background).

    Returns
    -------
    list of int
    """
    known = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]  # no SIGHUP on Windows
    return [number for number in known if number is not None and signal.getsignal(number) is not signal.SIG_IGN]


def interrupt_on_signals():
    """Let every signal that asks this process to end raise KeyboardInterrupt, as Ctrl-C does."""
    for number in signals_to_heed():
        signal.signal(number, signal.default_int_handler)


def ignore_signals():
    """Let this process end as it is about to, whoever asks it to."""
    for number in signals_to_heed():
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """Take note of signals that ask to end within a ``with`` block; a second one interrupts as soon as Python runs.

    Attributes
    ----------
    asked : bool
        Whether one came.
    """

    def __init__(self):
        self.asked, self._since = False, 0.0

    def _take_note(self, number, frame):
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
            with suppress(OSError):  # past the stream, which this may have interrupted; nobody may be listening
                os.write(2, _NOTED)
        elif time.monotonic() - self._since > _SECONDS_OF_ONE_REQUEST:
            raise KeyboardInterrupt("ended at once; earlier checkpoints stay")

    def __enter__(self):
        self._before = {number: signal.signal(number, self._take_note) for number in signals_to_heed()}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
