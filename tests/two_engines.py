"""The cases in which torch and Brian2's compiled C++ have to be the same model, for the tests and a table."""

import dataclasses

import numpy as np
import torch

from twincortex.models import brian, surrogate
from twincortex.models.background import background_spikes
from twincortex.models.column import build_column
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.equivalence import compare
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.recording import Run
from twincortex.models.stimuli import DriftingGrating
from twincortex.models.surrogate import ReferenceColumn
from twincortex.models.weights import circuit_with_trained_weights


def grating_spikes(circuit, seed, duration=1000.0):
    """LGN and background spikes for a grating whose direction depends on the seed."""
    movie = DriftingGrating(duration, direction=(77.0 * seed) % 360, phase=40.0 * seed, onset=100.0)
    rates = LgnModel(circuit.lgn_units).rates(movie)
    return {"lgn": lgn_spikes(rates, seed=seed), "bkg": background_spikes(duration, seed=seed)}


def run_both(circuit, inputs, root, dt=1.0, equations="glif3", weight_factor=1):
    """Run both engines for 1 s, potentials of all neurons recorded; returns the Comparison and Brian's Recording."""
    weights = {name: weight_factor * projection.weight for name, projection in circuit.projections.items()}
    circuit = circuit.with_weights(weights)
    run = Run(1000.0, dt, record_v=tuple(range(circuit.n_neurons)))
    equation_set = EQUATION_SETS[equations](circuit.n_receptors)
    in_torch = surrogate.simulate(circuit, inputs, run, equation_set)
    in_brian = brian.simulate(circuit, inputs, run, "cpp", equation_set, root=root)
    return compare(in_torch, in_brian), in_brian


def with_third_current(circuit):
    """The circuit with what the equations of three after-spike currents want."""
    n_models = len(circuit.node_types.node_type_id)
    third = {"asc_decay_2": 0.02, "asc_amp_2": -15.0, "asc_r_2": 0.8}
    parameters = circuit.node_types.parameters | {name: np.full(n_models, value) for name, value in third.items()}
    return dataclasses.replace(circuit, node_types=dataclasses.replace(circuit.node_types, parameters=parameters))


def with_other_weights(circuit, seed=1):
    """What training does, through the torch column: weights times factors, signs kept."""
    column = ReferenceColumn(circuit, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in ("v1_to_v1", "bkg_to_v1"):
            weight = column.weights[name]
            weight.mul_(torch.exp(0.5 * torch.randn(weight.shape, generator=generator)))
    return circuit_with_trained_weights(circuit, column)


def tiny_column(seed=1):
    """The column of size tiny with a third after-spike current, which only one set of equations uses."""
    return with_third_current(build_column("tiny", seed=seed))


# Name of the case -> seed of the circuit, seed of the input, options of run_both.
CASES = {f"tiny, seed {seed}, dt 1 ms": (seed, seed, {}) for seed in (1, 2, 3, 4, 5)} | {
    "tiny, dt 0.25 ms": (1, 6, {"dt": 0.25}),
    # An exponential of the same peak carries about a third of the charge of a double alpha: the column would be silent.
    "tiny, lif_exponential": (1, 8, {"equations": "lif_exponential", "weight_factor": 4}),
    "tiny, glif3_three_currents": (1, 8, {"equations": "glif3_three_currents"}),
}
