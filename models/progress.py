"""Progress of long work on stderr: a bar with rate and estimate, or now and then a line where no terminal listens."""

import sys
import time

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Show how far each stage of some work has come. Call it with (stage, done, total); use it as a context manager."""

    def __init__(self, unit="it", stream=None):
        self.unit = unit
        self.stream = sys.stderr if stream is None else stream
        self._stage, self._bar = None, None
        self._last_line = time.monotonic()

    def __call__(self, stage, done, total):
        """Tell that ``done`` of ``total`` of a stage is done."""
        if self.stream.isatty():
            self._show_bar(stage, done, total)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.stream.write(f"{stage}: {done:,} of {total:,} {self.unit}\n")

    def _show_bar(self, stage, done, total):
        if stage != self._stage:
            self._close()
            self._stage = stage
            self._bar = tqdm(desc=stage, total=total, unit=self.unit, unit_scale=True, file=self.stream, leave=False)
        self._bar.update(done - self._bar.n)

    def _close(self):
        if self._bar is not None:
            self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()
