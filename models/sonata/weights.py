"""Trained weights as SONATA edge files beside the circuit's own."""

from twincortex.models.atomic_output import new_file
from twincortex.models.circuit import validate
from twincortex.models.hdf5.reading import open_hdf5, read_dataset, read_group
from twincortex.models.sonata.edge_types import EdgeTypes
from twincortex.models.sonata.edges import stamp_edges, write_edges
from twincortex.models.sonata.tables import validate_as_read
from twincortex.models.sonata.weight_files import TRAINED, find_weights, weights_path


def write_weights(circuit, folder, tag, names=TRAINED):
    """Write the edges with their present weights as ``<source>_v1_edges_<tag>.h5``.

    The files are complete SONATA edge files: named in ``circuit_config.json`` they replace the untrained ones.

    Parameters
    ----------
    circuit : Circuit
    folder : str or Path
    tag : str
        For example ``"bio_trained"``.
    names : sequence of str
        Projections to write.

    Returns
    -------
    list of Path
    """
    validate(circuit)
    paths = []
    for name in names:
        projection = circuit.projections[name]
        paths.append(weights_path(folder, projection.source, tag))
        with new_file(paths[-1]) as partial:
            write_edges(partial, EdgeTypes(circuit, projection))
            stamp_edges(partial, circuit)
    return paths


def read_weights(circuit, folder, tag, names=TRAINED):
    """Read what `write_weights` wrote for this circuit.

    Parameters
    ----------
    circuit : Circuit
        The circuit that the weights belong to.
    folder : str or Path
    tag : str
    names : sequence of str
        Projections whose weights have to be there; those of others are read where there is a file.

    Returns
    -------
    dict of projection name -> (E,) float32 array [pA]
        In canonical order, for `Circuit.with_weights`.

    Raises
    ------
    InputError
        A file is missing, or belongs to another circuit, or a weight is not finite or of the wrong sign.
    """
    weights = {}
    for name, path in find_weights(circuit.topology_hash, circuit.projections, folder, tag, names).items():
        with open_hdf5(path) as file:
            weights[name] = read_dataset(
                read_group(file, f"edges/{name}/0"), "syn_weight", circuit.projections[name].n_edges
            )
    validate_as_read(circuit.with_weights(weights), f"{folder}, tag {tag!r}")
    return weights
