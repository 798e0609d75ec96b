"""Cells of the Allen Cell Types Database: neuron_config files in SI units, converted as BMTK converts them."""

import numpy as np

from twincortex.models.sonata.cell_parameters import CellModel, Parameters

# NEST wants a slow part of more than 0. One of the same time constant and this amplitude changes no digit of the sum.
NO_SLOW_PART = 1e-30
# BMTK gives every cell of the database these four receptors (ms).
BMTK_TAU_SYN = (5.5, 8.5, 2.8, 5.8)
_METHODS = {
    "threshold_dynamics_method": ("inf",),
    "voltage_reset_method": ("zero",),
    "AScurrent_dynamics_method": ("exp", "none"),
    "AScurrent_reset_method": ("sum", "none"),
}


def is_database_model(content):
    """Whether a cell model file is a neuron_config of the database."""
    return content.get("type") == "GLIF"


def alpha_receptors(tau_syn):
    """Single alphas as double alphas whose slow part has no effect.

    Parameters
    ----------
    tau_syn : (R,) array [ms]

    Returns
    -------
    dict of str -> (R,) float64 array
    """
    tau_syn = np.asarray(tau_syn, dtype=np.float64)
    return {"tau_fast": tau_syn, "tau_slow": tau_syn.copy(), "amp_slow": np.full(len(tau_syn), NO_SLOW_PART)}


def convert_neuron_config(parameters, after_spike_currents):
    """Convert a neuron_config.

    Parameters
    ----------
    parameters : Parameters
    after_spike_currents : bool
        GLIF3 rather than GLIF1, as the model template says.

    Returns
    -------
    CellModel

    Raises
    ------
    FileError
        The cell has a threshold or reset rule that GLIF1 and GLIF3 lack, or contradicts its model template.

    Source
    ------
    Teeter et al. (2018) Nature Communications 9:709; the conversion of BMTK 1.2.0,
    simulator/pointnet/glif_utils.py (converter_builtin).
    """
    notes = [f"tau_syn: {list(BMTK_TAU_SYN)} ms, which BMTK gives the cells of the Allen Cell Types Database"]
    methods = {word: _method(parameters, word) for word in _METHODS}
    for word in ("init_voltage", "init_AScurrents"):
        if word in parameters and np.any(parameters.numbers(word)):
            raise parameters.error(word, f"{word} is not 0: every engine here starts at rest. Set it to 0.")
    values, coefficients = _membrane(parameters)
    if after_spike_currents:
        if "none" in methods.values():
            raise parameters.error(
                "AScurrent_dynamics_method",
                "the cell has no after-spike currents, but its model template has them. Name nest:glif_lif_psc.",
            )
        values |= _after_spike_currents(parameters, coefficients)
    parameters.take("type")
    parameters.note_rest(notes)
    return CellModel(values, alpha_receptors(BMTK_TAU_SYN), notes=notes)


def _method(parameters, word):
    method = parameters.take(word)
    name = method.get("name") if isinstance(method, dict) else None
    if name not in _METHODS[word]:
        known = " or ".join(_METHODS[word])
        raise parameters.error(word, f"{word} is {name!r:.40}; GLIF1 and GLIF3 know {known} only.")
    factors = (method.get("params") or {}).get("r", [1.0]) if isinstance(method.get("params"), dict | None) else None
    if word == "AScurrent_reset_method" and np.any(Parameters(parameters.path, {"r": factors}).numbers("r") != 1):
        raise parameters.error(word, f"{word}: r is {factors}; BMTK and NEST take 1. Set it to 1.")
    return name


def _membrane(parameters):
    coefficients = parameters.take("coeffs")
    if not isinstance(coefficients, dict):
        raise parameters.error("coeffs", "no coefficients (coeffs); expected an object {...}.")
    coefficients = Parameters(parameters.path, coefficients)
    reference = parameters.number("El_reference") * 1e3
    values = {
        "V_th": coefficients.number("th_inf") * parameters.number("th_inf") * 1e3 + reference,
        "E_L": parameters.number("El") * 1e3 + reference,
        "V_reset": reference,
        "g": coefficients.number("G") / parameters.number("C_m", "R_input") * 1e9,
        "C_m": coefficients.number("C") * parameters.number("C_m", "C") * 1e12,
        "t_ref": parameters.number("t_ref", "spike_cut_length") * parameters.number("t_ref", "dt") * 1e3,
    }
    return values, coefficients


def _after_spike_currents(parameters, coefficients):
    amp = parameters.list_of_numbers("asc_amp", "asc_amp_array")
    factor = coefficients.list_of_numbers("asc_amp", "asc_amp_array")
    tau = parameters.list_of_numbers("tau_fast", "asc_tau_array")
    if not len(amp) == len(factor) == len(tau):
        raise parameters.error("asc_amp_array", "asc_amp_array, its coefficients and asc_tau_array differ in length.")
    columns = {"asc_decay": 1.0 / tau * 1e-3, "asc_amp": amp * factor * 1e12, "asc_r": np.ones(len(tau))}
    return {f"{name}_{j}": float(values[j]) for name, values in columns.items() for j in range(len(tau))}
