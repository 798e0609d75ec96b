"""What the types of edges say of weight, delay, receptor and number of synapses, as SONATA and BMTK mean it."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.sonata.tables import inside, read_json

# BMTK 1.2.0 registers these as syn_weight * nsyns (simulator/pointnet/default_setters/synaptic_weights.py) ...
_TIMES_NSYNS = ("default_weight_fnc", "set_syn_weight", "wmax")
# ... and the scripts of the published column register these as syn_weight alone (biorealistic-v1-model).
_AS_WRITTEN = ("weight_function_recurrent", "weight_function_lgn", "weight_function_bkg")
_STATIC = ("static_synapse", "nest:static_synapse")
# Columns that say how the connections were drawn, where they are, or how their weights came about.
_WITHOUT_EFFECT = frozenset(
    (
        *("target_query", "source_query", "edge_type_name", "population", "n_syns_", "target_sections"),
        *("distance_range", "distance", "sec_id", "sec_x", "sections", "x", "y", "z", "positions", "weight_sigma"),
        *("PSP_correction", "PSP_lognorm_shape", "PSP_lognorm_scale", "PSP_scale_factor", "weight_max"),
    )
)
_PLACES = ("afferent_", "efferent_")
# Columns of synapses that are not static, or of other models: their presence says that the dynamics are others.
_OTHER_DYNAMICS = frozenset(
    (
        *("conductance", "u_syn", "depression_time", "facilitation_time", "decay_time", "n_rrp_vesicles", "NMDA_ratio"),
        *(
            "tau1",
            "tau2",
            "erev",
            "Use",
            "Dep",
            "Fac",
            "U",
            "tau_rec",
            "tau_fac",
            "tau_psc",
            "tau_plus",
            "Wmax",
            "lambda",
        ),
        *("is_gap_junction", "spine_length", "maxPrefDirection", "modulation"),
    )
)
_USED = frozenset(
    ("syn_weight", "delay", "nsyns", "receptor_type", "dynamics_params", "model_template", "weight_function")
)


@dataclass(frozen=True)
class TypeValues:
    """Quantities per type of edges.

    Attributes
    ----------
    weight, delay, n_synapses, receptor : (n_types,) float64 arrays
        NaN where neither the table nor the synapse file has a value. Receptors as NEST counts them.
    multiplied : (n_types,) bool array
        Whether the weight is syn_weight times nsyns.
    ignored : list of str
        Words of the synapse files.
    """

    weight: np.ndarray
    delay: np.ndarray
    n_synapses: np.ndarray
    receptor: np.ndarray
    multiplied: np.ndarray
    ignored: list


def read_type_values(types, folder, most_receptors, used, weights_as_written=False):
    """Read what the types of a population of edges say.

    Parameters
    ----------
    types : TypeTable
    folder : Path or None
        Of the synapse files.
    most_receptors : int
        Largest receptor_type of any cell model.
    used : (n_types,) bool array
        Types that occur; only they must be understood.
    weights_as_written : bool
        Take the weights in the files although the types name a function that would compute others.

    Returns
    -------
    TypeValues

    Raises
    ------
    FileError
        A synapse file is missing or damaged; synapses that are not static; weights that a function would change.
    """
    _refuse_plastic(types, used)
    receptor, delay = types.numbers("receptor_type"), types.numbers("delay")
    files = _read_synapse_files(types, folder, used)
    for row, (path, content) in files.items():
        if not _is_number(content.get("receptor_type", 0), range(most_receptors + 1)):
            _refuse_receptor(path, content["receptor_type"], most_receptors)
        _take(receptor, row, types, path, content, "receptor_type")
        _take(delay, row, types, path, content, "delay")
    multiplied = _multiplied(types, used, weights_as_written)
    words = {word for _, content in files.values() for word in content}
    ignored = [f"{word} of the synapse files" for word in sorted(words - {"receptor_type", "delay"})]
    return TypeValues(types.numbers("syn_weight"), delay, types.numbers("nsyns"), receptor, multiplied, ignored)


def _refuse_plastic(types, used):
    templates = types.text("model_template")
    bad = [row for row in np.flatnonzero(used) if templates[row] not in (None, *_STATIC)]
    if bad:
        names = sorted({templates[row] for row in bad})
        raise FileError(
            f"{types.path}: model_template {first_offenders(names)} in rows {first_offenders(bad)}; expected "
            f"static_synapse, the only one whose weights stay as they are; {near_name_hint(names[0], _STATIC)}.",
            types.path,
            "model_template",
            bad,
        )


def _read_synapse_files(types, folder, used):
    """File and content of the synapse file of every type that names one."""
    files, read = {}, {}
    for row, name in enumerate(types.text("dynamics_params")):
        if name is None or not used[row]:
            continue
        if folder is None:
            message = f"{types.path} names {name!r:.80}, but the configuration has no synaptic_models_dir."
            raise FileError(message, types.path, "dynamics_params", [row])
        if name not in read:
            path = inside(folder, name, types.path)
            read[name] = path, _synapse(path)
        files[row] = read[name]
    return files


def _synapse(path):
    content = read_json(path)
    for name, value in content.items():
        # BMTK overwrites a weight in this file by syn_weight.
        known = name in ("receptor_type", "delay", "weight") or isinstance(value, str)
        if not known or (name == "synapse_model" and value not in _STATIC):
            raise FileError(
                f"{path}: {name} is {value!r:.40}, which is not understood; expected receptor_type. Remove it if it "
                "has no effect.",
                path,
                name,
            )
    return content


def _take(column, row, types, path, content, name):
    """Take a number from a synapse file where the table has none; both must not say different things."""
    value = content.get(name)
    if value is None:
        return
    if not _is_number(value):
        raise FileError(f"{path}: {name} {value!r:.40}; expected a number. Correct the file.", path, name)
    value = float(value) if abs(value) < 2**53 else np.inf
    if np.isnan(column[row]):
        column[row] = value
    elif name == "receptor_type" and column[row] != value:
        message = f"{types.path}: receptor_type {column[row]:g}, but {value:g} in {path}. Expected one number."
        raise FileError(message, types.path, name, [row])


def _is_number(value, known=None):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return known is None or value in known


def _refuse_receptor(path, value, most_receptors):
    expected = f"1 to {most_receptors}" if most_receptors else "none, or 0: the sign of the weight chooses it"
    message = f"{path}: receptor_type {value!r:.40}; expected {expected}, the receptors of the cell models. Correct it."
    raise FileError(message, path, "receptor_type")


def _multiplied(types, used, weights_as_written):
    functions = types.text("weight_function")
    known = (None, *_TIMES_NSYNS, *_AS_WRITTEN)
    bad = [row for row in np.flatnonzero(used) if functions[row] not in known]
    if bad and not weights_as_written:
        names = sorted({functions[row] for row in bad})
        raise FileError(
            f"{types.path}: weight_function {first_offenders(names)} in rows {first_offenders(bad)} would compute the "
            "weights when the network is loaded; nothing here is executed. Write the computed weights into the file, "
            "or take syn_weight times nsyns with --weights-as-written.",
            types.path,
            "weight_function",
            bad,
        )
    return np.array([name not in _AS_WRITTEN for name in functions], dtype=bool)


def classify(names):
    """Sort the properties of edges that are not used.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    ignored, not_understood, other_dynamics : lists of str
        Without an effect; of which that is not known; of synapses that are not static.
    """
    rest = sorted(set(names) - _USED)
    other = [name for name in rest if name in _OTHER_DYNAMICS]
    ignored = [name for name in rest if name in _WITHOUT_EFFECT or name.startswith(_PLACES)]
    return ignored, [name for name in rest if name not in (*other, *ignored)], other
