"""Folders below ``checkpoints/`` of a run: whole or not there, each under a manifest of all its bytes, the last kept.

The manifest is a function of the folder's name and files alone. Whoever reads it makes it again and compares byte for
byte, so that it needs no digest of its own: no bit of a file, of a name or of the manifest changes unnoticed.
"""

import hashlib
import json
import re
import secrets
import shutil
from pathlib import Path

from twincortex.models.atomic_output import flush_to_disk, is_leftover, new_folder
from twincortex.models.errors import InputError

MANIFEST = "manifest.json"
FOLDER = "checkpoints"
LAST, BEST = "step", "best"
_NAME = re.compile(rf"({LAST}|{BEST})_(\d{{6,}})")


def checkpoint_path(run_folder, kind, step):
    """Where the checkpoint of a step belongs.

    Parameters
    ----------
    run_folder : str or Path
    kind : str
        ``"step"``, or ``"best"`` for the pinned one.
    step : int
        Updates done.

    Returns
    -------
    Path
    """
    return Path(run_folder) / FOLDER / f"{kind}_{step:06d}"


def write_folder(folder, write):
    """Write a checkpoint folder, whole or not at all; one that is there and whole already is left alone.

    Parameters
    ----------
    folder : Path
    write : callable
        Called with a temporary folder, to fill it.

    Raises
    ------
    InputError
        It cannot be written, or reads otherwise than it was written.
    """
    if folder.exists():
        if find_damage(folder) is None:
            return
        _remove(folder)
    with new_folder(folder, MANIFEST) as partial:
        write(partial)
        (partial / MANIFEST).write_text(_manifest(partial, folder.name))
    flush_to_disk(folder.parent.parent)  # where the first checkpoint has made a folder
    if damage := find_damage(folder):
        raise InputError(f"{folder} is not what was written: {damage}. Older checkpoints stay. Check the disk.")


def keep_last(folder, keep):
    """Remove what lies before the last few checkpoints of a kind.

    Parameters
    ----------
    folder : Path
        The newest. Those of later steps are damaged ones that a resumed run has come back from; they do not count.
    keep : int
        Checkpoints that stay.
    """
    kind, step = _kind_and_step(folder.name)
    older = [path for number, path in _of_kind(folder.parent, kind) if number < step]
    for path in older[: max(0, len(older) - (keep - 1))]:
        _remove(path)


def find_whole(run_folder, kind, report):
    """Find the newest checkpoint of a kind that is whole, and all damage on the way.

    Parameters
    ----------
    run_folder : str or Path
    kind : str
    report : callable
        Called with (folder, damage) for every checkpoint of the run that is damaged, older ones and other kinds too.

    Returns
    -------
    Path or None
        None where there is no checkpoint of this kind, nor anything that may have been one.

    Raises
    ------
    InputError
        All are damaged.
    """
    parent = Path(run_folder) / FOLDER
    damaged = {path: damage for path in _entries(parent) if (damage := find_damage(path))}
    for path, damage in damaged.items():
        report(path, damage)
    of_kind = [path for _, path in _of_kind(parent, kind)]
    whole = [path for path in of_kind if path not in damaged]
    found = [f"{path.name!a}: {damage}" for path, damage in damaged.items() if path in of_kind or not _is_named(path)]
    if not whole and found:
        raise InputError(
            f"{parent} holds no whole checkpoint: {'; '.join(found)}. Put back a copy of one, or remove that folder to "
            "resume from the start."
        )
    return whole[-1] if whole else None


def find_damage(folder):
    """Say what is wrong with a checkpoint folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str or None
        None where every file is as it was written.
    """
    if not _is_named(folder):
        return "no checkpoint has such a name"
    try:
        written, now = (folder / MANIFEST).read_bytes(), _manifest(folder, folder.name)
    except OSError as error:
        return str(error)
    if written == now.encode():
        return None
    try:
        name, then = (json.loads(written)[key] for key in ("checkpoint", "files"))
        return _difference(folder.name, json.loads(now)["files"], name, dict(then))
    except (ValueError, KeyError, TypeError):
        return f"{MANIFEST} cannot be read"


def _difference(folder_name, files, name, then):
    if name != folder_name:
        return f"{MANIFEST} is of {name!r}"
    found = {
        "missing": sorted(then.keys() - files.keys()),
        "not of it": sorted(files.keys() - then.keys()),
        "of another length or sha256": sorted(file for file in then.keys() & files.keys() if then[file] != files[file]),
    }
    text = "; ".join(f"{what}: {', '.join(map(ascii, names))}" for what, names in found.items() if names)
    return text or f"{MANIFEST} is not as it was written"


def _manifest(folder, name):
    """Text of the manifest of what a folder holds, under the name that the folder has or will have."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    return json.dumps({"checkpoint": name, "files": files}, indent=2) + "\n"


def _digest(path):
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def _kind_and_step(name):
    kind, step = _NAME.fullmatch(name).groups()
    return kind, int(step)


def _is_named(path):
    return _NAME.fullmatch(path.name) is not None


def _of_kind(parent, kind):
    """(step, folder) of all checkpoints of a kind, oldest first."""
    named = [(*_kind_and_step(path.name), path) for path in _entries(parent) if _is_named(path)]
    return sorted((step, path) for other, step, path in named if other == kind)


def _entries(parent):
    return sorted(path for path in parent.iterdir() if not is_leftover(path)) if parent.is_dir() else []


def _remove(folder):
    # Under its name it is whole to the last; what is left of a removal that is cut short has another.
    doomed = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.removed")
    folder.rename(doomed)
    flush_to_disk(folder.parent)
    shutil.rmtree(doomed)
