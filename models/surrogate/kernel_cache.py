"""A folder of compiled libraries, each made once for all processes, whole or not at all."""

import atexit
import hashlib
import os
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

from filelock import FileLock

from twincortex.models.atomic_output import new_file
from twincortex.models.errors import InputError

CACHE_VARIABLE = "TWINCORTEX_KERNELS"


def cache_folder():
    """Where compiled kernels are kept: TWINCORTEX_KERNELS, else twincortex/kernels in the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(cached, "twincortex", "kernels")


def cached_library(name, make):
    """Path of a library, made where it is missing or damaged.

    Parameters
    ----------
    name : str
        Of the file; another for everything that makes another library.
    make : callable
        Returns the content of the library, bytes.

    Returns
    -------
    Path
        In `cache_folder`; where nothing can be written there, with a warning, in a folder that is deleted when this
        process ends.

    Raises
    ------
    InputError
        Nothing can be written to the folder for temporary files either.
    """
    try:
        return _kept_in(cache_folder(), name, make)
    except (OSError, InputError) as error:
        warnings.warn(
            f"compiled kernels cannot be kept, so every process compiles them again: {error} Set {CACHE_VARIABLE} to a "
            "folder that can be written to.",
            stacklevel=2,
        )
    try:
        return _kept_in(_folder_of_this_process(), name, make)
    except OSError as error:
        raise InputError(f"compiled kernels cannot be written to a temporary folder: {error}. Set TMPDIR.") from error


@cache
def _folder_of_this_process():
    folder = Path(tempfile.mkdtemp(prefix="twincortex-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _kept_in(folder, name, make):
    path = folder / name
    if not _is_whole(path):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not _is_whole(path):  # while this process waited, another may have made it
                library = make()
                for file, content in ((_checksum_file(path), _checksum(library)), (path, library)):
                    with new_file(file) as partial:
                        partial.write_bytes(content)
    return path


def _is_whole(path):
    """Whether the library is as it was written; a process that loads a damaged one may crash."""
    try:
        return _checksum(path.read_bytes()) == _checksum_file(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _checksum(library):
    return hashlib.sha256(library).hexdigest().encode()


def _checksum_file(path):
    return path.with_suffix(".sha256")
