"""Propagators -> the statements that Brian2 turns into code: multiplications and additions only (DESIGN 4).

Every number in them is a constant of the cell model, named here and evaluated in ``constants.py``. The order of the
terms is the order of ``Propagators``, so that any engine that follows it rounds alike.
"""

from brian2.stateupdaters.base import StateUpdateMethod

THRESHOLD_CONSTANT = "spike_threshold"
REFRACTORY_CONSTANT = "refractory_time"


def step_constant(row, col=None):
    """Name of the propagator from state ``col`` to state ``row``, or of the offset of ``row``."""
    return f"step_{row}_from_{col}" if col else f"step_{row}_offset"


def reset_constant(row, col=None):
    """Name of the factor of state ``col`` in the reset of ``row``, or of the offset of that reset."""
    return f"reset_{row}_from_{col}" if col else f"reset_{row}_offset"


def jump_constant(row, receptor):
    """Name of what one ampere arriving at a receptor adds to state ``row``."""
    return f"jump_{row}_from_{receptor}"


def inbox_variable(receptor):
    """Name under which a neuron sees what has arrived at one of its receptors."""
    return f"inbox_{receptor}"


def offset_states(propagators):
    """Indices of the states with an offset in their propagator step."""
    return [row for row in range(len(propagators.states)) if propagators.offset[:, row].any()]


class MultiplyAndAdd(StateUpdateMethod):
    """Brian2's way to be told how states advance: x <- P x + b, held states kept while refractory.

    Parameters
    ----------
    propagators : Propagators
    """

    def __init__(self, propagators):
        self.propagators = propagators

    def __call__(self, equations, variables=None, method_options=None):
        """Return the abstract code of one step (the equations themselves went into the propagators)."""
        return step_statements(self.propagators)


def step_statements(propagators):
    """Write x <- P x + b, all states at once.

    Parameters
    ----------
    propagators : Propagators

    Returns
    -------
    str
    """
    states, with_offset = propagators.states, offset_states(propagators)
    new, assign = [], []
    for row, name in enumerate(states):
        cols = propagators.cols[propagators.rows == row]
        terms = [f"{step_constant(name, states[col])}*{states[col]}" for col in cols]
        terms += [step_constant(name)] if row in with_offset else []
        new.append(f"_{name} = {' + '.join(terms)}")
        held = f"int(not_refractory)*_{name} + (1 - int(not_refractory))*{name}"
        assign.append(f"{name} = {held if propagators.held[row] else f'_{name}'}")
    return "\n".join(new + assign)


def threshold_condition(propagators):
    """Write the condition of a spike (Brian2 adds `and not_refractory`)."""
    return f"{propagators.states[propagators.threshold_state]} > {THRESHOLD_CONSTANT}"


def reset_statements(propagators):
    """Write x[touched] <- A x + c, all states at once.

    Parameters
    ----------
    propagators : Propagators

    Returns
    -------
    str
    """
    states = propagators.states
    touched = [row for row in range(len(states)) if propagators.reset_touched[row]]
    new = []
    for row in touched:
        cols = propagators.reset_cols[propagators.reset_rows == row]
        terms = [f"{reset_constant(states[row], states[col])}*{states[col]}" for col in cols]
        new.append(f"_{states[row]} = {' + '.join([*terms, reset_constant(states[row])])}")
    return "\n".join(new + [f"{states[row]} = _{states[row]}" for row in touched])


def delivery_statements(propagators):
    """Write x[row] += jump * inbox[receptor].

    Parameters
    ----------
    propagators : Propagators

    Returns
    -------
    str
    """
    jumps = zip(propagators.jump_rows, propagators.jump_receptors, strict=True)
    names = [(propagators.states[row], receptor) for row, receptor in jumps]
    return "\n".join(f"{row} += {jump_constant(row, k)}*{inbox_variable(k)}" for row, k in names)
