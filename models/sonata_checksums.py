"""Sizes, checksums and hashes of a SONATA folder, by which a cut or changed file is found before it does harm."""

import hashlib
import json

from twincortex.models.errors import InputError
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
    if not (root / CHECKSUMS).is_file():
        return {}
    checksums = read_json(root / CHECKSUMS)
    for name, written in checksums.get("files", {}).items():
        path = inside(root, name, root / CHECKSUMS)
        if not path.is_file():
            raise InputError(f"{path} is missing. Copy the whole circuit again, or build it again.")
        size = path.stat().st_size
        if size != written.get("bytes"):
            raise InputError(
                f"{path} has {size:,} bytes, but {written.get('bytes', 0):,} were written. It was cut short or "
                "changed: copy the circuit again, or build it again."
            )
        if _fingerprint(path) != written:
            raise InputError(
                f"{path} was changed after it was written. Restore it; or, if the change is meant, delete {CHECKSUMS}."
            )
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
