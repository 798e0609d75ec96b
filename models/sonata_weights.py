"""Trained weights as SONATA edge files beside the circuit's own."""

from pathlib import Path

from twincortex.models.atomic_output import new_file
from twincortex.models.circuit import validate
from twincortex.models.errors import InputError
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
    paths = {name: _weights_path(folder, name.split("_")[0], tag) for name in circuit.projections}
    missing = [paths[name].name for name in names if not paths[name].is_file()]
    if missing:
        raise InputError(
            f"{folder} holds no {', '.join(missing)}. Check the tag {tag!r}; or copy the weights again from where they "
            "are whole."
        )
    weights = {}
    for name, path in paths.items():
        if path.is_file():
            with open_hdf5(path) as file:
                _refuse_other_circuit(circuit, file, path)
                weights[name] = read_dataset(
                    read_group(file, f"edges/{name}/0"), "syn_weight", circuit.projections[name].n_edges
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
