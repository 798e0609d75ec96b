"""``twincortex experiment``: killed and resumed, shared, refused, on every engine the same file."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from short_protocols import SHORT

from twincortex.analysis.experiments.command import experiment
from twincortex.analysis.experiments.results import read_experiment
from twincortex.models.errors import InputError, TwinCortexError

PATIENCE = 300.0  # s
START = "from twincortex.models.command_line import main; raise SystemExit(main())"
# Long enough for a kill between two parts.
GRATINGS = ("--directions", "3", "--trials", "4", "--settle-ms", "0", "--gray-ms", "100", "--grating-ms", "200")


def start(*arguments):
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", START, "experiment", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_killed_experiment_goes_on_to_the_same_bytes(run, circuit_folder, tmp_path):
    options = (*GRATINGS, "--batch", 1)
    _, whole = run("gratings", *options, out="whole")
    with start("gratings", circuit_folder, "--engine", "torch", "--out", tmp_path / "killed", *options) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and len(list((tmp_path / "killed/parts").glob("[!.]*.npz"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed/parts").glob("[!.]*.npz")}
    assert 2 <= len(kept) < 12
    (tmp_path / "killed/parts" / min(kept)).write_bytes(b"damaged")
    _, resumed = run("gratings", *options, out="killed")
    assert resumed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["experiment.json", "gratings.nc"]


def test_complete_parts_are_not_simulated_again(run, circuit_folder, tmp_path):
    arguments = ["gratings", circuit_folder, "--engine", "torch", "--out", tmp_path / "out", *SHORT["gratings"]]
    experiment([str(argument) for argument in [*arguments, "--share", "1/2"]])
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/parts").iterdir()}
    assert len(parts) == 2
    experiment([str(argument) for argument in [*arguments, "--share", "1/1"]])
    assert len(list((tmp_path / "out/parts").iterdir())) == 4
    assert {path: path.stat().st_mtime_ns for path in parts} == parts


def test_shares_and_batches_change_nothing(run, circuit_folder, tmp_path):
    _, whole = run("silence", *SHORT["silence"], out="whole", engine="torch")
    for number in (2, 1):
        share = ("--share", f"{number}/2", "--out", tmp_path / "shared", "--batch", number)
        experiment([str(one) for one in ("silence", circuit_folder, "--engine", "torch", *SHORT["silence"], *share)])
    _, shared = run("silence", *SHORT["silence"], out="shared")
    assert shared.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_two_jobs_give_the_bytes_of_one(run):
    _, one = run("contrast", *SHORT["contrast"], out="one")
    _, two = run("contrast", *SHORT["contrast"], "--jobs", 2, out="two")
    assert two.read_bytes() == one.read_bytes()


# submitit's debug executor leaves its logs to the garbage collector to close.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("cluster", ["debug", pytest.param("local", marks=pytest.mark.slow)])
def test_jobs_of_a_cluster_give_the_same_bytes(run, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    _, one = run("gratings", *SHORT["gratings"], out="one")
    options = ("--cluster", cluster, "--jobs", 2, "--cluster-options", "timeout_min=10")
    _, two = run("gratings", *SHORT["gratings"], *options, out="two")
    assert two.read_bytes() == one.read_bytes()
    assert (tmp_path / "two/cluster").is_dir()


def test_a_failed_share_is_told_with_its_words(circuit_folder, tmp_path, monkeypatch):
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("TWINCORTEX_STANDALONE", str(tmp_path / "standalone"))
    arguments = ["gratings", circuit_folder, "--engine", "brian-cpp", "--out", tmp_path / "out", *SHORT["gratings"]]
    with pytest.raises(TwinCortexError, match=r"share [12] of 2 failed \(exit code 1\)") as raised:
        experiment([str(one) for one in [*arguments, "--jobs", 2]])
    assert raised.value.exit_code == 1


def test_a_folder_of_other_settings_is_refused_with_what_differs(run, tmp_path):
    _, path = run("gratings", *SHORT["gratings"])
    before = path.read_bytes()
    with pytest.raises(
        InputError, match=r"other settings: protocol.trials \(2 there, 3 now\), protocol.seed \(2025 there"
    ):
        run("gratings", *SHORT["gratings"], "--trials", 3, "--seed", 1)
    with pytest.raises(InputError, match=r"experiment \(\"gratings\" there, \"silence\" now\)"):
        run("silence", *SHORT["silence"])
    assert path.read_bytes() == before
    again, _ = run("gratings", *SHORT["gratings"], "--trials", 1, "--overwrite")
    assert again.sizes["trial"] == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/data").touch()
    with pytest.raises(InputError, match="so it is no experiment"):
        run("gratings", *SHORT["gratings"], out="mine")


def test_the_engines_count_the_same_spikes(run):
    counts = [
        run("silence", *SHORT["silence"], engine=engine, out=engine)[0].spike_count for engine in ("torch", "brian")
    ]
    np.testing.assert_array_equal(*counts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["silence", "contrast"])
def test_compiled_cpp_counts_the_same_and_is_compiled_once(name, run, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_STANDALONE", str(tmp_path / "standalone"))
    in_torch, _ = run(name, *SHORT[name], out="torch")
    in_cpp, _ = run(name, *SHORT[name], out="cpp", engine="brian-cpp")
    np.testing.assert_array_equal(in_cpp.spike_count, in_torch.spike_count)
    assert len([path for path in (tmp_path / "standalone").iterdir() if path.is_dir()]) == 1


def test_a_dry_run_shows_the_table_and_writes_nothing(circuit_folder, tmp_path, capsys):
    experiment(["contrast", str(circuit_folder), "--engine", "torch", "--out", str(tmp_path / "out"), "--dry-run"])
    said = capsys.readouterr().out
    for text in ("conditions      51", "510 of 3000 ms", "1,530.0 s of 60 neurons", "memory", "result"):
        assert text in said
    assert not (tmp_path / "out").exists()


def test_the_result_says_what_it_was_made_with(run, circuit):
    found, _ = run("gratings", *SHORT["gratings"])
    assert (found.attrs["experiment"], found.attrs["engine"], found.attrs["seed"]) == ("gratings", "torch", 2025)
    assert found.attrs["weights_hash"] == circuit.weights_hash
    provenance = json.loads(found.attrs["provenance"])
    assert provenance["circuit"] == circuit.provenance
    assert provenance["protocol"]["trials"] == 2
    assert set(provenance["versions"]) >= {"numpy", "torch"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["grating"], "did you mean 'gratings'"),
        (["gratings", "--engine", "nest"], "runs no experiments"),
        (["gratings", "--engine", "brian", "--precision", "float32"], "in float64"),
        (["gratings", "--jobs", "0"], "--jobs 0"),
        (["gratings", "--batch", "0"], "--batch 0"),
        (["gratings", "--share", "3/2"], "--share '3/2'"),
        (["gratings", "--weights", "trained"], "Leave out --weights"),
        (["gratings", "--radius-um", "0"], "no neuron lies within it"),
        (["gratings", "--trails", "1"], "did you mean '--trials'"),
        (["gratings", "--cluster", "slurmy"], "did you mean 'slurm'"),
        (["gratings", "--cluster", "debug", "--cluster-options", "x"], "expected NAME=VALUE"),
    ],
)
def test_what_makes_no_experiment_is_refused(circuit_folder, tmp_path, arguments, complaint):
    common = [str(circuit_folder), "--engine", "torch", "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match=complaint):
        experiment([arguments[0], *common, *arguments[1:]])


def test_what_is_no_result_is_refused(tmp_path, run):
    with pytest.raises(InputError, match="holds 0 results"):
        read_experiment(tmp_path)
    (tmp_path / "some.nc").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        read_experiment(tmp_path / "some.nc")
