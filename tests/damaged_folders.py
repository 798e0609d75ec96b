"""Damage to SONATA folders: changes of bytes, files, HDF5, CSV and JSON, each a pure function of a random generator.

`damage(folder, rng)` changes one thing in a folder and says what, and whether no reader could take it for a circuit.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

GARBAGE = ("", "NULL", "nan", "inf", "-1", "0", "1e400", "9" * 30, "x" * 100_000, "../../x", "\0", "é", "1 2", "'", '"')
ODD_JSON = (None, True, [], {}, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "x", "$NOWHERE/x", "../../x", [[[]]])
ABSURD_BYTES = 2**36
COLUMNS = ("source_node_id", "target_node_id", "edge_type_id", "syn_weight")


@dataclass(frozen=True)
class Damage:
    """What was done to a folder.

    ``is_fatal``: ids out of range, lengths that differ, values that are not finite: what every validator has to see.
    """

    kind: str
    what: str
    is_fatal: bool = False


def damage(folder: Path, rng: np.random.Generator) -> Damage:
    """Change one thing in a folder."""
    kind = rng.choice(list(KINDS))
    what, is_fatal = KINDS[kind](folder, rng)
    return Damage(str(kind), what, is_fatal)


def any_file(folder, rng, suffix=""):
    return _any(sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file() and path.stat().st_size), rng)


def _any(items, rng):
    return items[rng.integers(len(items))]


# --- bytes ---------------------------------------------------------------------------------------------------------
def flip_bits(folder, rng):
    path = any_file(folder, rng)
    content = bytearray(path.read_bytes())
    places = rng.integers(len(content), size=rng.integers(1, 9))
    for place in places:
        content[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)
    return f"{path.name}: bits flipped at bytes {places.tolist()}", False


def overwrite_bytes(folder, rng):
    path = any_file(folder, rng)
    content = bytearray(path.read_bytes())
    start, n = int(rng.integers(len(content))), int(rng.integers(1, 4096))
    end = min(start + n, len(content))
    content[start:end] = rng.bytes(end - start) if rng.random() < 0.5 else bytes(end - start)
    path.write_bytes(content)
    return f"{path.name}: bytes {start} to {end} overwritten", False


def flip_metadata(folder, rng):
    """Hit what no checksum covers: HDF5's own structures lie near the beginning of the file."""
    path = any_file(folder, rng, ".h5")
    content = bytearray(path.read_bytes())
    places = rng.integers(min(len(content), 8192), size=rng.integers(1, 17))
    for place in places:
        content[place] = int(rng.integers(256))
    path.write_bytes(content)
    return f"{path.name}: bytes {places.tolist()} replaced", False


def cut(folder, rng):
    path = any_file(folder, rng)
    size = int(rng.integers(path.stat().st_size))
    os.truncate(path, size)
    return f"{path.name}: cut to {size} bytes", False


def append(folder, rng):
    path = any_file(folder, rng)
    with path.open("ab") as file:
        file.write(rng.bytes(int(rng.integers(1, 5000))))
    return f"{path.name}: bytes appended", False


# --- files ---------------------------------------------------------------------------------------------------------
def replace_file(folder, rng):
    path = any_file(folder, rng)
    replacement = _any(("nothing", "a folder", "a loop", "a pipe", "a link outside", "emptiness", "a huge hole"), rng)
    path.unlink()
    if replacement == "a folder":
        path.mkdir()
    elif replacement == "a loop":
        path.symlink_to(path)
    elif replacement == "a pipe":
        os.mkfifo(path)
    elif replacement == "a link outside":
        path.symlink_to("/dev/zero")
    elif replacement in ("emptiness", "a huge hole"):
        path.touch()
        os.truncate(path, ABSURD_BYTES if replacement == "a huge hole" else 0)
    return f"{path.name}: replaced by {replacement}", False


def swap_files(folder, rng):
    one = any_file(folder, rng)
    other = any_file(folder, rng, one.suffix)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    return f"{one.name} and {other.name}: swapped", False


# --- HDF5 ----------------------------------------------------------------------------------------------------------
def _objects(file, kind):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, kind) else None)
    return sorted(found)


def _in_hdf5(kind, change):
    def mutate(folder, rng):
        path = any_file(folder, rng, ".h5")
        with h5py.File(path, "r+") as file:
            name = _any(_objects(file, kind), rng)
            what, is_fatal = change(file, name, rng)
        return f"{path.name}:/{name}: {what}", is_fatal

    return mutate


def delete_object(file, name, _):
    del file[name]
    return "deleted", False


def rename_object(file, name, _):
    file.move(name, f"{name}_")
    return "renamed", False


def retype_dataset(file, name, rng):
    values = file[name][...]
    del file[name]
    kind = _any(("float64", "float32", "int8", "uint64", "S5", "complex128", "text", "compound", "opaque"), rng)
    if kind == "text":
        file[name] = [str(value) for value in np.ravel(values)] or "x"
    elif kind == "compound":
        file[name] = np.zeros(values.shape, dtype=[("a", "i4"), ("b", "f8")])
    elif kind == "opaque":
        file[name] = np.zeros(values.shape, dtype="V7")
    else:
        with np.errstate(invalid="ignore"):
            file[name] = values.astype(kind)
    return f"type changed to {kind}", False


def reshape_dataset(file, name, rng):
    values = file[name][...]
    shapes = {
        "shorter": values[:-1],
        "longer": np.concatenate([values, values[-1:]]),
        "empty": values[:0],
        "two columns": np.stack([values, values], axis=-1),
        "a scalar": values.ravel()[:1].sum(),
    }
    shape = _any(list(shapes), rng)
    if len(values) < 2:
        return "left alone: too short to change", False
    del file[name]
    file[name] = shapes[shape]
    return f"made {shape}", name.rpartition("/")[2] in COLUMNS


