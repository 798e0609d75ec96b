"""One process trains in a run folder at a time; the lock goes with the process, however it ends."""

import fcntl
import os
import platform
from pathlib import Path

from twincortex.models.errors import InputError

LOCK = ".lock"


def lock_run_folder(folder):
    """Keep other processes out of a run folder until this one ends.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.

    Returns
    -------
    int
        Descriptor of the file that is locked; closing it ends the lock.

    Raises
    ------
    InputError
        Another process trains there, or the folder cannot be written.
    """
    path = Path(folder) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}. Choose another --out.") from error
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        owner = os.read(handle, 1000).decode(errors="replace").strip()
        os.close(handle)
        raise InputError(
            f"{folder} is being trained by {owner or 'another process'}; two would overwrite each other. End that one "
            "first, or choose another --out."
        ) from error
    except OSError:
        return handle  # a network disk that knows no locks
    os.truncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
    return handle
