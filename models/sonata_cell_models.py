"""Cell models as JSON files in NEST's words, one per node type."""

import json
import re

import numpy as np

from twincortex.models.circuit import NodeTypes
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.sonata_tables import inside, read_json

_PARAMETERS = ["V_th", "E_L", "V_reset", "g", "C_m", "t_ref"]
_PARAMETERS += [f"{name}_{j}" for name in ("asc_decay", "asc_amp", "asc_r") for j in (0, 1)]
_RECEPTOR_PARAMETERS = ["tau_fast", "tau_slow", "amp_slow"]
_NEST_WORDS = {"asc_amp": "asc_amps", "tau_fast": "tau_syn_fast", "tau_slow": "tau_syn_slow"}


def cell_model_file(node_type_id):
    """File name of a cell model."""
    return f"{node_type_id}_glif_lif_asc_config.json"


def write_cell_models(folder, node_types):
    """Write one JSON file per cell model.

    Parameters
    ----------
    folder : Path
    node_types : NodeTypes
    """
    for row, node_type_id in enumerate(node_types.node_type_id):
        model = _cell_model(node_types, row)
        (folder / cell_model_file(node_type_id)).write_text(json.dumps(model, indent=2) + "\n")


def _cell_model(node_types, row):
    parameters = node_types.parameters
    model = {"V_m": parameters["E_L"][row]} if "E_L" in parameters else {}
    for name, values in parameters.items():
        word, index = _nest_word(name)
        if index is None:
            model[word] = values[row]
        else:
            model.setdefault(word, []).append(values[row])
    model["asc_init"] = [0.0] * len(model.get("asc_amps", ()))
    for name, values in node_types.receptor_parameters.items():
        model[_nest_word(name)[0]] = values[row].tolist()
    flags = {"spike_dependent_threshold": False, "after_spike_currents": True, "adapting_threshold": False}
    return {**model, **flags}


def _nest_word(name):
    """Translate ``asc_amp_0`` into (``asc_amps``, 0) and ``tau_fast`` into (``tau_syn_fast``, None)."""
    match = re.fullmatch(r"(asc_[a-z]+)_(\d+)", name)
    stem, index = (match[1], int(match[2])) if match else (name, None)
    return _NEST_WORDS.get(stem, stem), index


def read_cell_models(folder, table, table_path, order):
    """Read the cell models that a node types table names.

    Parameters
    ----------
    folder : Path
    table : pandas.DataFrame
        Index node_type_id, columns pop_name and dynamics_params.
    table_path : Path
        Where the table came from, for messages.
    order : dict
        Names under ``parameters`` and ``receptor_parameters`` in the circuit's own order; GLIF3's where missing.

    Returns
    -------
    NodeTypes

    Raises
    ------
    InputError
        A file or a parameter is missing, not a number, or of another length than in the other cell models.
    """
    models = {str(name): read_json(inside(folder, str(name), table_path)) for name in table.dynamics_params}
    rows = [(folder / name, models[name]) for name in map(str, table.dynamics_params)]
    names = order.get("parameters", _PARAMETERS)
    receptor_names = order.get("receptor_parameters", _RECEPTOR_PARAMETERS)
    return NodeTypes(
        node_type_id=table.index.to_numpy(dtype=np.int64),
        pop_name=table.pop_name.to_numpy(dtype=str),
        parameters={name: _parameter(rows, name) for name in names},
        receptor_parameters={name: _parameter(rows, name) for name in receptor_names},
    )


def _parameter(rows, name):
    values = [_number(path, model, *_nest_word(name)) for path, model in rows]
    for (path, _), value in zip(rows, values, strict=True):
        if value.shape != values[0].shape or not np.isfinite(value).all():
            raise InputError(
                f"{path}: {_nest_word(name)[0]} is {value}; expected finite numbers, as many as in {rows[0][0].name}. "
                "Correct the file."
            )
    return np.array(values)


def _number(path, model, word, index):
    try:
        return np.asarray(model[word] if index is None else model[word][index], dtype=np.float64)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        where = word if index is None else f"{word}[{index}]"
        raise InputError(f"{path}: no number for {where}; {near_name_hint(word, model)}.") from error
