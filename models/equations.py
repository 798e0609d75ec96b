"""THE definition of neuron and receptor dynamics, as Brian2 equations.

Read this file as the model's methods section. Both engines follow it: ``propagators.py`` turns the text below into
exact one-step update numbers, Brian2 and torch only multiply and add those numbers. To change the model, edit the text
(or add a set to EQUATION_SETS); nothing else has to know. Equations must be linear in their variables between spikes.

How to read Brian2: ``dv/dt = ... : volt`` is a differential equation for a variable in volt, ``c_m : farad (constant)``
a parameter of the cell, ``x = ... : amp`` an abbreviation. ``(unless refractory)`` means: held still after a spike for
t_ref. A number in braces counts copies: after-spike currents {j}, receptors {k}.
"""

from collections.abc import Callable
from dataclasses import dataclass

from brian2 import Equations

# Leaky membrane with a reset potential: generalized leaky integrate-and-fire, level 3 (Teeter et al. 2018, Eq. 1 to 3).
MEMBRANE = """
dv/dt = (-g*(v - e_l) + after_spike_current + synaptic_current + i_e)/c_m : volt (unless refractory)
di_e/dt = 0*amp/second : amp                     # injected current, changed only by the experimenter
c_m : farad (constant)                           # capacitance
g : siemens (constant)                           # leak conductance
e_l : volt (constant)                            # resting potential
v_th : volt (constant)                           # threshold
v_reset : volt (constant)                        # potential after a spike
t_ref : second (constant)                        # refractory period
"""

# One after-spike current: jumps at each spike of the cell itself, then decays.
AFTER_SPIKE_CURRENT = """
dasc_{j}/dt = -asc_decay_{j}*asc_{j} : amp (unless refractory)
asc_decay_{j} : hertz (constant)                 # decay rate
asc_amp_{j} : amp (constant)                     # added by a spike
asc_r_{j} : 1 (constant)                         # share of the old current that a spike leaves
"""

# One receptor with a fast and a slow alpha function (NEST glif_psc_double_alpha).
DOUBLE_ALPHA_RECEPTOR = """
dfast_{k}/dt = rise_fast_{k} - fast_{k}/tau_fast_{k} : amp
drise_fast_{k}/dt = -rise_fast_{k}/tau_fast_{k} : amp/second
dslow_{k}/dt = rise_slow_{k} - slow_{k}/tau_slow_{k} : amp
drise_slow_{k}/dt = -rise_slow_{k}/tau_slow_{k} : amp/second
tau_fast_{k} : second (constant)                 # time of the fast peak
tau_slow_{k} : second (constant)                 # time of the slow peak
amp_slow_{k} : 1 (constant)                      # slow peak relative to the fast one
"""
# What a presynaptic spike over a connection of weight w (peak of the fast alpha, in amp) does to it.
DOUBLE_ALPHA_ON_SPIKE = """
rise_fast_{k} += w*e/tau_fast_{k}
rise_slow_{k} += w*amp_slow_{k}*e/tau_slow_{k}
"""

# One receptor with a single decaying exponential.
EXPONENTIAL_RECEPTOR = """
dfast_{k}/dt = -fast_{k}/tau_fast_{k} : amp
tau_fast_{k} : second (constant)                 # decay time
"""
EXPONENTIAL_ON_SPIKE = """
fast_{k} += w
"""

THRESHOLD = "v > v_th"
MEMBRANE_RESET = "v = v_reset"
AFTER_SPIKE_RESET = "asc_{j} = asc_amp_{j} + asc_r_{j}*asc_{j}*exp(-asc_decay_{j}*t_ref)"


