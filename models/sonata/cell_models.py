"""Cell models of our circuits as JSON files in NEST's words, one per node type, written and read exactly."""

import json
import re
from itertools import count

import numpy as np

from twincortex.models.errors import FileError
from twincortex.models.sonata.cell_parameters import (
    AFTER_SPIKE_WORDS,
    OURS,
    RECEPTOR_WORDS,
    SCALARS,
    Parameters,
    Receptors,
)
from twincortex.models.sonata.point_models import refuse_moving_threshold
from twincortex.models.sonata.tables import inside, read_json

_NAME = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)


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
    model |= {name: parameters.pop(name) for name in SCALARS if name in parameters}
    for stem, word in AFTER_SPIKE_WORDS.items():
        n_values = next(j for j in count() if f"{stem}_{j}" not in parameters)
        model |= {word: [parameters.pop(f"{stem}_{j}") for j in range(n_values)]} if n_values else {}
    model["asc_init"] = [0.0] * len(model.get("asc_amps", ()))
    receptors = {name: values[row].tolist() for name, values in node_types.receptor_parameters.items()}
    model |= {word: receptors.pop(name) for name, word in RECEPTOR_WORDS.items() if name in receptors}
    model |= {"spike_dependent_threshold": False, "after_spike_currents": True, "adapting_threshold": False}
    return model | ({OURS: parameters | receptors} if parameters or receptors else {})


def read_cell_model(folder, types, row):
    """Read the file of one cell model.

    Parameters
    ----------
    folder : Path or None
    types : TypeTable
    row : int

    Returns
    -------
    path : Path
    content : dict

    Raises
    ------
    FileError
        No file is named, or it is missing or damaged.
    """
    name = types.text("dynamics_params")[row]
    if name is None:
        raise FileError(
            f"{types.path}: no dynamics_params for the node type {types.ids[row]}. Expected a cell model file.",
            types.path,
            "dynamics_params",
            [row],
        )
    if folder is None:
        raise FileError(f"{types.path} names {name!r:.80}, but the configuration has no point_neuron_models_dir.")
    path = inside(folder, name, types.path)
    return path, read_json(path)


def read_our_models(folder, types, order):
    """Read cell models of a circuit that we wrote, exactly as they were.

    Parameters
    ----------
    folder : Path
    types : TypeTable
    order : dict
        Names under ``parameters`` and ``receptor_parameters`` in the circuit's own order; where missing, those of
        the first cell model.

    Returns
    -------
    parameters, receptor_parameters : dict
        As in NodeTypes.
    receptors : Receptors

    Raises
    ------
    FileError
        A file or a parameter is missing, not a number, or of another length than in the other cell models.
    """
    models = [Parameters(*read_cell_model(folder, types, row)) for row in range(len(types))]
    in_first = _names_in(models[0].content) if models else ((), ())
    names, receptor_names = map(order.get, ("parameters", "receptor_parameters"), in_first)
    _refuse_odd_names(types, [*names, *receptor_names])
    parameters, receptor_parameters = (
        {name: _column([_our_value(model, name) for model in models], models, name) for name in part}
        for part in (names, receptor_names)
    )
    for row, model in enumerate(models):
        model.take(OURS)
        _refuse_other_dynamics(model, parameters["E_L"][row] if "E_L" in parameters else None)
    n_receptors = next((values.shape[1] for values in receptor_parameters.values() if values.ndim == 2), 0)
    of_type = np.broadcast_to(np.arange(-1, n_receptors)[None, :, None], (len(models), n_receptors + 1, 2))
    return parameters, receptor_parameters, Receptors(n_receptors, of_type.astype(np.int32), is_plain=True)


def _refuse_odd_names(types, names):
    odd = [name for name in names if not isinstance(name, str) or not _NAME.fullmatch(name)]
    if odd:
        raise FileError(
            f"{types.path}: a cell model has a parameter named {odd[0]!r:.80}. Expected a word.", types.path
        )


def _names_in(content):
    """Names of the parameters and of the receptor parameters of a cell model whose circuit does not say them."""
    lists = [f"{stem}_{j}" for stem, word in AFTER_SPIKE_WORDS.items() for j in range(_length(content.get(word, ())))]
    ours = content.get(OURS) if isinstance(content.get(OURS), dict) else {}
    per_receptor = [name for name, value in ours.items() if isinstance(value, list)]
    return [*SCALARS, *lists, *(name for name in ours if name not in per_receptor)], [*RECEPTOR_WORDS, *per_receptor]


def _length(value):
    return len(value) if isinstance(value, list | tuple) else 0


def _our_value(model, name):
    ours = model.content.get(OURS, {})
    if isinstance(ours, dict) and name in ours:
        return Parameters(model.path, ours).numbers(name)
    stem, _, index = name.rpartition("_")
    if stem not in AFTER_SPIKE_WORDS or not index.isdecimal():
        return model.numbers(name, RECEPTOR_WORDS.get(name, name))
    word = AFTER_SPIKE_WORDS[stem]
    values = model.numbers(name, word)
    if values.ndim != 1 or int(index) >= len(values):
        raise model.error(word, f"no number for {word}[{index}]; it holds {values}.")
    return values[int(index)]


def _column(values, models, name):
    for model, value in zip(models, values, strict=True):
        if np.shape(value) != np.shape(values[0]):
            word = RECEPTOR_WORDS.get(name, name)
            raise model.error(
                word,
                f"{word} is {value}; expected finite numbers, as many as in {models[0].path.name}. Correct the file.",
            )
    return np.array(values, dtype=np.float64)


def _refuse_other_dynamics(model, e_l):
    """Refuse what the engines would not do, although NEST would."""
    refuse_moving_threshold(model, [])
    if not model.flag("after_spike_currents", True):
        raise model.error("after_spike_currents", "after_spike_currents is false; expected true. Restore the file.")
    if "asc_init" in model and np.any(model.numbers("asc_init")):
        raise model.error("asc_init", "asc_init is not 0; every engine here starts without after-spike currents.")
    if "V_m" in model and e_l is not None and np.any(model.numbers("V_m") != e_l):
        raise model.error("V_m", f"V_m is {model.take('V_m')}, E_L is {e_l}; every engine here starts at E_L.")
    model.refuse_rest([])
