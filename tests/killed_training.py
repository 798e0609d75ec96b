"""Trainings of ``tiny`` that are ended with kill -9 at any moment, resumed, and compared with one that never was."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
STEPS = 6
# A checkpoint after every step, of which two stay, so that saving and removing take a good part of the time.
TRAINING = [
    *("--config", "training/configs/tiny.yaml", "--set", f"steps={STEPS}", "--set", "checkpoints.every=1"),
    *("--set", "checkpoints.keep=2", "--set", "validation.at_end=false", "--set", "protocol.settle_every=4"),
    *("--set", "protocol.settle_ms=40", "--set", "protocol.evoked_ms=60", "--set", "protocol.spontaneous_ms=60"),
]
# Half of the time of so small a run is imports: "training" begins where the run folder is taken.
MOMENTS = {
    "any": None,
    "training": None,
    "saving": "checkpoints/.step_*.partial",
    "removing": "checkpoints/.step_*.removed",
}
PATIENCE = 300.0  # s; until a moment comes that is waited for
# What differs between two runs of the same seed.
TIMES = ("seconds",)


@dataclass(frozen=True)
class Kill:
    """A kill and what was there after it.

    Attributes
    ----------
    moment : str
        One of MOMENTS.
    seconds : float
        After the start of the process.
    found : str
        ``no run folder``, ``no configuration``, ``no circuit``, ``no checkpoint`` or the name of the last checkpoint.
    leftovers : int
        Files and folders that were being written or removed.
    """

    moment: str
    seconds: float
    found: str
    leftovers: int


def start(*arguments):
    """Start train.py; its errors are kept, its output is not."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "training/train.py", *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def train(*arguments):
    """Run train.py to its end."""
    code, errors = end(start(*arguments))
    assert code == 0, errors[-2000:]


def train_whole(run_folder: Path):
    """Train without a kill; returns the seconds of the process, and those since it took the run folder."""
    started = time.time()
    train(*TRAINING, "--out", run_folder)
    return {"any": time.time() - started, "training": time.time() - (run_folder / ".lock").stat().st_mtime}


def end(process):
    """Wait for a process; returns its exit code and what it said of errors."""
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors.decode()


def kill_at(moment: str, run_folder: Path, arguments, seconds: dict, rng: np.random.Generator):
    """Start a training and kill it; returns None if it had ended before.

    ``any`` and ``training`` are uniform over those seconds, the others wait for a random one of such moments.
    """
    started = time.monotonic()
    with start(*arguments) as process:
        if MOMENTS[moment]:
            for _ in range(int(rng.integers(1, STEPS))):
                wait_for(run_folder, MOMENTS[moment], process)
            time.sleep(rng.uniform(0, 0.005))
        else:
            if moment == "training":
                _wait_for_lock(run_folder, process)
            time.sleep(rng.uniform(0, seconds[moment]))
        had_ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
    return None if had_ended else Kill(moment, round(time.monotonic() - started, 3), *_look(run_folder))


def wait_for(folder, pattern, process):
    """Wait until something new of a name appears, or the process ends."""
    deadline, before = time.monotonic() + PATIENCE, set(folder.glob(pattern))
    while process.poll() is None and not set(folder.glob(pattern)) - before:
        assert time.monotonic() < deadline, f"no {pattern} after {PATIENCE} s"
        time.sleep(0.0005)


def _wait_for_lock(run_folder, process):
    deadline, lock = time.monotonic() + PATIENCE, run_folder / ".lock"
    while process.poll() is None and not (lock.exists() and f"process {process.pid} " in lock.read_text()):
        assert time.monotonic() < deadline, f"no {lock} of the process after {PATIENCE} s"
        time.sleep(0.001)


def _look(run_folder):
    checkpoints = sorted(path.name for path in run_folder.glob("checkpoints/step_*"))
    leftovers = len([*run_folder.glob(".*.partial"), *run_folder.glob("checkpoints/.*")])
    for name in (".", "config.yaml", "circuit"):
        if not (run_folder / name).exists():
            return {".": "no run folder", "config.yaml": "no configuration", "circuit": "no circuit"}[name], leftovers
    return (checkpoints or ["no checkpoint"])[-1], leftovers


def continue_arguments(run_folder: Path):
    """How a killed training goes on: resumed, or started again where nothing of it is there yet."""
    if (run_folder / "config.yaml").exists():
        return ["--resume", run_folder]
    return [*TRAINING, "--out", run_folder]


def outcome(run_folder: Path):
    """What two runs that are the same have in common to the last bit: all checkpoints, trained weights, metrics."""
    files = [*run_folder.glob("checkpoints/*/*"), *run_folder.glob("weights/*")]
    with (run_folder / "metrics.csv").open() as file:
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    hidden = sorted(str(path.relative_to(run_folder)) for path in run_folder.rglob(".*") if path.name != ".lock")
    return {
        "files": {str(path.relative_to(run_folder)): path.read_bytes() for path in sorted(files)},
        "metrics": rows,
        "leftovers": hidden,
    }


def differences(run_folder: Path, expected):
    """Parts of an outcome that differ from those expected, by name."""
    found = outcome(run_folder)
    names = found["files"].keys() | expected["files"].keys()
    differ = sorted(name for name in names if found["files"].get(name) != expected["files"].get(name))
    return differ + [part for part in ("metrics", "leftovers") if found[part] != expected[part]]


def kill_and_resume(scratch: Path, expected, seconds: dict, seed: int):
    """One round of the campaign: kill, perhaps kill the resumed run too, resume to the end, compare.

    Parameters
    ----------
    scratch : Path
    expected, seconds
        Of the run that is never killed: its outcome, and what `train_whole` returned.
    seed : int

    Returns
    -------
    kills : list of Kill
    differences : list of str
        Empty where the resumed run is the run that was never killed.
    """
    rng, run_folder = np.random.default_rng(seed), scratch / f"killed_{seed}"
    moment, kills = list(MOMENTS)[seed % len(MOMENTS)], []
    while not kills or (rng.random() < 0.25 and len(kills) < 3):
        kill = kill_at(moment, run_folder, continue_arguments(run_folder), seconds, rng)
        kills += [kill] if kill else []
        if kill is None and not kills:
            shutil.rmtree(run_folder)  # it was quicker; the moment is drawn again
        elif kill is None:
            break
    train(*continue_arguments(run_folder))
    found = differences(run_folder, expected)
    shutil.rmtree(run_folder)
    return kills, found


def describe(kills):
    """Kills as plain data."""
    return json.loads(json.dumps([vars(kill) for kill in kills]))
