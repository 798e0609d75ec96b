"""Circuit to SONATA folder and back, bit by bit.

Layout: ``circuit_config.json``, ``network/`` (nodes and edges in HDF5, their types in CSV), ``components/`` (cell
models and synapses in NEST's words) and ``checksums.json``.
"""

from pathlib import Path

from twincortex.models.atomic_output import new_folder
from twincortex.models.circuit import Circuit, validate
from twincortex.models.sonata_checksums import check_files, check_hashes, write_checksums
from twincortex.models.sonata_configuration import CONFIG, SOURCES, read_configuration, write_configuration
from twincortex.models.sonata_edge_reading import read_edges
from twincortex.models.sonata_edge_types import EdgeTypes, write_edge_types
from twincortex.models.sonata_edges import write_edges
from twincortex.models.sonata_nodes import (
    count_background_units,
    read_lgn_units,
    read_v1_nodes,
    write_external_nodes,
    write_v1_nodes,
)
from twincortex.models.sonata_tables import layer_folders, validate_as_read


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
        write_configuration(root, circuit.provenance)
        write_checksums(root, circuit)


def read_circuit(folder):
    """Read a SONATA folder that `write_circuit` wrote, from the files that its configuration names.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Circuit
        Equal to the one written, bit by bit; or with other weights where the configuration names other edge files
        inside the folder, such as those of `write_weights`.

    Raises
    ------
    InputError
        A file is missing, cut short or changed; ids, weights or delays are not what they have to be.
    """
    root = Path(folder)
    files = read_configuration(root)
    checksums = check_files(root)
    nodes, node_types = read_v1_nodes(*files.nodes["v1"], files.cell_models)
    lgn_units = read_lgn_units(*files.nodes["lgn"])
    n_sources = {"v1": len(nodes.x), "lgn": len(lgn_units), "bkg": count_background_units(*files.nodes["bkg"])}
    n_receptors = next(iter(node_types.receptor_parameters.values())).shape[1]
    projections = {}
    for source, n in n_sources.items():
        paths = (*files.edges[f"{source}_to_v1"], files.synaptic_models)
        projections[f"{source}_to_v1"] = read_edges(*paths, source, n, len(nodes.x), n_receptors)
    circuit = Circuit(nodes, node_types, lgn_units, projections, files.provenance)
    validate_as_read(circuit, root)
    check_hashes(circuit, checksums, root, files.paths())
    return circuit
