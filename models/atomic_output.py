"""Output that is either whole or not there: written under a temporary name, fsynced, renamed."""

import errno
import os
import re
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

from twincortex.models.errors import InputError

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.(partial|partial\.replaced|removed)")


@contextmanager
def new_file(path):
    """Yield a temporary path that takes the name ``path``, replacing what was there, once the block ends without error.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        The folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    partial = _temporary_name(path)
    try:  # before anything is there: Ctrl-C may come right after it is
        with _named_failures(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch(exist_ok=False)
        with _named_failures(path, partial):
            yield partial
        with _named_failures(path):
            flush_to_disk(partial)
            partial.replace(path)
            flush_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path, marker, overwrite=False):
    """Yield a temporary folder that takes the name ``path`` once the block ends without error.

    Parameters
    ----------
    path : str or Path
    marker : str
        Name of a file that every folder of this kind holds. Only such a folder is ever replaced.
    overwrite : bool
        Replace the folder that is there.

    Raises
    ------
    InputError
        See `refuse_existing`; or the folder cannot be written to, or the disk is full.
    """
    path = Path(path).absolute()
    refuse_existing(path, marker, overwrite)
    partial = _temporary_name(path)
    try:  # as above
        with _named_failures(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
        with _named_failures(path, partial):
            yield partial
        with _named_failures(path):
            for entry in [*partial.rglob("*"), partial]:
                flush_to_disk(entry)
            refuse_existing(path, marker, overwrite)
            _take_the_place_of(path, partial)
            flush_to_disk(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_existing(path, marker, overwrite=False):
    """Refuse an output folder that would replace something else.

    Parameters
    ----------
    path : str or Path
    marker : str
        Name of a file that every folder of this kind holds.
    overwrite : bool

    Raises
    ------
    InputError
        ``path`` exists and ``overwrite`` is not set, or what is there is not a folder of this kind.
    """
    path = Path(path)
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise InputError(f"{path} exists already. Choose another --out, or pass --overwrite to replace it.")
    if not (path / marker).is_file():
        raise InputError(
            f"{path} exists and holds no {marker}, so it is not an earlier output of this command and stays untouched. "
            "Choose another --out, or remove it yourself."
        )


def is_leftover(path):
    """Tell from its name whether a file or folder is what a process that was killed while writing left behind.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
    """
    return _LEFTOVER.fullmatch(path.name) is not None


def remove_leftovers(folder):
    """Remove what killed processes left in a folder and all folders below it; nobody else may be writing there.

    Parameters
    ----------
    folder : str or Path
        May be missing.
    """
    for path in filter(is_leftover, sorted(Path(folder).rglob(".*"))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with the one before


def flush_to_disk(path):
    """Wait until a file, or the names in a folder, are on the disk.

    Parameters
    ----------
    path : str or Path
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_name(path):
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.partial"


def _take_the_place_of(path, partial):
    if not path.exists():
        partial.rename(path)
        return
    aside = partial.with_name(f"{partial.name}.replaced")
    try:
        path.rename(aside)
        partial.rename(path)
    finally:  # of Ctrl-C too, which may come between the two
        if not path.exists():
            aside.rename(path)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _named_failures(path, partial=None):
    """Turn OSErrors into InputErrors; given ``partial``, only those that come from writing there."""
    try:
        yield
    except OSError as error:
        if partial is not None and not _comes_from_writing(error, partial):
            raise
        raise InputError(
            f"{path} cannot be written: {error}. Nothing was left behind. Check the permissions and the free space, or "
            "choose another place."
        ) from error


def _comes_from_writing(error, partial):
    # HDF5 names the file in the text only, and a full disk has no file name.
    named = " ".join(map(str, (error, error.filename, error.filename2)))
    return error.errno in _DISK_IS_FULL or str(partial) in named
