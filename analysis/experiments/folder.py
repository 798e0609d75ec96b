"""The folder of an experiment: what it was made with, its parts, and its result."""

import json
import shutil
from pathlib import Path

from twincortex.analysis.experiments.parts import FOLDER, Parts
from twincortex.analysis.experiments.results import gather, write_experiment
from twincortex.models.atomic_output import is_leftover, new_file, remove_leftovers
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.package_versions import versions

MARKER = "experiment.json"


def settings_of(protocol, experiment, subject, simulation):
    """All that decides the result, ready for JSON.

    Parameters
    ----------
    protocol : dataclass
    experiment : Experiment
    subject : Subject
    simulation : Simulation

    Returns
    -------
    dict
    """
    return {
        "experiment": experiment.name,
        "protocol": {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(protocol).items()
        },
        "engine": simulation.engine,
        "precision": simulation.precision,
        "dt_ms": simulation.dt,
        "radius_um": subject.radius_um,
        "weights": subject.weights,
        "topology_hash": subject.circuit.topology_hash,
        "weights_hash": subject.circuit.weights_hash,
        "declaration": experiment.digest(),
        "versions": versions(),
    }


class ExperimentFolder:
    """Folder of an experiment.

    Parameters
    ----------
    path : str or Path
    experiment : Experiment
    settings : dict
        Of `settings_of`.

    Attributes
    ----------
    parts : Parts
    result : Path
    """

    def __init__(self, path, experiment, settings):
        self.path = Path(path)
        self.experiment, self.settings = experiment, settings
        self.parts = Parts(self.path, settings)
        self.result = self.path / f"{experiment.name}.nc"

    def open(self, overwrite=False):
        """Take the folder, new or of the same experiment.

        Parameters
        ----------
        overwrite : bool
            Remove an experiment of other settings.

        Raises
        ------
        InputError
            It holds an experiment of other settings, or something else.
        """
        marker = self.path / MARKER
        if self.path.exists() and not marker.is_file() and not all(map(is_leftover, self.path.iterdir())):
            raise InputError(f"{self.path} exists and holds no {MARKER}, so it is no experiment. Choose another --out.")
        different = self._different(marker) if marker.is_file() else []
        if different and not overwrite:
            raise InputError(
                f"{self.path} holds an experiment with other settings: {first_offenders(different)}. Choose another "
                "--out, run it with the same settings, or pass --overwrite to replace it."
            )
        if different:
            shutil.rmtree(self.path)
        if not marker.is_file():
            with new_file(marker) as partial:
                partial.write_text(json.dumps(self.settings, indent=1) + "\n")

    def _different(self, marker):
        try:
            there = _flat(json.loads(marker.read_text()))
        except ValueError as error:
            raise InputError(f"{marker} is damaged ({error}). Remove {self.path}, or pass another --out.") from error
        here = _flat(json.loads(json.dumps(self.settings)))
        names = [name for name in here | there if here.get(name) != there.get(name)]
        if names != ["declaration"]:
            names = [name for name in names if name != "declaration"]  # what differs says why
        return [f"{name} ({_short(there.get(name))} there, {_short(here.get(name))} now)" for name in names]

    def finish(self, subject):
        """Gather the parts, write the result, and remove the parts.

        Parameters
        ----------
        subject : Subject
        """
        dataset = gather(self.experiment, self.parts, subject, self._attributes(subject.circuit))
        write_experiment(self.result, dataset)
        self.tidy_up()

    def tidy_up(self):
        """Remove the parts of a result that is there, and what killed processes left."""
        shutil.rmtree(self.path / FOLDER, ignore_errors=True)
        remove_leftovers(self.path)

    def _attributes(self, circuit):
        return {
            "Conventions": "CF-1.11",
            "title": f"twincortex experiment: {self.experiment.name}",
            "experiment": self.experiment.name,
            "engine": self.settings["engine"],
            "seed": self.settings["protocol"]["seed"],
            "topology_hash": circuit.topology_hash,
            "weights_hash": circuit.weights_hash,
            "twincortex_version": self.settings["versions"]["twincortex"],
            "provenance": json.dumps({**self.settings, "circuit": circuit.provenance}, sort_keys=True),
        }


def _flat(content, prefix=""):
    """Nested dicts as one, with names such as protocol.trials."""
    flat = {}
    for name, value in content.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
