"""Run folders as training and evaluation leave them, without either; notebooks executed as a reader would."""

import json
from pathlib import Path

import nbclient
import nbformat
import numpy as np

from twincortex.models.sonata import write_circuit, write_weights
from twincortex.models.tuning import measure_tuning

ANALYSIS = Path(__file__).resolve().parents[1] / "analysis"
EXCITATORY_RULE, INHIBITORY_RULE = (0.15, 0.3), (-0.1, -0.2)  # a/c and b/c that the fabricated training brings in
N_DIRECTIONS, N_TRIALS, SEED = 8, 3, 2025


def tuned(circuit, noise, seed=0):
    """Multiply every weight by 1 + a cos d + b cos 2d, by the kind of its source, and by lognormal noise."""
    projection, angle = circuit.projections["v1_to_v1"], circuit.nodes.tuning_angle
    d = np.radians(angle[projection.sources()] - angle[projection.posts(circuit.n_receptors)])
    a, b = np.where(projection.weight[:, None] > 0, EXCITATORY_RULE, INHIBITORY_RULE).T
    factor = np.random.default_rng(seed).lognormal(0, noise, len(d))
    return circuit.with_weights({"v1_to_v1": projection.weight * (1 + a * np.cos(d) + b * np.cos(2 * d)) * factor})


def write_run(folder, before, after):
    """Write what the analysis reads of a run folder, responses to gratings included."""
    folder.mkdir()
    write_circuit(before, folder / "circuit")
    write_weights(after, folder / "weights", "trained")
    (folder / "config.yaml").write_text("steps: 2\nseed: 5\n")
    (folder / "metrics.csv").write_text("step,loss\n1,2.0\n2,1.5\n")
    write_responses(folder / "evaluation" / "responses.npz", {"untrained": before, "trained": after})
    return folder


def write_responses(path, circuits):
    """Write responses of cells that prefer their assigned direction; every tenth cell is silent."""
    direction = 360 / N_DIRECTIONS * np.arange(N_DIRECTIONS)
    arrays = {"direction": direction}
    for number, (network, circuit) in enumerate(circuits.items()):
        rng = np.random.default_rng(number)
        d = np.radians(direction - circuit.nodes.tuning_angle[:, None])
        mean = 4 + 2 * np.cos(d) + np.cos(2 * d)
        mean[::10] = 0
        counts = rng.poisson(mean[..., None], (*mean.shape, N_TRIALS))
        tuning = measure_tuning(counts.astype(float), np.ones(circuit.n_neurons), direction)
        hashes = {"topology_hash": circuit.topology_hash, "weights_hash": circuit.weights_hash}
        arrays[f"{network}/identity"] = np.array(json.dumps(hashes | {"protocol": {"seed": SEED}}))
        arrays[f"{network}/grating_counts"] = counts
        for name in ("curve", "OSI", "DSI", "preferred_direction_rate_Hz"):
            arrays[f"{network}/{name}"] = np.float32(getattr(tuning, name))
    path.parent.mkdir()
    np.savez_compressed(path, **arrays)


def execute_notebook(name, run_folder, tmp_path, monkeypatch, cells=None):
    """Run a notebook, or some cells of it; every Jupyter folder lies in tmp_path."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setenv("TWINCORTEX_RUN", str(run_folder))
    notebook = nbformat.read(ANALYSIS / name, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cells is None or cell.id in cells]
    resources = {"metadata": {"path": str(tmp_path)}}
    return nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()


def figures_of(notebook):
    """Number of figures among the outputs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)
