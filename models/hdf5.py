"""HDF5 files with checksums, and errors that name file and dataset."""

from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from twincortex.models.errors import InputError, near_name_hint

_CHUNK = 2**18
_CUT = "It was cut short or changed after it was written: copy it again from where it is whole, or make it again."


@contextmanager
def open_hdf5(path):
    """Open an HDF5 file for reading; whatever fails in the block because the file is damaged names the file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        The file is missing, is not HDF5, was cut short, or a checksum does not fit.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist. Expected an HDF5 file; check the path.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as HDF5: {error}. {_CUT}") from error


def read_group(parent, name):
    """Open a group.

    Parameters
    ----------
    parent : h5py.Group
    name : str

    Raises
    ------
    InputError
        No such group; the message suggests the nearest name.
    """
    group = parent.get(name)
    where = f"{parent.file.filename}:{parent.name}"
    if not isinstance(group, h5py.Group):
        raise InputError(f"{where} holds no group {name!r}; {near_name_hint(name, parent)}.")
    if group.file.filename != parent.file.filename:
        raise InputError(f"{where}: group {name!r} lies in another file. Copy the data into this file.")
    return group


def read_dataset(group, name, length=None, integer=False):
    """Read a whole numeric dataset and check its length.

    Parameters
    ----------
    group : h5py.Group
    name : str
    length : int, optional
        Expected number of rows.
    integer : bool
        Expect whole numbers.

    Returns
    -------
    array

    Raises
    ------
    InputError
        No such dataset, not numbers, or another length.
    """
    where = f"{group.file.filename}:{group.name}/{name}"
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{where} is missing; {near_name_hint(name, group)}.")
    if dataset.is_virtual or dataset.external or dataset.file.filename != group.file.filename:
        raise InputError(f"{where} refers to another file. Copy the data into this file.")
    if dataset.dtype.kind not in ("iu" if integer else "iuf") or dataset.ndim == 0:
        numbers = "whole numbers" if integer else "numbers"
        raise InputError(f"{where} has type {dataset.dtype}, shape {dataset.shape}; expected an array of {numbers}.")
    if length is not None and len(dataset) != length:
        raise InputError(f"{where} has {len(dataset):,} entries; expected {length:,} as in its neighbors. {_CUT}")
    return dataset[...]


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


def create_dataset(group, name, shape, dtype):
    """Create a dataset of numbers with checksums, to be filled slice by slice; what is never filled reads as 0."""
    chunks = (min(shape[0], _CHUNK), *shape[1:]) if shape[0] else True
    return group.create_dataset(name, shape=shape, dtype=dtype, fletcher32=True, chunks=chunks)


def mark_as_sonata(file):
    """Write the attributes by which SONATA readers know their files."""
    file.attrs["magic"] = np.uint32(0x0A7A)
    file.attrs["version"] = np.array([0, 1], dtype=np.uint32)
