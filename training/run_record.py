"""The run folder: configuration, environment, one row of metrics per update."""

import csv
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from twincortex.models.errors import InputError

PACKAGES = ("twincortex", "torch", "brian2", "numpy", "scipy", "sympy", "numba", "h5py")


class RunRecord:
    """Writes what happens in a run.

    Parameters
    ----------
    folder : str, Path or None
        New, or an earlier run that is resumed; None makes ``runs/<date and time>`` and points ``runs/latest`` to it.
    config_text : str
        The whole configuration as YAML.
    resume : bool

    Raises
    ------
    InputError
        The folder exists and holds something, and the run does not resume.
    """

    def __init__(self, folder, config_text, resume=False):
        self.folder = Path(folder or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
        if not resume and self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} is not empty. Choose another --out, or continue that run with --resume.")
        (self.folder / "figures").mkdir(parents=True, exist_ok=True)
        self._metrics = self.folder / "metrics.csv"
        if folder is None:
            _point_to(Path("runs/latest"), self.folder.name)
        if not resume:
            (self.folder / "config.yaml").write_text(config_text)
            self.write_json("environment.json", _environment())

    def add(self, metrics):
        """Append one row to metrics.csv; the first row decides the columns.

        Parameters
        ----------
        metrics : dict of str -> number
        """
        is_new = not self._metrics.exists()
        with self._metrics.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(metrics))
            if is_new:
                writer.writeheader()
            writer.writerow(metrics)
            file.flush()
            os.fsync(file.fileno())

    def write_json(self, name, content):
        """Write a JSON file into the run folder."""
        (self.folder / name).write_text(json.dumps(content, indent=2) + "\n")


def _point_to(link, target):
    """Make or move a symbolic link in one step."""
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)


def _environment():
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {name: version(name) for name in PACKAGES},
    }
