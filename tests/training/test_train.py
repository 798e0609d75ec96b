"""The command: configuration, run folder, and the weights it found re-run by a second engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit
from twincortex.models.sonata_weights import read_weights
from twincortex.training.config import TrainingConfig, read_config
from twincortex.training.run_record import RunRecord

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = str(REPOSITORY / "training/configs/tiny.yaml")


def test_overrides_win_over_the_file_and_the_file_over_the_defaults():
    config, out, resume, text = read_config(
        ["--config", TINY, "--set", "protocol.batch=3", "--steps", "7", "--out", "x"]
    )
    assert (config.steps, config.protocol.batch, config.protocol.evoked_ms) == (7, 3, 200.0)
    assert config.gradient == TrainingConfig().gradient
    assert (out, resume) == ("x", None)
    assert "batch: 3" in text


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "training/configs").glob("*.yaml")))
def test_every_configuration_is_readable(name):
    config, *_ = read_config(["--config", str(REPOSITORY / f"training/configs/{name}.yaml")])
    assert config.steps > 0


def test_an_unknown_key_ends_with_exit_code_2(capsys):
    with pytest.raises(SystemExit) as end:
        read_config(["--set", "protocol.bach=3"])
    assert end.value.code == 2
    assert "bach" in capsys.readouterr().err


def test_a_run_folder_is_never_written_over(tmp_path):
    RunRecord(tmp_path / "run", "steps: 1\n")
    with pytest.raises(InputError, match="not empty"):
        RunRecord(tmp_path / "run", "steps: 1\n")


def test_without_a_folder_the_run_is_named_by_time_and_latest_points_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = RunRecord(None, "steps: 1\n")
    assert (tmp_path / "runs/latest").resolve() == record.folder.resolve()
    assert (tmp_path / "runs/latest/config.yaml").read_text() == "steps: 1\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training of ``tiny``, from the command line, tested in brian-cpp."""
    folder = tmp_path_factory.mktemp("train")
    command = [sys.executable, "training/train.py", "--config", TINY, "--out", str(folder / "run"), "--steps", "2"]
    environment = os.environ | {"TWINCORTEX_STANDALONE": str(folder / "standalone"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "run", json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_run_folder_holds_everything_that_is_needed_to_read_it(run):
    folder, summary = run
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.yaml", "environment.json", "metrics.csv", "checkpoints", "circuit", "weights", "figures"}
    assert (folder / "figures/training.png").stat().st_size > 20_000
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + summary["steps"] == 3
    assert len(summary["weights_sha256"]) == 64


@pytest.mark.slow
def test_trained_weights_give_the_same_spikes_in_brian_without_recompiling(run):
    folder, summary = run
    held_out = json.loads((folder / "held_out.json").read_text())
    assert summary["mismatched_spikes"] == held_out["mismatched"] == 0
    assert held_out["spikes"][0] == held_out["spikes"][1] > 100
    assert held_out["max_dv_mV"] <= 1e-9
    # One project served the untrained and the trained weights and both directions.
    assert len(list((folder.parent / "standalone").glob("cpp_*/main"))) == 1


@pytest.mark.slow
def test_trained_weights_come_back_from_their_sonata_files(run):
    folder, _ = run
    circuit = read_circuit(folder / "circuit")
    weights = read_weights(circuit, folder / "weights", "trained")
    assert (weights["v1_to_v1"] != circuit.projections["v1_to_v1"].weight).any()
    assert circuit.with_weights(weights).topology_hash == circuit.topology_hash
