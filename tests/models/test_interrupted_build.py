"""Real processes of ``twincortex build`` that are ended, or run out of disk, at any moment."""

import os
import signal
import subprocess
import sys
import time

import pytest
from small_disk import small_disk

from twincortex.models.command_line import main
from twincortex.models.sonata import read_circuit

BUILD = [sys.executable, "-c", "import sys; from twincortex.models.command_line import main; sys.exit(main())", "build"]
# What appears when a build gets there. With 45 um the recurrent connections are written long before the LGN is done.
MOMENTS = {
    "before the first neuron": ".c.*.partial",
    "while the LGN is connected": ".c.*.partial/network/v1_v1_edges.h5",
    "while the rest is written": ".c.*.partial/network/lgn_v1_edges.h5",
    "at the very end": ".c.*.partial/circuit_config.json",
}
PATIENCE = 300.0  # s; a build of this size takes 3, or 30 where kernels have to be compiled, more where others compute


def start_build(out, *arguments, **options):
    command = [*BUILD, "--radius-um", "45", "--out", str(out), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


def wait_for(folder, pattern, process):
    deadline = time.monotonic() + PATIENCE
    while not any(folder.glob(pattern)) and process.poll() is None:
        assert time.monotonic() < deadline, f"no {pattern} after {PATIENCE} s"
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        *((number, moment) for number in (signal.SIGINT, signal.SIGTERM) for moment in MOMENTS),
        (signal.SIGHUP, "while the LGN is connected"),
    ],
)
def test_an_ended_build_leaves_nothing_behind(tmp_path, number, moment):
    with start_build(tmp_path / "c", stdout=subprocess.DEVNULL) as process:
        wait_for(tmp_path, MOMENTS[moment], process)
        process.send_signal(number)
        time.sleep(0.02)
        process.send_signal(number)  # by someone who is impatient
        _, err = process.communicate(timeout=PATIENCE)
    if moment == "at the very end" and process.returncode == 0:  # it was quicker than the signal
        assert read_circuit(tmp_path / "c").n_neurons > 0
    else:
        assert os.listdir(tmp_path) == []
        assert process.returncode in (130, -number)  # the second signal may find everything done, and Python leaving
        assert err == b"twincortex: interrupted; nothing half-written was left behind.\n"


def test_an_ended_build_keeps_the_circuit_that_it_was_to_replace(tmp_path):
    assert main(["build", "--radius-um", "10", "--out", str(tmp_path / "c")]) == 0
    before = read_circuit(tmp_path / "c")
    command = [*BUILD, "--radius-um", "45", "--out", str(tmp_path / "c"), "--overwrite"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for(tmp_path, MOMENTS["while the rest is written"], process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert (process.returncode, os.listdir(tmp_path)) == (130, ["c"])
    assert read_circuit(tmp_path / "c").topology_hash == before.topology_hash


def test_a_signal_that_is_to_be_ignored_is_ignored(tmp_path):
    def ignore_hangups():  # as nohup does
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with start_build(tmp_path / "c", stdout=subprocess.DEVNULL, preexec_fn=ignore_hangups) as process:
        wait_for(tmp_path, MOMENTS["before the first neuron"], process)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert read_circuit(tmp_path / "c").n_neurons > 0


def refuse(process, folder):
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, os.listdir(folder)) == (2, b"", [])
    assert err.startswith(f"twincortex: {folder}/c cannot be written: ".encode())
    assert err.count(b"\n") == 1
    return err


@pytest.mark.parametrize("n_bytes", [300_000, 3_000_000])  # of nodes and tables; in the middle of the edges
def test_a_build_that_may_not_write_as_much_leaves_nothing_behind(tmp_path, n_bytes):
    resource = pytest.importorskip("resource")

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    with start_build(tmp_path / "c", stdout=subprocess.PIPE, preexec_fn=limit_files) as process:
        assert b"File too large" in refuse(process, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs, which only Linux has")
@pytest.mark.parametrize("megabytes", [1, 4, 12])
def test_a_build_on_a_full_disk_leaves_nothing_behind(tmp_path, megabytes):
    with (
        small_disk(tmp_path / "disk", megabytes) as disk,
        start_build(disk / "c", "--ignore-memory-forecast", stdout=subprocess.PIPE) as process,
    ):
        assert b"No space left on device" in refuse(process, disk)


def test_a_place_that_cannot_be_written_is_found_before_the_column_is_built(tmp_path):
    (tmp_path / "file").touch()
    cpu_before = os.times().children_user
    command = [*BUILD, "--size", "full", "--out", str(tmp_path / "file" / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith(f"twincortex: {tmp_path}/file/c cannot be written: ")
    assert os.times().children_user - cpu_before < 10.0  # s, for imports; the column takes 40 and more
