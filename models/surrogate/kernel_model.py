"""Propagators -> model.h: straight-line code for one step of a neuron and its adjoint, which the kernels include.

The code holds only the structure (which entries of P, of the jumps and of the resets are not zero); the numbers stand
in a table with a row per cell model. So kernels follow the equations, and circuits with the same equations share them.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

_ALL = 0xFFFFFFFF


@dataclass(frozen=True)
class KernelModel:
    """What the kernels know of a neuron model.

    Attributes
    ----------
    header : str
        Text of model.h.
    numbers : (M, n) float64 array
        Row of each cell model, in the order in which the header reads it.
    """

    header: str
    numbers: np.ndarray


def generate_model(propagators):
    """Write the code and the numbers of one step.

    Parameters
    ----------
    propagators : Propagators

    Returns
    -------
    KernelModel
    """
    p = propagators
    touched = p.reset_touched.nonzero()[0]
    threshold = p.threshold[:, None]
    parts = {
        "step": p.values,
        "offset": p.offset,
        "jump": p.jump_values,
        "reset": p.reset_values,
        "reset_offset": p.reset_offset[:, touched],
        "threshold": threshold,
        "scale": threshold - p.rest[:, None],
    }
    widths = [values.shape[1] for values in parts.values()]
    place = dict(zip(parts, accumulate([0, *widths]), strict=False))
    functions = [_propagate(p, place), _propagate_adjoint(p, place), _jump(p, place), _jump_adjoint(p, place)]
    functions += [_reset(p, touched, place), _reset_adjoint(p, touched, place)]
    header = "\n".join(["#pragma once", *_constants(p, place, sum(widths)), *_storage(p), *functions, ""])
    return KernelModel(header, np.ascontiguousarray(np.concatenate(list(parts.values()), axis=1)))


def _constants(p, place, n_numbers):
    values = {
        "N_STATES": len(p.states),
        "N_RECEPTORS": p.equation_set.n_receptors,
        "N_NUMBERS": n_numbers,
        "MEMBRANE_STATE": p.threshold_state,
        "CURRENT_STATE": p.states.index("i_e") if "i_e" in p.states else -1,
        "THRESHOLD": place["threshold"],
        "SCALE": place["scale"],
    }
    constants = [f"constexpr int {name} = {value};" for name, value in values.items()]
    return [*constants, f"#define MEMBRANE(state) (state).x{p.threshold_state}"]


def _storage(p):
    """Structs with one scalar per state and receptor: compilers keep scalars in registers, arrays they may not."""
    lines = []
    for struct, letter, n in (("States", "x", len(p.states)), ("Receptors", "r", p.equation_set.n_receptors)):
        names = [f"{letter}{k}" for k in range(n)]
        lines.append(f"template <typename Real> struct {struct} {{ Real {', '.join(names)}; }};")
    every_state, every_receptor = _owners(p), [_bit(k) for k in range(p.equation_set.n_receptors)]
    get, get_receptors = _loads(every_state), _loads(every_receptor)
    put = [f"if (used & {owners:#x}u) to[{k} * stride] = state.x{k};" for k, owners in enumerate(every_state)]
    clear = [f"if (used & {owners:#x}u) from[{k} * stride] = 0;" for k, owners in enumerate(every_receptor)]
    put_receptors = [
        f"if (used & {owners:#x}u) to[{k} * stride] = Stored(inbox.r{k});" for k, owners in enumerate(every_receptor)
    ]
    number, pointer = "template <typename Real>", "template <typename Real, typename Stored>"
    stride = "int64_t stride, uint32_t used = ~0u"
    return [
        *lines,
        _function(number, "States<Real>", "load", f"const Real* from, {stride}", [f"return {{{get}}};"]),
        _function(number, "void", "store", f"const States<Real>& state, Real* to, {stride}", put),
        _function(
            number,
            "Receptors<Real>",
            "take",
            f"Real* from, {stride}",
            [f"const Receptors<Real> inbox{{{get_receptors}}};", *clear, "return inbox;"],
        ),
        _function(pointer, "void", "give", f"const Receptors<Real>& inbox, Stored* to, {stride}", put_receptors),
    ]


def _loads(all_owners):
    return ", ".join(f"used & {owners:#x}u ? from[{k} * stride] : Real(0)" for k, owners in enumerate(all_owners))


def _owners(p):
    """Receptors of which one has to be used for a state to leave zero, as bits: all for states that others move."""
    n = len(p.states)
    reaches = np.eye(n, dtype=bool)
    reaches[p.rows, p.cols] = reaches[p.reset_rows, p.reset_cols] = True
    reaches = np.linalg.matrix_power(reaches.astype(float), n) > 0
    moved = p.offset.any(axis=0) | p.reset_touched | p.held
    owners = np.zeros(n, dtype=np.int64)
    for row, receptor in zip(p.jump_rows, p.jump_receptors, strict=True):
        owners[reaches[:, row]] |= _bit(receptor)
    owners[reaches[:, moved].any(axis=1) | (owners == 0)] = _ALL
    return owners.tolist()


def _bit(receptor):
    """Which bit says that a receptor is used; those beyond 32 always are."""
    return 1 << int(receptor) if receptor < 32 else _ALL


def _function(template, returned, name, arguments, body):
    lines = "\n".join(f"  {line}" for line in body)
    return f"{template}\nHOST_DEVICE {returned} {name}({arguments}) {{\n{lines}\n}}"


def _step_function(name, arguments, body):
    return _function("template <typename Real>", "void", name, f"const Real* p, {arguments}", body)


def _sum(terms):
    return " + ".join(terms) if terms else "Real(0)"


def _propagate(p, place):
    body = []
    for row in range(len(p.states)):
        terms = [f"p[{place['step'] + k}] * x.x{p.cols[k]}" for k in np.flatnonzero(p.rows == row)]
        after = _sum([*terms, f"p[{place['offset'] + row}]"])
        body.append(f"y.x{row} = held ? x.x{row} : {after};" if p.held[row] else f"y.x{row} = {after};")
    return _step_function("propagate", "const States<Real>& x, bool held, States<Real>& y", body)


def _propagate_adjoint(p, place):
    body = []
    for col in range(len(p.states)):
        terms = []
        for k in np.flatnonzero(p.cols == col):
            row, value = p.rows[k], f"p[{place['step'] + k}]"
            factor = f"(held ? Real({int(row == col)}) : {value})" if p.held[row] else value
            terms.append(f"{factor} * after.x{row}")
        body.append(f"before.x{col} = {_sum(terms)};")
    return _step_function("propagate_adjoint", "const States<Real>& after, bool held, States<Real>& before", body)


def _jump(p, place):
    jumps = enumerate(zip(p.jump_rows, p.jump_receptors, strict=True))
    body = [f"x.x{row} += p[{place['jump'] + k}] * inbox.r{receptor};" for k, (row, receptor) in jumps]
    return _step_function("jump", "const Receptors<Real>& inbox, States<Real>& x", body)


def _jump_adjoint(p, place):
    body = []
    for receptor in range(p.equation_set.n_receptors):
        entries = np.flatnonzero(p.jump_receptors == receptor)
        terms = [f"p[{place['jump'] + k}] * adjoint.x{p.jump_rows[k]}" for k in entries]
        body.append(f"delta.r{receptor} = {_sum(terms)};")
    return _step_function("jump_adjoint", "const States<Real>& adjoint, Receptors<Real>& delta", body)


def _reset(p, touched, place):
    body = []
    for number, row in enumerate(touched):
        terms = [f"p[{place['reset'] + k}] * x.x{p.reset_cols[k]}" for k in np.flatnonzero(p.reset_rows == row)]
        after = _sum([*terms, f"p[{place['reset_offset'] + number}]"])
        body.append(f"const Real y{row} = {after};")
    body += [f"x.x{row} = spiked ? y{row} : x.x{row};" for row in touched]
    return _step_function("reset", "bool spiked, States<Real>& x", body)


def _reset_adjoint(p, touched, place):
    body, columns = [], sorted({*touched.tolist(), *p.reset_cols.tolist()})
    for col in columns:
        kept = [] if col in touched else [f"adjoint.x{col}"]
        terms = [f"p[{place['reset'] + k}] * adjoint.x{p.reset_rows[k]}" for k in np.flatnonzero(p.reset_cols == col)]
        body.append(f"const Real y{col} = {_sum([*kept, *terms])};")
    body += [f"adjoint.x{col} = spiked ? y{col} : adjoint.x{col};" for col in columns]
    return _step_function("reset_adjoint", "bool spiked, States<Real>& adjoint", body)
