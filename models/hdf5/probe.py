"""Walk through HDF5 files: ``python -m twincortex.models.hdf5.probe SECONDS FILE...``.

In a damaged structure the HDF5 library may run in circles or crash, which nothing inside its process can stop. So a
process that may be lost goes first. It tells on stdout which file is next; errors are left to the reader.
"""

import contextlib
import sys

import h5py

from twincortex.models.hdf5.access import DAMAGE, what_is_missing

try:
    import resource
except ImportError:  # Windows: only the clock of the process that waits ends this one
    resource = None

_TEXTS_AT_ONCE = 2**16


def main(seconds, paths):
    """Walk through files, one after the other.

    Parameters
    ----------
    seconds : int
        Of the processor.
    paths : sequence of str
    """
    _limit(seconds)
    for number, path in enumerate(paths):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        with contextlib.suppress(*DAMAGE), h5py.File(path, "r") as file:
            _walk(file, set())


def _limit(seconds):
    if resource:
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        seconds = seconds if most == resource.RLIM_INFINITY else min(seconds, most)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _walk(thing, seen):
    """Visit each object that a group holds once; none of them lies in another file."""
    address = h5py.h5o.get_info(thing.id).addr
    if address in seen:
        return
    seen.add(address)
    with contextlib.suppress(*DAMAGE):
        for name in thing.attrs:
            with contextlib.suppress(*DAMAGE):
                thing.attrs[name]
    if isinstance(thing, h5py.Dataset):
        _visit_dataset(thing)
    elif isinstance(thing, h5py.Group):
        for name in thing:
            with contextlib.suppress(*DAMAGE):
                if isinstance(thing.get(name, getlink=True), h5py.HardLink):
                    _walk(thing[name], seen)


def _visit_dataset(dataset):
    """Visit the index of the chunks, but read nothing except text, which lies in heaps."""
    refers = dataset.is_virtual or dataset.external
    if refers or not dataset.shape or what_is_missing(dataset) or not h5py.check_string_dtype(dataset.dtype):
        return
    for start in range(0, len(dataset), _TEXTS_AT_ONCE):
        dataset[start : start + _TEXTS_AT_ONCE]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
