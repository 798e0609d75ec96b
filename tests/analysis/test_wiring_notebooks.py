"""The notebooks wiring_rules, predictions and equivalence on a small run, and the networks that they read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError

from twincortex.analysis.responses import read_grating_responses, responses_of_experiment
from twincortex.analysis.wired_networks import read_wired_networks
from twincortex.models.errors import InputError

from circuits import small_random_circuit
from fabricated_runs import N_DIRECTIONS, N_TRIALS, SEED, execute_notebook, figures_of, tuned, write_run

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


@pytest.fixture(scope="module")
def circuit():
    return small_random_circuit(seed=1, n=400, in_degree=60)


@pytest.fixture(scope="module")
def run_folder(circuit, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", circuit, tuned(circuit, noise=0.05))


def test_wiring_rules_runs_and_ends_on_its_headline(run_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_UNCONSTRAINED_RUN", str(run_folder))
    notebook = execute_notebook("wiring_rules.ipynb", run_folder, tmp_path, monkeypatch)
    assert "no sign flipped" in notebook.cells[-1].outputs[0].data["text/plain"]
    assert figures_of(notebook) == 8


def test_wiring_rules_fails_where_the_untrained_column_has_a_rule(circuit, tmp_path, monkeypatch):
    tilted = tuned(circuit, noise=0.05)
    run_folder = write_run(tmp_path / "run", tilted, tilted)
    cells = ("run", "pairs", "classes", "headline")
    with pytest.raises(CellExecutionError, match="untrained E to E"):
        execute_notebook("wiring_rules.ipynb", run_folder, tmp_path, monkeypatch, cells)


def test_predictions_runs_and_counts_its_verdicts(run_folder, tmp_path, monkeypatch):
    notebook = execute_notebook("predictions.ipynb", run_folder, tmp_path, monkeypatch)
    assert "excitation, like-to-like: " in notebook.cells[-1].outputs[0].data["text/plain"]
    assert figures_of(notebook) == 1


def test_equivalence_runs_and_finds_no_mismatched_spike(run_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_ENGINES", "torch,torch-reference")
    monkeypatch.setenv("TWINCORTEX_RESULTS", str(RESULTS))
    notebook = execute_notebook("equivalence.ipynb", run_folder, tmp_path, monkeypatch)
    assert "spikes each, none mismatched" in notebook.cells[-1].outputs[0].data["text/plain"]
    assert figures_of(notebook) == 1


def test_each_network_comes_with_its_own_weights_and_responses(circuit, run_folder):
    networks = read_wired_networks(run_folder, run_folder)
    assert list(networks) == ["before", "after", "unconstrained"]
    before, after = networks["before"], networks["after"]
    assert before.edges[["pre", "post"]].equals(after.edges[["pre", "post"]])
    assert not before.edges.weight_pA.equals(after.edges.weight_pA)
    assert not np.array_equal(before.curve, after.curve)
    assert "40 of them silent" in before.description
    assert f"{N_DIRECTIONS} directions x {N_TRIALS} trials, input seed {SEED}" in before.description
    preferred = after.responses.preferred_directions()
    assert np.isnan(preferred[::10]).all()
    measured = after.edges_by_responses()
    assert len(measured) == (~np.isnan(preferred[after.edges.pre] + preferred[after.edges.post])).sum()


def test_responses_of_other_weights_or_missing_ones_are_refused(circuit, run_folder, tmp_path):
    with pytest.raises(InputError, match="were measured with weights_hash"):
        read_grating_responses(run_folder, "trained", circuit)
    with pytest.raises(InputError, match="no network 'traned'"):
        read_grating_responses(run_folder, "traned")
    with pytest.raises(InputError, match="twincortex evaluate"):
        read_grating_responses(tmp_path, "trained")
    damaged = shutil.copytree(run_folder / "evaluation", tmp_path / "evaluation") / "responses.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        read_grating_responses(tmp_path, "trained")


def test_responses_of_an_experiment_are_means_over_trials_in_the_window():
    xarray = pytest.importorskip("xarray")
    counts = np.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4)
    dims = ("condition", "trial", "window", "neuron")
    dataset = xarray.Dataset({"spike_count": (dims, counts)}, coords={"window": ["gray", "grating"]})
    np.testing.assert_array_equal(responses_of_experiment(dataset, "grating"), counts[:, :, 1].mean(axis=1).T)
