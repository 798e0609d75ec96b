"""Progress of long work on stderr: bars with rate and estimate, or now and then a line where no terminal listens."""

import sys
import threading
import time

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 30.0


def no_progress(stage, done, total):
    """Tell nobody."""


class Progress:
    """Show how far each stage of some work has come. Call it with (stage, done, total); use it as a context manager.

    Stages may overlap, and threads may call it.
    """

    def __init__(self, unit="it", stream=None):
        self.unit = unit
        self.stream = sys.stderr if stream is None else stream
        self._bars = {}
        self._last_line = time.monotonic()
        self._one_at_a_time = threading.Lock()

    def __call__(self, stage, done, total):
        """Tell that ``done`` of ``total`` of a stage is done."""
        with self._one_at_a_time:
            if self.stream.isatty():
                self._show_bar(stage, done, total)
            elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
                self._last_line = time.monotonic()
                self.stream.write(f"{stage}: {done:,} of {total:,} {self.unit}\n")

    def _show_bar(self, stage, done, total):
        if stage not in self._bars:
            text = {"desc": stage, "unit": f" {self.unit}", "unit_scale": True}
            self._bars[stage] = tqdm(total=total, file=self.stream, leave=False, **text)
        self._bars[stage].update(done - self._bars[stage].n)
        if done >= total:
            self._bars.pop(stage).close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for bar in self._bars.values():
            bar.close()
