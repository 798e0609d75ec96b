"""environment.json: what is needed to make a run again, without the name of the machine."""

import json
import platform
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

from twincortex.training.environment import describe_environment, describe_source, record_environment

from circuits import small_random_circuit


def test_it_names_command_versions_processor_and_circuit():
    circuit = small_random_circuit(seed=3)
    described = describe_environment(circuit)
    assert shlex.split(described["command"]) == sys.orig_argv
    assert described["versions"]["twincortex"]
    assert described["machine"]["processor"]
    assert described["threads"]["torch"] >= 1
    assert described["circuit"]["topology_hash"] == circuit.topology_hash
    assert described["circuit"]["weights_hash"] == circuit.weights_hash


def test_it_does_not_name_the_machine(monkeypatch):
    for module, function in ((platform, "node"), (socket, "gethostname")):
        monkeypatch.setattr(module, function, lambda: "name-of-this-machine")
    assert "name-of-this-machine" not in json.dumps(describe_environment())


@pytest.mark.skipif(not shutil.which("git"), reason="git is missing")
def test_a_file_is_named_by_its_commit_and_one_that_git_does_not_know_by_nothing(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    known, unknown = tmp_path / "known.py", tmp_path / "unknown.py"
    known.write_text("a = 1")
    unknown.write_text("b = 1")
    for command in (["init", "-q"], ["add", "known.py"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert describe_source(known) == {"commit": head, "changed_files": 0}
    known.write_text("a = 2")
    assert describe_source(known) == {"commit": head, "changed_files": 1}
    assert describe_source(unknown) is None


def test_a_resumed_run_tells_what_is_different_since(tmp_path, monkeypatch):
    circuit = small_random_circuit(seed=3)
    record_environment(tmp_path, circuit)
    first = json.loads((tmp_path / "environment.json").read_text())
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    for _ in range(2):
        record_environment(tmp_path, circuit)
    now = json.loads((tmp_path / "environment.json").read_text())
    resumed = now.pop("resumed")
    assert now == first
    assert [change["threads"]["OMP_NUM_THREADS"] for change in resumed] == ["17", "17"]
    assert not {"versions", "circuit", "machine"} & resumed[0].keys()
