"""Propagators against closed forms; the same tests run for every set of equations."""

import dataclasses

import numpy as np
import pytest

from twincortex.models.equations import EQUATION_SETS, glif3, lif_exponential
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_cell_models
from twincortex.models.propagators import compute_propagators, refractory_steps

from circuits import node_types_of

DT = 0.7
N_RECEPTORS = 8


@pytest.fixture(scope="module")
def node_types():
    """Every seventh cell model, with a third after-spike current for the set that wants one."""
    types = node_types_of(read_cell_models().iloc[::7])
    third = {"asc_decay_2": 0.02, "asc_amp_2": -3.0, "asc_r_2": 0.5}
    n_models = len(types.node_type_id)
    parameters = types.parameters | {name: np.full(n_models, value) for name, value in third.items()}
    return dataclasses.replace(types, parameters=parameters)


def matrix_of(propagators):
    n_models, n_states = propagators.offset.shape
    matrix = np.zeros((n_models, n_states, n_states))
    matrix[:, propagators.rows, propagators.cols] = propagators.values
    return matrix


@pytest.mark.parametrize("name", EQUATION_SETS)
def test_two_half_steps_are_one_step(name, node_types):
    whole = compute_propagators(EQUATION_SETS[name](N_RECEPTORS), node_types, DT)
    half = compute_propagators(EQUATION_SETS[name](N_RECEPTORS), node_types, DT / 2)
    one, two = matrix_of(whole), matrix_of(half)
    # expm is accurate to a few units in the last place of the largest entry.
    np.testing.assert_allclose(two @ two, one, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(
        (two @ half.offset[:, :, None])[:, :, 0] + half.offset, whole.offset, rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("name", EQUATION_SETS)
def test_a_cell_at_rest_stays_at_rest(name, node_types):
    propagators = compute_propagators(EQUATION_SETS[name](N_RECEPTORS), node_types, DT)
    rest = np.zeros_like(propagators.offset)
    rest[:, propagators.threshold_state] = node_types.parameters["E_L"]
    after = (matrix_of(propagators) @ rest[:, :, None])[:, :, 0] + propagators.offset
    np.testing.assert_allclose(after, rest, rtol=1e-13, atol=1e-12)


def test_membrane_responds_to_currents_as_the_textbook_says(node_types):
    propagators = compute_propagators(glif3(N_RECEPTORS), node_types, DT)
    matrix, state = matrix_of(propagators), propagators.states.index
    values = node_types.parameters
    decay = np.exp(-DT * values["g"] / values["C_m"])
    np.testing.assert_allclose(matrix[:, state("v"), state("v")], decay, rtol=1e-13)
    np.testing.assert_allclose(matrix[:, state("v"), state("i_e")], (1 - decay) / values["g"], rtol=1e-12)
    rate, k = values["g"] / values["C_m"], values["asc_decay_0"]
    expected = (np.exp(-k * DT) - decay) / (rate - k) / values["C_m"]
    np.testing.assert_allclose(matrix[:, state("v"), state("asc_0")], expected, rtol=1e-10)


def test_a_double_alpha_receptor_peaks_at_its_weight(node_types):
    propagators = compute_propagators(glif3(N_RECEPTORS), node_types, 0.001)
    matrix, state = matrix_of(propagators), propagators.states.index
    tau = node_types.receptor_parameters["tau_fast"][:, 3]
    rise = propagators.jump_rows.tolist().index(state("rise_fast_3"))
    start = propagators.jump_values[:, rise]
    steps = np.rint(tau / 0.001).astype(int)
    decay, coupling = matrix[:, state("fast_3"), state("fast_3")], matrix[:, state("fast_3"), state("rise_fast_3")]
    peak = start * steps * coupling * decay ** (steps - 1)
    # tau is rounded to whole steps of 1 us here, where the alpha function is flat: its error is of second order.
    np.testing.assert_allclose(peak, 1.0, atol=1e-6)


def test_step_mean_enters_the_membrane_as_in_nest(node_types):
    propagators = compute_propagators(glif3(N_RECEPTORS), node_types, DT, "step_mean")
    matrix, state, values = matrix_of(propagators), propagators.states.index, node_types.parameters
    k = values["asc_decay_1"] * DT
    response = (1 - np.exp(-DT * values["g"] / values["C_m"])) / values["g"]
    np.testing.assert_allclose(matrix[:, state("v"), state("asc_1")], response * (1 - np.exp(-k)) / k, rtol=1e-12)
    np.testing.assert_allclose(matrix[:, state("asc_1"), state("asc_1")], np.exp(-k), rtol=1e-13)


def test_reset_and_held_states_are_those_of_the_equations(node_types):
    propagators = compute_propagators(glif3(N_RECEPTORS), node_types, DT)
    held = {name for name, is_held in zip(propagators.states, propagators.held, strict=True) if is_held}
    assert held == {"v", "asc_0", "asc_1"}
    values, touched = node_types.parameters, propagators.reset_touched
    assert {name for name, is_touched in zip(propagators.states, touched, strict=True) if is_touched} == held
    np.testing.assert_array_equal(propagators.reset_offset[:, propagators.states.index("v")], values["V_reset"])
    expected = values["asc_r_0"] * np.exp(-values["asc_decay_0"] * values["t_ref"])
    np.testing.assert_allclose(propagators.reset_values[:, 0], expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("t_ref", "dt", "expected"), [(3.75, 1.0, 4), (3.75, 0.25, 15), (0.2, 1.0, 1), (4.0, 1.0, 4), (2.2000004, 0.1, 22)]
)
def test_refractory_steps_round_up_from_whole_microseconds(t_ref, dt, expected):
    assert refractory_steps(np.array([t_ref]), dt)[0] == expected


def test_a_missing_parameter_is_named(node_types):
    lacking = dataclasses.replace(node_types, parameters={k: v for k, v in node_types.parameters.items() if k != "C_m"})
    with pytest.raises(InputError, match="c_m"):
        compute_propagators(lif_exponential(N_RECEPTORS), lacking, DT)


@pytest.mark.parametrize("n_receptors", [N_RECEPTORS - 1, N_RECEPTORS + 1])
def test_another_number_of_receptors_than_the_cell_models_have_is_refused(n_receptors, node_types):
    with pytest.raises(InputError, match=f"{n_receptors} receptors"):
        compute_propagators(lif_exponential(n_receptors), node_types, DT)


def test_a_threshold_below_rest_is_refused_by_cell_model(node_types):
    threshold = node_types.parameters["V_th"].copy()
    threshold[2] = node_types.parameters["E_L"][2] - 1.0
    broken = dataclasses.replace(node_types, parameters=node_types.parameters | {"V_th": threshold})
    with pytest.raises(InputError, match=str(node_types.node_type_id[2])):
        compute_propagators(lif_exponential(N_RECEPTORS), broken, DT)


def test_an_unknown_convention_gets_a_hint(node_types):
    with pytest.raises(InputError, match="step_mean"):
        compute_propagators(glif3(N_RECEPTORS), node_types, DT, "stepmean")
