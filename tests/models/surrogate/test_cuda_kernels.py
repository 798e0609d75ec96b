"""The CUDA kernels: compiled for GPUs of several generations, and run on the processor against the reference engine.

What the emulation cannot show: speed, and what the memory of a GPU does between threads that are not in the same warp.
"""

import dataclasses
import re
import subprocess
from importlib.resources import files

import numpy as np
import pytest
import torch
from emulated_cuda import open_emulated

from twincortex.models.circuit import sort_projection
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.propagators import compute_propagators
from twincortex.models.surrogate import REFERENCE_SHAPING, GradientShaping, ReferenceColumn, fused
from twincortex.models.surrogate.kernel_build import CUDA_FLAGS, KernelError
from twincortex.models.surrogate.kernel_model import generate_model
from twincortex.models.surrogate.spike_functions import SURROGATES
from twincortex.models.surrogate.used_receptors import find_used_receptors
from twincortex.models.toolchain import find_nvcc

from circuits import circuit_for, small_random_circuit, small_random_inputs

T = 60
ALL = ("v1_to_v1", "lgn_to_v1", "bkg_to_v1")
needs_nvcc = pytest.mark.skipif(find_nvcc() is None, reason="no nvcc: the CUDA toolkit is not installed")


@pytest.fixture(autouse=True)
def kernels_on_processors(monkeypatch):
    monkeypatch.setattr(fused, "open_kernels", open_emulated)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def with_three_receptors(circuit):
    """The circuit where cell models with an even number use receptors 0 to 2 only."""

    def moved(projection):
        post, receptor = np.divmod(projection.target, circuit.n_receptors)
        receptor = np.where(circuit.nodes.type_index[post] % 2 == 0, receptor % 3, receptor)
        delay_ms = projection.delay_ms[projection.delay_code]
        target = post * circuit.n_receptors + receptor
        return sort_projection(
            projection.source, projection.n_sources, projection.sources(), target, delay_ms, projection.weight
        )

    projections = {name: moved(projection) for name, projection in circuit.projections.items()}
    return dataclasses.replace(circuit, projections=projections)


def inputs_for(circuit, batch, n_steps=T):
    trials = [small_random_inputs(100 + trial, circuit, n_steps, lgn_rate_Hz=80.0) for trial in range(batch)]
    return {name: [trial[name] for trial in trials] for name in ("lgn", "bkg")}


def run(column, inputs, n_steps=T, **options):
    """A rollout, and the gradients of a loss that weighs every spike and every potential differently."""
    column.zero_grad()
    rollout = column(inputs, n_steps, **options)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(*rollout.spikes.shape, generator=generator, dtype=torch.float64).to(column.dtype)
    ((weight * rollout.spikes).sum() + 0.01 * (weight.flip(0) * rollout.v).sum()).backward()
    return rollout, {name: column.weights[name].grad for name in column.weights}


def assert_equal_engines(circuit, batch, tolerance, equations="glif3", reduced=False, segment_steps=None, **options):
    """Same spikes; V, and gradients relative to the largest, within a tolerance."""
    options = {"shaping": GradientShaping(gain=0.2), "trained": ALL} | options
    equation_set, inputs = EQUATION_SETS[equations](circuit.n_receptors), inputs_for(circuit, batch)
    reference = ReferenceColumn(circuit, 1.0, equation_set, **options)
    column = fused.FusedColumn(circuit, 1.0, equation_set, reduced=reduced, segment_steps=segment_steps, **options)
    expected, expected_gradients = run(reference, inputs)
    actual, gradients = run(column, inputs)
    assert expected.spikes.sum() > 10
    assert torch.equal(actual.spikes, expected.spikes)
    # mV; a forward pass is never reduced.
    torch.testing.assert_close(actual.v, expected.v, rtol=0, atol=1e-10 if column.dtype == torch.float64 else 1e-4)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=tolerance * float(gradient.abs().max()))


# --- on the processor -------------------------------------------------------------------------------------------------


# One lane per connection, whole vectors, lanes without a trial, and more trials than a warp has lanes.
@pytest.mark.parametrize("batch", [1, 3, 4, 16, 33])
def test_spikes_and_gradients_equal_those_of_the_reference(batch):
    assert_equal_engines(circuit_for(3), batch, 1e-10)


