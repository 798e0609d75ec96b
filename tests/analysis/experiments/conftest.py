import json

import pytest

from twincortex.analysis.experiments.command import experiment
from twincortex.analysis.experiments.results import read_experiment
from twincortex.models.sonata import write_circuit

from circuits import small_random_circuit


@pytest.fixture(scope="session")
def circuit():
    """60 neurons with 40 LGN units: rates of a thousand times as many take most of the time of a test."""
    return small_random_circuit(seed=3, n=60, n_lgn=40)


@pytest.fixture(scope="session")
def circuit_folder(circuit, tmp_path_factory):
    """The same as SONATA."""
    folder = tmp_path_factory.mktemp("experiments") / "circuit"
    write_circuit(circuit, folder)
    return folder


@pytest.fixture
def run(circuit_folder, tmp_path, capsys):
    """Run the command; returns the result and the path of its file."""

    def run(name, *options, out="out", engine="torch"):
        arguments = [name, circuit_folder, "--engine", engine, "--out", tmp_path / out, *options]
        experiment([str(argument) for argument in arguments])
        summary = json.loads(capsys.readouterr().out)
        return read_experiment(tmp_path / out), tmp_path / out / summary["result"].rpartition("/")[2]

    return run
