"""Folders of checkpoints: no damage goes unnoticed, and no moment of a kill leaves half of one under its name."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from flipped_bits import flipped_bit, flipped_bit_at

from twincortex.models.errors import InputError
from twincortex.training.checkpoint_folders import (
    BEST,
    LAST,
    MANIFEST,
    checkpoint_path,
    find_damage,
    find_whole,
    keep_last,
    write_folder,
)
from twincortex.training.run_record import RunRecord


def write(run_folder, step, kind=LAST, text="some weights"):
    def fill(partial):
        (partial / "state.safetensors").write_text(text)
        (partial / "state.json").write_text(f'{{"step": {step}}}\n')

    folder = checkpoint_path(run_folder, kind, step)
    write_folder(folder, fill)
    return folder


def names(run_folder):
    return sorted(path.name for path in (run_folder / "checkpoints").iterdir())


def find(run_folder, kind=LAST):
    """The newest whole checkpoint, and the names of those that were skipped."""
    skipped = []
    return find_whole(run_folder, kind, lambda folder, damage: skipped.append(folder.name)), skipped


def test_every_bit_of_every_file_is_watched(tmp_path):
    folder = write(tmp_path, 7)
    for path in folder.iterdir():
        for byte in range(path.stat().st_size):
            for bit in range(8):
                with flipped_bit_at(path, byte, bit):
                    assert find_damage(folder), f"{path.name}, bit {bit} of byte {byte}"
    assert find_damage(folder) is None


def test_every_flip_in_a_name_is_watched(tmp_path):
    older, newer = write(tmp_path, 6), write(tmp_path, 7)
    rng = np.random.default_rng(1)
    for _ in range(500):
        with flipped_bit(newer, rng) as what:
            found, skipped = find(tmp_path)
            assert len(skipped) == 1, what
            assert found == older, what
    assert find(tmp_path) == (newer, [])


@pytest.mark.parametrize("name", ["state.json", MANIFEST])
def test_a_missing_file_is_named(tmp_path, name):
    folder = write(tmp_path, 7)
    (folder / name).unlink()
    assert name in find_damage(folder)


def test_a_file_too_many_and_another_length_are_named(tmp_path):
    folder = write(tmp_path, 7)
    (folder / "stray").touch()
    assert find_damage(folder) == "not of it: 'stray'"
    (folder / "stray").unlink()
    (folder / "state.json").write_text("{}")
    assert find_damage(folder) == "of another length or sha256: 'state.json'"


def test_a_run_without_checkpoints_has_none(tmp_path):
    assert find(tmp_path) == (None, [])


def test_when_all_are_damaged_each_is_named_with_its_damage(tmp_path):
    for step in (1, 2):
        (write(tmp_path, step) / "state.json").unlink()
    (tmp_path / "checkpoints/stdp_000003").mkdir()
    expected = (
        r"'stdp_000003': no checkpoint.*'step_000001': missing: 'state.json'; 'step_000002'.*resume from the start"
    )
    with pytest.raises(InputError, match=expected):
        find(tmp_path)


def test_the_last_stay_and_the_best_is_pinned(tmp_path):
    write(tmp_path, 1, BEST)
    for step in range(5):
        keep_last(write(tmp_path, step), 2)
    assert names(tmp_path) == ["best_000001", "step_000003", "step_000004"]
    keep_last(write(tmp_path, 4, BEST), 1)
    assert names(tmp_path) == ["best_000004", "step_000003", "step_000004"]
    assert find(tmp_path, BEST)[0].name == "best_000004"


def test_steps_are_counted_beyond_six_digits(tmp_path):
    for step in (999_999, 1_000_000):
        keep_last(write(tmp_path, step), 1)
    assert names(tmp_path) == ["step_1000000"]


def test_a_damaged_checkpoint_of_a_later_step_never_counts_among_the_last(tmp_path):
    good, damaged = write(tmp_path, 2), write(tmp_path, 4)
    (damaged / "state.json").write_text("")
    again = write(tmp_path, 3)
    keep_last(again, 1)
    assert not good.exists()
    assert find(tmp_path) == (again, ["step_000004"])


def test_a_damaged_checkpoint_is_replaced_and_a_whole_one_is_not(tmp_path):
    folder = write(tmp_path, 2)
    write(tmp_path, 2, text="others")
    assert (folder / "state.safetensors").read_text() == "some weights"
    (folder / MANIFEST).unlink()
    write(tmp_path, 2, text="others")
    assert (folder / "state.safetensors").read_text() == "others"
    assert names(tmp_path) == ["step_000002"]


# Saves small checkpoints for ever; nothing is imported that takes time.
SAVE_FOR_EVER = """
import itertools, os, sys
from twincortex.training.checkpoint_folders import checkpoint_path, keep_last, write_folder
print("ready", flush=True)
for step in itertools.count(int(sys.argv[2])):
    def fill(partial):
        for name in "abc":
            (partial / name).write_bytes(os.urandom(20_000))
    folder = checkpoint_path(sys.argv[1], "step", step)
    write_folder(folder, fill)
    keep_last(folder, 2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_no_moment_of_a_kill_leaves_half_a_checkpoint_under_its_name(tmp_path):
    rng, left, seen = np.random.default_rng(3), 0, False
    for number in range(30):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path), str(number * 10_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        entries = list((tmp_path / "checkpoints").glob("*")) if (tmp_path / "checkpoints").exists() else []
        visible = [path for path in entries if not path.name.startswith(".")]
        assert [find_damage(path) for path in visible] == [None] * len(visible)
        seen = seen or bool(visible)
        assert bool(visible) == seen
        left += len(entries) - len(visible)
    assert left > 0  # or no kill came in the midst of a save, and nothing was tested
    RunRecord(tmp_path, "", resume=True)
    assert not list((tmp_path / "checkpoints").glob(".*"))
