"""Cell models made by anyone, brought to one table: as many receptors and after-spike currents for every model."""

import json
from collections import Counter
from itertools import count

import numpy as np

from twincortex.models.errors import FileError, first_offenders
from twincortex.models.sonata.allen_models import NO_SLOW_PART, is_database_model
from twincortex.models.sonata.cell_models import read_cell_model
from twincortex.models.sonata.cell_parameters import AFTER_SPIKE_WORDS, RECEPTOR_WORDS, SCALARS, Receptors
from twincortex.models.sonata.point_models import translate

# The neutral after-spike current: amplitude 0, so that any positive rate will do (1/ms).
_NO_CURRENT = {"asc_decay": 0.1, "asc_amp": 0.0, "asc_r": 1.0}
# What the equations of GLIF3 expect.
_FEWEST_CURRENTS = 2
_OWN = "dynamics_params/"


def read_models(folder, types, rows):
    """Read cell models made by anyone.

    Parameters
    ----------
    folder : Path or None
    types : TypeTable
    rows : iterable of int
        Rows to read.

    Returns
    -------
    list of CellModel
        One per row.

    Raises
    ------
    FileError
        A file is missing or damaged, or a model cannot be expressed in our equations.
    """
    read, models = {}, []
    for row in rows:
        template = types.text("model_template")[row]
        if template is None:
            message = f"{types.path}: no model_template for the node type {types.ids[row]}. Expected nest:<model>."
            raise FileError(message, types.path, "model_template", [row])
        if types.text("model_processing")[row] is not None:
            message = (
                f"{types.path}: model_processing of the node type {types.ids[row]} names a function that would change "
                "its cells; nothing here is executed. Write what it does into the cell model, and remove it."
            )
            raise FileError(message, types.path, "model_processing", [row])
        own = _own_parameters(types, row)
        key = (template, types.text("dynamics_params")[row], str(own))
        if key not in read:
            path, content = (types.path, {}) if own and key[1] is None else read_cell_model(folder, types, row)
            if own and is_database_model(content):
                message = f"{path}: nodes have {first_offenders(list(own))} of their own, which a neuron_config lacks."
                raise FileError(message, types.path, "dynamics_params", [row])
            read[key] = translate(template, path, content | own)
        models.append(read[key])
    return models


def _own_parameters(types, row):
    """Parameters that the nodes of a type have of their own."""
    columns = {name.removeprefix(_OWN): values[row] for name, values in types.columns.items() if _OWN in name}
    return {name: json.loads(value) for name, value in columns.items() if value is not None}


def unify(models):
    """Bring cell models to one table.

    Parameters
    ----------
    models : list of CellModel

    Returns
    -------
    parameters, receptor_parameters : dict
        As in NodeTypes.
    receptors : Receptors
    notes : dict of str -> list of str
        What was padded and merged.
    """
    n_currents = [next(j for j in count() if f"asc_amp_{j}" not in model.parameters) for model in models]
    most = max([_FEWEST_CURRENTS, *n_currents])
    parameters = {name: np.array([model.parameters[name] for model in models]) for name in SCALARS}
    for stem in AFTER_SPIKE_WORDS:
        for j in range(most):
            name = f"{stem}_{j}"
            parameters[name] = np.array([model.parameters.get(name, _NO_CURRENT[stem]) for model in models])
    padded = Counter(f"{most - n} after-spike currents of amplitude 0 added" for n in n_currents if n < most)
    kinetics = [_distinct(model) for model in models]
    n_receptors = max([1, *(len(rows) for rows, _ in kinetics)])
    padded.update(
        f"{n_receptors - len(rows)} unused receptors added" for rows, _ in kinetics if len(rows) < n_receptors
    )
    merged = Counter(
        f"receptor_type {k + 1} {'is merged into' if new in places[:k] else 'moves up to'} receptor {new + 1}"
        for _, places in kinetics
        for k, new in enumerate(places)
        if new != k
    )
    unused = [(rows or [(1.0, 1.0, NO_SLOW_PART)])[0] for rows, _ in kinetics]
    table = np.array(
        [rows + [spare] * (n_receptors - len(rows)) for (rows, _), spare in zip(kinetics, unused, strict=True)]
    ).reshape(len(models), n_receptors, 3)
    receptor_parameters = {name: np.ascontiguousarray(table[:, :, k]) for k, name in enumerate(RECEPTOR_WORDS)}
    notes = {"padded": padded, "merged": merged}
    notes = {kind: [f"{what}: {n} cell models" for what, n in found.items()] for kind, found in notes.items()}
    return parameters, receptor_parameters, _receptors(models, [place for _, place in kinetics], n_receptors), notes


def _distinct(model):
    """Distinct kinetics (tau_fast, tau_slow, amp_slow) of the receptors of a model, and which of them each has."""
    rows, place = [], []
    for fast, slow, amp in zip(*model.receptors.values(), strict=True):
        row = (float(fast), float(slow) if amp else float(fast), float(amp))
        if row not in rows:
            rows.append(row)
        place.append(rows.index(row))
    return rows, place


def _receptors(models, places, n_receptors):
    most = max([0, *(model.n_receptors for model in models if not model.by_sign)])
    of_type = np.full((len(models), most + 1, 2), -1, dtype=np.int32)
    for row, (model, place) in enumerate(zip(models, places, strict=True)):
        if model.by_sign:
            of_type[row, 0] = place
        else:
            of_type[row, 1 : len(place) + 1] = np.array(place, dtype=np.int32)[:, None]
    plain = np.arange(-1, most)[None, :, None]
    return Receptors(n_receptors, of_type, is_plain=most == n_receptors and bool(np.all(of_type == plain)))
