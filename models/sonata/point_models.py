"""What NEST's point neuron models mean in our words: GLIF1 and GLIF3 with alpha or double-alpha receptors.

One row of TEMPLATES per model template. What the equations cannot express is refused by name; what has no effect, or
was taken from NEST's defaults, is noted.
"""

import numpy as np

from twincortex.models.errors import FileError, near_name_hint
from twincortex.models.sonata.allen_models import alpha_receptors, convert_neuron_config, is_database_model
from twincortex.models.sonata.cell_parameters import AFTER_SPIKE_WORDS, RECEPTOR_WORDS, SCALARS, CellModel, Parameters

NOT_AT_REST = "V_m is not given"
_THRESHOLD_WORDS = {
    "spike_dependent_threshold": ("th_spike_add", "th_spike_decay", "voltage_reset_fraction", "voltage_reset_add"),
    "adapting_threshold": ("th_voltage_index", "th_voltage_decay"),
}
# Defaults of NEST 3.10 (models/iaf_psc_alpha.cpp), which a file may rely on.
_IAF_DEFAULTS = {
    "E_L": -70.0,
    "V_th": -55.0,
    "V_reset": -70.0,
    "C_m": 250.0,
    "tau_m": 10.0,
    "t_ref": 2.0,
    "tau_syn_ex": 2.0,
    "tau_syn_in": 2.0,
}


def translate(template, path, content):
    """Say in our words what a cell model file means.

    Parameters
    ----------
    template : str
        ``model_template`` of the node type.
    path : Path
        The file, for messages.
    content : dict

    Returns
    -------
    CellModel

    Raises
    ------
    FileError
        The template is not one of TEMPLATES, a parameter is missing or makes dynamics that no engine here has.
    """
    if template not in TEMPLATES:
        raise FileError(
            f"{path}: model_template {template!r:.80} is not supported; {near_name_hint(template, TEMPLATES)}.", path
        )
    parameters = Parameters(path, content)
    model = TEMPLATES[template](parameters)
    parameters.refuse_rest(model.notes)
    values = model.parameters
    if values["V_reset"] >= values["V_th"] or values["t_ref"] <= 0 or values["g"] <= 0:
        shown = ", ".join(f"{name} {values[name]:g}" for name in ("V_reset", "V_th", "t_ref", "g"))
        raise parameters.error("V_reset", f"{shown}: expected V_reset < V_th, t_ref > 0 and g > 0. Correct the file.")
    return model


def glif_psc_double_alpha(parameters):
    """NEST's glif_psc_double_alpha, GLIF1 or GLIF3.

    Source
    ------
    NEST 3.10 models/glif_psc_double_alpha.cpp.
    """
    receptors = {name: parameters.list_of_numbers(name, word) for name, word in RECEPTOR_WORDS.items()}
    lengths = {word: len(receptors[name]) for name, word in RECEPTOR_WORDS.items()}
    if len(set(lengths.values())) > 1:
        raise parameters.error("tau_syn_fast", f"lengths {lengths}: expected one entry per receptor in each.")
    return _glif(parameters, receptors, _says_after_spike_currents(parameters))


def glif_psc(parameters):
    """NEST's glif_psc, GLIF1 or GLIF3; as in glif_psc_double_alpha the weight is the peak of the (fast) alpha.

    Source
    ------
    NEST 3.10 models/glif_psc.cpp.
    """
    receptors = alpha_receptors(parameters.list_of_numbers("tau_fast", "tau_syn"))
    return _glif(parameters, receptors, _says_after_spike_currents(parameters))


def glif_lif_psc(parameters):
    """GLIF1 under the name that it had in the Allen Institute's NEST module."""
    return _module_glif(parameters, after_spike_currents=False)


def glif_lif_asc_psc(parameters):
    """GLIF3 under the name that it had in the Allen Institute's NEST module."""
    return _module_glif(parameters, after_spike_currents=True)


def iaf_psc_alpha(parameters):
    """NEST's iaf_psc_alpha: GLIF1 with one alpha receptor for positive and one for other weights.

    NEST lets it spike at V >= V_th, the engines here at V > V_th.

    Source
    ------
    NEST 3.10 models/iaf_psc_alpha.cpp.
    """
    notes = [
        f"{word} is not given: {value:g}, as in NEST" for word, value in _IAF_DEFAULTS.items() if word not in parameters
    ]
    own = Parameters(parameters.path, {**_IAF_DEFAULTS, **parameters.content})
    if "V_min" in parameters:
        raise parameters.error("V_min", "V_min: no engine here bounds V from below. Remove it.")
    c_m, tau_m = own.number("C_m"), own.number("tau_m")
    values = {name: own.number(name) for name in SCALARS if name != "g"} | {"g": c_m / tau_m}
    taus = [own.number("tau_fast", word) for word in ("tau_syn_ex", "tau_syn_in")]
    _refuse_current(parameters)
    _start_at_rest(parameters, values["E_L"], notes)
    for word in _IAF_DEFAULTS:
        parameters.take(word)
    return CellModel({name: values[name] for name in SCALARS}, alpha_receptors(taus), by_sign=True, notes=notes)


