"""Circuit -> SONATA folder -> Circuit: what came back other than it went."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.models.circuit import Circuit
from twincortex.models.sonata import read_circuit, write_circuit


def write_and_read(circuit: Circuit, folder: Path) -> Circuit:
    """Write a circuit and read it back."""
    write_circuit(circuit, folder)
    return read_circuit(folder)


def differences(one: Circuit, other: Circuit) -> list[str]:
    """Names of the arrays whose type, shape or bytes differ, and of hashes and other values that differ."""
    ours, theirs = dict(_leaves("", one)), dict(_leaves("", other))
    names = [name for name in ours if name in theirs and not _are_same(ours[name], theirs[name])]
    names += [name for name in ("topology_hash", "weights_hash") if getattr(one, name) != getattr(other, name)]
    return [*names, *sorted(ours.keys() ^ theirs.keys())]


def n_bytes(circuit: Circuit) -> int:
    """Bytes of all arrays."""
    return sum(value.nbytes for _, value in _leaves("", circuit) if isinstance(value, np.ndarray))


def _leaves(name, value):
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, pd.DataFrame):
        value = {column: value[column].to_numpy() for column in value}
    if isinstance(value, dict):
        yield name, [*value]  # their order, too
        for key in value:
            yield from _leaves(f"{name}.{key}" if name else key, value[key])
    else:
        yield name, value


def _are_same(one, other):
    if not isinstance(one, np.ndarray):
        return type(one) is type(other) and one == other
    if not isinstance(other, np.ndarray) or (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if one.dtype.hasobject:
        return one.tolist() == other.tolist()
    return np.array_equal(np.ascontiguousarray(one).view(np.uint8), np.ascontiguousarray(other).view(np.uint8))
