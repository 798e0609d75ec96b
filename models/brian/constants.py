"""The constants of the cell models as Brian2 wants them: in SI units, with a dimension and a name.

One value per cell model, not per neuron: 203,816 neurons of 201 models read the same few kilobytes, which stay in
cache.
"""

from dataclasses import dataclass

import numpy as np
from brian2 import amp, second
from brian2.units.fundamentalunits import Dimension

from twincortex.models.brian import statements
from twincortex.models.linear_system import coherent_unit


@dataclass(frozen=True)
class Constant:
    """One number per cell model.

    Attributes
    ----------
    name : str
    dimensions : brian2 Dimension
    values : (M,) float64 array, SI units
    """

    name: str
    dimensions: Dimension
    values: np.ndarray


def cell_model_constants(propagators, node_types):
    """List every constant that the equations and the statements of ``statements.py`` name.

    Parameters
    ----------
    propagators : Propagators
    node_types : NodeTypes

    Returns
    -------
    list of Constant
    """
    return [
        *_parameters_of_the_equations(propagators.equation_set.equations, node_types),
        *_step(propagators),
        *_reset(propagators),
        *_jumps(propagators),
        Constant(
            statements.THRESHOLD_CONSTANT, *_in_si(propagators, propagators.threshold, propagators.threshold_state)
        ),
        # Brian2 holds a neuron for one step less than its refractory period.
        Constant(
            statements.REFRACTORY_CONSTANT, second.dim, (propagators.refractory_steps + 1) * (propagators.dt * 1e-3)
        ),
    ]


def _parameters_of_the_equations(equations, node_types):
    known = {name.lower(): values for name, values in node_types.parameters.items()}
    for name, values in node_types.receptor_parameters.items():
        known |= {f"{name.lower()}_{k}": values[:, k] for k in range(values.shape[1])}
    for name in sorted(equations.parameter_names):
        dimensions = equations[name].dim
        yield Constant(name, dimensions, known[name] * coherent_unit(dimensions))


def _step(propagators):
    states = propagators.states
    for entry, (row, col) in enumerate(zip(propagators.rows, propagators.cols, strict=True)):
        name = statements.step_constant(states[row], states[col])
        yield Constant(name, *_in_si(propagators, propagators.values[:, entry], row, col))
    for row in statements.offset_states(propagators):
        yield Constant(statements.step_constant(states[row]), *_in_si(propagators, propagators.offset[:, row], row))


def _reset(propagators):
    states = propagators.states
    for entry, (row, col) in enumerate(zip(propagators.reset_rows, propagators.reset_cols, strict=True)):
        name = statements.reset_constant(states[row], states[col])
        yield Constant(name, *_in_si(propagators, propagators.reset_values[:, entry], row, col))
    for row in np.flatnonzero(propagators.reset_touched):
        name = statements.reset_constant(states[row])
        yield Constant(name, *_in_si(propagators, propagators.reset_offset[:, row], row))


def _jumps(propagators):
    for entry, (row, receptor) in enumerate(zip(propagators.jump_rows, propagators.jump_receptors, strict=True)):
        dimensions, values = _in_si(propagators, propagators.jump_values[:, entry], row)
        name = statements.jump_constant(propagators.states[row], receptor)
        yield Constant(name, dimensions / amp.dim, values / coherent_unit(amp.dim))


def _in_si(propagators, values, row, col=None):
    """Dimension and SI values of a number in the unit of state row, per unit of state col."""
    equations, states, unit = propagators.equation_set.equations, propagators.states, propagators.state_unit_si
    if col is None:
        return equations[states[row]].dim, values * unit[row]
    return equations[states[row]].dim / equations[states[col]].dim, values * (unit[row] / unit[col])