TEMPLATES = {
    f"nest:{model.__name__}": model
    for model in (glif_psc_double_alpha, glif_psc, glif_lif_psc, glif_lif_asc_psc, iaf_psc_alpha)
}


def _module_glif(parameters, after_spike_currents):
    if is_database_model(parameters.content):
        return convert_neuron_config(parameters, after_spike_currents)
    method = parameters.take("V_dynamics_method", "linear_exact")
    if method != "linear_exact":
        raise parameters.error("V_dynamics_method", f"V_dynamics_method is {method!r:.40}; expected 'linear_exact'.")
    return _glif(parameters, alpha_receptors(parameters.list_of_numbers("tau_fast", "tau_syn")), after_spike_currents)


def _glif(parameters, receptors, after_spike_currents):
    notes = []
    refuse_moving_threshold(parameters, notes)
    _refuse_current(parameters)
    values = {name: parameters.number(name) for name in SCALARS}
    _start_at_rest(parameters, values["E_L"], notes)
    values |= _after_spike_currents(parameters, after_spike_currents, notes)
    return CellModel(values, receptors, notes=notes)


def _refuse_current(parameters):
    if "I_e" in parameters and parameters.number("I_e"):
        raise parameters.error("I_e", "I_e is not 0: no cell model here holds a constant current. Set it to 0.")


def _start_at_rest(parameters, e_l, notes):
    if "V_m" not in parameters:
        notes.append(f"{NOT_AT_REST}: NEST would start at the V_m of its defaults, the engines here start at E_L")
    elif parameters.number("V_m") != e_l:
        v_m = parameters.take("V_m")
        raise parameters.error("V_m", f"V_m is {v_m}, E_L is {e_l}; every engine here starts at E_L. Make them equal.")


def refuse_moving_threshold(parameters, notes):
    """Refuse GLIF2, GLIF4 and GLIF5.

    Parameters
    ----------
    parameters : Parameters
    notes : list of str
        Gets the parameters that have no effect.
    """
    for flag, words in _THRESHOLD_WORDS.items():
        if parameters.flag(flag, False):
            raise parameters.error(
                flag, f"{flag} is true (GLIF2, GLIF4 or GLIF5): no engine here has a threshold that moves."
            )
        for word in words:
            if word in parameters and flag not in parameters and np.any(parameters.numbers(word)):
                raise parameters.error(word, f"{word} is given, not {flag}. Say false if the threshold is fixed.")
            if parameters.take(word) is not None:
                notes.append(f"{word}: no effect, the threshold is fixed")


def _says_after_spike_currents(parameters):
    flag = "after_spike_currents"
    if flag not in parameters and "asc_amps" in parameters:
        raise parameters.error(flag, f"asc_amps without {flag}: NEST leaves them out. Say {flag} true or false.")
    return parameters.flag(flag, False)


def _after_spike_currents(parameters, are_there, notes):
    if "asc_init" in parameters and np.any(parameters.numbers("asc_init")):
        raise parameters.error("asc_init", "asc_init is not 0; every engine here starts without after-spike currents.")
    words = dict(AFTER_SPIKE_WORDS)
    if "k" in parameters and "asc_decay" not in parameters:
        words["asc_decay"] = "k"
    if not are_there:
        found = [word for word in words.values() if parameters.take(word) is not None]
        notes.extend(f"{word}: no effect, the model has no after-spike currents" for word in found)
        return {}
    decay, amp = (parameters.list_of_numbers(name, words[name]) for name in ("asc_decay", "asc_amp"))
    if "asc_r" in parameters:
        r = parameters.list_of_numbers("asc_r")
    else:
        r = np.ones(len(amp))
        notes.append("asc_r is not given: 1, as in NEST")
    if not len(decay) == len(amp) == len(r) or np.any(decay <= 0) or np.any((r < 0) | (r > 1)):
        raise parameters.error(
            words["asc_decay"],
            f"{words['asc_decay']} {decay}, asc_amps {amp}, asc_r {r}: expected as many of each, rates above 0 and r "
            "from 0 to 1. Correct the file.",
        )
    columns = {"asc_decay": decay, "asc_amp": amp, "asc_r": r}
    return {f"{name}_{j}": float(values[j]) for name, values in columns.items() for j in range(len(amp))}
