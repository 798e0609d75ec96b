"""Sizes, checksums and hashes of a SONATA folder, by which a cut or changed file is found before it does harm."""

import hashlib
import json

from twincortex.models.errors import FileError, InputError
from twincortex.models.sonata_configuration import CONFIG
from twincortex.models.sonata_tables import inside, read_json

CHECKSUMS = "checksums.json"


def write_checksums(root, circuit):
    """Write the fingerprint of every file below a circuit's folder but the configuration, and the circuit's hashes.

    The configuration may be edited, to name trained weights; what it names is read and checked anyway.

    Parameters
    ----------
    root : Path
    circuit : Circuit
    """
    files = {}
    for path in sorted(entry for entry in root.rglob("*") if entry.is_file() and entry.name != CONFIG):
        files[path.relative_to(root).as_posix()] = _fingerprint(path)
    content = {"topology_hash": circuit.topology_hash, "weights_hash": circuit.weights_hash, "files": files}
    (root / CHECKSUMS).write_text(json.dumps(content, indent=1) + "\n")


def _fingerprint(path):
    # HDF5 files carry a checksum in every chunk, so their size is enough here.
    fingerprint = {"bytes": path.stat().st_size}
    if path.suffix != ".h5":
        fingerprint["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return fingerprint


def check_files(root):
    """Refuse a folder in which a file is missing, cut short or changed.

    Parameters
    ----------
    root : Path

    Returns
    -------
    dict
        Hashes of the circuit that was written; empty for a folder without checksums, such as someone else's circuit.

    Raises
    ------
    InputError
    """
    for error in changed_files(root):
        raise error
    return _read_checksums(root)


def changed_files(root):
    """Compare the files of a folder with their fingerprints.

    Parameters
    ----------
    root : Path

    Yields
    ------
    FileError
        One per file that is missing, cut short or changed.
    """
    for name, written in _read_checksums(root).get("files", {}).items():
        path = inside(root, name, root / CHECKSUMS)
        if not path.is_file():
            yield FileError(f"{path} is missing. Copy the whole circuit again, or build it again.", path)
        elif (size := path.stat().st_size) != written["bytes"]:
            yield FileError(
                f"{path} has {size:,} bytes, but {written['bytes']:,} were written. It was cut short or changed: copy "
                "the circuit again, or build it again.",
                path,
            )
        elif _fingerprint(path) != written:
            yield FileError(
                f"{path} was changed after it was written. Restore it; or, if the change is meant, delete {CHECKSUMS}.",
                path,
            )


def _read_checksums(root):
    path = root / CHECKSUMS
    if not path.exists():
        return {}
    checksums = read_json(path)
    files = checksums.get("files", {})
    are_fingerprints = isinstance(files, dict) and all(
        isinstance(written, dict) and isinstance(written.get("bytes"), int) for written in files.values()
    )
    hashes = [checksums.get(name) for name in ("topology_hash", "weights_hash")]
    if not are_fingerprints or not all(value is None or isinstance(value, str) for value in hashes):
        raise FileError(f"{path} is damaged: expected hashes, and bytes of each file. Restore it, or delete it.", path)
    return checksums


def check_hashes(circuit, checksums, root, paths):
    """Refuse a circuit that is not the one that was written.

    Parameters
    ----------
    circuit : Circuit
    checksums : dict
        As returned by `check_files`.
    root : Path
    paths : set of Path
        Files that the circuit was read from. Its weights may differ only where one of them is not in the checksums.

    Raises
    ------
    InputError
    """
    written_files = {(root / name).resolve() for name in checksums.get("files", {})}
    names = ("topology_hash", "weights_hash") if paths <= written_files else ("topology_hash",)
    for name in names:
        actual, written = getattr(circuit, name), checksums.get(name)
        if written is not None and actual != written:
            raise InputError(
                f"{root}: {name} is {actual[:12]}..., but {CHECKSUMS} has {written[:12]}... Files were changed after "
                f"they were written. Restore them; or, if the change is meant, delete {CHECKSUMS}."
            )
