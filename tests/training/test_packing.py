import json
import shutil

import numpy as np
import pytest

from twincortex.models.command_line import main
from twincortex.models.packed_weights import read_packed, unpack_weights
from twincortex.models.sonata import write_circuit, write_weights

from circuits import small_random_circuit


@pytest.fixture
def circuit():
    return small_random_circuit(seed=3)


@pytest.fixture
def run_folder(circuit, tmp_path):
    """What of a finished run is packed."""
    write_circuit(circuit, tmp_path / "run/circuit")
    edges = circuit.projections["v1_to_v1"]
    factor = np.random.default_rng(1).lognormal(0, 0.3, edges.n_edges)
    write_weights(circuit.with_weights({"v1_to_v1": edges.weight * factor}), tmp_path / "run/weights", "trained")
    command = "python training/train.py --config training/configs/tiny.yaml --config=own/stiff.yaml --out somewhere"
    (tmp_path / "run/environment.json").write_text(json.dumps({"command": command}))
    (tmp_path / "run/config.yaml").write_text("steps: 9\nseed: 5\n")
    (tmp_path / "run/metrics.csv").write_text("step,loss\n1,0.5\n2,0.4\n")
    return tmp_path / "run"


def test_a_run_is_packed_with_how_it_was_trained(command, circuit, run_folder, tmp_path):
    said = command("pack", run_folder, "--out", tmp_path / "column.h5")
    packed = read_packed(tmp_path / "column.h5")
    assert said["bytes"] == (tmp_path / "column.h5").stat().st_size
    assert packed.facts["training"] == {
        "weights_from": "the end of training",
        "config": ["tiny", "stiff"],
        "seed": 5,
        "updates_of_run": 2,
    }
    assert list(unpack_weights(circuit, packed)) == ["v1_to_v1"]  # the others did not change


def test_a_folder_of_weights_is_packed_with_its_circuit(command, run_folder, tmp_path):
    arguments = ["pack", run_folder / "weights", "--circuit", run_folder / "circuit"]
    alone = command(*arguments, "--out", tmp_path / "a.h5")
    of_run = command("pack", run_folder, "--out", tmp_path / "b.h5")
    assert alone["projections"] == of_run["projections"]
    assert alone["training"] == {"weights_from": "weights"}


def test_only_packed_weights_are_replaced_and_only_on_request(command, run_folder, tmp_path, capsys):
    out = tmp_path / "column.h5"
    command("pack", run_folder, "--out", out)
    assert main(["pack", str(run_folder), "--out", str(out)]) == 2
    assert "exists already. Choose another --out, or pass --overwrite" in capsys.readouterr().err
    command("pack", run_folder, "--out", out, "--overwrite")
    out.write_text("notes")
    assert main(["pack", str(run_folder), "--out", str(out), "--overwrite"]) == 2
    assert "holds no packed weights, so it stays untouched" in capsys.readouterr().err
    assert out.read_text() == "notes"


def test_a_circuit_and_an_untrained_run_cannot_be_packed(run_folder, tmp_path, capsys):
    for folder, message in (
        (run_folder / "circuit", "is a circuit. Expected"),
        (run_folder, "neither trained weights"),
    ):
        assert main(["pack", str(folder), "--out", str(tmp_path / "column.h5")]) == 2
        assert message in capsys.readouterr().err
        shutil.rmtree(run_folder / "weights", ignore_errors=True)
    assert not (tmp_path / "column.h5").exists()
