"""The run folder: configuration, one row of metrics per step, what else a run finds."""

import json
import os
import weakref
from datetime import datetime
from pathlib import Path

from twincortex.models.atomic_output import flush_to_disk, is_leftover, new_file, remove_leftovers
from twincortex.models.errors import InputError
from twincortex.training.row_table import RowTable
from twincortex.training.run_lock import LOCK, lock_run_folder


class RunRecord:
    """Writes what happens in a run.

    Parameters
    ----------
    folder : str, Path or None
        New, or an earlier run that is resumed; None makes ``runs/<date and time>`` and points ``runs/latest`` to it.
    config_text : str
        The whole configuration as YAML; replaces that of the earlier run.
    resume : bool

    Attributes
    ----------
    folder : Path
    metrics, validations : RowTable
        metrics.csv, a row per step, and validation.csv, a row per score.

    Raises
    ------
    InputError
        The folder exists and holds something, and the run does not resume; another process trains in it; it cannot be
        written.
    """

    def __init__(self, folder, config_text, resume=False):
        self.folder = Path(folder or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
        if not resume and _holds_something(self.folder):
            raise InputError(f"{self.folder} is not empty. Choose another --out, or continue that run with --resume.")
        weakref.finalize(self, os.close, lock_run_folder(self.folder))
        remove_leftovers(self.folder)
        self.metrics = RowTable(self.folder / "metrics.csv")
        self.validations = RowTable(self.folder / "validation.csv")
        # First of all: with it alone the run can be resumed, from its start.
        with new_file(self.folder / "config.yaml") as partial:
            partial.write_text(config_text)
        flush_to_disk(self.folder.parent)
        if folder is None:
            _point_to(Path("runs/latest"), self.folder.name)
        (self.folder / "figures").mkdir(exist_ok=True)

    def keep(self, step):
        """Go on from the rows of the steps up to a checkpoint.

        Parameters
        ----------
        step : int
            That of the checkpoint.
        """
        self.metrics.keep(step)
        self.validations.keep(step)

    def write_json(self, name, content):
        """Write a JSON file into the run folder."""
        with new_file(self.folder / name) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n")


def _holds_something(folder):
    return folder.exists() and any(path.name != LOCK and not is_leftover(path) for path in folder.iterdir())


def _point_to(link, target):
    """Make or move a symbolic link in one step."""
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)
