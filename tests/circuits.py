"""Small circuits for tests: real cell models, random connections on every receptor, several delays."""

import dataclasses

import numpy as np

from twincortex.models.circuit import Circuit, Nodes, Projection, sort_projection
from twincortex.models.column.lgn_units import build_lgn_units
from twincortex.models.column.placement import node_types_of
from twincortex.models.parameters import read_cell_models, read_populations, receptor_layout
from twincortex.models.spikes import from_steps

DELAYS_MS = np.array([0.9, 1.37, 2.06, 3.6])


def small_random_circuit(seed, n=40, n_lgn=20, n_bkg=10, in_degree=20):
    """Connect `n` neurons of random cell models at random; with `small_random_inputs` they fire at 10 to 30 Hz.

    Receptors and delays are drawn per connection, so every receptor and every delay occurs.
    """
    rng = np.random.default_rng(seed)
    models = read_cell_models()
    models = models.iloc[np.sort(rng.choice(len(models), size=min(n, len(models)), replace=False))]
    node_types = node_types_of(models)
    type_index = np.sort(np.arange(n) % len(models)).astype(np.int32)
    nodes = Nodes(
        type_index=type_index,
        x=rng.uniform(-50, 50, n),
        y=rng.uniform(-800, -50, n),
        z=rng.uniform(-50, 50, n),
        tuning_angle=rng.uniform(0, 360, n),
        target_size=rng.integers(500, 9000, n).astype(np.int32),
    )
    is_inhibitory = read_populations().ei.loc[node_types.pop_name].to_numpy() == "i"
    sign = np.where(is_inhibitory[type_index], -1.0, 1.0)
    projections = {
        "v1_to_v1": _random_projection(rng, "v1", n, n, in_degree, 40.0 * sign),
        "lgn_to_v1": _random_projection(rng, "lgn", n_lgn, n, n_lgn // 3, np.full(n_lgn, 80.0), synapses=True),
        "bkg_to_v1": _random_projection(rng, "bkg", n_bkg, n, 4, np.full(n_bkg, 40.0)),
    }
    return Circuit(nodes, node_types, some_lgn_units(seed, n_lgn), projections, {"size": "random", "seed": seed})


def circuit_for(seed, n=24):
    """A small circuit whose cell models also have a third after-spike current."""
    circuit = small_random_circuit(seed, n=n)
    types = circuit.node_types
    size = len(types.node_type_id)
    third = {"asc_decay_2": np.full(size, 0.05), "asc_amp_2": np.full(size, 20.0), "asc_r_2": np.full(size, 0.7)}
    return dataclasses.replace(circuit, node_types=dataclasses.replace(types, parameters=types.parameters | third))


def small_random_inputs(seed, circuit, duration, dt=1.0, lgn_rate_Hz=20.0, bkg_rate_Hz=250.0):
    """Poisson spikes of the LGN and the background; a unit may spike several times in one step."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for name, rate in (("lgn", lgn_rate_Hz), ("bkg", bkg_rate_Hz)):
        n_units = circuit.projections[f"{name}_to_v1"].n_sources
        counts = rng.poisson(rate * dt * 1e-3, size=(round(duration / dt), n_units))
        steps, units = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
        inputs[name] = from_steps(name, n_units, steps, units, dt)
    return inputs


def with_many_connections(circuit, n_edges):
    """The circuit with as many recurrent connections of every neuron, each with one of two delays."""
    n, n_targets = circuit.n_neurons, circuit.n_neurons * circuit.n_receptors
    per_source = n_edges // n
    many = Projection(
        source="v1",
        n_sources=n,
        indptr=np.arange(n + 1) * per_source,
        target=np.tile(np.resize(np.arange(n_targets, dtype=np.int32), per_source), n),
        delay_code=np.tile((np.arange(per_source) > per_source // 2).astype(np.uint8), n),
        delay_ms=np.array([1.0, 2.0]),
        weight=np.zeros(n * per_source, dtype=np.float32),
    )
    return dataclasses.replace(circuit, projections=circuit.projections | {"v1_to_v1": many})


def some_lgn_units(seed, n_lgn):
    """Every so many-th unit of a real LGN, so that all unit types occur."""
    units = build_lgn_units(seed)
    return units.iloc[np.linspace(0, len(units) - 1, n_lgn).astype(int)].reset_index(drop=True)


def _random_projection(rng, source, n_sources, n, in_degree, typical_weight, synapses=False):
    candidates = np.argsort(rng.random((n, n_sources)), axis=1)
    post, rank = np.nonzero(np.ones_like(candidates[:, :in_degree]))
    pre = candidates[post, rank]
    keep = (pre != post) if source == "v1" else np.ones(len(pre), dtype=bool)
    pre, post = pre[keep], post[keep]
    n_receptors = receptor_layout().n_receptors
    return sort_projection(
        source,
        n_sources,
        pre,
        post * n_receptors + rng.integers(0, n_receptors, len(pre)),
        rng.choice(DELAYS_MS, len(pre)),
        typical_weight[pre] * rng.lognormal(0, 0.5, len(pre)),
        rng.integers(1, 300, len(pre)) if synapses else None,
    )
