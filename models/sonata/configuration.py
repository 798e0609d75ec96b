"""``circuit_config.json``: which files a SONATA circuit consists of."""

import json
import re
import reprlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from twincortex.models.errors import FileError, near_name_hint
from twincortex.models.hdf5.access import names_in
from twincortex.models.hdf5.reading import open_hdf5, read_group
from twincortex.models.hdf5.structure import refuse_dangerous
from twincortex.models.sonata.checksums import unchanged_files
from twincortex.models.sonata.tables import CONFIG, read_json, resolve_inside

_JSON_KINDS = {dict: "an object {...}", list: "a list [...]", str: "text"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_LONGEST_NAME = 4096
_ENTRY_KEYS = ("nodes_file", "node_types_file", "edges_file", "edge_types_file", "populations", "enabled")


@dataclass(frozen=True)
class Configuration:
    """The files of a circuit.

    Attributes
    ----------
    path : Path
        The configuration itself.
    nodes, edges : dict of population -> (Path, Path or None)
        HDF5 file and types CSV, in the order of the configuration.
    model_types : dict of str -> str
        Types of the populations of nodes, where the configuration says them.
    cell_models, synaptic_models : Path or None
        Folders.
    provenance : dict
    not_used : tuple of str
        Entries that say nothing about the circuit, or whose files are left out on request.
    """

    path: Path
    nodes: dict
    edges: dict
    model_types: dict
    cell_models: Path | None
    synaptic_models: Path | None
    provenance: dict
    not_used: tuple = ()

    def paths(self):
        """All HDF5 files and tables, as a set of Path."""
        return {path for pair in [*self.nodes.values(), *self.edges.values()] for path in pair if path}


def write_configuration(root, circuit):
    """Write the configuration of a circuit in the layout of `layer_folders`.

    Parameters
    ----------
    root : Path
    circuit : Circuit
    """
    provenance = circuit.provenance
    sources = [projection.source for projection in circuit.projections.values()]
    types = {name: "point_neuron" if name == "v1" else "virtual" for name in sources}
    nodes = [{**_files(f"{name}_node", "node"), "populations": {name: {"type": types[name]}}} for name in sources]
    edges = [
        {**_files(f"{name}_v1_edge", "edge"), "populations": {f"{name}_to_v1": {"type": "point_neuron"}}}
        for name in sources
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


def find_configuration(path):
    """Find the configuration that a folder holds.

    Parameters
    ----------
    path : str or Path
        A folder, or a configuration itself.

    Returns
    -------
    Path

    Raises
    ------
    FileError
        The path does not exist, or the folder holds no ``circuit_config.json``.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"{path} does not exist. Expected the folder of a SONATA circuit, or its configuration.", path)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise FileError(
                f"{path} holds no {CONFIG}. Expected the --out folder of `twincortex build`; a circuit made by others "
                "may have a configuration of another name: name that file instead of the folder.",
                path / CONFIG,
            )
        return path / CONFIG
    return path


def read_configuration(path, root=None):
    """Read which files a circuit consists of.

    Parameters
    ----------
    path : str or Path
        Folder with a ``circuit_config.json``; or a circuit configuration of any name; or a simulation configuration
        that holds the networks or names a circuit configuration under ``network``.
    root : str or Path, optional
        No file may lie outside this folder (default: that of the configuration).

    Returns
    -------
    Configuration

    Raises
    ------
    FileError
        No configuration, entries missing or of the wrong kind, files outside ``root``.
    """
    path = find_configuration(path)
    root = path.parent if root is None else Path(root)
    content = read_json(path)
    if isinstance(content.get("network"), str) and "networks" not in content:
        path = _Names(content, path, root).resolve(content["network"])
        content = {"components": content.get("components"), **read_json(path)}
    networks, components = _entry(content, "networks", dict, path), content.get("components") or {}
    if not isinstance(components, dict):
        _refuse(path, "components", f"{_shown(components)}; expected an object {{...}}")
    names = _Names(content, path, root)
    if networks.get("gap_juncs"):
        _refuse(path, "gap_juncs", "a list of gap junctions, which no engine here simulates. Leave them out knowingly")
    metadata = _entry({"metadata": {}, **content}, "metadata", dict, path)
    nodes, edges = _entry(networks, "nodes", list, path), _entry({"edges": [], **networks}, "edges", list, path)
    folders = ("point_neuron_models_dir", "synaptic_models_dir")
    model_types = {}
    _refuse_dangerous_files({"node": nodes, "edge": edges}, names)
    return Configuration(
        path,
        _populations(nodes, "node", names, model_types),
        _populations(edges, "edge", names, {}),
        model_types,
        *(names.resolve(_entry(components, name, str, path)) if components.get(name) else None for name in folders),
        provenance=_entry({"provenance": {}, **metadata}, "provenance", dict, path),
        not_used=(
            *(f"components/{name}" for name in components if name not in folders),
            *(f"networks/{name}" for name in networks if name not in ("nodes", "edges")),
            *(
                f"{entry.get('nodes_file', entry.get('edges_file'))}: not enabled"
                for entry in [*nodes, *edges]
                if _is_off(entry)
            ),
        ),
    )


def _refuse_dangerous_files(entries, names):
    """Before the first is opened: let another process survive the files that no checksum of ours covers."""
    files = [(_files_of(entry, kind, names)[0], _is_off(entry)) for kind in entries for entry in entries[kind]]
    refuse_dangerous({path for path, is_off in files if not is_off} - unchanged_files(names.path.parent))


def _populations(entries, kind, names, model_types):
    """Files of every population of nodes or edges; notes the types of populations in ``model_types``."""
    found = {}
    for entry in entries:
        files = _files_of(entry, kind, names)
        if _is_off(entry):
            continue
        facts = _entry({"populations": {}, **entry}, "populations", dict, names.path)
        for name in facts or names_of_populations(files[0], f"{kind}s"):
            if name in found:
                _refuse(names.path, name, f"a population of {kind}s that comes twice. Expected each once")
            found[name] = files
            of_population = _entry(facts, name, dict, names.path) if facts else {}
            overrides = [key for key in of_population if key.endswith("_dir")]
            if overrides:
                _refuse(
                    names.path, overrides[0], f"given for the population {name!r} alone. Expected it under components"
                )
            if "type" in of_population:
                model_types[name] = _entry(of_population, "type", str, names.path)
    return found


def _files_of(entry, kind, names):
    file = _entry(entry, f"{kind}s_file", str, names.path)
    unknown = [key for key in entry if key not in _ENTRY_KEYS]
    if unknown:
        _refuse(names.path, unknown[0], f"no entry of a file of {kind}s; {near_name_hint(unknown[0], _ENTRY_KEYS)}")
    if not isinstance(entry.get("enabled", True), bool):
        _refuse(names.path, "enabled", f"{_shown(entry['enabled'])}; expected true or false")
    types = entry.get(f"{kind}_types_file")
    if types not in (None, "", "NULL"):
        types = names.resolve(_entry(entry, f"{kind}_types_file", str, names.path))
    return names.resolve(file), types or None


def _is_off(entry):
    return entry.get("enabled", True) is False


def names_of_populations(path, kind):
    """Names of the populations in a file.

    Parameters
    ----------
    path : Path
    kind : str
        ``"nodes"`` or ``"edges"``.

    Returns
    -------
    list of str

    Raises
    ------
    FileError
        There are none.
    """
    with open_hdf5(path) as file:
        names = names_in(read_group(file, kind))
    if not names:
        raise FileError(f"{path}:/{kind} holds no population. Expected at least one.", path, f"/{kind}")
    return names


def _entry(parent, name, kind, path):
    parent = parent if isinstance(parent, dict) else {}
    if name not in parent:
        raise FileError(f"{path}: {name!r} is missing; {near_name_hint(name, parent)}.", path, name)
    if not isinstance(parent[name], kind):
        _refuse(path, name, f"{_shown(parent[name])}; expected {_JSON_KINDS[kind]}. Correct the file")
    return parent[name]


def _refuse(path, name, what):
    raise FileError(f"{path}: {name!r} is {what}.", path, name)


def _shown(value):
    return reprlib.repr(value)[:40]


class _Names:
    """File names of one configuration, whose manifest defines variables that may name each other."""

    def __init__(self, content, path, root):
        self.path, self.root = path, root
        manifest = _entry({"manifest": {}, **content}, "manifest", dict, path)
        for name in manifest:
            if len(_entry(manifest, name, str, path)) > _LONGEST_NAME:
                _refuse(path, name, f"longer than {_LONGEST_NAME} letters")
        self._variables = {name.lstrip("$"): value for name, value in manifest.items()}
        self._variables.setdefault("configdir", str(path.parent.resolve()))

    def resolve(self, name):
        """Path that a name with variables stands for, inside the root."""
        text = name
        for _ in range(len(self._variables)):
            text = _VARIABLE.sub(lambda found: self._variables.get(found[1] or found[2], found[0]), text)
            if len(text) > _LONGEST_NAME:
                _refuse(self.path, "manifest", f"such that {name!r:.80} becomes longer than {_LONGEST_NAME} letters")
        if "$" in text:
            known = ", ".join(self._variables)
            raise FileError(
                f"{self.path}: {name!r} uses a variable that the manifest does not define. Known: {known}.", self.path
            )
        return resolve_inside(self.path.parent, self.root, text, self.path)
