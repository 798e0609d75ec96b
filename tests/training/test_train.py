"""The command: it learns, resumes, ends when asked to, and a second engine re-runs the weights it found."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from twincortex.models.column import build_column
from twincortex.models.errors import DivergedError, InputError
from twincortex.models.sonata import read_circuit, read_weights
from twincortex.training.checkpoints import read_last_checkpoint
from twincortex.training.config_reading import read_config
from twincortex.training.held_out import check_second_engine
from twincortex.training.loop import Trainer, start_training
from twincortex.training.train import main

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = str(REPOSITORY / "training/configs/tiny.yaml")


# A second per update; nothing to compile.
SHORT = [
    *("--set", "circuit.size=tiny", "--set", "protocol.batch=1", "--set", "protocol.settle_ms=40"),
    *("--set", "protocol.evoked_ms=60", "--set", "protocol.spontaneous_ms=60", "--set", "protocol.settle_every=3"),
    *("--set", "validation.engine=torch", "--set", "validation.directions=[22.5]", "--set", "validation.gray_ms=20"),
    *("--set", "validation.grating_ms=40"),
]


def start(folder, *arguments):
    command = [sys.executable, "training/train.py", *arguments]
    environment = os.environ | {"TWINCORTEX_STANDALONE": str(folder / "standalone"), "PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, **pipes)


def train(folder, *arguments):
    process = start(folder, *arguments)
    output, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]
    return json.loads(output.splitlines()[-1])


def steps_of(run_folder):
    with (run_folder / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training of ``tiny``, from the command line, tested in brian-cpp."""
    folder = tmp_path_factory.mktemp("train")
    return folder / "run", train(folder, "--config", TINY, "--out", str(folder / "run"), "--steps", "2")


def train_here(capsys, *arguments):
    main(list(arguments))
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_a_resumed_run_is_the_run_that_was_never_ended(tmp_path, capsys):
    whole = train_here(capsys, *SHORT, "--steps", "4", "--out", str(tmp_path / "whole"))
    train_here(capsys, *SHORT, "--steps", "2", "--out", str(tmp_path / "ended"))
    resumed = train_here(capsys, "--resume", str(tmp_path / "ended"), "--steps", "4")
    for name in ("steps", "loss_first", "loss_last", "losses", "weights_sha256"):
        assert resumed[name] == whole[name]
    assert steps_of(tmp_path / "ended") == [1, 2, 3, 4]
    assert (tmp_path / "ended/config.yaml").read_text() == (tmp_path / "whole/config.yaml").read_text()
    with pytest.raises(InputError, match="has done 4 already"):
        main(["--resume", str(tmp_path / "ended"), "--steps", "3"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_with_a_checkpoint_and_exit_code_130(tmp_path, number):
    folder = tmp_path / "run"
    process = start(tmp_path, *SHORT, "--steps", "1000", "--out", str(folder))
    while process.poll() is None and not (folder / "metrics.csv").exists():
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    step = steps_of(folder)[-1]
    said = f"train.py: interrupted; checkpoint of step {step} written; continue with --resume {folder}."
    assert errors.splitlines()[-1] == said
    assert "Traceback" not in errors
    assert read_last_checkpoint(folder).step == step


def test_divergence_keeps_what_is_needed_to_look_into_it_and_makes_no_checkpoint(tmp_path):
    arguments = [*SHORT, "--set", "losses.rate.cost=.inf", "--out", str(tmp_path / "run")]
    with pytest.raises(DivergedError, match=r"step 1: not finite: loss.*weights of step 0 are kept.*Inputs and state"):
        main(arguments)
    assert json.loads((tmp_path / "run/failure/failure.json").read_text())["step"] == 1
    assert read_last_checkpoint(tmp_path / "run") is None


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_before_its_folder_is_touched(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 4\n")
    (tmp_path / "checkpoints/step_000001").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no whole checkpoint: 'step_000001': .*manifest.json"):
        main(["--resume", str(tmp_path), "--steps", "9"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == "steps: 4\n"


@pytest.mark.slow
def test_the_loss_falls_in_the_smallest_configuration():
    config, *_ = read_config(["--config", TINY])
    circuit = build_column(config.circuit.size, seed=config.circuit.seed)
    trainer = Trainer(circuit, config, start_training(circuit, config))
    losses = [trainer.update()["loss"] for _ in range(config.steps)]
    # Directions differ from update to update; the means over three scatter by about 10 %.
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


def test_a_second_engine_that_does_not_exist_is_refused_before_training():
    with pytest.raises(InputError, match="did you mean 'brian-cpp'"):
        check_second_engine("brian-cp")


def test_a_second_engine_without_its_compiler_is_refused_before_training(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match=r"validation.engine brian-cpp: missing: a C\+\+ compiler"):
        check_second_engine("brian-cpp")


@pytest.mark.slow
@pytest.mark.xdist_group("run of tiny")
def test_the_run_folder_holds_everything_that_is_needed_to_read_it(run):
    folder, summary = run
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.yaml", "environment.json", "metrics.csv", "checkpoints", "circuit", "weights", "figures"}
    assert (folder / "figures/training.png").stat().st_size > 20_000
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + summary["steps"] == 3
    assert len(summary["weights_sha256"]) == 64


@pytest.mark.slow
@pytest.mark.xdist_group("run of tiny")
def test_trained_weights_give_the_same_spikes_in_brian_without_recompiling(run):
    folder, summary = run
    held_out = json.loads((folder / "held_out.json").read_text())
    assert summary["mismatched_spikes"] == held_out["mismatched"] == 0
    assert held_out["spikes"][0] == held_out["spikes"][1] > 100
    assert held_out["max_dv_mV"] <= 1e-9
    # One project served the untrained and the trained weights and both directions.
    assert len(list((folder.parent / "standalone").glob("cpp_*/main"))) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("run of tiny")
def test_trained_weights_come_back_from_their_sonata_files(run):
    folder, _ = run
    circuit = read_circuit(folder / "circuit")
    weights = read_weights(circuit, folder / "weights", "trained")
    assert (weights["v1_to_v1"] != circuit.projections["v1_to_v1"].weight).any()
    assert circuit.with_weights(weights).topology_hash == circuit.topology_hash


@pytest.mark.parametrize("option", ["circuit.size=tinny", "optimization.optimizer=adm", "circuit.folder=nowhere"])
def test_a_run_that_cannot_start_leaves_no_folder(option, tmp_path):
    with pytest.raises(InputError):
        main(["--config", TINY, "--out", str(tmp_path / "run"), *SHORT, "--set", option])
    assert not (tmp_path / "run").exists()
