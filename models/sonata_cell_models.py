"""Cell models as JSON files in NEST's words, one per node type."""

import json
from itertools import count

import numpy as np

from twincortex.models.circuit import NodeTypes
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.sonata_tables import inside, read_json

_SCALARS = ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")
_LISTS = {"asc_decay": "asc_decay", "asc_amp": "asc_amps", "asc_r": "asc_r"}
_RECEPTOR_WORDS = {"tau_fast": "tau_syn_fast", "tau_slow": "tau_syn_slow", "amp_slow": "amp_slow"}
# Parameters that NEST's model lacks stand in an object of this name, where they cannot collide with NEST's words.
_OURS = "twincortex"


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
    parameters = {name: values[row] for name, values in node_types.parameters.items()}
    model = {"V_m": parameters["E_L"]} if "E_L" in parameters else {}
    model |= {name: parameters.pop(name) for name in _SCALARS if name in parameters}
    for stem, word in _LISTS.items():
        n_values = next(j for j in count() if f"{stem}_{j}" not in parameters)
        model |= {word: [parameters.pop(f"{stem}_{j}") for j in range(n_values)]} if n_values else {}
    model["asc_init"] = [0.0] * len(model.get("asc_amps", ()))
    receptors = {name: values[row].tolist() for name, values in node_types.receptor_parameters.items()}
    model |= {word: receptors.pop(name) for name, word in _RECEPTOR_WORDS.items() if name in receptors}
    model |= {"spike_dependent_threshold": False, "after_spike_currents": True, "adapting_threshold": False}
    return model | ({_OURS: parameters | receptors} if parameters or receptors else {})


def _names_in(model):
    """Names of the parameters and of the receptor parameters of a cell model whose circuit does not say them."""
    lists = [f"{stem}_{j}" for stem, word in _LISTS.items() for j in range(np.size(model.get(word, ())))]
    ours = model.get(_OURS) if isinstance(model.get(_OURS), dict) else {}
    ours_per_receptor = [name for name, value in ours.items() if isinstance(value, list)]
    ours_per_cell = [name for name in ours if name not in ours_per_receptor]
    return [*_SCALARS, *lists, *ours_per_cell], [*_RECEPTOR_WORDS, *ours_per_receptor]


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
        Names under ``parameters`` and ``receptor_parameters`` in the circuit's own order; where missing,
        those of the first cell model.

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
    in_first = _names_in(rows[0][1]) if rows else ((), ())
    names, receptor_names = map(order.get, ("parameters", "receptor_parameters"), in_first)
    return NodeTypes(
        node_type_id=table.index.to_numpy(dtype=np.int64),
        pop_name=table.pop_name.to_numpy(dtype=str),
        parameters={name: _parameter(rows, name) for name in names},
        receptor_parameters={name: _parameter(rows, name) for name in receptor_names},
    )


# Smallest value that has a meaning: a capacitance or a time constant of 0 divides by zero.
_ABOVE = {"C_m": 0.0, "tau_fast": 0.0, "tau_slow": 0.0}
_AT_LEAST = {"g": 0.0, "t_ref": 0.0}


def _parameter(rows, name):
    values = [_number(path, model, name) for path, model in rows]
    for (path, _), value in zip(rows, values, strict=True):
        if np.any(value <= _ABOVE.get(name, -np.inf)) or np.any(value < _AT_LEAST.get(name, -np.inf)):
            least = "more than 0" if name in _ABOVE else "0 or more"
            raise InputError(f"{path}: {_word(name)} is {value}; expected {least}. Correct the file.")
        if value.shape != values[0].shape or not np.isfinite(value).all():
            raise InputError(
                f"{path}: {_word(name)} is {value}; expected finite numbers, as many as in {rows[0][0].name}. "
                "Correct the file."
            )
    return np.array(values)


def _number(path, model, name):
    stem, _, index = name.rpartition("_")
    try:
        if name in model.get(_OURS, ()):
            value = model[_OURS][name]
        else:
            value = model[_word(name)][int(index)] if stem in _LISTS else model[_word(name)]
        return np.asarray(value, dtype=np.float64)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        where = f"{_word(name)}[{index}]" if stem in _LISTS else _word(name)
        raise InputError(f"{path}: no number for {where}; {near_name_hint(_word(name), model)}.") from error


def _word(name):
    """NEST's word: ``asc_amps`` for ``asc_amp_0``."""
    return _LISTS.get(name.rpartition("_")[0]) or _RECEPTOR_WORDS.get(name, name)
