"""Measure the memory of whole commands, compare with what is forecast, print and store a table.

``PYTHONPATH=tests python tests/benchmarks/memory_forecast.py [--sizes tiny small] [--tasks torch train]``

Ends with 1 where a forecast misses the bars of ``BARS``. Takes memory: 5 GB for size core. Rows of
earlier runs that are not measured again stay in the file.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from peak_memory import peak_of_command

from twincortex.models.column.expected_connections import expected_counts
from twincortex.models.column.sizes import COLUMN_SIZES
from twincortex.models.memory_forecast import (
    building_memory,
    files_of_circuit,
    run_counts,
    simulation_memory,
)
from twincortex.training.config import Protocol, TrainingConfig, Validation
from twincortex.training.memory_check import memory_of

RESULTS = Path(__file__).resolve().parent / "results" / "memory_forecast.json"
REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("twincortex", "torch", "brian2", "nest-simulator", "numpy", "numba")
# Forecast over measured.
BARS = (0.9, 1.25)
DURATION = {"core": 200.0}
USUAL_DURATION = 1000.0
# Trials and milliseconds of the rollouts.
TRAININGS = {
    "tiny": [(1, 100), (4, 300), (16, 100), (32, 200)],
    "profile": [(1, 100), (4, 100), (4, 300), (16, 100)],
    "small": [(1, 100), (4, 100), (8, 100)],
    "core": [(1, 50)],
}
TASKS = ("build", "torch", "record", "batch", "brian", "brian-cpp", "nest", "train")
SEVERAL_TRIALS = """
import sys
from twincortex.models.inputs import read_inputs
from twincortex.models.recording import Run
from twincortex.models.sonata import read_circuit
from twincortex.models.surrogate import simulate_trials
circuit = read_circuit(sys.argv[1])
inputs, _ = read_inputs(sys.argv[2], circuit)
simulate_trials(circuit, [inputs] * 8, Run(float(sys.argv[3])))
"""
TWINCORTEX = (sys.executable, "-c", "import sys; from twincortex.models.command_line import main; sys.exit(main())")


def main():
    """Run every case, print a row each, write results/memory_forecast.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=COLUMN_SIZES, default=("tiny", "profile", "small", "core"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--folder", type=Path, help="where circuits stand for a while (default: the usual place)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    options = parser.parse_args()
    rows = _rows_of_earlier_runs(options.results)
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        os.environ["TWINCORTEX_STANDALONE"] = f"{root}/standalone"
        for size in options.sizes:
            for task, command, forecast in _cases(size, Path(root), options.tasks):
                rows[size, task] = _measure(size, task, command, forecast)
                missed = _store(rows, options.results)
    print("MISSED: " + "; ".join(missed) if missed else "all bars are met")
    return 1 if missed else 0


def _rows_of_earlier_runs(path):
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return {(row["size"], row["task"]): row for row in rows}


def _store(rows, path):
    """Write what was measured so far; return the rows that miss the bars."""
    missed = [row for row in rows.values() if not BARS[0] <= row["forecast_over_measured"] <= BARS[1]]
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "bars": BARS,
        "rows": [*rows.values()],
        "missed": [f"{row['size']}: {row['task']}" for row in missed],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    return result["missed"]


def _cases(size, root, tasks):
    """Yield (task, command, forecast); the circuit and its inputs are made on the way."""
    counts, duration = expected_counts(COLUMN_SIZES[size]), DURATION.get(size, USUAL_DURATION)
    circuit, inputs, out = root / size, root / f"inputs_{size}", ("--out", str(root / "out"), "--overwrite")
    yield "build", (*TWINCORTEX, "build", "--size", size, "--out", str(circuit)), building_memory(counts)
    files = sum(path.stat().st_size for path in circuit.rglob("*"))
    print(f"{size:<8} files: {files / 1e9:.3f} GB, forecast {files_of_circuit(counts) / 1e9:.3f}")
    stimulate = (*TWINCORTEX, "stimulate", str(circuit), "--duration", str(duration), "--out", str(inputs))
    assert peak_of_command(stimulate)[1] == 0
    run, simulate = run_counts(duration), (*TWINCORTEX, "simulate", str(circuit), "--inputs", str(inputs), *out)
    for engine in ("torch", "brian", "brian-cpp", "nest"):
        model = ("--after-spike-current", "step_mean", "--threads", "1") if engine == "nest" else ()
        if engine in tasks:
            yield engine, (*simulate, "--engine", engine, *model), simulation_memory(engine, counts, run)
        if "record" in tasks and size == "profile":
            everything = run_counts(duration, n_recorded=counts.n_neurons)
            command = (*simulate, "--engine", engine, *model, "--record-v", "all")
            yield f"{engine}, all V", command, simulation_memory(engine, counts, everything)
    if "batch" in tasks and size != "core":
        command = (sys.executable, "-c", SEVERAL_TRIALS, str(circuit), str(inputs), str(duration))
        yield "torch, 8 trials", command, simulation_memory("torch", counts, run_counts(duration, batch=8))
    for number, (batch, rollout) in enumerate(TRAININGS.get(size, []) if "train" in tasks else []):
        protocol = Protocol(batch=batch, evoked_ms=rollout, spontaneous_ms=rollout, settle_ms=50.0)
        validation = Validation(engine="brian", directions=[0.0], gray_ms=10.0, grating_ms=10.0)
        config = TrainingConfig(steps=2, protocol=protocol, validation=validation)
        command = _train(circuit, root / f"run_{size}_{number}", config)
        yield f"train, {batch} x {rollout} ms", command, memory_of(counts, config, batch)


def _train(circuit, out, config):
    protocol, validation = vars(config.protocol), vars(config.validation)
    values = {"circuit.folder": circuit, "steps": config.steps}
    values |= {f"protocol.{name}": value for name, value in protocol.items()}
    values |= {f"validation.{name}": value for name, value in validation.items() if value is not None}
    settings = [f"--{name}={value}" for name, value in values.items()]
    return (sys.executable, str(REPOSITORY / "training" / "train.py"), "--out", str(out), *settings)


def _measure(size, task, command, forecast):
    measured, exit_code, output = peak_of_command(command)
    if exit_code:
        raise SystemExit(f"{size}: {task} ended with {exit_code}: {output[-500:]}")
    ratio = forecast / measured
    print(f"{size:<8} {task:<20} measured {measured / 1e9:6.3f} GB  forecast {forecast / 1e9:6.3f}  {ratio:5.2f}")
    return {
        "size": size,
        "task": task,
        "measured_GB": round(measured / 1e9, 3),
        "forecast_GB": round(forecast / 1e9, 3),
        "forecast_over_measured": round(ratio, 3),
    }


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
