"""The metrics and figures of a run as TensorBoard events: ``tensorboard --logdir RUN/tensorboard``."""

import logging
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from twincortex.training.loss_parts import GROUPS

log = logging.getLogger(__name__)
_KEYS_OF_THEIR_OWN = {"loss": "loss/total", "seconds": "time/seconds"}


def tag_of(key):
    """Name a metric so that TensorBoard, which groups by what stands before the first slash, groups like with like.

    Parameters
    ----------
    key : str
        Of a row of metrics.

    Returns
    -------
    str
        ``loss/...`` for objectives times their costs, ``parts/...`` for what they are made of, ``rates/...`` [Hz],
        ``time/...`` [s], ``update/...`` for all else.
    """
    group, *names = key.split("/")
    if key in _KEYS_OF_THEIR_OWN:
        return _KEYS_OF_THEIR_OWN[key]
    if group in GROUPS and len(names) == 1:
        return f"rates/{group}_Hz" if names[0] == "rate_Hz" else f"loss/{group}/{names[0]}"
    if group in GROUPS:
        return f"parts/{key}"
    return f"time/{key}" if key.startswith("seconds_") else f"update/{key}"


class TensorBoardLog:
    """Write events into ``RUN/tensorboard``; use it as a context manager.

    Without the package tensorboard, or once its files cannot be written, it says so and does nothing: training goes on.

    Parameters
    ----------
    run_folder : str or Path
    step : int
        Steps done before; points of later ones, which a resumed run lost, vanish.
    """

    def __init__(self, run_folder, step=0):
        self._writer = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.warning("no TensorBoard events are written: pip install 'twincortex[tensorboard]'")
            return
        with self._giving_up_on_failure():
            self._writer = SummaryWriter(Path(run_folder) / "tensorboard", purge_step=step + 1)

    def add(self, row):
        """Add one row of metrics.

        Parameters
        ----------
        row : dict of str -> number
        """
        self._add_scalars(row["step"], {tag_of(key): value for key, value in row.items() if key != "step"})

    def add_validation(self, step, scores):
        """Add what a validation found.

        Parameters
        ----------
        step : int
        scores : dict of str -> number
        """
        self._add_scalars(step, {f"validation/{name}": value for name, value in scores.items()})

    def add_figure(self, step, name, png_path):
        """Add a figure.

        Parameters
        ----------
        step : int
        name : str
        png_path : str or Path
            A PNG file, which is stored as it is.
        """
        with Image.open(png_path) as image:
            width, height = image.size
        content = {"width": width, "height": height, "encoded_image_string": Path(png_path).read_bytes()}
        self._add(step, {f"figures/{name}": {"image": content}})

    def flush(self):
        """Bring to the disk what was added; call it where checkpoints are written: both then tell of the same steps."""
        if self._writer is not None:
            with self._giving_up_on_failure():
                self._writer.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._writer is not None:
            with self._giving_up_on_failure():
                self._writer.close()

    def _add_scalars(self, step, scalars):
        self._add(step, {tag: {"simple_value": value} for tag, value in scalars.items()})

    def _add(self, step, contents):
        if self._writer is None:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, **content) for tag, content in contents.items()]
        with self._giving_up_on_failure():
            # One event per step: ten times cheaper than add_scalar, which writes one per value.
            self._writer.file_writer.add_summary(Summary(value=values), step)

    @contextmanager
    def _giving_up_on_failure(self):
        try:
            yield
        except OSError as error:
            log.warning("TensorBoard events cannot be written (%s) and are left out from here on", error)
            self._writer = None
