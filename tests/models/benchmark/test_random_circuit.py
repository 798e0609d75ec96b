import numpy as np
import pytest

from twincortex.models.benchmark.random_circuit import make_random_circuit
from twincortex.models.circuit import validate


@pytest.mark.parametrize("n_connections", [1, 2000, 60 * 59])
def test_neurons_are_connected_as_often_as_asked_each_pair_once(n_connections):
    circuit = make_random_circuit(60, n_connections, seed=1)
    recurrent = circuit.projections["v1_to_v1"]
    pairs = np.stack([recurrent.sources(), recurrent.posts(circuit.n_receptors)])
    assert np.unique(pairs, axis=1).shape == (2, n_connections)
    assert np.all(pairs[0] != pairs[1])
    validate(circuit)


def test_connections_are_spread_over_all_neurons_and_delays():
    circuit = make_random_circuit(200, 20_000, seed=1)
    recurrent = circuit.projections["v1_to_v1"]
    posts = np.bincount(recurrent.posts(circuit.n_receptors), minlength=200)
    # Mean 100, binomial: five standard deviations.
    assert min(posts.min(), np.diff(recurrent.indptr).min()) > 50
    assert max(posts.max(), np.diff(recurrent.indptr).max()) < 150
    assert recurrent.delay_ms.tolist() == [1.0, 2.0, 3.0]
    assert np.bincount(recurrent.delay_code) == pytest.approx(20_000 / 3, rel=0.05)


def test_the_seed_decides_the_circuit():
    hashes = [make_random_circuit(60, 2000, seed).topology_hash for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]
