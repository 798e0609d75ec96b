"""A small circuit, in memory and as a SONATA folder; tests copy the folder before they break it."""

import shutil

import pytest

from twincortex.models.inputs import write_inputs
from twincortex.models.sonata import write_circuit

from circuits import small_random_circuit, small_random_inputs


@pytest.fixture(scope="session")
def circuit():
    return small_random_circuit(seed=3)


@pytest.fixture(scope="session")
def written_circuit(circuit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("circuits") / "random"
    write_circuit(circuit, folder)
    return folder


@pytest.fixture
def circuit_folder(written_circuit, tmp_path):
    return shutil.copytree(written_circuit, tmp_path / "circuit")


@pytest.fixture(scope="session")
def input_folder(circuit, tmp_path_factory):
    """100 ms of input for the circuit."""
    folder = tmp_path_factory.mktemp("inputs") / "random"
    facts = {"duration": 100.0, "dt": 1.0, "topology_hash": circuit.topology_hash}
    write_inputs(folder, small_random_inputs(1, circuit, 100.0), facts)
    return folder
