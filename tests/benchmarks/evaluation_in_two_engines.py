"""Print whether torch (float64) and brian-cpp agree on a trained network, in spikes and in its evaluation; store it.

``python tests/benchmarks/evaluation_in_two_engines.py RUN [--trials 1] [--directions 8] [--other brian-cpp] [--write]``
"""

import argparse
import dataclasses
import json
import os
import platform
import tempfile
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np

from twincortex.models.equivalence import compare, run_engine
from twincortex.models.package_versions import versions
from twincortex.models.recording import Run
from twincortex.training.evaluation.command import evaluate
from twincortex.training.evaluation.networks import TRAINED, read_networks
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.trials import EvaluationTrials

HERE = Path(__file__).resolve().parent
RECORDED_NEURONS = 50


def main():
    """Compare one second of spikes, then the tables; print both, and write results/evaluation_in_two_engines.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("--trials", type=int, default=1, help="of each direction, for the tables")
    parser.add_argument("--directions", type=int, default=8)
    parser.add_argument("--other", default="brian-cpp", help="engine beside torch")
    parser.add_argument("--write", action="store_true", help="write results/")
    options = parser.parse_args()
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": versions(),
        "one_second": _compare_spikes(options),
        "evaluation": _compare_tables(options),
    }
    print(json.dumps(result, indent=1))
    if options.write:
        (HERE / "results" / "evaluation_in_two_engines.json").write_text(json.dumps(result, indent=1) + "\n")


def _compare_spikes(options):
    """Mismatched spikes and largest difference of V of the trained network in 500 ms of gray and 500 ms of grating."""
    circuit = read_networks(options.run).circuits[TRAINED]
    protocol = EvaluationProtocol(n_trials=1, settle_ms=0.0, gray_ms=500.0, grating_ms=500.0)
    inputs = EvaluationTrials(circuit, protocol).inputs(0)
    recorded = np.linspace(0, circuit.n_neurons - 1, min(RECORDED_NEURONS, circuit.n_neurons)).astype(int)
    run = Run(protocol.duration_ms, protocol.dt, tuple(recorded.tolist()))
    recordings = [run_engine(engine, circuit, inputs, run) for engine in ("torch", options.other)]
    return dataclasses.asdict(compare(*recordings)) | {"neurons": circuit.n_neurons}


def _compare_tables(options):
    """Whether the evaluations of both engines say the same, and the mean similarities of the first."""
    tables, shown = [], ["--trials", str(options.trials), "--directions", str(options.directions), "--bootstrap", "100"]
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("torch", options.other):
            out = f"{folder}/{engine}"
            with redirect_stdout(StringIO()):
                evaluate([options.run, *shown, "--engine", engine, "--out", out, "--no-figures"])
            tables.append(json.loads(Path(out, "evaluation.json").read_text()))
    mean = {name: network["mean_similarity"] for name, network in tables[0]["networks"].items()}
    return {
        "engines": [table["engine"] for table in tables],
        "trials": options.trials * options.directions,
        "identical": tables[0]["networks"] == tables[1]["networks"],
        "mean_similarity": {
            name: {quantity: value["similarity"] for quantity, value in of_network.items()}
            for name, of_network in mean.items()
        },
    }


if __name__ == "__main__":
    main()
