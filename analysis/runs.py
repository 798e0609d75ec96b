"""Read a run folder: the column before and after training, and how it was trained."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit, read_weights

PARTS = ("circuit", "weights", "config.yaml", "metrics.csv")


@dataclass(frozen=True)
class TrainingRun:
    """A finished training run.

    Attributes
    ----------
    folder : Path
    before, after : Circuit
        The same column with its first and with its last weights.
    config : dict
        config.yaml.
    metrics : pandas.DataFrame
        One row per update.
    """

    folder: Path
    before: Circuit
    after: Circuit
    config: dict
    metrics: pd.DataFrame

    @property
    def description(self):
        """Size, number of neurons, updates and seeds, as figure captions state them."""
        made = self.before.provenance
        return (
            f"{made.get('size')} column, {self.before.n_neurons:,} neurons, circuit seed {made.get('seed')}; "
            f"{len(self.metrics)} updates, training seed {self.config.get('seed')}"
        )


def read_run(folder):
    """Read what `training/train.py` wrote.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    TrainingRun

    Raises
    ------
    InputError
        A part is missing or damaged, or the weights belong to another circuit.
    """
    folder = Path(folder)
    missing = [name for name in PARTS if not (folder / name).exists()]
    if missing:
        raise InputError(
            f"{folder} is not the folder of a finished run: it holds no {', '.join(missing)}. "
            "Name the --out of training/train.py, after training has ended."
        )
    before = read_circuit(folder / "circuit")
    after = before.with_weights(read_weights(before, folder / "weights", "trained"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return TrainingRun(folder, before, after, config, pd.read_csv(folder / "metrics.csv"))
