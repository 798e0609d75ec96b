"""What all SONATA files share: type tables, JSON files, provenance attributes, paths that stay inside the folder."""

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from twincortex.models.circuit import validate
from twincortex.models.errors import FileError, InputError, first_offenders
from twincortex.models.hdf5.writing import mark_as_sonata

CONFIG = "circuit_config.json"
MOST_TEXT_BYTES = 2**28


def write_type_table(path, table):
    """Write node or edge types as SONATA's space-separated CSV: all digits of floats, NULL for missing values."""
    table.to_csv(path, sep=" ", index=False, na_rep="NULL")


def read_text_file(path, what, most_bytes=MOST_TEXT_BYTES):
    """Read a file of text.

    Parameters
    ----------
    path : Path
    what : str
        What is expected, for the message.
    most_bytes : int
        Larger files are refused unread.

    Returns
    -------
    str

    Raises
    ------
    FileError
        The file is missing, no plain file, absurdly large or not UTF-8.
    """
    try:
        if not path.is_file():
            raise FileError(
                f"{path} does not exist. Expected {what}. Is the circuit complete? Copy it again, or build it again.",
                path,
            )
        size = path.stat().st_size
        if size > most_bytes:
            raise FileError(f"{path} has {size:,} bytes; expected {what} of at most {most_bytes:,}.", path)
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}. Expected {what}; copy it again.", path) from error


def read_json(path):
    """Read a JSON file that holds one object.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict

    Raises
    ------
    FileError
        The file is missing or damaged, names an entry twice, or holds numbers that JSON does not know (NaN).
    """
    text = read_text_file(path, "a JSON file")
    try:
        content = json.loads(text, object_pairs_hook=_entries_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        message = f"{path} is not JSON: {error}. Was it cut short? Copy it again, or build it again."
        raise FileError(message, path) from error
    if not isinstance(content, dict):
        raise FileError(f"{path} holds a {type(content).__name__}; expected an object {{...}}.", path)
    return content


def _entries_once(pairs):
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise ValueError(f"{first_offenders(twice)} occurs twice in one object")
    return entries


def _refuse_constant(name):
    raise ValueError(f"{name} is no number")


def inside(folder, name, where):
    """Resolve a file name from a data file, refusing to leave the folder.

    Parameters
    ----------
    folder : Path
        Names are relative to it, and it must hold what they name.
    name : str
    where : Path
        File that holds the name, for the message.

    Returns
    -------
    Path
    """
    return resolve_inside(folder, folder, name, where)


def resolve_inside(folder, root, name, where):
    """As `inside`, for names relative to a folder that must not leave another one, ``root``."""
    try:
        path, root = (folder / name).resolve(), root.resolve()
        is_inside = path.is_relative_to(root)
        path.is_file()  # a name that is too long, say, is found here rather than where it is used
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise FileError(f"{where} names {name!r:.80}, which is no file name: {error}. Correct it.", where) from error
    if not is_inside:
        raise FileError(
            f"{where} names {name!r}, outside {root}. Expected a file inside it; correct the name, or name the folder "
            "that holds all files with --root.",
            where,
        )
    return path


def stamp_provenance(file, circuit, units):
    """Write where an HDF5 file comes from into its root attributes.

    Parameters
    ----------
    file : h5py.File
    circuit : Circuit
    units : str
    """
    mark_as_sonata(file)
    file.attrs["units"] = units
    file.attrs["generator"] = f"twincortex {version('twincortex')}"
    if "seed" in circuit.provenance:
        file.attrs["seed"] = str(circuit.provenance["seed"])  # as text: seeds may have more than 64 bits
    file.attrs["topology_hash"] = circuit.topology_hash
    file.attrs["weights_hash"] = circuit.weights_hash
    file.attrs["provenance"] = json.dumps(circuit.provenance)


def layer_folders(root):
    """Folders of the SONATA layout below a circuit: network, cell models, synaptic models."""
    root = Path(root)
    return root / "network", root / "components" / "cell_models", root / "components" / "synaptic_models"


def validate_as_read(circuit, where):
    """Check a circuit that was just read, as `circuit.validate` does, and say where it came from.

    Parameters
    ----------
    circuit : Circuit
    where : str or Path
    """
    try:
        validate(circuit)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
