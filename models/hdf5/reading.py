"""Read HDF5 files that may be damaged; errors name file and dataset."""

from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from twincortex.models.errors import FileError, near_name_hint
from twincortex.models.hdf5.access import CUT, find, names_in, naming, refuse, what_is_missing

_LARGEST_ITEM = 8


@contextmanager
def open_hdf5(path):
    """Open an HDF5 file for reading; whatever fails in the block because the file is damaged names the file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileError
        The file is missing, is not HDF5, was cut short, or a checksum does not fit.
    """
    if not Path(path).is_file():
        raise FileError(f"{path} does not exist. Expected an HDF5 file; check the path.", path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path} cannot be read as HDF5: {error}. {CUT}", path) from error


def read_group(parent, name):
    """Open a group.

    Parameters
    ----------
    parent : h5py.Group
    name : str

    Raises
    ------
    FileError
        No such group in this file; the message suggests the nearest name.
    """
    group = find(parent, name)
    if not isinstance(group, h5py.Group):
        refuse(parent, "", f"holds no group {name!r}; {near_name_hint(name, names_in(parent))}.")
    return group


def find_dataset(group, name, length=None, integer=False, ndim=1, may_be_unwritten=False):
    """Find a dataset of numbers and check that reading it is safe.

    Parameters
    ----------
    group : h5py.Group
    name : str
    length : int, optional
        Expected number of rows.
    integer : bool
        Expect whole numbers.
    ndim : int
        Expected number of dimensions.
    may_be_unwritten : bool
        Accept a dataset of the expected length that was created and never filled.

    Returns
    -------
    h5py.Dataset
        To be read with `read_rows`.

    Raises
    ------
    FileError
        No such dataset, not numbers, another length or shape, data in another file or never written.
    """
    dataset = find(group, name)
    if not isinstance(dataset, h5py.Dataset):
        refuse(group, name, f"is missing; {near_name_hint(name, names_in(group))}.")
    _refuse_other_files(group, name, dataset)
    with naming(group, name):
        dtype, shape = dataset.dtype, dataset.shape
    if dtype.kind not in ("iu" if integer else "iuf") or dtype.itemsize > _LARGEST_ITEM or len(shape or ()) != ndim:
        expected = f"an array of {'whole ' if integer else ''}numbers with {ndim} dimension{'s' * (ndim > 1)}"
        refuse(group, name, f"has type {dtype}, shape {shape}; expected {expected}. {CUT}")
    if length is not None and shape[0] != length:
        refuse(group, name, f"has {shape[0]:,} entries; expected {length:,} as in its neighbors. {CUT}")
    with naming(group, name):
        is_unwritten = length is not None and dataset.id.get_storage_size() == 0
        missing = None if is_unwritten and may_be_unwritten else what_is_missing(dataset)
    if missing:
        refuse(group, name, f"{missing}. {CUT}")
    return dataset


def _refuse_other_files(group, name, dataset):
    with naming(group, name):
        refers = dataset.is_virtual or dataset.external
    if refers:
        refuse(group, name, "refers to another file. Copy the data into this file.")


def read_rows(dataset, rows=slice(None)):
    """Read rows of a dataset.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of `find_dataset`.
    rows : slice

    Returns
    -------
    array
        In the byte order of this machine.
    """
    with naming(dataset):
        values = dataset[rows]
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def read_dataset(group, name, length=None, integer=False, ndim=1):
    """Read a whole numeric dataset and check its length.

    Parameters
    ----------
    group, name, length, integer, ndim
        See `find_dataset`.

    Returns
    -------
    array

    Raises
    ------
    FileError
        See `find_dataset`.
    """
    return read_rows(find_dataset(group, name, length, integer, ndim))


def is_text(group, name):
    """Whether a dataset holds text."""
    dataset = find(group, name)
    with naming(group, name):
        return isinstance(dataset, h5py.Dataset) and h5py.check_string_dtype(dataset.dtype) is not None


def read_text(group, name, length=None):
    """Read a dataset of text.

    Parameters
    ----------
    group : h5py.Group
    name : str
    length : int, optional
        Expected number of entries.

    Returns
    -------
    list of str

    Raises
    ------
    FileError
        No such dataset, not text, or another length.
    """
    if not is_text(group, name):
        refuse(group, name, "is missing or does not hold text. Expected one entry of text per row.")
    dataset = find(group, name)
    _refuse_other_files(group, name, dataset)
    with naming(group, name):
        missing = what_is_missing(dataset)
        fits = len(dataset.shape or ()) == 1 and length in (None, dataset.shape[0])
    if missing or not fits:
        refuse(group, name, f"{missing or f'has shape {dataset.shape}; expected {length} entries'}. {CUT}")
    with naming(group, name):
        return [value.decode() for value in dataset[()]]


def read_attribute(thing, name):
    """Read an attribute of a file, group or dataset.

    Parameters
    ----------
    thing : h5py.File, h5py.Group or h5py.Dataset
    name : str

    Returns
    -------
    str, number or array, or None
        Text as str; None where there is no such attribute.

    Raises
    ------
    FileError
        The attribute is there and cannot be read.
    """
    with naming(thing, f"@{name}"):
        if name not in thing.attrs:
            return None
        value = thing.attrs[name]
        if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "SOU":
            value = value.reshape(-1)[0]
        return value.decode() if isinstance(value, bytes) else value
