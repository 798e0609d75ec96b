"""Equations -> exact one-step propagators per cell model: the numbers that both engines share.

Between spikes the equations are linear, so one step is x <- P x + b with P = expm(M dt). The matrix exponential is
taken
numerically in float64 per cell model: safe for any time constants and any dt (DESIGN 4). Engines only multiply and add.
"""

from dataclasses import dataclass

import numpy as np
import sympy
from scipy.linalg import expm

from twincortex.models.equations import EquationSet
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.linear_system import read_linear_system
from twincortex.models.recording import AFTER_SPIKE_CURRENTS


@dataclass(frozen=True)
class Propagators:
    """One step of dt for M cell models with S states and R receptors; numbers in mV, ms, pA.

    Attributes
    ----------
    equation_set : EquationSet
    dt : float [ms]
    after_spike_current : str
        ``"exact"``, or ``"step_mean"`` as in NEST.
    states : tuple of str
    state_unit_si : (S,) array
        SI value of one of our units of each state.
    rows, cols : (nnz,) int arrays
        Structural nonzeros of P, the same for every cell model.
    values : (M, nnz) array
    offset : (M, S) array
        x <- P x + offset.
    held : (S,) bool array
        Kept unchanged while refractory.
    threshold_state : int
    threshold : (M,) array
        Spike where x[threshold_state] > threshold and not refractory.
    rest : (M,) array
        Where x[threshold_state] starts; below the threshold.
    reset_rows, reset_cols : (k,) int arrays
    reset_values : (M, k) array
    reset_offset : (M, S) array
    reset_touched : (S,) bool array
        At a spike, x[touched] <- A x + reset_offset[touched].
    jump_rows, jump_receptors : (j,) int arrays
    jump_values : (M, j) array
        At arrivals, x[row] += value * inbox[receptor], inbox in pA.
    refractory_steps : (M,) int array
        Steps for which V and the other held states stay still after a spike.
    """

    equation_set: EquationSet
    dt: float
    after_spike_current: str
    states: tuple
    state_unit_si: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    offset: np.ndarray
    held: np.ndarray
    threshold_state: int
    threshold: np.ndarray
    rest: np.ndarray
    reset_rows: np.ndarray
    reset_cols: np.ndarray
    reset_values: np.ndarray
    reset_offset: np.ndarray
    reset_touched: np.ndarray
    jump_rows: np.ndarray
    jump_receptors: np.ndarray
    jump_values: np.ndarray
    refractory_steps: np.ndarray


def compute_propagators(equation_set, node_types, dt, after_spike_current="exact"):
    """Turn equations and cell models into the numbers of one step.

    Parameters
    ----------
    equation_set : EquationSet
    node_types : NodeTypes
    dt : float [ms]
    after_spike_current : str
        ``"exact"`` solves the coupled equations; ``"step_mean"`` lets after-spike currents enter the membrane as their
        mean over the step, (1 - exp(-k dt))/(k dt), which is NEST's convention.

    Returns
    -------
    Propagators

    Raises
    ------
    InputError
        Equations that are not linear or whose units do not match, a parameter the cell models lack, an unknown
        convention, other numbers of receptors in the equations and in the cell models, a threshold below rest.

    Source
    ------
    Rotter and Diesmann (1999) Exact digital simulation of time-invariant linear systems.
    """
    if after_spike_current not in AFTER_SPIKE_CURRENTS:
        hint = near_name_hint(after_spike_current, AFTER_SPIKE_CURRENTS)
        raise InputError(f"after_spike_current {after_spike_current!r}: {hint}.")
    _check_receptors(equation_set, node_types)
    system = read_linear_system(equation_set)
    parameters = _parameters(equation_set, node_types)
    step, offset = _steps_of_models(system, parameters, dt, equation_set.after_spike_currents, after_spike_current)
    rows, cols = np.nonzero(_reachable(system.matrix))
    threshold, rest = _evaluate(system.threshold, parameters), _evaluate(system.rest, parameters)
    _refuse_thresholds_below_rest(threshold, rest, node_types)
    return Propagators(
        equation_set=equation_set,
        dt=float(dt),
        after_spike_current=after_spike_current,
        states=system.states,
        state_unit_si=system.state_unit_si,
        rows=rows,
        cols=cols,
        values=step[:, rows, cols],
        offset=offset,
        held=system.held,
        threshold_state=system.states.index(system.threshold_state),
        threshold=threshold,
        rest=rest,
        **_reset_fields(system, parameters),
        jump_rows=np.array([system.states.index(row) for row, _, _ in system.jumps], dtype=int),
        jump_receptors=np.array([receptor for _, receptor, _ in system.jumps], dtype=int),
        jump_values=_evaluate_list([value for _, _, value in system.jumps], parameters),
        refractory_steps=refractory_steps(parameters["t_ref"], dt),
    )


def _refuse_thresholds_below_rest(threshold, rest, node_types):
    below = node_types.node_type_id[~(threshold > rest)].tolist()
    if below:
        raise InputError(
            f"cell models {first_offenders(below)}: the threshold is not above the potential at rest; such a "
            "cell would spike without input. Correct V_th or E_L."
        )


def _steps_of_models(system, parameters, dt, after_spike_currents, convention):
    matrix = _evaluate_table(system.matrix, parameters)
    constants = _evaluate_table(system.constants, parameters)[:, :, 0]
    step, offset = _exact_step(matrix, constants, dt)
    if convention == "step_mean":
        _enter_as_step_mean(step, matrix, dt, [system.states.index(name) for name in after_spike_currents])
    return step, offset


