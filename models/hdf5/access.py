"""Find things in HDF5 files that may be damaged or hostile: no other file is opened, nothing absurd is read."""

from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py

from twincortex.models.errors import FileError

CUT = "It was cut short or changed after it was written: copy it again from where it is whole, or make it again."
# What h5py raises where the structure of a file is damaged; a name that is not text is a ValueError.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
_MOST_LINKS = 16
# Deflate, the strongest of the usual filters, shrinks no more than 1032 times.
_LARGEST_COMPRESSION = 1100
_SMALL_BYTES = 2**20


def refuse(parent, name, what):
    """Raise a FileError about what stands under a name in a file or group.

    Parameters
    ----------
    parent : h5py.Group
    name : str
        Empty for the group itself.
    what : str
        What is wrong, and what to do.
    """
    full_name = f"{parent.name.rstrip('/')}/{name}".rstrip("/") or "/"
    raise FileError(f"{parent.file.filename}:{full_name} {what}", parent.file.filename, full_name)


@contextmanager
def naming(parent, name=""):
    """Turn whatever h5py raises in the block into an error that names the place.

    Parameters
    ----------
    parent : h5py.Group
    name : str
    """
    try:
        yield
    except DAMAGE as error:
        refuse(parent, name, f"cannot be read: {error}. {CUT}")


def names_in(group):
    """Names of what a group holds.

    Parameters
    ----------
    group : h5py.Group

    Returns
    -------
    list of str
    """
    with naming(group):
        return [str(name) for name in group]


def find(parent, name, depth=0):
    """Follow a name, soft links included, without opening other files on the way, as HDF5 itself would.

    Parameters
    ----------
    parent : h5py.Group
    name : str
    depth : int
        Soft links already followed.

    Returns
    -------
    h5py.Group, h5py.Dataset or None
        None where there is nothing of that name.

    Raises
    ------
    FileError
        A link leads to another file, or in circles.
    """
    here = parent
    for part in [part for part in name.split("/") if part not in ("", ".")]:
        if not isinstance(here, h5py.Group) or part not in names_in(here):
            return None
        with naming(here, part):
            link = here.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            refuse(here, part, "refers to another file. Copy the data into this file.")
        elif isinstance(link, h5py.SoftLink):
            if depth == _MOST_LINKS:
                refuse(here, part, f"is a chain of more than {_MOST_LINKS} links. {CUT}")
            here = find(here.file["/"] if link.path.startswith("/") else here, link.path, depth + 1)
        else:
            with naming(here, part):
                here = here[part]
    return here


def what_is_missing(dataset):
    """Say why a file cannot hold what a dataset promises: chunks never written, an absurd shape, an unknown filter.

    Parameters
    ----------
    dataset : h5py.Dataset

    Returns
    -------
    str or None
    """
    n_bytes, stored = prod(map(int, dataset.shape)) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if not n_bytes:
        return None
    filters = dataset.id.get_create_plist()
    for number in range(filters.get_nfilters()):
        code, _, _, label = filters.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            name = label.decode(errors="replace") if isinstance(label, bytes) else label
            return f"is compressed by {name!r} (filter {code}), which is not installed here; repack it with gzip"
    if dataset.chunks is None:
        stored = min(stored, Path(dataset.file.filename).stat().st_size)
        return None if stored >= n_bytes else f"needs {n_bytes:,} bytes, but the file holds {stored:,} of them"
    chunks = prod(-(-int(n) // int(size)) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
    written = dataset.id.get_num_chunks()
    if written != chunks:
        return f"has {chunks:,} chunks of data, but {written:,} were ever written"
    if n_bytes > _SMALL_BYTES + stored * (_LARGEST_COMPRESSION if filters.get_nfilters() else 1):
        return f"needs {n_bytes:,} bytes, more than the {stored:,} in the file can hold"
    return None
