"""``twincortex evaluate`` from end to end, in both engines."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from twincortex.models import memory_checks
from twincortex.models.command_line import main
from twincortex.models.errors import InputError, OutOfMemoryError
from twincortex.models.sonata import write_weights
from twincortex.models.surrogate import make_column
from twincortex.training.checkpoints import save_checkpoint
from twincortex.training.evaluation import running
from twincortex.training.evaluation.command import evaluate
from twincortex.training.evaluation.networks import read_networks
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.running import choose_batch, evaluation_memory
from twincortex.training.optimizers import ExponentiatedAdam
from twincortex.training.training_state import TrainingState

SHORT = (
    *("--directions", "4", "--trials", "3", "--settle-ms", "20", "--gray-ms", "300", "--grating-ms", "300"),
    *("--bootstrap", "20"),
)
NUMBERS = (*SHORT, "--no-figures")
VERY_SHORT = (*NUMBERS, "--directions", "3", "--trials", "1")
FIGURES = {"rates_and_selectivity", "tuning_curves", "single_cells", "preferred_directions", "rasters", "fano_curves"}


@pytest.fixture
def evaluation(capsys):
    """Run the command; return its summary, what it wrote as JSON, and what it said."""

    def run(folder, *arguments, options=NUMBERS):
        assert main(["evaluate", str(folder), *options, *map(str, arguments)]) == 0, capsys.readouterr().err
        said = capsys.readouterr()
        summary = json.loads(said.out)
        with open(os.path.join(summary["evaluation"], "evaluation.json")) as file:
            return summary, json.load(file), said.err

    return run


@pytest.fixture
def unfinished_run(circuit_folder, tiny, trained, tmp_path):
    """A run with a checkpoint of the trained weights after 7 updates."""
    shutil.copytree(circuit_folder, tmp_path / "run/circuit")
    column = make_column(trained, "reference", trained=("v1_to_v1",), dtype=torch.float32)
    optimizer = ExponentiatedAdam([column.weights["v1_to_v1"]])
    state = TrainingState(column, optimizer, torch.ones(tiny.n_neurons), step=7)
    save_checkpoint(tmp_path / "run", state, tiny)
    return tmp_path / "run"


@pytest.fixture
def finished_run(circuit_folder, trained, tmp_path):
    shutil.copytree(circuit_folder, tmp_path / "finished/circuit")
    write_weights(trained, tmp_path / "finished/weights", "trained")
    return tmp_path / "finished"


def test_a_circuit_is_evaluated_and_drawn(evaluation, circuit_folder, tiny, tmp_path):
    summary, facts, _ = evaluation(circuit_folder, "--out", tmp_path / "out", options=SHORT)
    assert list(facts["networks"]) == ["circuit"]
    network = facts["networks"]["circuit"]
    assert summary["circuit"]["mean_similarity"]["OSI"] == network["mean_similarity"]["OSI"]["similarity"]
    assert facts["circuit"]["topology_hash"] == tiny.topology_hash
    assert network["weights_hash"] == tiny.weights_hash
    assert facts["protocol"]["directions_deg"] == [0, 90, 180, 270]
    assert {path.stem for path in (tmp_path / "out/figures").iterdir()} == FIGURES
    assert all(path.stat().st_size > 10_000 for path in (tmp_path / "out/figures").iterdir())
    with np.load(tmp_path / "out/responses.npz") as responses:
        assert responses["circuit/grating_counts"].shape == (tiny.n_neurons, 4, 3)
        mean = responses["circuit/grating_counts"].mean() / 0.3
        assert responses["circuit/evoked_rate_Hz"].mean() == pytest.approx(mean, rel=1e-6)  # float32


def test_the_same_seed_reproduces_an_evaluation_and_another_changes_it(evaluation, circuit_folder, tmp_path):
    facts = [
        evaluation(circuit_folder, "--out", tmp_path / name, "--seed", seed, "--batch", batch)[1]["networks"]
        for name, seed, batch in (("a", 1, 3), ("b", 1, 2), ("c", 2, 3))
    ]
    assert facts[0] == facts[1]
    assert facts[0] != facts[2]


def test_a_run_is_evaluated_before_and_after_training(evaluation, finished_run, tiny, trained):
    summary, facts, said = evaluation(finished_run, options=SHORT)
    assert summary["evaluation"] == str(finished_run / "evaluation")
    assert {name: network["weights_hash"] for name, network in facts["networks"].items()} == {
        "untrained": tiny.weights_hash,
        "trained": trained.weights_hash,
    }
    assert "the end of training" in said
    weights = facts["weights"]
    assert summary["weights"]["signs_flipped"] == summary["weights"]["zeros_moved"] == 0
    assert weights["projections"]["v1_to_v1"]["changed"] > 50_000
    assert 0.8 < weights["mean_similarity"] < 1
    assert (finished_run / "evaluation/figures/weights.png").is_file()


def test_an_unfinished_run_is_evaluated_with_its_last_checkpoint(evaluation, unfinished_run, trained):
    _, facts, said = evaluation(unfinished_run)
    assert "last checkpoint, update 7" in said
    assert facts["weights_from"] == "last checkpoint, update 7"
    assert facts["networks"]["trained"]["weights_hash"] == trained.weights_hash


def test_what_was_measured_in_the_same_way_is_used_again(evaluation, unfinished_run, trained):
    _, first, _ = evaluation(unfinished_run, options=VERY_SHORT)
    write_weights(trained.with_weights({"v1_to_v1": trained.projections["v1_to_v1"].weight * 0.9}),
                  unfinished_run / "weights", "trained")  # fmt: skip
    _, second, said = evaluation(unfinished_run, "--overwrite", options=VERY_SHORT)
    assert "untrained: measured before" in said
    assert "\ntrained: measured before" not in said
    assert first["networks"]["untrained"] == second["networks"]["untrained"]
    assert first["networks"]["trained"] != second["networks"]["trained"]
    assert "measured before" not in evaluation(unfinished_run, "--overwrite", "--seed", 9, options=VERY_SHORT)[2]


def test_two_engines_give_the_same_table(evaluation, circuit_folder, tmp_path):
    tables = [
        evaluation(circuit_folder, "--out", tmp_path / engine, "--engine", engine, options=VERY_SHORT)[1]["networks"]
        for engine in ("torch", "torch-reference", "brian")
    ]
    assert tables[0] == tables[1] == tables[2]
    assert tables[0]["circuit"]["mean_rate_of_core"]["evoked_rate_Hz"] > 0.5


@pytest.mark.slow
def test_compiled_cpp_gives_the_same_table_and_is_compiled_once(evaluation, finished_run, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_STANDALONE", str(tmp_path / "standalone"))
    in_torch = evaluation(finished_run, "--out", tmp_path / "torch")[1]
    in_brian = evaluation(finished_run, "--out", tmp_path / "cpp", "--engine", "brian-cpp")[1]
    assert in_torch["networks"] == in_brian["networks"]
    assert len([path for path in (tmp_path / "standalone").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--engine", "brain"], "did you mean 'brian'"),
        (["--engine", "nest"], "cannot evaluate"),
        (["--batch", "0"], "--batch 0: expected 1"),
        (["--bootstrap", "-1"], "--bootstrap -1"),
        (["--trials", "0"], "n_trials 0"),
        (["--radius-um", "0"], "radius 0 um"),
        (["--checkpoint", "last"], "has no checkpoints"),
        ([], "--out is missing"),
        (["--radius", "3"], "did you mean '--radius-um'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(circuit_folder, tmp_path, arguments, complaint):
    out = ["--out", str(tmp_path / "out")] if arguments else []
    with pytest.raises(InputError, match=complaint):
        evaluate([str(circuit_folder), *SHORT, *out, *arguments])
    assert not (tmp_path / "out").exists()


def test_folders_that_are_neither_circuit_nor_run_are_refused(circuit_folder, tmp_path):
    with pytest.raises(InputError, match="neither a circuit"):
        read_networks(tmp_path)
    shutil.copytree(circuit_folder, tmp_path / "circuit")
    with pytest.raises(InputError, match="neither trained weights nor a last checkpoint"):
        read_networks(tmp_path)


def test_an_earlier_evaluation_is_not_replaced_unless_asked(circuit_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/evaluation.json").write_text("{}")
    with pytest.raises(InputError, match="exists already"):
        evaluate([str(circuit_folder), *SHORT, "--out", str(tmp_path / "out")])


def test_an_evaluation_that_does_not_fit_is_refused_and_fewer_trials_at_once_are_chosen(tiny, monkeypatch):
    protocol = EvaluationProtocol()
    need = [evaluation_memory("torch", tiny, protocol, 1, batch) for batch in range(1, 11)]
    assert all(np.diff(need) > 0)
    monkeypatch.setattr(running, "available_memory", lambda: need[3] + 1)
    assert choose_batch("torch", tiny, protocol) == 4
    assert choose_batch("brian-cpp", tiny, protocol, asked=5) == 1
    monkeypatch.setattr(memory_checks, "available_memory", lambda: need[0] - 1)
    with pytest.raises(OutOfMemoryError, match="Choose a smaller --batch"):
        choose_batch("torch", tiny, protocol)
    assert choose_batch("torch", tiny, protocol, asked=3, ignore_forecast=True) == 3
