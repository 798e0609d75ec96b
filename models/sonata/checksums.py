"""Sizes, checksums and hashes of a SONATA folder, by which a cut or changed file is found before it does harm."""

import hashlib
import io
import json

from twincortex.models.errors import FileError, InputError
from twincortex.models.hdf5.structure import extents_of_chunks
from twincortex.models.sonata.tables import CONFIG, inside, read_json

CHECKSUMS = "checksums.json"
_READ_AT_ONCE = 2**20


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
        data = extents_of_chunks(path) if path.suffix == ".h5" else []
        files[path.relative_to(root).as_posix()] = _fingerprint(path, data)
    content = {"topology_hash": circuit.topology_hash, "weights_hash": circuit.weights_hash, "files": files}
    (root / CHECKSUMS).write_text(json.dumps(content, indent=1) + "\n")


def _fingerprint(path, data):
    """Size and hash of a file but for the ``data`` in it: what HDF5 checks itself would take long to read twice."""
    digest, place = hashlib.sha256(), 0
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        for start, stop in [*data, (size, size)]:
            file.seek(place)
            while place < start and (part := file.read(min(start - place, _READ_AT_ONCE))):
                digest.update(part)
                place += len(part)
            place = stop
    return {"bytes": size, "sha256": digest.hexdigest(), **({"data": data} if data else {})}


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
    for path, written in _written_files(root):
        what = _change(path, written)
        if what:
            yield FileError(f"{path} {what}", path)


def unchanged_files(root):
    """Name the files of a folder that are as they were written, so that their structure can be trusted.

    Parameters
    ----------
    root : Path

    Returns
    -------
    set of Path

    Raises
    ------
    FileError
        The checksums themselves are damaged.
    """
    return {path for path, written in _written_files(root) if not _change(path, written)}


def _written_files(root):
    """Each file of the checksums with its fingerprint."""
    files = _read_checksums(root).get("files", {})
    return [(inside(root, name, root / CHECKSUMS), written) for name, written in files.items()]


def _change(path, written):
    """What happened to a file since it was written, and what to do; None where nothing did."""
    if not path.is_file():
        return "is missing. Copy the whole circuit again, or build it again."
    size = path.stat().st_size
    if size != written["bytes"]:
        return (
            f"has {size:,} bytes, but {written['bytes']:,} were written. It was cut short or changed: copy the circuit "
            "again, or build it again."
        )
    if _fingerprint(path, written.get("data", [])) != written:
        return f"was changed after it was written. Restore it; or, if the change is meant, delete {CHECKSUMS}."
    return None


def _read_checksums(root):
    path = root / CHECKSUMS
    if not path.exists():
        return {}
    checksums = read_json(path)
    files = checksums.get("files", {})
    are_fingerprints = isinstance(files, dict) and all(map(_is_fingerprint, files.values()))
    hashes = [checksums.get(name) for name in ("topology_hash", "weights_hash")]
    if not are_fingerprints or not all(value is None or isinstance(value, str) for value in hashes):
        raise FileError(f"{path} is damaged: expected hashes, and bytes of each file. Restore it, or delete it.", path)
    return checksums


def _is_fingerprint(written):
    if not isinstance(written, dict) or not isinstance(written.get("bytes"), int):
        return False
    data = written.get("data", [])
    are_pairs = isinstance(data, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in data)
    borders = [0, *(border for pair in data for border in pair), written["bytes"]] if are_pairs else [""]
    return all(isinstance(border, int) for border in borders) and borders == sorted(borders)


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
