"""Equations that cannot be integrated exactly are refused with a message that names the equation and the term."""

import dataclasses

import pytest
from brian2 import Equations

from twincortex.models.equations import EXPONENTIAL_RECEPTOR, MEMBRANE, lif_exponential
from twincortex.models.errors import InputError
from twincortex.models.linear_system import read_linear_system

GOOD = (
    MEMBRANE + EXPONENTIAL_RECEPTOR.format(k=0) + "after_spike_current = 0*amp : amp\nsynaptic_current = fast_0 : amp\n"
)


def equations_with(old, new):
    assert old in GOOD
    return dataclasses.replace(lif_exponential(1), equations=Equations(GOOD.replace(old, new)))


BAD_EQUATIONS = {
    "a product of variables": (
        "-fast_0/tau_fast_0",
        "-fast_0*v/(tau_fast_0*mV)",
        ["dfast_0/dt", "fast_0*v", "not linear"],
    ),
    "a power": ("-g*(v - e_l)", "-g*(v - e_l)**2/mV", ["dv/dt", "v**2", "not linear"]),
    "an exponential": ("-g*(v - e_l)", "-g*(v - e_l) + g*mV*exp(v/mV)", ["dv/dt", "exp(", "not linear"]),
    "units of a term": ("-g*(v - e_l)", "-g*(v - e_l) + v_th", ["dv/dt", "v_th"]),
    "units of the left side": ("-fast_0/tau_fast_0", "-fast_0", ["dfast_0/dt", "left-hand side"]),
    "an unknown name": ("-fast_0/tau_fast_0", "-fast_0/tau_slow", ["dfast_0/dt", "tau_slow"]),
    "noise": ("-fast_0/tau_fast_0", "-fast_0/tau_fast_0 + pA*xi*tau_fast_0**-0.5", ["noise"]),
    "time": ("-fast_0/tau_fast_0", "-fast_0/tau_fast_0 + pA*t/tau_fast_0**2", ["dfast_0/dt"]),
    "a held variable": ("-fast_0/tau_fast_0", "-fast_0/tau_fast_0 + g*v/tau_fast_0", ["dfast_0/dt", "v is held"]),
}


@pytest.mark.parametrize("case", BAD_EQUATIONS)
def test_equations_without_exact_propagators_are_refused_by_name(case):
    old, new, expected = BAD_EQUATIONS[case]
    with pytest.raises(InputError) as error:
        read_linear_system(equations_with(old, new))
    for text in expected:
        assert text in str(error.value)


BAD_STATEMENTS = {
    "threshold of the wrong kind": ({"threshold": "v < v_th"}, "threshold"),
    "threshold with a variable": ({"threshold": "v > fast_0*ohm"}, "threshold"),
    "rest that moves": ({"rest": "v"}, "rest"),
    "reset of a parameter": ({"reset": "v_th = v"}, "v_th"),
    "nonlinear reset": ({"reset": "v = v*v/mV"}, "v**2"),
    "jump that ignores the weight": ({"on_spike": ("fast_0 += tau_fast_0*pA/ms",)}, "fast_0"),
    "jump that is not linear": ({"on_spike": ("fast_0 += w*w/pA",)}, "fast_0"),
    "text that is no statement": ({"reset": "v"}, "'v'"),
}


@pytest.mark.parametrize("case", BAD_STATEMENTS)
def test_statements_that_are_not_affine_are_refused_by_name(case):
    change, expected = BAD_STATEMENTS[case]
    with pytest.raises(InputError, match=expected.replace("*", r"\*")):
        read_linear_system(dataclasses.replace(lif_exponential(1), **change))


def test_constants_with_units_are_read_in_millivolt_and_milliseconds():
    system = read_linear_system(equations_with("-fast_0/tau_fast_0", "-fast_0/(0.005*second)"))
    row = system.states.index("fast_0")
    assert float(system.matrix[row, row]) == pytest.approx(-1 / 5.0)


def test_statements_of_a_reset_act_one_after_the_other():
    system = read_linear_system(dataclasses.replace(lif_exponential(1), reset="v = v_reset\ni_e += g*v"))
    terms, constant = system.reset["i_e"]
    assert set(terms) == {"i_e"}
    assert {symbol.name for symbol in constant.free_symbols} == {"g", "v_reset"}
