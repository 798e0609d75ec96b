"""HDF5 files with checksums, written to disks that may be full, by processes that may be interrupted.

HDF5 brings down the process when it cannot write what it has buffered. So its files hear of no failure; we do.
"""

import io
import signal
import threading
from contextlib import contextmanager

import h5py
import numpy as np

_CHUNK = 2**18
_INTERRUPTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def hdf5_to_write(path, mode="w"):
    """Open an HDF5 file to write to it; Ctrl-C waits until the block ends.

    Parameters
    ----------
    path : str or Path
    mode : str
        ``"w"``: a new file; ``"r+"``: one that is there.

    Yields
    ------
    h5py.File

    Raises
    ------
    OSError
        Once the block ends: something could not be written, for example because the disk is full.
    """
    with _interrupts_held_back(), _Disk(path, "w+" if mode == "w" else mode) as disk:
        try:
            with h5py.File(disk, mode) as file:
                yield file
        finally:
            if disk.failure:
                raise OSError(disk.failure.errno, disk.failure.strerror, str(path))


class _Disk(io.FileIO):
    """A file that keeps its first failure to itself."""

    failure = None

    def write(self, content):
        """Write all of the content, or nothing after the first failure."""
        left = memoryview(content).cast("B")
        n_bytes = len(left)
        try:
            while left and not self.failure:
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        return n_bytes

    def truncate(self, size=None):
        """Set the size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size


@contextmanager
def _interrupts_held_back():
    """Hold back what would end the main thread in the midst of a call from HDF5."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held_back = []
    handlers = {number: signal.getsignal(number) for number in _INTERRUPTS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda *interrupt: held_back.append(interrupt))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in held_back:
            handlers[number](number, frame)


def write_dataset(group, name, values, **attributes):
    """Write an array with a Fletcher-32 checksum per chunk.

    Parameters
    ----------
    group : h5py.Group
    name : str
    values : array
    **attributes
        For example ``units="ms"``.
    """
    values = np.asarray(values)
    chunks = (min(len(values), _CHUNK), *values.shape[1:]) if values.size else True
    dataset = group.create_dataset(name, data=values, fletcher32=True, chunks=chunks)
    dataset.attrs.update(attributes)


def create_dataset(group, name, shape, dtype, **attributes):
    """Create a dataset of numbers with checksums, to be filled slice by slice; what is never filled reads as 0."""
    chunks = (min(shape[0], _CHUNK), *shape[1:]) if shape[0] else True
    dataset = group.create_dataset(name, shape=shape, dtype=dtype, fletcher32=True, chunks=chunks)
    dataset.attrs.update(attributes)
    return dataset


def mark_as_sonata(file):
    """Write the attributes by which SONATA readers know their files."""
    file.attrs["magic"] = np.uint32(0x0A7A)
    file.attrs["version"] = np.array([0, 1], dtype=np.uint32)
