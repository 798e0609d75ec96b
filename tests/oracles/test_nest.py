"""NEST 3.10 (glif_psc_double_alpha) as an outside oracle: the same spikes, the same membrane potentials."""

import dataclasses
import functools
import importlib.util

import numpy as np
import pytest

from twincortex.models import brian, surrogate
from twincortex.models.background import background_spikes
from twincortex.models.circuit import Circuit, Nodes, sort_projection
from twincortex.models.lgn import lgn_rates, lgn_spikes
from twincortex.models.nest import Processes
from twincortex.models.nest import simulate as simulate_in_nest
from twincortex.models.parameters import read_cell_models, read_populations
from twincortex.models.recording import Run
from twincortex.models.stimuli import make_stimulus

from circuits import node_types_of, small_random_circuit, small_random_inputs, some_lgn_units

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("nest"), reason="NEST is on PyPI for Linux only")

# Both sides are exact: what is left are rounding errors of exponentials in float64, measured as 3e-12 mV.
TOLERANCE_MV = 1e-8

ENGINES = {"torch": surrogate.simulate, "brian": functools.partial(brian.simulate, target="numpy")}
ONE_THREAD = Processes(threads=1)
engines_and_steps = pytest.mark.parametrize(("engine", "dt"), [("torch", 1.0), ("torch", 0.25), ("brian", 1.0)])


def single_cells():
    """Every cell model once, unconnected; LGN unit u sends to receptor u % R of every cell."""
    node_types = node_types_of(read_cell_models())
    n_cells, n_receptors = node_types.receptor_parameters["tau_fast"].shape
    rng = np.random.default_rng(3)
    position = np.zeros(n_cells)
    type_index, target_size = np.arange(n_cells, dtype=np.int32), np.ones(n_cells, dtype=np.int32)
    nodes = Nodes(type_index, position, position, position, position, target_size)

    def to_every_cell(source, n_units, delays_ms, weight):
        unit, cell = np.indices((n_units, n_cells)).reshape(2, -1)
        weights = weight * rng.lognormal(0, 0.5, len(unit)) if n_units else []
        delay = np.asarray(delays_ms)[unit % len(delays_ms)]
        return sort_projection(source, n_units, unit, cell * n_receptors + unit % n_receptors, delay, weights)

    projections = {
        "v1_to_v1": sort_projection("v1", n_cells, [], [], [], []),
        "lgn_to_v1": to_every_cell("lgn", 2 * n_receptors, [1.0, 1.7, 3.0], 60.0),
        "bkg_to_v1": to_every_cell("bkg", n_receptors, [1.0], 30.0),
    }
    return Circuit(nodes, node_types, some_lgn_units(3, 2 * n_receptors), projections, {})


def step_currents(circuit, n_steps, dt):
    """Steps of 1.2 and 2.5 times the rheobase of each cell, nothing between them, and a hyperpolarizing step."""
    rheobase = circuit.neuron_parameter("g") * (circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L"))
    current = np.zeros((n_steps, circuit.n_neurons))
    for start, strength in {20.0: 1.2, 350.0: 0.0, 500.0: -0.5, 650.0: 2.5}.items():
        current[round(start / dt) :] = strength * rheobase
    return current


@engines_and_steps
def test_single_cells_of_every_model_spike_as_in_nest(engine, dt):
    circuit = single_cells()
    every_population = set(read_populations().index)
    current = step_currents(circuit, round(1000 / dt), dt)
    run = Run(1000.0, dt, tuple(range(circuit.n_neurons)), after_spike_current="step_mean", current=current)
    inputs = small_random_inputs(5, circuit, run.duration, dt, lgn_rate_Hz=10.0, bkg_rate_Hz=10.0)

    ours = ENGINES[engine](circuit, inputs, run)
    in_nest = simulate_in_nest(circuit, inputs, run, processes=ONE_THREAD)

    assert set(circuit.pop_name[in_nest.spikes.node_ids]) == every_population
    assert_same(ours, in_nest)


@engines_and_steps
@pytest.mark.parametrize("seed", [1, 2])
def test_a_recurrent_network_of_160_neurons_spikes_as_in_nest(seed, engine, dt):
    circuit = small_random_circuit(seed, n=160, in_degree=40)
    run = Run(1000.0, dt, tuple(range(circuit.n_neurons)), after_spike_current="step_mean")
    inputs = small_random_inputs(seed, circuit, run.duration, dt)

    ours = ENGINES[engine](circuit, inputs, run)
    in_nest = simulate_in_nest(circuit, inputs, run, processes=ONE_THREAD)

    assert in_nest.spikes.n_spikes > 1000
    assert_same(ours, in_nest)


@pytest.mark.slow
def test_the_tiny_column_under_a_grating_spikes_as_in_nest(tiny):
    run = Run(1000.0, 1.0, tuple(range(tiny.n_neurons)), after_spike_current="step_mean")
    movie = make_stimulus("grating", run.duration, direction=45.0)
    inputs = {
        "lgn": lgn_spikes(lgn_rates(tiny.lgn_units, movie), seed=1),
        "bkg": background_spikes(run.duration, seed=1),
    }

    ours = surrogate.simulate(tiny, inputs, run)
    in_nest = simulate_in_nest(tiny, inputs, run, processes=ONE_THREAD)

    assert in_nest.spikes.n_spikes > 1000
    assert_same(ours, in_nest)


def test_the_exact_convention_parts_from_nest():
    circuit = small_random_circuit(1, n=160, in_degree=40)
    run = Run(1000.0, record_v=(0,), after_spike_current="step_mean")
    inputs = small_random_inputs(1, circuit, run.duration)

    exact = surrogate.simulate(circuit, inputs, dataclasses.replace(run, after_spike_current="exact"))
    in_nest = simulate_in_nest(circuit, inputs, run, processes=ONE_THREAD)

    assert not np.array_equal(exact.spikes.times, in_nest.spikes.times)


def assert_same(ours, in_nest):
    assert np.array_equal(ours.spikes.steps(ours.dt), in_nest.spikes.steps(in_nest.dt))
    assert np.array_equal(ours.spikes.node_ids, in_nest.spikes.node_ids)
    assert np.abs(ours.v - in_nest.v).max() <= TOLERANCE_MV
