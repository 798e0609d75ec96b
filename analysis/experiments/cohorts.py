"""Groups of neurons: by cell type, by a third of the summed weights within their type, by a list of the user's."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.analysis.experiments.table import Variant
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.parameters import read_populations

_CLASSES = ("Exc", "Inh", "PV", "SST", "VIP")
_THIRDS = ("top", "bottom")
_SIDES = ("outgoing", "incoming")


def in_group(circuit, name):
    """Tell which neurons belong to a cell type or a class of cell types.

    Parameters
    ----------
    circuit : Circuit
    name : str
        One of the 19 cell types, such as ``"L4_PV"``; ``"PV"``, ``"SST"`` or ``"VIP"`` of all layers; ``"Exc"`` or
        ``"Inh"``.

    Returns
    -------
    (N,) bool array

    Raises
    ------
    InputError
        Unknown name, or the circuit has no such neuron.
    """
    known = [*_CLASSES, *read_populations().cell_type.unique()]
    if name not in known:
        raise InputError(f"cell type {name!r} is unknown; {near_name_hint(name, known)}.")
    if name in ("Exc", "Inh"):
        found = circuit.ei == name[0].lower()
    else:
        types = circuit.cell_type
        found = (types == name) | (np.char.endswith(types, f"_{name}") if name in _CLASSES else False)
    if not found.any():
        raise InputError(
            f"cell type {name!r}: the circuit has no such neuron. Choose another type, or a larger circuit."
        )
    return found


def summed_weights(circuit, side):
    """Sum of the absolute recurrent weights of every neuron.

    Parameters
    ----------
    circuit : Circuit
    side : str
        ``"outgoing"`` or ``"incoming"``.

    Returns
    -------
    (N,) float64 array [pA]
    """
    projection = circuit.projections["v1_to_v1"]
    owner = projection.sources() if side == "outgoing" else projection.posts(circuit.n_receptors)
    return np.bincount(owner, np.abs(projection.weight, dtype=np.float64), circuit.n_neurons)


def third_within_type(circuit, among, third, side):
    """The third of every cell type with the largest or the smallest summed weights.

    Parameters
    ----------
    circuit : Circuit
    among : (N,) bool array
        Neurons that are ranked.
    third : str
        ``"top"`` or ``"bottom"``.
    side : str
        See `summed_weights`.

    Returns
    -------
    (N,) bool array
        A third of each type, rounded down. Of neurons that are equal the first are the smaller ones.

    Source
    ------
    biorealistic-v1-model, create_highlow_outgoing_weight_nodesets.py.
    """
    summed, types = summed_weights(circuit, side), circuit.cell_type
    found = np.zeros(circuit.n_neurons, dtype=bool)
    for cell_type in np.unique(types[among]):
        members = np.flatnonzero(among & (types == cell_type))
        ranked = members[np.argsort(summed[members], kind="stable")]
        n = len(members) // 3
        found[ranked[:n] if third == "bottom" else ranked[len(ranked) - n :]] = True
    return found


def find_cohort(circuit, is_core, text):
    """Find the neurons of a cohort.

    Parameters
    ----------
    circuit : Circuit
    is_core : (N,) bool array
        Cohorts other than lists are of the core only, and ranked within it.
    text : str
        ``"GROUP"`` (see `in_group`), ``"GROUP:top"`` or ``"GROUP:bottom"`` (thirds of outgoing weights),
        ``"GROUP:top:incoming"``, or a file: CSV with a column node_id, or ``"FILE.json#NAME"`` of SONATA node sets.

    Returns
    -------
    (N,) bool array

    Raises
    ------
    InputError
        The text is none of these, or no neuron of the core is meant.
    """
    if text.endswith(".csv") or ".json#" in text:
        return _from_list(circuit, text)
    group, third, side = [*text.split(":"), "", ""][:3]
    for value, known in ((third, ("", *_THIRDS)), (side, ("", *_SIDES))):
        if value not in known or text.count(":") > 2:
            raise InputError(f"cohort {text!r}: expected GROUP, or GROUP:top or :bottom, then :outgoing or :incoming.")
    found = in_group(circuit, group) & is_core
    if third:
        found = third_within_type(circuit, found, third, side or "outgoing")
    if not found.any():
        raise InputError(f"cohort {text!r}: no neuron of the core. Choose a larger --radius-um or another cohort.")
    return found


def _from_list(circuit, text):
    path, _, name = text.partition("#")
    try:
        if path.endswith(".csv"):
            ids = pd.read_csv(path)["node_id"].to_numpy()
        else:
            ids = np.asarray(json.loads(Path(path).read_text())[name]["node_id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{text}: cannot be read ({error!r}). Expected a CSV with a column node_id, or FILE.json#NAME with "
            '{"NAME": {"node_id": [...]}}.'
        ) from error
    if not len(ids) or ids.dtype.kind not in "iu":
        raise InputError(f"{text}: node_id is empty or not of whole numbers.")
    bad = ids[(ids < 0) | (ids >= circuit.n_neurons)]
    if len(bad):
        raise InputError(f"{text}: node_id {first_offenders(bad.tolist())}; expected 0 to {circuit.n_neurons - 1}.")
    return np.isin(np.arange(circuit.n_neurons), ids)


def held_down(chosen, current_pA):
    """What is done to a circuit to silence neurons: a current, zero for all others.

    Parameters
    ----------
    chosen : (N,) bool array
        None of them for a baseline, which the same compiled project runs.
    current_pA : float [pA]
        Below 0.

    Returns
    -------
    Variant

    Raises
    ------
    InputError
        The current does not silence.
    """
    if not current_pA < 0:
        raise InputError(f"current_pA {current_pA:g}: expected less than 0, which silences.")
    ids = np.flatnonzero(chosen).astype(np.int64)
    described = {"current_pA": current_pA, "n": len(ids), "node_ids": hashlib.sha256(ids).hexdigest()}
    return Variant(described, None, current_pA * chosen)
