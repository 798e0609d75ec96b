"""A small circuit, in memory and as a SONATA folder; tests copy the folder before they break it."""

import shutil

import pytest
from circuits import small_random_circuit

from twincortex.models.sonata import write_circuit


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
