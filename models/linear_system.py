"""Read an EquationSet symbolically: a linear system, affine resets, linear jumps and a threshold.

Whatever cannot be read that way is refused with an error that names the equation and the term.
"""

import ast
import re
from dataclasses import dataclass

import brian2
import numpy as np
import sympy
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_UNITS
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.fundamentalunits import DimensionMismatchError, get_dimensions

from twincortex.models.errors import InputError

# Powers of ten of (m, kg, s, A, K, mol, cd) that make mV, ms and pA (hence pF, nS, 1/ms) a coherent set of units.
_COHERENT_POWERS = np.array([0, -24, -3, -12, 0, 0, 0])
_STATEMENT = re.compile(r"^\s*(\w+)\s*([+\-*/]?)=\s*(.+?)\s*(?:#.*)?$")
_TIME = sympy.Symbol("t", real=True)


@dataclass(frozen=True)
class LinearSystem:
    """An EquationSet as symbols; parameters are sympy symbols named as in the equations.

    Attributes
    ----------
    states : tuple of str
    state_unit_si : (S,) float array
        SI value of one of our units (mV, pA, pA/ms, ...) of each state.
    matrix, constants : sympy.Matrix
        dx/dt = matrix x + constants.
    held : (S,) bool array
        States marked ``(unless refractory)``.
    threshold_state : str
    threshold : sympy.Expr
    rest : sympy.Expr
        Where the variable of the threshold starts.
    reset : dict of state -> (dict of state -> sympy.Expr, sympy.Expr)
        Affine maps applied at a spike.
    jumps : tuple of (state, receptor, sympy.Expr)
        Added per unit of weight at the arrival of a presynaptic spike.
    """

    states: tuple
    state_unit_si: np.ndarray
    matrix: sympy.Matrix
    constants: sympy.Matrix
    held: np.ndarray
    threshold_state: str
    threshold: sympy.Expr
    rest: sympy.Expr
    reset: dict
    jumps: tuple


def coherent_unit(dimensions):
    """SI value of one unit of a dimension in the set mV, ms, pA (1 mV = 1e-3 V).

    Parameters
    ----------
    dimensions : brian2 Dimension

    Returns
    -------
    float
    """
    return float(f"1e{int(np.dot(_COHERENT_POWERS, np.array(dimensions._dims)))}")


def read_linear_system(equation_set):
    """Turn the text of an EquationSet into a LinearSystem.

    Parameters
    ----------
    equation_set : twincortex.models.equations.EquationSet

    Returns
    -------
    LinearSystem

    Raises
    ------
    InputError
        Units that do not match; an equation that is noisy, depends on time or is not linear; a reset, jump or threshold
        that is not affine in the variables; a variable that depends on a held one without being held itself.
    """
    equations = equation_set.equations
    if equations.is_stochastic:
        raise InputError(
            f"{equation_set.name}: noise (xi) in the equations; exact propagators need equations without noise."
        )
    _check_units(equations)
    states = tuple(sorted(equations.diff_eq_names, key=list(equations.keys()).index))
    symbols = [sympy.Symbol(name, real=True) for name in states]
    substituted = dict(equations.get_substituted_expressions())
    rows, constants = [], []
    for name in states:
        row, constant = _affine(f"d{name}/dt", _expression(substituted[name].code), symbols)
        rows.append(row)
        constants.append(constant)
    held = np.array(["unless refractory" in equations[name].flags for name in states])
    matrix = sympy.Matrix(rows)
    _check_held(states, matrix, held)
    threshold_state, threshold = _read_threshold(equation_set.threshold, symbols)
    return LinearSystem(
        states=states,
        state_unit_si=np.array([coherent_unit(equations[name].dim) for name in states]),
        matrix=matrix,
        constants=sympy.Matrix(constants),
        held=held,
        threshold_state=threshold_state,
        threshold=threshold,
        rest=_read_rest(equation_set.rest, symbols),
        reset=_read_reset(equation_set.reset, symbols),
        jumps=_read_jumps(equation_set.on_spike, symbols),
    )


def _check_units(equations):
    dimensions = {**DEFAULT_FUNCTIONS, **DEFAULT_CONSTANTS, **DEFAULT_UNITS, **equations.dimensions}
    for name, equation in equations.items():
        if equation.expr is None:
            continue
        differential = name in equations.diff_eq_names
        label = f"d{name}/dt" if differential else name
        expected = equation.dim / brian2.second.dim if differential else equation.dim
        code = equation.expr.code
        try:
            found = get_dimensions(parse_expression_dimensions(code, dimensions))
        except DimensionMismatchError as error:
            raise InputError(f"equation {label} = {code}: {error.desc} Make the units of both terms match.") from error
        except KeyError as error:
            raise InputError(
                f"equation {label} = {code}: {error.args[0]}. Declare it as a parameter with its unit."
            ) from error
        if found != expected:
            raise InputError(
                f"equation {label} = {code}: the right-hand side has the unit {found or '1'}, "
                f"the left-hand side {expected or '1'}. Correct the declared unit or the term."
            )


