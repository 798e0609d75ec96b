"""Progress of training on stderr: a bar, or one line a minute where no terminal listens; both say the same."""

import sys
import time
from collections import deque

from tqdm import tqdm

from twincortex.training.durations import spell_duration
from twincortex.training.loss_parts import losses_by_objective

_SECONDS_BETWEEN_LINES = 60.0
_STEPS_OF_ESTIMATE = 200


class TrainingProgress:
    """Show the newest row of metrics; use it as a context manager.

    Parameters
    ----------
    done, total : int
        Steps.
    stream : text stream, optional
        Default: stderr.
    """

    def __init__(self, done, total, stream=None):
        self.total, self.stream = total, sys.stderr if stream is None else stream
        self._next_line = time.monotonic()
        # Times from step to step, so that checkpoints and validation between them count; none from before a resume.
        self._ends = deque([time.monotonic()], maxlen=_STEPS_OF_ESTIMATE + 1)
        self._bar = tqdm(
            initial=done,
            total=total,
            file=self.stream,
            disable=not self.stream.isatty(),
            dynamic_ncols=True,
            bar_format="training {n_fmt}/{total_fmt} |{bar:12}| {desc}",
        )

    def show(self, row):
        """Show what one step brought.

        Parameters
        ----------
        row : dict of str -> number
            A row of metrics; what it lacks is left out.
        """
        self._ends.append(time.monotonic())
        # What matters most comes first: a narrow terminal cuts off the end.
        times = self._describe_time(row["step"])
        text = f"loss {row['loss']:.4g}, {times}{_describe_rates(row)}{_describe_losses(row)}"
        self._bar.set_description_str(text, refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self.stream.write(f"step {row['step']:,} of {self.total:,}: {text}\n")
            self.stream.flush()

    def _describe_time(self, step):
        # The first step also compiles and settles, so it counts only as long as there is no other.
        ends = list(self._ends)[1:] if len(self._ends) > 2 else list(self._ends)
        seconds = (ends[-1] - ends[0]) / (len(ends) - 1)
        return f"{seconds:.3g} s/step, {spell_duration(seconds * (self.total - step))} left"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()


def _describe_rates(row):
    rates = {"evoked": row.get("evoked/rate_Hz"), "gray": row.get("spontaneous/rate_Hz")}
    return "".join(f", {name} {rate:.2f} Hz" for name, rate in rates.items() if rate is not None)


def _describe_losses(row):
    losses = {name: sum(shares.values()) for name, shares in losses_by_objective(row).items()}
    texts = [f"{name.replace('weight_distribution', 'weights')} {loss:.3g}" for name, loss in losses.items()]
    return f" ({', '.join(texts)})" if texts else ""
