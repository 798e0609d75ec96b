"""Runs and evaluations for the page, made up without simulating anything."""

import json
import shutil

import numpy as np
import pytest

from twincortex.analysis.explorer.page_data import PageData
from twincortex.analysis.explorer.subject import read_subject
from twincortex.models.sonata import write_circuit, write_weights
from twincortex.models.tuning import measure_tuning

from circuits import small_random_circuit

DIRECTIONS = 45.0 * np.arange(8)
N_TRIALS, GRATING_MS = 4, 2000.0
PROTOCOL = {
    "n_trials": N_TRIALS,
    "grating_ms": GRATING_MS,
    "windows_ms": {"spontaneous": [500.0, 1000.0], "evoked": [1000.0, 3000.0]},
    "directions_deg": DIRECTIONS.tolist(),
}
MEASURED = (
    *("evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction_rate_Hz", "OSI", "DSI"),
    *("curve", "preferred_direction"),
)


def tuned_counts(circuit, gain, seed):
    """Poisson spikes, (N, 8, 4), tuned to the assigned angle, more so with the gain; neuron 0 is silent."""
    away = np.radians(DIRECTIONS - circuit.nodes.tuning_angle[:, None])
    rate = 5 * np.exp(gain * np.cos(2 * away))
    rate[0] = 0
    counts = np.random.default_rng(seed).poisson(rate[..., None] * GRATING_MS / 1000, (*rate.shape, N_TRIALS))
    return counts.astype(np.int32)


def write_evaluation(folder, circuits):
    """Write what `twincortex evaluate` writes and the page reads; circuits by the names of the evaluation."""
    folder.mkdir()
    arrays = {"direction": DIRECTIONS}
    for number, (name, circuit) in enumerate(circuits.items()):
        core = np.flatnonzero(np.hypot(circuit.nodes.x, circuit.nodes.z) < 45)
        counts, rng = tuned_counts(circuit, gain=0.5 + number, seed=number), np.random.default_rng(10 + number)
        tuning = measure_tuning(counts * (1000 / GRATING_MS), np.full(circuit.n_neurons, 0.5), DIRECTIONS)
        identity = {"topology_hash": circuit.topology_hash, "weights_hash": circuit.weights_hash}
        measured = {field: getattr(tuning, field) for field in MEASURED} | {
            "identity": np.array(json.dumps(identity)),
            "grating_counts": counts,
            "raster_times": np.sort(rng.uniform(0, 3000, 500)),
            "raster_ids": rng.choice(core, 500),
        }
        arrays |= {"core": core} | {f"{name}/{field}": value for field, value in measured.items()}
    np.savez_compressed(folder / "responses.npz", **arrays)
    (folder / "evaluation.json").write_text(json.dumps({"protocol": PROTOCOL}))
    return folder


@pytest.fixture(scope="session")
def before():
    """300 neurons within 71 um of the axis."""
    return small_random_circuit(seed=1, n=300, in_degree=60)


@pytest.fixture(scope="session")
def after(before):
    """The same with weights that grew with the likeness of the tuning angles."""
    edges, angle = before.projections["v1_to_v1"], before.nodes.tuning_angle
    away = np.radians(angle[edges.sources()] - angle[edges.posts(before.n_receptors)])
    return before.with_weights({"v1_to_v1": edges.weight * (1 + 0.3 * np.cos(2 * away))})


@pytest.fixture(scope="session")
def bare_run(before, after, tmp_path_factory):
    """A run that has not been evaluated."""
    folder = tmp_path_factory.mktemp("explorer") / "run"
    folder.mkdir()
    write_circuit(before, folder / "circuit")
    write_weights(after, folder / "weights", "trained")
    (folder / "config.yaml").write_text("steps: 2\nseed: 5\n")
    (folder / "metrics.csv").write_text("step,loss\n1,2.0\n2,1.5\n")
    return folder


@pytest.fixture(scope="session")
def run_folder(bare_run, before, after, tmp_path_factory):
    """A run with its evaluation."""
    folder = tmp_path_factory.mktemp("explorer") / "evaluated"
    shutil.copytree(bare_run, folder)
    write_evaluation(folder / "evaluation", {"untrained": before, "trained": after})
    return folder


@pytest.fixture(scope="session")
def page_data(run_folder):
    """Data of the evaluated run."""
    return PageData(read_subject(run_folder))
