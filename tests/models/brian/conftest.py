"""An oracle written from the contract, not from the engine, and one folder of compiled projects for all processes."""

import dataclasses

import numpy as np
import pytest

from twincortex.models.equations import glif3
from twincortex.models.propagators import compute_propagators


@pytest.fixture(scope="session")
def standalone_root(tmp_path_factory):
    """Folder that all pytest-xdist processes share, so that a project is compiled once per test session."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if own.name.startswith("popen-") else own) / "standalone"


@pytest.fixture
def with_third_current():
    """Give cell models the parameters that the equations with a third after-spike current want."""

    def add(circuit):
        third = {"asc_decay_2": 0.02, "asc_amp_2": -3.0, "asc_r_2": 0.5}
        n_models = len(circuit.node_types.node_type_id)
        parameters = circuit.node_types.parameters | {name: np.full(n_models, value) for name, value in third.items()}
        node_types = dataclasses.replace(circuit.node_types, parameters=parameters)
        return dataclasses.replace(circuit, node_types=node_types)

    return add


def run_step_by_step(circuit, inputs, run, equation_set=None):
    """DESIGN 4 in a plain loop: returns (step, id) of the spikes, and V [mV] of all neurons at the end of each step."""
    p = compute_propagators(
        equation_set or glif3(circuit.n_receptors), circuit.node_types, run.dt, run.after_spike_current
    )
    model, n_states = circuit.nodes.type_index, len(p.states)
    step, reset = (np.zeros((len(model), n_states, n_states)) for _ in range(2))
    step[:, p.rows, p.cols] = p.values[model]
    reset[:, p.reset_rows, p.reset_cols] = p.reset_values[model]
    inbox = np.zeros((run.n_steps + 256, circuit.n_neurons * circuit.n_receptors))

    def send(projection, at_step, unit):
        row = slice(projection.indptr[unit], projection.indptr[unit + 1])
        arrival = at_step + projection.delay_steps(run.dt)[row].astype(int)
        np.add.at(inbox, (arrival, projection.target[row]), projection.weight[row].astype(float))

    for source, trains in inputs.items():
        for at_step, unit in zip(trains.steps(run.dt), trains.node_ids, strict=True):
            send(circuit.projections[f"{source}_to_v1"], at_step, unit)
    x = np.zeros((len(model), n_states))
    x[:, p.threshold_state] = circuit.neuron_parameter("E_L")
    held, spikes, v = np.zeros(len(model), dtype=int), [], []
    for n in range(run.n_steps):
        if run.current is not None:
            x[:, p.states.index("i_e")] = run.current[n]
        advanced = np.einsum("nij,nj->ni", step, x) + p.offset[model]
        x = np.where((held > 0)[:, None] & p.held, x, advanced)
        z = (x[:, p.threshold_state] > p.threshold[model]) & (held == 0)
        for neuron in np.flatnonzero(z):
            send(circuit.projections["v1_to_v1"], n, neuron)
            spikes.append((n, neuron))
        arrived = inbox[n].reshape(len(model), -1)[:, p.jump_receptors]
        np.add.at(x, (slice(None), p.jump_rows), p.jump_values[model] * arrived)
        after = np.einsum("nij,nj->ni", reset, x) + p.reset_offset[model]
        x = np.where(z[:, None] & p.reset_touched, after, x)
        held = np.where(z, p.refractory_steps[model], np.maximum(held - 1, 0))
        v.append(x[:, p.threshold_state].copy())
    return np.array(spikes, dtype=int).reshape(-1, 2), np.array(v)


@pytest.fixture
def assert_follows_the_loop():
    """Compare a Recording with the loop: the same spikes, V within rounding."""

    def check(recording, circuit, inputs, run, equation_set=None):
        spikes, v = run_step_by_step(circuit, inputs, run, equation_set)
        found = np.stack([recording.spikes.steps(run.dt), recording.spikes.node_ids], axis=1)
        np.testing.assert_array_equal(found, spikes)
        # Sums in another order and in volt: 1e-13 mV in one step; the bound is that of the engines' contract.
        np.testing.assert_allclose(recording.v, v[:, list(run.record_v)], rtol=0, atol=1e-9)

    return check