def make_absurd(file, name, rng):
    dtype = file[name].dtype
    del file[name]
    shape = _any(((2**50,), (2**34,), (2**20, 2**20), (2,) * 30), rng)
    chunks = tuple(min(n, 1024 if len(shape) == 1 else 2) for n in shape)
    file.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks)
    return f"given the shape {shape}", False


_BAD_VALUES = {
    "source_node_id": (2**31, 2**40, 2**63),
    "target_node_id": (2**31, 2**40, 2**63),
    "edge_type_id": (7, 2**31),
    "node_type_id": (7, 2**31),
    "syn_weight": (np.nan, np.inf, -np.inf),
    "x": (np.nan, np.inf),
}


def spoil_value(folder, rng):
    path = any_file(folder, rng, ".h5")
    with h5py.File(path, "r+") as file:
        datasets = [name for name in _objects(file, h5py.Dataset) if name.rpartition("/")[2] in _BAD_VALUES]
        datasets = [name for name in datasets if len(file[name])]
        if not datasets:
            return f"{path.name}: left alone", False
        name = _any(datasets, rng)
        values = file[name][...]
        bad = _any(_BAD_VALUES[name.rpartition("/")[2]], rng)
        row = int(rng.integers(len(values)))
        del file[name]
        if values.dtype.kind in "iu":
            values = values.astype(np.uint64)
        values[row] = bad
        file[name] = values
    return f"{path.name}:/{name}[{row}] set to {bad}", not name.startswith("nodes/lgn")


def link_elsewhere(file, name, rng):
    dataset = file[name]
    shape, dtype = dataset.shape, dataset.dtype
    del file[name]
    kind = _any(("external link", "soft loop", "virtual dataset", "external storage", "itself"), rng)
    if kind == "external link":
        file[name] = h5py.ExternalLink("/etc/passwd", "/x")
    elif kind == "soft loop":
        file[name] = h5py.SoftLink(f"/{name}")
    elif kind == "virtual dataset":
        layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
        layout[...] = h5py.VirtualSource("elsewhere.h5", "x", shape=shape)
        file.create_virtual_dataset(name, layout)
    elif kind == "external storage":
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        file.create_dataset(name, shape=shape, dtype=dtype, external=[("/dev/zero", 0, n_bytes)])
    else:
        file[name] = file
    return f"made a {kind}", False


def spoil_attribute(folder, rng):
    path = any_file(folder, rng, ".h5")
    with h5py.File(path, "r+") as file:
        owners = ["/", *_objects(file, (h5py.Group, h5py.Dataset))]
        found = [(owner, name) for owner in owners for name in file[owner].attrs]
        if not found:
            return f"{path.name}: left alone", False
        owner, name = _any(found, rng)
        odd = _any((None, "", "{", "[1", "null", '{"parameters": 3}', -1, np.nan, np.zeros((3, 3)), b"\xff"), rng)
        del file[owner].attrs[name]
        if odd is not None:
            file[owner].attrs[name] = odd
    return f"{path.name}:{owner}@{name} set to {str(odd)[:20]!r}", False


# --- text ----------------------------------------------------------------------------------------------------------
def spoil_table(folder, rng):
    path = any_file(folder, rng, ".csv")
    rows = [line.split(" ") for line in path.read_text().splitlines()]
    row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    action = _any(("cell", "row dropped", "row twice", "column dropped", "commas", "header dropped", "row cut"), rng)
    if action == "cell":
        rows[row][column] = action = str(_any(GARBAGE, rng))
    elif action in ("row dropped", "header dropped"):
        del rows[row if action == "row dropped" else 0]
    elif action == "row twice":
        rows.insert(row, rows[row])
    elif action == "column dropped":
        rows = [line[:column] + line[column + 1 :] for line in rows]
    elif action == "row cut":
        rows[row] = rows[row][:column]
    path.write_text("\n".join(("," if action == "commas" else " ").join(line) for line in rows) + "\n")
    return f"{path.name}: row {row}, column {column}: {action[:20]!r}", False


def spoil_json(folder, rng):
    path = any_file(folder, rng, ".json")
    content = json.loads(path.read_text())
    places = list(_json_places(content))
    parent, key = _any(places, rng) if places else ([content], 0)
    odd = _any((*ODD_JSON, "deep", "dropped"), rng)
    if odd == "dropped":
        del parent[key]
    elif odd != "deep":
        parent[key] = odd
    text = json.dumps(content)
    path.write_text("[" * 200_000 if odd == "deep" else text)
    return f"{path.name}: {key} set to {str(odd)[:20]!r}", False


def _json_places(content):
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield content, key
        yield from _json_places(value)


ANYTHING = (h5py.Group, h5py.Dataset)
KINDS = {
    "bits flipped": flip_bits,
    "bytes overwritten": overwrite_bytes,
    "HDF5 metadata": flip_metadata,
    "cut": cut,
    "appended": append,
    "file replaced": replace_file,
    "files swapped": swap_files,
    "object deleted": _in_hdf5(ANYTHING, delete_object),
    "object renamed": _in_hdf5(ANYTHING, rename_object),
    "type changed": _in_hdf5(h5py.Dataset, retype_dataset),
    "shape changed": _in_hdf5(h5py.Dataset, reshape_dataset),
    "absurd shape": _in_hdf5(h5py.Dataset, make_absurd),
    "bad value": spoil_value,
    "link elsewhere": _in_hdf5(h5py.Dataset, link_elsewhere),
    "attribute": spoil_attribute,
    "table": spoil_table,
    "JSON": spoil_json,
}
