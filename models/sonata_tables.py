"""What all SONATA files share: type tables, JSON files, provenance attributes, paths that stay inside the folder."""

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.models.circuit import validate
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.hdf5 import mark_as_sonata


def write_type_table(path, table):
    """Write node or edge types as SONATA's space-separated CSV: all digits of floats, NULL for missing values."""
    table.to_csv(path, sep=" ", index=False, na_rep="NULL")


def read_type_table(path, index, columns):
    """Read a space-separated CSV of node or edge types.

    Parameters
    ----------
    path : Path
    index : str
        ``"node_type_id"`` or ``"edge_type_id"``; unique integers.
    columns : dict of str -> type
        Columns that must be there, and what they hold: str or float.

    Returns
    -------
    pandas.DataFrame
        These columns only.

    Raises
    ------
    InputError
        The file or a column is missing, a value is not what it has to be, an id occurs twice.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Expected a SONATA table of types. Is the circuit complete?")
    try:
        # As text first: converted by Python, floats come back bit by bit with every version of pandas.
        table = pd.read_csv(path, sep=" ", dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{path} is not a table of types: {error}. Expected columns separated by spaces.") from error
    typed = {name: _convert(path, table, name, kind) for name, kind in {index: int, **columns}.items()}
    twice = [id_ for id_, count in Counter(typed[index]).items() if count > 1]
    if twice:
        raise InputError(f"{path}: {index} {first_offenders(twice)} occurs twice. Expected each type once.")
    ids = pd.Index(np.array(typed.pop(index), dtype=np.int64), name=index)
    return pd.DataFrame(typed, index=ids)


def _convert(path, table, column, kind):
    if column not in table:
        raise InputError(f"{path} has no column {column!r}; {near_name_hint(column, map(str, table))}.")
    try:
        return [kind(value) for value in table[column]]
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: column {column}: {error}. Is the file cut short or damaged?") from error


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
    InputError
        The file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Is the circuit complete? Copy it again, or build it again.")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}. Was it cut short? Copy it again, or build it again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; expected an object {{...}}.")
    return content


def inside(folder, name, where):
    """Resolve a file name from a data file, refusing to leave the folder.

    Parameters
    ----------
    folder : Path
    name : str
    where : Path
        File that holds the name, for the message.

    Returns
    -------
    Path
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{where} names {name!r}, outside {folder}. Expected a file inside it; correct the name.")
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
