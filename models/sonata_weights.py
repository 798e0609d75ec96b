"""Trained weights as SONATA edge files beside the circuit's own."""

from pathlib import Path

from twincortex.models.atomic_output import new_file
from twincortex.models.circuit import validate
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5 import open_hdf5, read_dataset, read_group
from twincortex.models.sonata_edge_types import EdgeTypes
from twincortex.models.sonata_edges import write_edges
from twincortex.models.sonata_tables import validate_as_read

TRAINED = ("v1_to_v1", "bkg_to_v1")


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
        paths.append(_weights_path(folder, projection.source, tag))
        with new_file(paths[-1]) as partial:
            write_edges(partial, circuit, EdgeTypes(circuit, projection))
    return paths


def read_weights(circuit, folder, tag):
    """Read what `write_weights` wrote for this circuit.

    Parameters
    ----------
    circuit : Circuit
        The circuit that the weights belong to.
    folder : str or Path
    tag : str

    Returns
    -------
    dict of projection name -> (E,) float32 array [pA]
        In canonical order, for `Circuit.with_weights`.

    Raises
    ------
    InputError
        No such files, or they belong to another circuit, or a weight is not finite or of the wrong sign.
    """
    paths = {name: _weights_path(folder, name.split("_")[0], tag) for name in circuit.projections}
    weights = {}
    for name, path in paths.items():
        if path.is_file():
            with open_hdf5(path) as file:
                _refuse_other_circuit(circuit, file, path)
                weights[name] = read_dataset(
                    read_group(file, f"edges/{name}/0"), "syn_weight", circuit.projections[name].n_edges
                )
    if not weights:
        raise InputError(
            f"{folder} holds no {first_offenders([path.name for path in paths.values()])}. Check the tag {tag!r}."
        )
    validate_as_read(circuit.with_weights(weights), f"{folder}, tag {tag!r}")
    return weights


def _weights_path(folder, source, tag):
    return Path(folder) / f"{source}_v1_edges_{tag}.h5"


def _refuse_other_circuit(circuit, file, path):
    theirs = str(file.attrs.get("topology_hash", "none"))
    if theirs != circuit.topology_hash:
        raise InputError(
            f"{path} holds weights of the circuit {theirs[:12]}..., not of this one ({circuit.topology_hash[:12]}...). "
            "Name the circuit it was trained on."
        )
