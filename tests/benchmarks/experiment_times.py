"""Measure what a rollout of each protocol costs in brian-cpp: the first, which compiles, and those after it.

``python tests/benchmarks/experiment_times.py RUN_OR_CIRCUIT [--rollouts 5] [--write]``

One process computes, as each of ``twincortex experiment --jobs`` does. Times mean something on a machine that does
nothing else. Ends with 1 where a later rollout does not cost less than the first.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from twincortex.analysis.experiments.protocols import PROTOCOLS
from twincortex.analysis.experiments.running import Simulation, run_rollouts
from twincortex.analysis.experiments.subject import read_subject

RESULTS = Path(__file__).resolve().parent / "results" / "experiment_times.json"
OPTIONS = {"perturb-weights": {"pairs": ("L4_PV:L4_Exc",)}}


def main():
    """Run some rollouts of every protocol, print a row each, write results/experiment_times.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder of a SONATA circuit, or of a training run")
    parser.add_argument("--rollouts", type=int, default=5, help="after the first, of each protocol")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    subject = read_subject(options.folder)
    rows = {name: _measure(subject, name, options.rollouts) for name in PROTOCOLS}
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in ("twincortex", "brian2", "numpy")},
        "neurons": subject.circuit.n_neurons,
        "connections": {name: projection.n_edges for name, projection in subject.circuit.projections.items()},
        "weights": subject.weights,
        "engine": "brian-cpp",
        "protocols": rows,
    }
    if options.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(row["later_s"] < row["first_s"] for row in rows.values()) else 1


def _measure(subject, name, n_later):
    protocol = PROTOCOLS[name](**OPTIONS.get(name, {}))
    experiment = protocol.declare(subject.circuit, subject.is_core)
    simulation = Simulation("brian-cpp", protocol.seed)
    rollouts = _spread(experiment.rollouts, 1 + n_later)
    clock = [time.perf_counter()]
    with tempfile.TemporaryDirectory() as projects:
        os.environ["TWINCORTEX_STANDALONE"] = projects  # empty: the first rollout compiles
        run_rollouts(
            rollouts, experiment, subject.circuit, simulation, lambda *_result: clock.append(time.perf_counter())
        )
    first, *later = (after - before for before, after in itertools.pairwise(clock))
    row = {
        "rollouts": len(experiment.rollouts),
        "rollout_ms": statistics.median(rollout.movie.duration for rollout in rollouts),
        "first_s": round(first, 2),
        "later_s": round(statistics.median(later), 2),
    }
    hours = len(experiment.rollouts) * row["later_s"] / 3600
    print(f"{name}: {row}, all of it in one process {hours:.1f} h", flush=True)
    return row


def _spread(rollouts, count):
    """Some rollouts from all over an experiment, so that conditions and variants change between them."""
    return [rollouts[i * (len(rollouts) - 1) // (count - 1)] for i in range(count)]


if __name__ == "__main__":
    sys.exit(main())