@dataclass(frozen=True)
class EquationSet:
    """A complete neuron model: what happens between spikes, at a spike, and at the arrival of a presynaptic one.

    Attributes
    ----------
    name : str
    equations : brian2.Equations
        Linear differential equations and the parameters they use. Parameter ``v_th`` is column ``V_th`` of the
        circuit's cell models, ``tau_fast_3`` is receptor parameter ``tau_fast`` of receptor 3.
    threshold : str
        ``variable > parameter expression``.
    reset : str
        Statements executed when the cell spikes.
    on_spike : tuple of str
        Per receptor, statements executed when a presynaptic spike of weight w arrives.
    after_spike_currents : tuple of str
        The variables that NEST's convention lets enter the membrane as their mean over the step.
    rest : str
        Expression of parameters: where the variable of the threshold starts. Distances from the threshold are measured
        in units of threshold - rest by the surrogate gradient.
    """

    name: str
    equations: Equations
    threshold: str
    reset: str
    on_spike: tuple
    after_spike_currents: tuple = ()
    rest: str = "e_l"

    @property
    def n_receptors(self):
        """Receptors per neuron."""
        return len(self.on_spike)


def _copies(text, letter, n):
    return "\n".join(text.format(**{letter: index}) for index in range(n))


def _total(names):
    return " + ".join(names) if names else "0*amp"


def glif3(n_receptors, n_after_spike_currents=2):
    """GLIF3 neurons with double-alpha receptors: the model of the V1 column.

    Parameters
    ----------
    n_receptors : int
    n_after_spike_currents : int
        2 in the Allen Cell Types Database.

    Returns
    -------
    EquationSet

    Source
    ------
    Teeter et al. (2018) Nature Communications 9:709; NEST 3 models/glif_psc_double_alpha.cpp.
    """
    after_spike = tuple(f"asc_{j}" for j in range(n_after_spike_currents))
    synaptic = [f"{shape}_{k}" for k in range(n_receptors) for shape in ("fast", "slow")]
    text = MEMBRANE + _copies(AFTER_SPIKE_CURRENT, "j", n_after_spike_currents)
    text += _copies(DOUBLE_ALPHA_RECEPTOR, "k", n_receptors)
    text += f"\nafter_spike_current = {_total(after_spike)} : amp\nsynaptic_current = {_total(synaptic)} : amp"
    return EquationSet(
        name="glif3" if n_after_spike_currents == 2 else f"glif3_asc{n_after_spike_currents}",
        equations=Equations(text),
        threshold=THRESHOLD,
        reset=f"{MEMBRANE_RESET}\n{_copies(AFTER_SPIKE_RESET, 'j', n_after_spike_currents)}",
        on_spike=tuple(DOUBLE_ALPHA_ON_SPIKE.format(k=k) for k in range(n_receptors)),
        after_spike_currents=after_spike,
    )


def glif3_three_currents(n_receptors):
    """GLIF3 with a third after-spike current (columns asc_decay_2, asc_amp_2, asc_r_2 of the cell models)."""
    return glif3(n_receptors, n_after_spike_currents=3)


def lif_exponential(n_receptors):
    """Leaky integrate-and-fire neurons (GLIF1) with single-exponential receptors (decay time tau_fast).

    Parameters
    ----------
    n_receptors : int

    Returns
    -------
    EquationSet

    Source
    ------
    Teeter et al. (2018), GLIF1.
    """
    text = MEMBRANE + _copies(EXPONENTIAL_RECEPTOR, "k", n_receptors)
    synaptic = _total([f"fast_{k}" for k in range(n_receptors)])
    text += f"\nafter_spike_current = 0*amp : amp\nsynaptic_current = {synaptic} : amp"
    return EquationSet(
        name="lif_exponential",
        equations=Equations(text),
        threshold=THRESHOLD,
        reset=MEMBRANE_RESET,
        on_spike=tuple(EXPONENTIAL_ON_SPIKE.format(k=k) for k in range(n_receptors)),
    )


EQUATION_SETS: dict[str, Callable] = {
    "glif3": glif3,
    "glif3_three_currents": glif3_three_currents,
    "lif_exponential": lif_exponential,
}
