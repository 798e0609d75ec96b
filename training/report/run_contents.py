"""What a run folder holds by now, finished or not."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from twincortex.models.errors import InputError
from twincortex.training.checkpoint_folders import FOLDER as CHECKPOINTS


@dataclass
class RunContents:
    """A run folder as far as it can be read.

    Attributes
    ----------
    folder : Path
    config : dict
    metrics, validation : pandas.DataFrame
        One row per step, and per validation; empty where there is none yet.
    environment, held_out, evaluation, failure : dict
        Empty where they are missing.
    unreadable : list of str
        Files that are there but damaged, and why.
    """

    folder: Path
    config: dict
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    validation: pd.DataFrame = field(default_factory=pd.DataFrame)
    environment: dict = field(default_factory=dict)
    held_out: dict = field(default_factory=dict)
    evaluation: dict = field(default_factory=dict)
    failure: dict = field(default_factory=dict)
    unreadable: list = field(default_factory=list)

    @property
    def steps(self):
        """Steps done."""
        return 0 if self.metrics.empty else int(self.metrics.step.iloc[-1])

    @property
    def checkpoints(self):
        """Names of the checkpoints that are there, oldest first."""
        return sorted(path.name for path in (self.folder / CHECKPOINTS).glob("step_*"))

    @property
    def state(self):
        """``"finished"``, ``"ended early"``, ``"diverged"`` or ``"unfinished"``."""
        weights, metrics = self.folder / "weights", self.folder / "metrics.csv"
        if weights.is_dir() and self.steps >= self.config.get("steps", 0):
            return "finished"
        # Weights that are older than the last step are those of an earlier end, from which the run was continued.
        if weights.is_dir() and metrics.exists() and weights.stat().st_mtime >= metrics.stat().st_mtime:
            return "ended early"
        # A run that was resumed after a failure may have come past it.
        return "diverged" if self.failure.get("step", 0) > self.steps else "unfinished"

    @property
    def figures(self):
        """PNG files of the run, then those of its evaluation."""
        places = (self.folder / "figures", self.folder / "evaluation/figures")
        return [path for place in places for path in sorted(place.glob("*.png"))]


def read_run_contents(folder):
    """Read what is there.

    Parameters
    ----------
    folder : str or Path
        The ``--out`` of training/train.py.

    Returns
    -------
    RunContents

    Raises
    ------
    InputError
        It is not the folder of a run.
    """
    folder = Path(folder)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(
            f"{folder} is not the folder of a run: its config.yaml cannot be read ({error}). Name the --out of "
            "training/train.py."
        ) from error
    if not isinstance(config, dict):
        raise InputError(f"{folder}/config.yaml is no configuration of a run. Name the --out of training/train.py.")
    contents = RunContents(folder, config)
    readers = {
        "metrics": (_read_table, "metrics.csv"),
        "validation": (_read_table, "validation.csv"),
        "environment": (_read_json, "environment.json"),
        "held_out": (_read_json, "held_out.json"),
        "evaluation": (_read_json, "evaluation/evaluation.json"),
        "failure": (_read_json, "failure/failure.json"),
    }
    for name, (read, file) in readers.items():
        if (folder / file).exists():
            try:
                setattr(contents, name, read(folder / file))
            except (OSError, ValueError) as error:
                contents.unreadable.append(f"{file}: {error}")
    return contents


def _read_table(path):
    text = path.read_text()
    # A row that is being written, or was when the machine went down, has no end yet.
    table = pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1]))
    if "step" not in table:
        raise ValueError("there is no column step")
    return table


def _read_json(path):
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    return content
