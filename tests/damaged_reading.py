"""Read damaged folders, each in a forked process with limits of memory and time, and say what became of it."""

import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damaged_folders import Damage, damage

from twincortex.models.errors import TwinCortexError
from twincortex.models.sonata import read_circuit, write_circuit
from twincortex.models.sonata.tables import CONFIG

from circuits import small_random_circuit
from foreign_circuits import write_foreign_circuit

MEMORY_BYTES = 2**30  # on top of what the process has when it is forked
SECONDS = 20.0


@dataclass(frozen=True)
class Outcome:
    """What became of a folder.

    ``result``: ``same`` circuit, ``refused`` with a named error, ``different`` circuit, ``error`` without a name,
    ``crash``, ``hang`` or ``memory``.
    """

    damage: Damage
    result: str
    message: str

    def is_harmless(self, checksums: bool) -> bool:
        """Tell whether a user is safe: with checksums nothing may differ, without them nothing that can be judged."""
        if self.result == "refused":
            return True
        may_differ = not checksums and not self.damage.is_fatal
        return (not self.damage.is_fatal and self.result == "same") or (may_differ and self.result == "different")


@dataclass(frozen=True)
class Base:
    """A sound folder, and the topology hash and the weights hash of the circuit in it."""

    name: str
    folder: Path
    configuration: str
    has_checksums: bool
    hashes: tuple


def bases(folder: Path) -> list[Base]:
    """Write sound circuits to damage: ours, ours without its checksums, and one as others would write it."""
    write_circuit(small_random_circuit(1), folder / "ours")
    shutil.copytree(folder / "ours", folder / "bare")
    (folder / "bare" / "checksums.json").unlink()
    write_foreign_circuit(folder / "foreign")
    sound = {"ours": CONFIG, "bare": CONFIG, "foreign": "config.circuit.json"}
    return [
        Base(name, folder / name, configuration, name == "ours", _hashes(folder / name / configuration))
        for name, configuration in sound.items()
    ]


def read_damaged(base: Base, seed: int, scratch: Path) -> Outcome:
    """Copy a folder, damage it and read it."""
    folder = scratch / f"case_{seed}"
    shutil.copytree(base.folder, folder)
    try:
        what = damage(folder, np.random.default_rng(seed))
        result, message = _in_a_process_of_its_own(lambda: _read(folder / base.configuration, base.hashes))
    finally:
        shutil.rmtree(folder)
    return Outcome(what, result, message)


def _read(path, hashes):
    try:
        read = _hashes(path)
    except TwinCortexError as error:
        return "refused", str(error)
    except MemoryError as error:
        return "memory", str(error)
    return ("same", "") if read == hashes else ("different", "")


def _hashes(path):
    circuit = read_circuit(path)
    return circuit.topology_hash, circuit.weights_hash


def _in_a_process_of_its_own(function):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_limited(function, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = _wait_for(pipe, child)
    _, status = os.waitpid(child, 0)
    if answer is None:
        return "hang", f"no answer within {SECONDS:g} s"
    if not answer:
        return "crash", f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {status}"
    return tuple(json.loads(answer))


def _wait_for(pipe, child):
    """Everything that the child writes, or None where it is not done in time."""
    answer, deadline = b"", time.monotonic() + SECONDS
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            return None
        part = os.read(pipe.fileno(), 2**16)
        if not part:
            return answer
        answer += part


def _run_limited(function, writing):
    """Run in the forked child; never returns."""
    try:
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY_BYTES, own + MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = function()
    except BaseException as error:  # the child must never return into the parent's program
        answer = "error", f"{type(error).__name__}: {error}"
    os.write(writing, json.dumps([answer[0], answer[1][:2000]]).encode())
    sys.stderr.flush()
    os._exit(0)