def _expression(code):
    """Parse code and put numbers in our units for constants like ``e``, ``pi`` or ``5*ms``."""
    expression = str_to_sympy(code)
    values = {}
    for symbol in expression.free_symbols:
        if symbol.name in DEFAULT_CONSTANTS:
            values[symbol] = sympy.Float(DEFAULT_CONSTANTS[symbol.name].value, 17)
        elif symbol.name in DEFAULT_UNITS:
            unit = DEFAULT_UNITS[symbol.name]
            values[symbol] = sympy.Float(float(unit) / coherent_unit(unit.dim), 17)
    return expression.subs(values)


def _affine(label, expression, symbols):
    """Split an expression into coefficients of the states and a rest, or name the term that is not linear."""
    row = [sympy.diff(expression, symbol) for symbol in symbols]
    states = set(symbols)
    if _TIME in expression.free_symbols:
        raise InputError(
            f"{label} = {expression}: depends on the time t. Give time-dependent input as i_e or as spikes."
        )
    if any(states & coefficient.free_symbols for coefficient in row):
        terms = sympy.Add.make_args(sympy.expand(expression))
        bad = [term for term in terms if any(states & sympy.diff(term, symbol).free_symbols for symbol in symbols)]
        raise InputError(
            f"{label} = {expression}: the term(s) {', '.join(map(str, bad))} are not linear in "
            f"{', '.join(map(str, symbols))}. "
            "Exact propagators exist for linear equations only: replace the term by a linear one."
        )
    return row, expression.subs(dict.fromkeys(symbols, 0))


def _check_held(states, matrix, held):
    for row, column in np.argwhere(~held[:, None] & held[None, :]):
        if matrix[row, column] != 0:
            raise InputError(
                f"equation d{states[row]}/dt: the term with {states[column]} is held while refractory, "
                f"{states[row]} is not. "
                f"Add (unless refractory) to d{states[row]}/dt, or remove it from d{states[column]}/dt."
            )


def _read_threshold(text, symbols):
    tree = ast.parse(text.strip(), mode="eval").body
    names = {symbol.name for symbol in symbols}
    is_greater = isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Gt)
    if not (is_greater and isinstance(tree.left, ast.Name) and tree.left.id in names):
        raise InputError(f"threshold {text!r}: expected 'variable > expression of parameters', for example 'v > v_th'.")
    threshold = _expression(ast.unparse(tree.comparators[0]))
    if set(symbols) & threshold.free_symbols:
        raise InputError(
            f"threshold {text!r}: the right-hand side contains a variable; only parameters may stand there."
        )
    return tree.left.id, threshold


def _read_rest(text, symbols):
    rest = _expression(text)
    if set(symbols) & rest.free_symbols:
        raise InputError(f"rest {text!r}: contains a variable; only parameters may stand there.")
    return rest


def _statements(text):
    for line in filter(str.strip, text.splitlines()):
        match = _STATEMENT.match(line)
        if match is None:
            raise InputError(
                f"statement {line.strip()!r}: expected 'variable = expression' or 'variable += expression'."
            )
        name, operator, code = match.groups()
        yield line.strip(), name, _expression(f"{name} {operator} ({code})" if operator else code)


def _read_reset(text, symbols):
    by_name = {symbol.name: symbol for symbol in symbols}
    current = {}
    for line, name, expression in _statements(text):
        if name not in by_name:
            raise InputError(f"reset {line!r}: {name} is no variable of the equations. Known: {', '.join(by_name)}.")
        current[name] = expression.subs({by_name[done]: value for done, value in current.items()}, simultaneous=True)
    reset = {}
    for name, expression in current.items():
        row, constant = _affine(f"reset of {name}", expression, symbols)
        reset[name] = ({state.name: value for state, value in zip(symbols, row, strict=True) if value != 0}, constant)
    return reset


def _read_jumps(on_spike, symbols):
    by_name = {symbol.name: symbol for symbol in symbols}
    weight = sympy.Symbol("w", real=True)
    jumps = []
    for receptor, text in enumerate(on_spike):
        for line, name, expression in _statements(text):
            if name not in by_name:
                raise InputError(
                    f"on_spike {line!r}: {name} is no variable of the equations. Known: {', '.join(by_name)}."
                )
            added = sympy.expand(expression - by_name[name])
            slope = sympy.diff(added, weight)
            if slope.free_symbols & {weight, *symbols} or sympy.expand(added - slope * weight) != 0:
                raise InputError(f"on_spike {line!r}: expected '{name} += w * expression of parameters'.")
            jumps.append((name, receptor, slope))
    return tuple(jumps)
