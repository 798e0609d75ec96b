import json

import pytest

from twincortex.models import doctor as doctor_module
from twincortex.models import toolchain
from twincortex.models.command_line import main
from twincortex.models.doctor import examine_machine
from twincortex.models.toolchain import find_compiler, find_nvcc, run_quietly

A_MACHINE = {
    "find_compiler": "/usr/bin/g++",
    "find_nvcc": "/usr/bin/nvcc",
    "find_curand": "/usr",
    "list_gpus": ["NVIDIA H200"],
    "find_nest": {"version": "3.10.0", "mpi": True},
    "find_mpi_launcher": "/usr/bin/mpirun",
}


def pretend(monkeypatch, **others):
    for name, found in (A_MACHINE | others).items():
        for module in (doctor_module, toolchain):
            monkeypatch.setattr(module, name, lambda found=found: found)


@pytest.mark.parametrize(
    ("machine", "engine", "verdict"),
    [
        ({}, "brian-cuda", "ready"),
        ({"list_gpus": []}, "brian-cuda", "compiles, but cannot run: no NVIDIA GPU"),
        ({"find_nvcc": None}, "brian-cuda", "missing: nvcc (the CUDA toolkit; or set CUDA_HOME)"),
        ({"find_curand": None}, "brian-cuda", "missing: cuRAND (pip install nvidia-curand)"),
        ({}, "brian-cpp", "ready"),
        ({"find_compiler": None}, "brian", "ready (slow: no compiler)"),
        ({}, "nest", "ready (threads and MPI)"),
        ({"find_mpi_launcher": None}, "nest", "ready (threads; no mpirun to use its MPI with)"),
        ({"find_nest": {"version": "3.10.0", "mpi": False}}, "nest", "ready (threads; built without MPI)"),
        ({"find_nest": None}, "nest", "missing: NEST (pip install 'twincortex[nest]')"),
    ],
)
def test_the_verdict_names_what_is_missing(monkeypatch, machine, engine, verdict):
    pretend(monkeypatch, **machine)
    monkeypatch.setattr(doctor_module, "_version", lambda package: "1.0")
    assert examine_machine()["verdict"][engine] == verdict


def test_the_version_of_nest_is_its_own_word(monkeypatch):
    pretend(monkeypatch)
    assert examine_machine()["versions"]["nest"] == "3.10.0"


def test_a_missing_package_comes_with_the_command_that_installs_it(monkeypatch):
    pretend(monkeypatch)
    monkeypatch.setattr(doctor_module, "_version", lambda package: None if package == "brian2cuda" else "1.0")
    assert examine_machine()["verdict"]["brian-cuda"] == "missing: brian2cuda (pip install brian2cuda)"


def test_doctor_prints_a_table_or_json(capsys):
    assert main(["doctor"]) == 0
    assert "verdict\n  torch" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["versions"]["twincortex"]


def test_the_user_chooses_the_compiler(monkeypatch, tmp_path):
    for name in ("my-g++", "bin/nvcc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "my-g++"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert find_compiler() == str(tmp_path / "my-g++")
    assert find_nvcc() == str(tmp_path / "bin" / "nvcc")


def test_a_program_that_is_missing_or_fails_says_nothing():
    assert run_quietly("no-such-program") == ""
    assert run_quietly("false") == ""
