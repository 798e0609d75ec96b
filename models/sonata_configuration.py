"""``circuit_config.json``: which files a SONATA circuit consists of."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.sonata_tables import inside, read_json

CONFIG = "circuit_config.json"
SOURCES = ("v1", "lgn", "bkg")
_JSON_KINDS = {dict: "an object {...}", list: "a list [...]", str: "text"}
_MODEL_TYPES = {"v1": "point_neuron", "lgn": "virtual", "bkg": "virtual"}


@dataclass(frozen=True)
class Configuration:
    """The files of a circuit.

    Attributes
    ----------
    nodes, edges : dict of population -> (Path, Path)
        HDF5 file and types CSV; edge populations are called ``<source>_to_v1``.
    cell_models, synaptic_models : Path
        Folders.
    provenance : dict
    """

    nodes: dict
    edges: dict
    cell_models: Path
    synaptic_models: Path
    provenance: dict

    def paths(self):
        """All HDF5 files and tables, as a set of Path."""
        return {path for pair in [*self.nodes.values(), *self.edges.values()] for path in pair}


def write_configuration(root, provenance):
    """Write the configuration of a circuit in the layout of `layer_folders`.

    Parameters
    ----------
    root : Path
    provenance : dict
    """
    nodes = [
        {**_files(f"{name}_node", "node"), "populations": {name: {"type": _MODEL_TYPES[name]}}} for name in SOURCES
    ]
    edges = [
        {**_files(f"{name}_v1_edge", "edge"), "populations": {f"{name}_to_v1": {"type": "point_neuron"}}}
        for name in SOURCES
    ]
    content = {
        "manifest": {"$BASE_DIR": ".", "$NETWORK_DIR": "$BASE_DIR/network", "$COMPONENTS_DIR": "$BASE_DIR/components"},
        "components": {
            "point_neuron_models_dir": "$COMPONENTS_DIR/cell_models",
            "synaptic_models_dir": "$COMPONENTS_DIR/synaptic_models",
        },
        "networks": {"nodes": nodes, "edges": edges},
        "metadata": {"generator": f"twincortex {version('twincortex')}", "provenance": provenance},
    }
    (root / CONFIG).write_text(json.dumps(content, indent=2) + "\n")


def _files(stem, kind):
    return {f"{kind}s_file": f"$NETWORK_DIR/{stem}s.h5", f"{kind}_types_file": f"$NETWORK_DIR/{stem}_types.csv"}


def read_configuration(root):
    """Read which files a circuit consists of.

    Parameters
    ----------
    root : Path

    Returns
    -------
    Configuration

    Raises
    ------
    InputError
        No configuration, or a population, file or folder that it does not name or that lies outside the circuit.
    """
    path = root / CONFIG
    if not path.is_file():
        raise InputError(f"{root} holds no {CONFIG}. Expected the --out folder of `twincortex build`.")
    content = read_json(path)
    networks, components = _entry(content, "networks", dict, path), _entry(content, "components", dict, path)
    manifest, metadata = (_entry({name: {}, **content}, name, dict, path) for name in ("manifest", "metadata"))

    def find(entry, name):
        return _resolve(_entry(entry, name, str, path), manifest, path)

    def populations(kind):
        return {
            population: (find(entry, f"{kind}s_file"), find(entry, f"{kind}_types_file"))
            for entry in _entry(networks, f"{kind}s", list, path)
            for population in _entry(entry, "populations", dict, path)
        }

    return Configuration(
        nodes=_refuse_missing(populations("node"), SOURCES, path),
        edges=_refuse_missing(populations("edge"), [f"{name}_to_v1" for name in SOURCES], path),
        cell_models=find(components, "point_neuron_models_dir"),
        synaptic_models=find(components, "synaptic_models_dir"),
        provenance=metadata.get("provenance", {}),
    )


def _entry(parent, name, kind, path):
    parent = parent if isinstance(parent, dict) else {}
    if name not in parent:
        raise InputError(f"{path}: {name!r} is missing; {near_name_hint(name, parent)}.")
    if not isinstance(parent[name], kind):
        raise InputError(f"{path}: {name!r} is {parent[name]!r:.40}; expected {_JSON_KINDS[kind]}. Correct the file.")
    return parent[name]


def _refuse_missing(files, expected, path):
    missing = [name for name in expected if name not in files]
    if missing:
        raise InputError(f"{path}: no file for the population {missing[0]!r}; {near_name_hint(missing[0], files)}.")
    return files


def _resolve(name, manifest, path):
    """Replace the variables of the manifest, which may name each other, and refuse to leave the folder."""
    text = name
    for _ in range(len(manifest)):
        text = re.sub(r"\$\w+", lambda found: str(manifest.get(found[0], found[0])), text)
    if "$" in text:
        known = ", ".join(manifest) or "none"
        raise InputError(f"{path}: {name!r} uses a variable that the manifest does not define. Known: {known}.")
    return inside(path.parent, text, path)
