"""NEST where it is installed: on Linux, from PyPI."""

import importlib.util

import pytest

from twincortex.models.command_line import main
from twincortex.models.sonata import write_circuit


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("nest") is None:
        for item in items:
            if "models/nest" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason="NEST is not installed; on PyPI it is for Linux only"))


@pytest.fixture(scope="session")
def tiny_folders(tiny, tmp_path_factory):
    """The column of size tiny as a SONATA folder, and 500 ms of a grating for it."""
    folder = tmp_path_factory.mktemp("tiny")
    write_circuit(tiny, folder / "circuit")
    grating = ["--direction", "45", "--duration", "500", "--seed", "3"]
    assert main(["stimulate", str(folder / "circuit"), *grating, "--out", str(folder / "inputs")]) == 0
    return folder / "circuit", folder / "inputs"
