"""A training that would not fit is refused before it starts; one that runs out of memory has the exit code for it."""

import dataclasses
import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from twincortex.models.errors import OutOfMemoryError
from twincortex.models.memory_checks import gigabytes
from twincortex.models.memory_forecast import CircuitCounts
from twincortex.training.config import Protocol, TrainingConfig, Validation
from twincortex.training.memory_check import check_training, explain_out_of_memory, memory_of

REPOSITORY = Path(__file__).resolve().parents[2]
COUNTS = CircuitCounts(16_728, {"v1_to_v1": 4_364_000, "lgn_to_v1": 5_570_000, "bkg_to_v1": 66_912})
CONFIG = TrainingConfig(protocol=Protocol(batch=16), validation=Validation(engine="torch"))


@pytest.fixture
def have(monkeypatch):
    """Give the process that many bytes in all."""

    def give(n_bytes):
        free = n_bytes - psutil.Process().memory_info().rss
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": free}))

    return give


def test_the_largest_batch_that_fits_is_named(have):
    have(memory_of(COUNTS, CONFIG, 5) + 10**8)
    with pytest.raises(OutOfMemoryError, match=r"16,728 neurons .* on 16 trials of 500 ms .* A batch of 5 would fit"):
        check_training(COUNTS, CONFIG)
    check_training(COUNTS, dataclasses.replace(CONFIG, protocol=Protocol(batch=5)))


def test_where_no_batch_fits_the_need_of_one_trial_is_named(have):
    have(10**9)
    with pytest.raises(OutOfMemoryError, match=r"One trial alone needs [\d.]+ GB.*ignore_memory_forecast"):
        check_training(COUNTS, CONFIG)
    check_training(COUNTS, dataclasses.replace(CONFIG, ignore_memory_forecast=True))


def test_the_second_engine_of_the_held_out_test_counts():
    compiled = dataclasses.replace(CONFIG, validation=Validation(engine="brian-cpp"))
    assert memory_of(COUNTS, compiled, 1) > memory_of(COUNTS, CONFIG, 1) + 2e8


def train(folder, *options, limit=None):
    command = [sys.executable, "training/train.py", "--out", str(folder), "--validation.engine=torch", *options]
    bound = (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) if limit else None
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, preexec_fn=bound, capture_output=True, text=True)


def test_a_batch_larger_than_any_machine_ends_with_exit_code_4_and_leaves_no_folder(tmp_path):
    done = train(tmp_path / "run", "--protocol.batch=1000000")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("train.py: training 1,141 neurons with")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 9 GiB"), RuntimeError("CUDA out of memory.")])
def test_an_end_of_memory_is_explained_with_the_forecast_and_what_helps(error, have):
    have(10**9)
    forecast = gigabytes(memory_of(COUNTS, CONFIG, 16))
    text = str(explain_out_of_memory(error, COUNTS, CONFIG))
    assert text.startswith("out of memory while training 16,728 neurons with 1e+07 connections on 16 trials of 500 ms")
    assert f": about {forecast:g} GB were forecast, 1 GB are available." in text
    assert all(knob in text for knob in ("protocol.batch", "protocol.evoked_ms", "smaller circuit", str(error)))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process within RLIMIT_AS")
def test_what_torch_raises_without_memory_ends_with_exit_code_4(tmp_path):
    # The reference engine keeps all states, so that few trials, which take time to draw, fill the memory.
    rollouts = ("--engine=reference", "--protocol.batch=40", "--protocol.settle_ms=20", "--protocol.evoked_ms=300")
    done = train(tmp_path / "run", *rollouts, "--ignore_memory_forecast=true", limit=3 * 2**30)
    assert done.returncode == 4, done.stderr[-2000:]
    last = done.stderr.splitlines()[-1]
    assert last.startswith("train.py: out of memory while training 1,141 neurons with ")
    assert "GB were forecast" in last
    assert "protocol.batch" in last
