"""Circuit to SONATA folder and back, bit by bit.

Layout: ``circuit_config.json``, ``network/`` (nodes and edges in HDF5, their types in CSV), ``components/`` (cell
models and synapses in NEST's words) and ``checksums.json``.
"""

import json
from importlib.metadata import version
from pathlib import Path

from twincortex.models.atomic_output import new_folder
from twincortex.models.circuit import Circuit, validate
from twincortex.models.errors import InputError
from twincortex.models.sonata_checksums import check_files, check_hashes, write_checksums
from twincortex.models.sonata_edge_types import EdgeTypes, write_edge_types
from twincortex.models.sonata_edges import read_edges, write_edges
from twincortex.models.sonata_nodes import (
    count_background_units,
    read_lgn_units,
    read_v1_nodes,
    write_external_nodes,
    write_v1_nodes,
)
from twincortex.models.sonata_tables import layer_folders, read_json, validate_as_read

CONFIG = "circuit_config.json"
SOURCES = ("v1", "lgn", "bkg")


def write_circuit(circuit, folder, overwrite=False):
    """Write a circuit as a SONATA folder, whole or not at all.

    Parameters
    ----------
    circuit : Circuit
    folder : str or Path
    overwrite : bool
        Replace a circuit that is there.

    Raises
    ------
    InputError
        The folder exists or cannot be written, or the circuit is not valid.

    Source
    ------
    Dai et al. (2020) The SONATA data format for efficient description of large-scale network models.
    """
    validate(circuit)
    with new_folder(folder, CONFIG, overwrite) as root:
        network, cell_models, synapses = layer_folders(root)
        for path in (network, cell_models, synapses):
            path.mkdir(parents=True)
        write_v1_nodes(network, cell_models, circuit)
        write_external_nodes(network, circuit)
        for source in SOURCES:
            edge_types = EdgeTypes(circuit, circuit.projections[f"{source}_to_v1"])
            write_edge_types(network / f"{source}_v1_edge_types.csv", synapses, edge_types)
            write_edges(network / f"{source}_v1_edges.h5", circuit, edge_types)
        (root / CONFIG).write_text(json.dumps(_configuration(circuit), indent=2) + "\n")
        write_checksums(root, circuit)


def _configuration(circuit):
    def files(stem, kind):
        return {f"{kind}s_file": f"$NETWORK_DIR/{stem}s.h5", f"{kind}_types_file": f"$NETWORK_DIR/{stem}_types.csv"}

    kinds = {"v1": "point_neuron", "lgn": "virtual", "bkg": "virtual"}
    nodes = [{**files(f"{name}_node", "node"), "populations": {name: {"type": kinds[name]}}} for name in SOURCES]
    edges = [
        {**files(f"{name}_v1_edge", "edge"), "populations": {f"{name}_to_v1": {"type": "point_neuron"}}}
        for name in SOURCES
    ]
    return {
        "manifest": {"$BASE_DIR": ".", "$NETWORK_DIR": "$BASE_DIR/network", "$COMPONENTS_DIR": "$BASE_DIR/components"},
        "components": {
            "point_neuron_models_dir": "$COMPONENTS_DIR/cell_models",
            "synaptic_models_dir": "$COMPONENTS_DIR/synaptic_models",
        },
        "networks": {"nodes": nodes, "edges": edges},
        "metadata": {"generator": f"twincortex {version('twincortex')}", "provenance": circuit.provenance},
    }


def read_circuit(folder):
    """Read a SONATA folder that `write_circuit` wrote.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Circuit
        Equal to the one written, bit by bit.

    Raises
    ------
    InputError
        A file is missing, cut short or changed; ids, weights or delays are not what they have to be.
    """
    root = Path(folder)
    if not (root / CONFIG).is_file():
        raise InputError(f"{root} holds no {CONFIG}. Expected the --out folder of `twincortex build`.")
    checksums = check_files(root)
    provenance = read_json(root / CONFIG).get("metadata", {}).get("provenance", {})
    network, cell_models, synapses = layer_folders(root)
    nodes, node_types = read_v1_nodes(network / "v1_nodes.h5", network / "v1_node_types.csv", cell_models)
    lgn_units = read_lgn_units(network / "lgn_nodes.h5", network / "lgn_node_types.csv")
    n_bkg = count_background_units(network / "bkg_nodes.h5", network / "bkg_node_types.csv")
    n_sources = {"v1": len(nodes.x), "lgn": len(lgn_units), "bkg": n_bkg}
    n_receptors = next(iter(node_types.receptor_parameters.values())).shape[1]
    projections = {}
    for source, n in n_sources.items():
        paths = (network / f"{source}_v1_edges.h5", network / f"{source}_v1_edge_types.csv", synapses)
        projections[f"{source}_to_v1"] = read_edges(*paths, source, n, len(nodes.x), n_receptors)
    circuit = Circuit(nodes, node_types, lgn_units, projections, provenance)
    validate_as_read(circuit, root)
    check_hashes(circuit, checksums, root)
    return circuit
