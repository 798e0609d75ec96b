"""Measure what of a training step of ``small`` is not the engine: input, losses, optimizer, checks, logging, saving.

``python tests/benchmarks/training_overhead.py [--weights FILE.pt] [--repeats 3] [--write] [options of train.py]``

The same step is done several times, and of each part the fastest counts. ``--circuit.folder FOLDER`` saves building the
column; a trained one (--weights) fires more. Times mean something on a machine that does nothing else. Ends with 1
above the bound.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from pathlib import Path

from twincortex.models import before_torch  # noqa: F401

# isort: split
import torch

from twincortex.models.column import build_column
from twincortex.models.sonata import read_circuit
from twincortex.models.surrogate import fused
from twincortex.models.surrogate.column import Column
from twincortex.training import loop
from twincortex.training.checkpoints import save_checkpoint
from twincortex.training.config_reading import read_config
from twincortex.training.run_record import RunRecord
from twincortex.training.tensorboard_log import TensorBoardLog
from twincortex.training.training_progress import TrainingProgress
from twincortex.training.training_state import restore_state, state_to_tensors

RESULTS = Path(__file__).resolve().parent / "results" / "training_overhead.json"
CONFIG = Path(loop.__file__).parent / "configs" / "small.yaml"
BOUND = 0.15
ENGINE = "engine"
# What runs inside another part counts for itself alone: the engine within the backward pass of the losses, say.
PARTS = {
    ENGINE: [(fused.RolloutFunction, "forward"), (fused.RolloutFunction, "backward")],
    "input: spikes": [(loop.StimulusProtocol, "gratings"), (loop.StimulusProtocol, "gray")],
    "input: scheduling": [(Column, "forward")],
    "losses forward": [(loop, "total_loss")],
    "losses backward": [(torch.Tensor, "backward")],
    "checks": [(loop, "sum_of_extremes"), (loop.Trainer, "_gradient_norm")],
}


class Stopwatch:
    """Wall and CPU seconds by part; the time of a part stands still while another runs within it."""

    def __init__(self):
        self.wall, self.cpu, self._parts = Counter(), Counter(), ["other"]
        self._last = time.perf_counter(), time.process_time()

    @contextmanager
    def part(self, name):
        """Count what happens within for a part."""
        self._turn(lambda: self._parts.append(name))
        try:
            yield
        finally:
            self._turn(self._parts.pop)

    def divide(self, count):
        """Let what was counted so far stand for so many steps."""
        self._turn(lambda: None)
        for seconds in (self.wall, self.cpu):
            seconds.update({name: seconds[name] * (1 / count - 1) for name in seconds})

    def seconds(self):
        """Wall and CPU seconds of each part, dict of str -> tuple."""
        self._turn(lambda: None)
        return {name: (self.wall[name], self.cpu[name]) for name in self.wall}

    def _turn(self, change):
        now = time.perf_counter(), time.process_time()
        self.wall[self._parts[-1]] += now[0] - self._last[0]
        self.cpu[self._parts[-1]] += now[1] - self._last[1]
        self._last = now
        change()


@contextmanager
def timed(watch, parts):
    """Let functions count their time while the context lasts."""
    places = [(part, owner, name) for part, functions in parts.items() for owner, name in functions]
    kept = [(owner, name, vars(owner).get(name)) for _, owner, name in places]
    for place in places:
        _time_calls(watch, *place)
    try:
        yield
    finally:
        for owner, name, function in kept:
            if function is None:  # inherited
                delattr(owner, name)
            else:
                setattr(owner, name, function)


def _time_calls(watch, part, owner, name):
    function = getattr(owner, name)

    @wraps(function)
    def timed_function(*arguments, **options):
        with watch.part(part):
            return function(*arguments, **options)

    is_static = isinstance(vars(owner).get(name), staticmethod)
    setattr(owner, name, staticmethod(timed_function) if is_static else timed_function)


def main():
    """Measure, print the table, write results/training_overhead.json where asked to."""
    options, training_options = _read_options()
    config, *_ = read_config(["--config", str(CONFIG), *training_options])
    choice = config.circuit
    circuit = read_circuit(choice.folder) if choice.folder else build_column(choice.size, seed=choice.seed)
    state = loop.start_training(circuit, config)
    if options.weights:
        _replace_weights(state.column, torch.load(options.weights))
    trainer = loop.Trainer(circuit, config, state)
    with tempfile.TemporaryDirectory() as folder:
        measure = Measurement(trainer, circuit, Path(folder))
        runs = [measure() for _ in range(options.repeats)]
    result = _facts(circuit, config, options) | _conclude(runs)
    print("\n".join(_table(result)))
    if options.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["overhead"] < BOUND else 1


def _read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="Other options are those of train.py.")
    parser.add_argument("--weights", type=Path, help="file of torch.save: a dict of projection -> (E,) tensor [pA]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    return parser.parse_known_args()


@torch.no_grad()
def _replace_weights(column, weights):
    for name, weight in column.weights.items():
        if weight.requires_grad:
            weight.copy_(weights[name])


class Measurement:
    """Does the same step each time it is called, and what a session does around it.

    Parameters
    ----------
    trainer : Trainer
    circuit : Circuit
    folder : Path
        Empty.
    """

    def __init__(self, trainer, circuit, folder):
        self.trainer, self.circuit = trainer, circuit
        self.record, self.tensorboard = RunRecord(folder / "run", ""), TensorBoardLog(folder / "run")
        tensors, facts = state_to_tensors(trainer.state)
        self.start = {name: tensor.clone() for name, tensor in tensors.items()}, facts

    def __call__(self):
        """Settle, do a step, log it, save it; return the seconds of each part (wall, CPU), those of a step alone.

        Settling and saving count for the share of a step, as not all steps have them.
        """
        trainer = self.trainer
        protocol, checkpoints = trainer.config.protocol, trainer.config.checkpoints
        restore_state(trainer.state, *self.start)
        watch = Stopwatch()
        parts = PARTS | {"optimizer": [(trainer.state.optimizer, "step")]}  # which its schedule has wrapped
        with timed(watch, parts), TrainingProgress(0, 1) as progress:
            trainer.settled_state()
            watch.divide(protocol.settle_every)
            row = trainer.update()
            with watch.part("logging"):
                self.record.metrics.add(row)
                self.tensorboard.add(row)
                progress.show(row)
        saving = Stopwatch()
        with saving.part("saving"):
            save_checkpoint(self.record.folder, trainer.state, self.circuit, checkpoints.keep)
            self.tensorboard.flush()
        saving.divide(checkpoints.every)
        return watch.seconds() | {"saving": saving.seconds()["saving"]}


def _conclude(runs):
    parts = {name: [min(run[name][clock] for run in runs) for clock in (0, 1)] for name in runs[0]}
    step = sum(wall for wall, _ in parts.values())
    rows = {
        name: {"seconds": round(wall, 4), "cpu_seconds": round(cpu, 4), "share": round(wall / step, 4)}
        for name, (wall, cpu) in sorted(parts.items(), key=lambda part: -part[1][0])
    }
    return {"seconds_per_step": round(step, 3), "parts": rows, "overhead": round(1 - parts[ENGINE][0] / step, 4)}


def _facts(circuit, config, options):
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in ("twincortex", "torch", "numpy")},
        "neurons": circuit.n_neurons,
        "connections": {name: projection.n_edges for name, projection in circuit.projections.items()},
        "weights": "trained" if options.weights else "untrained",
        "threads": config.threads,
        "protocol": vars(config.protocol),
        "repeats": options.repeats,
        "bound": BOUND,
    }


def _table(result):
    yield "| part of a step | s | CPU s | share |"
    yield "|---|---|---|---|"
    for name, row in result["parts"].items():
        yield f"| {name} | {row['seconds']:.3f} | {row['cpu_seconds']:.3f} | {row['share']:.1%} |"
    yield f"a step of {result['seconds_per_step']:.2f} s, {result['overhead']:.1%} of it outside of the engine"


if __name__ == "__main__":
    sys.exit(main())
