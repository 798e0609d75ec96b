"""import, check and import-spikes, from the command line."""

import json

import h5py
import numpy as np
import pytest

from twincortex.models.command_line import main
from twincortex.models.sonata import read_circuit
from twincortex.models.spikes import SpikeTrains, write_spikes

from foreign_circuits import write_foreign_circuit


@pytest.fixture
def theirs(tmp_path):
    return str(write_foreign_circuit(tmp_path / "theirs"))


@pytest.fixture
def ours(theirs, tmp_path, capsys):
    assert main(["import", theirs, "--out", str(tmp_path / "ours")]) == 0
    capsys.readouterr()
    return str(tmp_path / "ours")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else None, captured.err


def test_an_imported_circuit_is_ours_and_carries_its_report(theirs, tmp_path, capsys):
    code, printed, _ = run(capsys, "import", theirs, "--out", tmp_path / "ours", "--dt", 1.0)
    assert code == 0
    report = json.loads((tmp_path / "ours" / "import_report.json").read_text())
    assert {"circuit": str(tmp_path / "ours"), **report} == printed
    assert report["projections"]["v1_to_v1"]["rounded"]["delay_to_steps"]["dt"] == 1.0
    back, straight = read_circuit(tmp_path / "ours"), read_circuit(theirs)
    assert (back.topology_hash, back.weights_hash) == (straight.topology_hash, straight.weights_hash)


def test_a_circuit_that_is_refused_leaves_nothing_behind(theirs, tmp_path, capsys):
    (tmp_path / "theirs" / "parts" / "cells" / "iaf.json").unlink()
    code, _, error = run(capsys, "import", theirs, "--out", tmp_path / "ours")
    assert code == 2
    assert "iaf.json does not exist" in error
    assert [entry.name for entry in tmp_path.iterdir()] == ["theirs"]


def test_components_outside_the_folder_need_a_root(theirs, tmp_path, capsys):
    (tmp_path / "theirs" / "parts").rename(tmp_path / "parts")
    configuration = tmp_path / "theirs" / "config.circuit.json"
    configuration.write_text(configuration.read_text().replace("${BASE}/parts", "${BASE}/../parts"))
    assert run(capsys, "check", theirs)[0] == 2
    code, printed, _ = run(capsys, "check", theirs, "--root", tmp_path)
    assert (code, printed["fatal"]) == (0, 0)


def test_check_lists_what_is_wrong_and_says_so_by_its_exit_code(theirs, tmp_path, capsys):
    with h5py.File(tmp_path / "theirs" / "net" / "l4_l4_edges.h5", "r+") as file:
        file["edges/l4_to_l4/source_node_id"][2] = 9
    code, printed, _ = run(capsys, "check", theirs)
    assert (code, printed["fatal"]) == (2, 1)
    (fatal,) = [finding for finding in printed["findings"] if finding["severity"] == "fatal"]
    assert fatal["file"].endswith("l4_l4_edges.h5")
    assert (fatal["dataset"], fatal["index"]) == ("/edges/l4_to_l4/source_node_id", [2])


@pytest.mark.parametrize("option", ["--dt", "--delay-resolution-ms"])
def test_a_step_that_is_none_is_refused(theirs, tmp_path, capsys, option):
    code, _, error = run(capsys, "import", theirs, "--out", tmp_path / "ours", option, 0)
    assert code == 2
    assert "expected a positive number" in error


def thalamic_spikes(path):
    with h5py.File(path, "w") as file:
        file["spikes/thala mus/timestamps"] = np.array([0.030, 0.010, 0.020])
        file["spikes/thala mus/timestamps"].attrs["units"] = "s"
        file["spikes/thala mus/node_ids"] = np.array([3, 1, 0])
    return path


def test_spikes_of_others_become_an_input_that_runs(ours, tmp_path, capsys):
    write_spikes(tmp_path / "noise.h5", SpikeTrains("whatever", 2, [5.0], [1]))
    spikes = [f"thala_mus={thalamic_spikes(tmp_path / 't.h5')}", f"noise={tmp_path / 'noise.h5'}"]
    code, printed, _ = run(
        capsys, "import-spikes", ours, "--spikes", *spikes, "--duration", 50, "--out", tmp_path / "inputs"
    )
    assert code == 0
    assert printed["spikes"] == {"thala_mus": 3, "noise": 1}
    arguments = ["--engine", "torch", "--inputs", tmp_path / "inputs", "--out", tmp_path / "recording"]
    assert run(capsys, "simulate", ours, *arguments)[0] == 0


def test_a_source_without_spikes_is_silent_and_said_so(ours, tmp_path, capsys):
    spikes = f"thala_mus={thalamic_spikes(tmp_path / 't.h5')}"
    code, printed, _ = run(
        capsys, "import-spikes", ours, "--spikes", spikes, "--duration", 50, "--out", tmp_path / "inputs"
    )
    assert (code, printed["silent_sources"]) == (0, ["noise"])
    assert sorted(entry.name for entry in (tmp_path / "inputs").iterdir()) == ["stimulus.json", "thala_mus_spikes.h5"]


@pytest.mark.parametrize(
    ("spikes", "duration", "message"),
    [
        ("thalamus=t.h5", 50, "expected SOURCE=FILE; did you mean 'thala_mus'"),
        ("t.h5", 50, "expected SOURCE=FILE"),
        ("thala_mus=none.h5", 50, "none.h5 does not exist"),
        ("noise=t.h5", 50, "of 3 have an id out of range"),
        ("thala_mus=t.h5", 25, "1 of 3 lie outside the run"),
    ],
)
def test_spikes_that_do_not_fit_are_refused(ours, tmp_path, capsys, monkeypatch, spikes, duration, message):
    thalamic_spikes(tmp_path / "t.h5")
    monkeypatch.chdir(tmp_path)
    code, _, error = run(
        capsys, "import-spikes", ours, "--spikes", spikes, "--duration", duration, "--out", tmp_path / "inputs"
    )
    assert code == 2
    assert message in error


def test_spikes_of_the_older_layout_are_read(ours, tmp_path, capsys):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["spikes/timestamps"], file["spikes/gids"] = np.array([3.0, 1.0]), np.array([1, 0])
    code, printed, _ = run(
        capsys,
        "import-spikes",
        ours,
        "--spikes",
        f"noise={tmp_path / 'old.h5'}",
        "--duration",
        9,
        "--out",
        tmp_path / "i",
    )
    assert (code, printed["spikes"]) == (0, {"noise": 2})


def test_a_circuit_without_lgn_cannot_be_shown_a_movie(ours, tmp_path, capsys):
    code, _, error = run(capsys, "stimulate", ours, "--out", tmp_path / "inputs")
    assert code == 2
    assert "input from thala_mus, noise; a movie can drive an lgn" in error
    assert "import-spikes" in error