@pytest.mark.parametrize("equations", sorted(EQUATION_SETS.keys() - {"glif3"}))
def test_spikes_and_gradients_of_other_equations_equal_those_of_the_reference(equations):
    assert_equal_engines(circuit_for(3), 3, 1e-10, equations)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_surrogate_with_damping_gives_the_gradients_of_the_reference(surrogate):
    shaping = GradientShaping(surrogate, width=0.5, gain=0.2, recurrent_factor=0.4, voltage_factor=0.5)
    assert_equal_engines(circuit_for(4), 2, 1e-10, shaping=shaping)


# Sums of floats in another order, over 60 steps of recurrence.
@pytest.mark.parametrize("batch", [1, 3, 16, 32])
def test_single_precision_equals_the_reference_up_to_rounding(batch):
    assert_equal_engines(circuit_for(3), batch, 1e-5, dtype=torch.float32)


# bfloat16 keeps 8 bits: each factor is wrong by up to 0.4 %, in both directions.
@pytest.mark.parametrize("batch", [1, 3, 8, 32])
def test_reduced_precision_changes_gradients_by_less_than_one_percent(batch):
    assert_equal_engines(circuit_for(3), batch, 1e-2, dtype=torch.float32, reduced=True)
    with pytest.raises(AssertionError, match="not close"):
        assert_equal_engines(circuit_for(3), batch, 1e-5, dtype=torch.float32, reduced=True)


@pytest.mark.parametrize("segment_steps", [7, 60])
def test_segments_and_graphs_of_many_steps_change_nothing(segment_steps):
    assert_equal_engines(circuit_for(5), 3, 1e-10, segment_steps=segment_steps, shaping=REFERENCE_SHAPING)


def test_states_of_receptors_without_connections_are_not_even_read():
    circuit = with_three_receptors(circuit_for(6))
    inputs = inputs_for(circuit, 3)
    reference, column = ReferenceColumn(circuit, trained=ALL), fused.FusedColumn(circuit, trained=ALL)
    n_models = len(circuit.node_types.node_type_id)
    used = find_used_receptors(column.connections.values(), column.type_index, n_models, circuit.n_receptors)
    assert set(used[::2].tolist()) == {0b111}
    assert used.max() == 0b11111111
    column.tables["used_receptors"] = used
    start = column.initial_state(3)
    unused = [number for number, name in enumerate(column.propagators.states) if name[-1] in "34567"]
    start.x[unused] = torch.where(column.type_index[:, None] % 2 == 0, torch.nan, start.x[unused])
    (expected, expected_gradients), (actual, gradients) = run(reference, inputs), run(column, inputs, state=start)
    assert torch.equal(actual.spikes, expected.spikes)
    torch.testing.assert_close(actual.v, expected.v, rtol=0, atol=1e-10)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=1e-10 * float(gradient.abs().max()))


