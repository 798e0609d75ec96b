"""The promise of the project: torch in float64 and Brian2's compiled C++ give the same spikes for the real column.

Strict compiler flags; every neuron's potential is compared at the end of every step.
"""

import dataclasses

import numpy as np
import pytest
import torch

from twincortex.models import brian, surrogate
from twincortex.models.background import background_spikes
from twincortex.models.column import build_column
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.equivalence import V_TOLERANCE_MV, compare
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.recording import Run
from twincortex.models.stimuli import DriftingGrating
from twincortex.models.weights import circuit_with_trained_weights

pytestmark = pytest.mark.slow


def grating_spikes(circuit, seed, duration=1000.0):
    """LGN and background spikes for a grating whose direction depends on the seed."""
    movie = DriftingGrating(duration, direction=(77.0 * seed) % 360, phase=40.0 * seed, onset=100.0)
    rates = LgnModel(circuit.lgn_units).rates(movie)
    return {"lgn": lgn_spikes(rates, seed=seed), "bkg": background_spikes(duration, seed=seed)}


def assert_same_model(circuit, inputs, run, root, equation_set=None, least_spikes=1000):
    run = dataclasses.replace(run, record_v=tuple(range(circuit.n_neurons)))
    in_torch = surrogate.simulate(circuit, inputs, run, equation_set)
    in_brian = brian.simulate(circuit, inputs, run, "cpp", equation_set, root=root)
    found = compare(in_torch, in_brian)
    assert found.spikes[0] > least_spikes
    assert found.mismatched == 0, found
    assert found.max_dv_mV <= V_TOLERANCE_MV, found
    return in_brian


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_untrained_column_on_gratings(seed, tmp_path):
    circuit = build_column("tiny", seed=seed)
    assert_same_model(circuit, grating_spikes(circuit, seed), Run(1000.0), tmp_path)


def test_four_steps_per_millisecond(tiny, tmp_path):
    assert_same_model(tiny, grating_spikes(tiny, 6), Run(1000.0, dt=0.25), tmp_path)


def test_after_training_with_the_same_compiled_project(tiny, tmp_path):
    inputs = grating_spikes(tiny, 7)
    before = assert_same_model(tiny, inputs, Run(1000.0), tmp_path)
    column = surrogate.ReferenceColumn(tiny, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # what an exponentiated gradient does: factors, signs kept
        for name in ("v1_to_v1", "bkg_to_v1"):
            weight = column.weights[name]
            weight.mul_(torch.exp(0.5 * torch.randn(weight.shape, generator=generator)))
    trained = circuit_with_trained_weights(tiny, column)
    after = assert_same_model(trained, inputs, Run(1000.0), tmp_path)
    assert compare(before, after).mismatched > 100
    assert len(list(tmp_path.glob("cpp_*/main"))) == 1


@pytest.mark.parametrize("equations", sorted(EQUATION_SETS.keys() - {"glif3"}))
def test_other_equations(equations, tiny, tmp_path):
    n_models = len(tiny.node_types.node_type_id)
    third = {"asc_decay_2": 0.02, "asc_amp_2": -15.0, "asc_r_2": 0.8}
    parameters = tiny.node_types.parameters | {name: np.full(n_models, value) for name, value in third.items()}
    circuit = dataclasses.replace(tiny, node_types=dataclasses.replace(tiny.node_types, parameters=parameters))
    equation_set = EQUATION_SETS[equations](circuit.n_receptors)
    assert_same_model(circuit, grating_spikes(circuit, 8), Run(1000.0), tmp_path, equation_set)
