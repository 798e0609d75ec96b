"""Ctrl-C and SIGTERM during training: the update under way is ended first, so that a checkpoint is of whole steps."""

import signal


class Interruption:
    """Take note of Ctrl-C and SIGTERM within a ``with`` block; a second one interrupts at once.

    Attributes
    ----------
    asked : bool
        Whether one came.
    """

    def __init__(self):
        self.asked = False

    def _take_note(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self):
        self._before = {number: signal.signal(number, self._take_note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
