"""Small rollouts for tests of the objectives: random, smooth enough for finite differences, in float64."""

import numpy as np
import torch

from twincortex.training.objectives import Activity
from twincortex.training.targets import circuit_targets

from circuits import small_random_circuit

EVERYTHING_UM = 200.0
HALF_UM = 40.0  # the test circuits lie within 50 um of the axis in x and in z


def small_targets(core_radius_um=EVERYTHING_UM, seed=1, n=40):
    """Circuit of `n` neurons and its targets, in numpy and in torch float64."""
    circuit = small_random_circuit(seed, n=n)
    targets = circuit_targets(circuit, seed=5, core_radius_um=core_radius_um)
    return circuit, targets, targets.to(dtype=torch.float64)


def random_activity(circuit, condition="evoked", n_steps=20, n_trials=3, seed=0, dt=1.0):
    """Activity of continuous values: about 20 Hz, potentials around threshold, weights 10 % off the initial ones."""
    rng = np.random.default_rng(seed)
    n = circuit.n_neurons
    weight = circuit.projections["v1_to_v1"].weight.astype(float)
    tensors = {
        "spikes": rng.exponential(0.02, (n_steps, n_trials, n)),
        "v": rng.normal(-60, 20, (n_steps, n_trials, n)),
        "direction": rng.uniform(0, 360, n_trials),
        "rate_average": rng.exponential(20, n),  # some below the floor of 0.5 Hz
    }
    tensors = {name: torch.tensor(values) for name, values in tensors.items()}
    weights = {"v1_to_v1": torch.tensor(weight * rng.lognormal(0, 0.1, len(weight)))}
    return Activity(**tensors, dt=dt, condition=condition, weights=weights, seed=7, step=11)
