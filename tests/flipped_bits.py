"""Single bits of a folder flipped: in the contents of its files, in their names and in its own."""

import logging
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from twincortex.training import checkpoints


def flip_newest(run_folder: Path, n_flips: int, seed: int):
    """Flip bits of the newest checkpoint of a run, one at a time; yield (which, whether that was noticed).

    Noticed is: a warning is logged that names one damaged checkpoint, and the one before is read.
    """
    newest = checkpoints.read_last_checkpoint(run_folder)
    rng, warnings = np.random.default_rng(seed), _Collected()
    checkpoints.log.addHandler(warnings)
    try:
        for _ in range(n_flips):
            warnings.texts.clear()
            with flipped_bit(newest.folder, rng) as what:
                step = checkpoints.read_last_checkpoint(run_folder).step
            yield what, step < newest.step and len(warnings.texts) == 1 and "is damaged" in warnings.texts[0]
        warnings.texts.clear()
        assert (checkpoints.read_last_checkpoint(run_folder).step, warnings.texts) == (newest.step, [])
    finally:
        checkpoints.log.removeHandler(warnings)


class _Collected(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@contextmanager
def flipped_bit(folder: Path, rng: np.random.Generator):
    """Flip one bit of a folder, yield which, and flip it back; small files and names are hit as often as large ones."""
    targets = [folder, *sorted(folder.iterdir())]
    target = targets[rng.integers(len(targets))]
    if target.is_dir() or rng.random() < 0.1:
        yield from _in_name(target, rng)
    else:
        yield from _in_content(target, rng)


@contextmanager
def flipped_bit_at(path: Path, byte: int, bit: int):
    """Flip one bit of a file, and flip it back."""
    _flip(path, byte, bit)
    yield
    _flip(path, byte, bit)


def _in_content(path, rng):
    byte, bit = int(rng.integers(path.stat().st_size)), int(rng.integers(8))
    with flipped_bit_at(path, byte, bit):
        yield f"{path.name}: bit {bit} of byte {byte}"


def _in_name(path, rng):
    name = os.fsencode(path.name)
    while True:
        byte, bit = int(rng.integers(len(name))), int(rng.integers(8))
        other = bytes([*name[:byte], name[byte] ^ 1 << bit, *name[byte + 1 :]])
        if b"/" in other or b"\0" in other:  # no file system has such names
            continue
        renamed = path.with_name(os.fsdecode(other))
        if not renamed.exists():
            break
    path.rename(renamed)
    yield f"name of {path.name}: bit {bit} of byte {byte}"
    renamed.rename(path)


def _flip(path, byte, bit):
    with path.open("r+b") as file:
        file.seek(byte)
        value = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([value ^ 1 << bit]))
