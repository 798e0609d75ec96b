"""The generated code holds the structure of the equations, its table the numbers of the cell models."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rollout_cases import Case, Wiring

from twincortex.models.circuit import sort_projection
from twincortex.models.equations import EQUATION_SETS, lif_exponential
from twincortex.models.propagators import compute_propagators
from twincortex.models.surrogate import FusedColumn, ReferenceColumn
from twincortex.models.surrogate.kernel_model import generate_model
from twincortex.models.surrogate.used_receptors import find_used_receptors

CIRCUIT = Wiring(n=9).circuit()


def model_of(equations, circuit=CIRCUIT, dt=1.0):
    propagators = compute_propagators(EQUATION_SETS[equations](circuit.n_receptors), circuit.node_types, dt)
    return propagators, generate_model(propagators)


def body_of(function, header):
    """Lines of a generated function, without their indentation."""
    return re.search(rf" {function}\([^)]*\) {{\n(.*?)\n}}", header, re.DOTALL)[1].replace("  ", "").splitlines()


def test_cell_models_and_time_steps_share_the_code_and_equations_do_not():
    headers = [
        model_of("glif3", circuit, dt)[1].header for circuit in (CIRCUIT, Wiring(5).circuit()) for dt in (1.0, 0.25)
    ]
    assert len({*headers}) == 1
    assert len({model_of(equations)[1].header for equations in EQUATION_SETS}) == len(EQUATION_SETS)


@pytest.mark.parametrize("equations", EQUATION_SETS)
def test_the_table_has_a_row_for_every_cell_model_with_as_many_numbers_as_the_code_reads(equations):
    propagators, model = model_of(equations)
    n_numbers = int(re.search(r"N_NUMBERS = (\d+);", model.header)[1])
    assert model.numbers.shape == (len(CIRCUIT.node_types.node_type_id), n_numbers)
    assert model.numbers.flags.c_contiguous
    read = {int(number) for number in re.findall(r"p\[(\d+)\]", model.header)}
    constants = dict(re.findall(r"int (THRESHOLD|SCALE) = (\d+);", model.header))
    assert read | {int(place) for place in constants.values()} == set(range(n_numbers))
    np.testing.assert_array_equal(model.numbers[:, int(constants["THRESHOLD"])], propagators.threshold)
    np.testing.assert_array_equal(model.numbers[:, int(constants["SCALE"])], propagators.threshold - propagators.rest)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("equations", EQUATION_SETS)
def test_the_code_of_a_step_is_the_propagator_and_that_of_the_adjoint_its_transpose(equations, held):
    propagators, model = model_of(equations)
    n, type_ = len(propagators.states), 4
    step = np.zeros((n, n))
    step[propagators.rows, propagators.cols] = propagators.values[type_]
    step[propagators.held * held] = np.eye(n)[propagators.held * held]
    offset = np.where(propagators.held * held, 0.0, propagators.offset[type_])
    numbers, x = model.numbers[type_], np.random.default_rng(1).normal(size=n)
    # The order of sums differs from that of numpy: some roundings of numbers near 1.
    after = run("propagate", model.header, numbers, held, x, "x")
    np.testing.assert_allclose(after, step @ x + offset, rtol=0, atol=1e-12)
    before = run("propagate_adjoint", model.header, numbers, held, x, "after")
    np.testing.assert_allclose(before, step.T @ x, rtol=0, atol=1e-12)


def run(function, header, p, held, x, argument):
    """Run generated assignments in Python."""
    values = []
    for line in body_of(function, header):
        expression = line.partition(" = ")[2].rstrip(";").replace("Real(", "(")
        expression = re.sub(r"held \? ([^:]+) : ([^)]+)", r"(\1) if held else (\2)", expression)
        names = {f"x{k}": value for k, value in enumerate(x)}
        expression = re.sub(rf"\b{argument}\.(x\d+)", r"\1", expression)
        values.append(eval(expression, {"p": p, "held": held, **names}))
    return np.array(values)


def test_states_of_a_receptor_belong_to_it_and_the_potential_to_all():
    propagators, model = model_of("glif3")
    stored = dict(enumerate(body_of("store", model.header)))
    for state, name in enumerate(propagators.states):
        owners = int(re.search(r"used & (0x[0-9a-f]+)u", stored[state])[1], 16)
        receptor = re.fullmatch(r"(?:rise_)?(?:fast|slow)_(\d+)", name)
        assert owners == (1 << int(receptor[1]) if receptor else 0xFFFFFFFF), name


def test_more_receptors_than_a_word_has_bits():
    n_receptors, rng = 35, np.random.default_rng(2)
    circuit = Wiring(n=8).circuit()
    types = circuit.node_types
    wide = {name: np.tile(values, 5)[:, :n_receptors] for name, values in types.receptor_parameters.items()}
    projections = {}
    for name, old in circuit.projections.items():
        target = old.posts(circuit.n_receptors) * n_receptors + rng.integers(0, n_receptors, old.n_edges)
        delay = old.delay_ms[old.delay_code]
        projections[name] = sort_projection(old.source, old.n_sources, old.sources(), target, delay, old.weight)
    types = dataclasses.replace(types, receptor_parameters=wide)
    circuit = dataclasses.replace(circuit, node_types=types, projections=projections)
    potentials = []
    for engine in (FusedColumn, ReferenceColumn):
        column = engine(circuit, equation_set=lif_exponential(n_receptors))
        with torch.no_grad():
            potentials.append(column(Case(batch=1).inputs(column, 20), 20).v.numpy())
    np.testing.assert_allclose(*potentials, rtol=0, atol=1e-11)  # mV; see test_fused.py


@pytest.mark.parametrize(("receptors", "bits"), [([], 0), ([0, 3], 9), ([31], -(2**31)), ([1, 34], -1)])
def test_a_cell_model_uses_the_receptors_onto_which_any_of_its_neurons_has_connections(receptors, bits):
    target = torch.tensor([2 * 35 + receptor for receptor in receptors], dtype=torch.int32)
    type_index = torch.tensor([0, 1, 1])
    used = find_used_receptors([SimpleNamespace(target=target)], type_index, n_models=2, n_receptors=35)
    assert used.tolist() == [0, bits]