def test_gradients_reach_the_state_at_the_start_and_the_rollout_before_it():
    circuit = with_three_receptors(circuit_for(7))
    inputs, gradients = inputs_for(circuit, 2), []
    for column in (ReferenceColumn(circuit, trained=ALL), fused.FusedColumn(circuit, trained=ALL)):
        start = column.initial_state(2)
        start.x.requires_grad_()
        first = column(inputs, T, start)
        rollout, of_weights = run(column, inputs, state=first.state)
        assert rollout.spikes.sum() > 10
        gradients.append([start.x.grad, *of_weights.values()])
    for expected, actual in zip(*gradients, strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


def test_injected_currents_and_recorded_potentials_equal_those_of_the_reference():
    circuit = circuit_for(8)
    inputs = inputs_for(circuit, 3)
    current = torch.linspace(0, 200, T * circuit.n_neurons, dtype=torch.float64).view(T, -1)
    expected, actual = (
        run(column, inputs, current=current, record_v=(5, 0, 20))[0]
        for column in (ReferenceColumn(circuit), fused.FusedColumn(circuit))
    )
    torch.testing.assert_close(actual.v_recorded, expected.v_recorded, rtol=0, atol=1e-10)
    assert torch.equal(actual.spikes, expected.spikes)


def test_long_rows_are_shared_by_several_warps():
    circuit = small_random_circuit(9, n=300, n_lgn=3, n_bkg=2, in_degree=10)
    assert_equal_engines(with_dense_input(circuit), 2, 1e-10)


def with_dense_input(circuit):
    """The circuit whose first LGN unit reaches every neuron six times, which is more than a piece of a row holds."""
    lgn = circuit.projections["lgn_to_v1"]
    n = 6 * circuit.n_neurons
    rng = np.random.default_rng(0)
    target = np.arange(n) // 6 * circuit.n_receptors + np.arange(n) % 6
    dense = sort_projection(
        "lgn", lgn.n_sources, np.zeros(n, dtype=int), target, np.full(n, 1.7), rng.uniform(1, 30, n)
    )
    return dataclasses.replace(circuit, projections=circuit.projections | {"lgn_to_v1": dense})


def run_twice(column, inputs):
    results = []
    for seed in (1, 2):
        column.kernels.shuffle_threads(seed)
        rollout, gradients = run(column, inputs)
        results.append([rollout.spikes, rollout.v, rollout.state.x, *gradients.values()])
    return results


def test_deterministic_rollouts_repeat_to_the_bit_in_any_order_of_threads(deterministic):
    circuit = circuit_for(10)
    for dtype in (torch.float32, torch.float64):
        column = fused.FusedColumn(circuit, dtype=dtype, trained=ALL)
        for first, second in zip(*run_twice(column, inputs_for(circuit, 3)), strict=True):
            assert torch.equal(first, second)


def test_deterministic_rollouts_equal_the_reference(deterministic):
    assert_equal_engines(circuit_for(3), 3, 1e-10)
    assert_equal_engines(circuit_for(3), 3, 1e-5, dtype=torch.float32)


def test_the_order_of_threads_matters_to_the_last_bit_where_nobody_asks_for_more():
    circuit = circuit_for(10)
    column = fused.FusedColumn(circuit, dtype=torch.float32, trained=ALL)
    first, second = run_twice(column, inputs_for(circuit, 3))
    assert not torch.equal(first[1], second[1])


def test_sums_of_arriving_spikes_beyond_all_physiology_become_nan_in_deterministic_mode(deterministic):
    circuit = circuit_for(3)
    column = fused.FusedColumn(circuit, trained=ALL)
    with torch.no_grad():
        column.weights["lgn_to_v1"].fill_(5e6)
        assert column(inputs_for(circuit, 1), T).v.isnan().any()


def test_graphs_are_captured_once_and_serve_later_rollouts():
    circuit = circuit_for(11)
    column = fused.FusedColumn(circuit, trained=ALL)
    run(column, inputs_for(circuit, 2))
    captured = column.kernels.count_captures()
    assert captured > 0
    (first, _), (second, _) = (run(column, inputs_for(circuit, 2)) for _ in range(2))
    assert column.kernels.count_captures() == captured
    assert torch.equal(first.spikes, second.spikes)


def test_more_neurons_and_trials_than_can_be_numbered_are_refused():
    circuit = circuit_for(3)
    column = fused.FusedColumn(circuit)
    arguments = fused.RolloutPlan(column, 1, {}, None, []).arguments(
        2**31 // circuit.n_neurons + 1, [column.weights["v1_to_v1"]]
    )
    with pytest.raises(KernelError, match="use fewer trials at once"):
        column.prepare_kernels(arguments).forward(0, 1)


# --- for GPUs ---------------------------------------------------------------------------------------------------------


@needs_nvcc
@pytest.mark.cuda
@pytest.mark.parametrize(
    ("architecture", "equations", "definitions"),
    [
        ("sm_80", "glif3", ["-DREAL=float"]),
        ("sm_90", "glif3", ["-DREAL=float"]),
        ("sm_120", "glif3", ["-DREAL=float"]),
        ("sm_90", "glif3", ["-DREAL=float", "-DREDUCED_PRECISION"]),
        ("sm_90", "glif3", ["-DREAL=double"]),
        ("sm_90", "glif3_three_currents", ["-DREAL=float"]),
        ("sm_90", "lif_exponential", ["-DREAL=float"]),
    ],
)
def test_kernels_compile_for_gpus_and_keep_everything_in_registers(tmp_path, architecture, equations, definitions):
    circuit = circuit_for(3)
    propagators = compute_propagators(EQUATION_SETS[equations](circuit.n_receptors), circuit.node_types, 1.0)
    (tmp_path / "model.h").write_text(generate_model(propagators).header)
    source = files("twincortex.models.surrogate") / "kernels" / "cuda.cu"
    flags = [flag for flag in CUDA_FLAGS if flag.startswith(("-std", "-O", "-fmad"))]
    flags += [*definitions, f"-arch={architecture}", f"-I{tmp_path}", "-cubin", "-Xptxas=-v", "-Werror=all-warnings"]
    command = [find_nvcc(), *flags, str(source), "-o", str(tmp_path / "kernels.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    in_local_memory = re.findall(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr
    )
    assert len(in_local_memory) > 15
    assert set(in_local_memory) == {("0", "0", "0")}, done.stderr
