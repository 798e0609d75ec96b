"""Progress of training on stderr: a bar with rate and estimate, or one line a minute where no terminal listens."""

import sys
import time

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 60.0


class TrainingProgress:
    """Show the newest row of metrics; use it as a context manager.

    Parameters
    ----------
    done, total : int
        Updates.
    stream : text stream, optional
        Default: stderr.
    """

    def __init__(self, done, total, stream=None):
        self.total, self.stream = total, sys.stderr if stream is None else stream
        self._next_line = time.monotonic()
        no_bar = not self.stream.isatty()
        self._bar = tqdm(desc="training", initial=done, total=total, unit="update", file=self.stream, disable=no_bar)

    def show(self, row):
        """Show what one update brought.

        Parameters
        ----------
        row : dict of str -> number
            From `Trainer.update`.
        """
        text = f"loss {row['loss']:.2f}, evoked {row['evoked/rate_Hz']:.2f}, gray {row['spontaneous/rate_Hz']:.2f} Hz"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self.stream.write(f"update {row['step']} of {self.total}: {text}\n")
            self.stream.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
