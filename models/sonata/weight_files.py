"""Which edge files hold trained weights, and of which circuit. Nothing here reads or writes an edge."""

from pathlib import Path

from twincortex.models.errors import InputError
from twincortex.models.hdf5.reading import open_hdf5
from twincortex.models.hdf5.structure import refuse_dangerous

TRAINED = ("v1_to_v1", "bkg_to_v1")


def weights_path(folder, source, tag):
    """Edge file with the weights of that tag."""
    return Path(folder) / f"{source}_v1_edges_{tag}.h5"


def find_weights(topology_hash, projections, folder, tag, names=TRAINED):
    """Find the edge files that `write_weights` wrote for a circuit.

    Parameters
    ----------
    topology_hash : str
        Of the circuit that the weights belong to.
    projections : iterable of str
        Names of its projections.
    folder : str or Path
    tag : str
    names : sequence of str
        Projections whose weights have to be there.

    Returns
    -------
    dict of projection name -> Path
        Of those that are there.

    Raises
    ------
    InputError
        A file is missing or damaged, or belongs to another circuit.
    """
    paths = {name: weights_path(folder, name.removesuffix("_to_v1"), tag) for name in projections}
    missing = [paths[name].name for name in names if not paths[name].is_file()]
    if missing:
        raise InputError(
            f"{folder} holds no {', '.join(missing)}. Check the tag {tag!r}; or copy the weights again from where they "
            "are whole."
        )
    found = {name: path for name, path in paths.items() if path.is_file()}
    refuse_dangerous(found.values())
    for path in found.values():
        refuse_other_circuit(path, topology_hash)
    return found


def refuse_other_circuit(path, topology_hash):
    """Refuse an edge file that was written for another circuit.

    Parameters
    ----------
    path : Path
    topology_hash : str

    Raises
    ------
    InputError
    """
    with open_hdf5(path) as file:
        theirs = str(file.attrs.get("topology_hash", "none"))
    if theirs != topology_hash:
        raise InputError(
            f"{path} holds weights of the circuit {theirs[:12]}..., not of this one ({topology_hash[:12]}...). "
            "Name the circuit it was trained on."
        )