def _reset_fields(system, parameters):
    index = system.states.index
    entries = [
        (index(row), index(col), value) for row, (terms, _) in system.reset.items() for col, value in terms.items()
    ]
    offset = np.zeros((len(parameters["t_ref"]), len(system.states)))
    for name, (_, constant) in system.reset.items():
        offset[:, index(name)] = _evaluate(constant, parameters)
    return {
        "reset_rows": np.array([row for row, _, _ in entries], dtype=int),
        "reset_cols": np.array([col for _, col, _ in entries], dtype=int),
        "reset_values": _evaluate_list([value for _, _, value in entries], parameters),
        "reset_offset": offset,
        "reset_touched": np.isin(system.states, list(system.reset)),
    }


def refractory_steps(t_ref, dt):
    """Steps for which a cell is held after a spike.

    Parameters
    ----------
    t_ref : array [ms]
    dt : float [ms]

    Returns
    -------
    int array
        max(1, ceil(t_ref/dt)), t_ref taken to the nearest microsecond first, as NEST's tics do.
    """
    t_ref_us = np.rint(np.asarray(t_ref) * 1000)
    return np.maximum(1, np.ceil(np.round(t_ref_us / (dt * 1000), 9))).astype(int)


def _check_receptors(equation_set, node_types):
    n_receptors = {values.shape[1] for values in node_types.receptor_parameters.values()}
    if n_receptors != {equation_set.n_receptors}:
        raise InputError(
            f"{equation_set.name} has {equation_set.n_receptors} receptors, the cell models have "
            f"{sorted(n_receptors)}; input to a receptor that the equations lack would vanish. Make the equations for "
            "as many receptors."
        )


def _parameters(equation_set, node_types):
    """Values of every parameter of the equations by its lower-case name, each (M,)."""
    known = {name.lower(): value for name, value in node_types.parameters.items()}
    known |= {
        f"{name.lower()}_{receptor}": values[:, receptor]
        for name, values in node_types.receptor_parameters.items()
        for receptor in range(values.shape[1])
    }
    missing = sorted({*equation_set.equations.parameter_names, "t_ref"} - set(known))
    if missing:
        raise InputError(
            f"{equation_set.name}: the cell models have no column for parameter(s) {', '.join(missing)} of the "
            f"equations; "
            f"{near_name_hint(missing[0], known)}. Add the column to the cell models, or another number of receptors."
        )
    values = {
        name: np.asarray(known[name], dtype=np.float64) for name in [*equation_set.equations.parameter_names, "t_ref"]
    }
    not_finite = sorted(name for name, value in values.items() if not np.all(np.isfinite(value)))
    if not_finite:
        raise InputError(
            f"{equation_set.name}: parameter(s) {', '.join(not_finite)} of the cell models are not finite."
        )
    return values


def _evaluate_list(expressions, parameters):
    columns = [_evaluate(expression, parameters) for expression in expressions]
    return np.stack(columns, axis=1) if columns else np.zeros((len(parameters["t_ref"]), 0))


def _evaluate(expression, parameters):
    symbols = sorted(expression.free_symbols, key=str)
    unknown = [symbol.name for symbol in symbols if symbol.name not in parameters]
    if unknown:
        raise InputError(f"term {expression}: {', '.join(unknown)} is not a parameter of the equations. Declare it.")
    function = sympy.lambdify(symbols, expression, "numpy")
    values = function(*[parameters[symbol.name] for symbol in symbols])
    return np.broadcast_to(values, len(parameters["t_ref"])).astype(np.float64)


def _evaluate_table(table, parameters):
    values = np.zeros((len(parameters["t_ref"]), *table.shape))
    for row, col in zip(*np.nonzero(np.array(table.tolist(), dtype=object) != 0), strict=True):
        values[:, row, col] = _evaluate(table[int(row), int(col)], parameters)
    return values


def _exact_step(matrix, constants, dt):
    """P and b of dx/dt = M x + c over dt, from the exponential of the augmented matrix."""
    n_models, n_states, _ = matrix.shape
    augmented = np.zeros((n_models, n_states + 1, n_states + 1))
    augmented[:, :n_states, :n_states] = matrix
    augmented[:, :n_states, n_states] = constants
    exponential = expm(augmented * dt)
    return exponential[:, :n_states, :n_states], exponential[:, :n_states, n_states]


def _enter_as_step_mean(step, matrix, dt, after_spike):
    """Replace the columns of the after-spike currents by mean over the step times response to a constant current."""
    constant_current = matrix.copy()
    constant_current[:, after_spike, :] = 0
    response, _ = _exact_step(constant_current, np.zeros(matrix.shape[:2]), dt)
    for state in after_spike:
        decay = -matrix[:, state, state] * dt
        mean = np.where(decay == 0, 1.0, -np.expm1(-decay) / np.where(decay == 0, 1.0, decay))
        others = np.arange(matrix.shape[1]) != state
        step[:, others, state] = response[:, others, state] * mean[:, None]


def _reachable(matrix):
    """Structure of the exponential: which state influences which within a step, (S, S) bool."""
    structure = (np.array(matrix.tolist(), dtype=object) != 0) | np.eye(matrix.shape[0], dtype=bool)
    while True:
        closure = (structure.astype(int) @ structure.astype(int)) > 0
        if (closure == structure).all():
            return closure
        structure = closure
