"""Spike delivery reads the connections where the circuit keeps them."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from twincortex.models.errors import InputError
from twincortex.models.surrogate import ReferenceColumn
from twincortex.models.surrogate.delivery import Connections
from twincortex.models.weights import circuit_with_trained_weights

from circuits import small_random_circuit, small_random_inputs


@pytest.fixture
def circuit():
    """Whoever writes to its connections gets an error."""
    circuit = small_random_circuit(seed=1)
    for projection in circuit.projections.values():
        for array in (projection.target, projection.weight, projection.delay_code, projection.indptr):
            array.flags.writeable = False
    return circuit


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_a_row_holds_the_connections_of_a_source_with_a_delay(circuit, dt):
    for projection in circuit.projections.values():
        connections = Connections(projection, dt, circuit.n_neurons * circuit.n_receptors)
        steps = projection.delay_steps(dt).astype(int)
        # At 1 ms two of the four delays last one step.
        assert len(connections.delays) == len(np.unique(steps)) == {1.0: 3, 0.25: 4}[dt]
        rows = torch.arange(connections.n_rows)
        edge, row = connections.edges_of(rows)
        np.testing.assert_array_equal(edge, np.arange(projection.n_edges))
        np.testing.assert_array_equal(row, connections.rows(projection.sources(), steps))


def test_connections_and_frozen_weights_are_those_of_the_circuit_and_trained_weights_are_not(circuit):
    column = ReferenceColumn(circuit, dtype=torch.float32, trained=("v1_to_v1",))
    for name, projection in circuit.projections.items():
        assert np.shares_memory(column.connections[name].target, projection.target)
        weight = column.weights[name].detach().numpy()
        assert np.shares_memory(weight, projection.weight) == (name != "v1_to_v1")
        np.testing.assert_array_equal(weight, projection.weight)


def test_the_matrix_of_the_backward_pass_is_in_the_same_memory(circuit):
    column = ReferenceColumn(circuit, dtype=torch.float32)
    connections, weight = column.connections["v1_to_v1"], column.weights["v1_to_v1"].detach()
    matrix = connections.matrix(weight)
    assert matrix.values().data_ptr() == weight.data_ptr()
    assert matrix.col_indices().data_ptr() == circuit.projections["v1_to_v1"].target.ctypes.data


def test_training_changes_neither_the_circuit_nor_a_circuit_made_of_it_earlier(circuit):
    before = {name: projection.weight.copy() for name, projection in circuit.projections.items()}
    column = ReferenceColumn(circuit, dtype=torch.float32)
    earlier = circuit_with_trained_weights(circuit, column)
    inputs = {name: [trains] for name, trains in small_random_inputs(2, circuit, 50.0).items()}
    column(inputs, 50).spikes.sum().backward()
    torch.optim.SGD([w for w in column.weights.values() if w.requires_grad], lr=1.0).step()
    later = circuit_with_trained_weights(circuit, column)
    for name, weight in before.items():
        np.testing.assert_array_equal(circuit.projections[name].weight, weight)
        np.testing.assert_array_equal(earlier.projections[name].weight, weight)
        assert np.array_equal(later.projections[name].weight, weight) == (name == "lgn_to_v1")


def test_frozen_recurrent_weights_pass_the_same_gradients_on_as_trained_ones(circuit):
    inputs = {name: [trains] for name, trains in small_random_inputs(2, circuit, 50.0).items()}
    gradients = []
    for trained in (("v1_to_v1", "bkg_to_v1"), ("bkg_to_v1",)):
        column = ReferenceColumn(circuit, trained=trained)
        column(inputs, 50).spikes.sum().backward()
        gradients.append(column.weights["bkg_to_v1"].grad)
    assert gradients[0].abs().sum() > 0
    assert torch.equal(*gradients)


def test_connections_out_of_order_are_refused(circuit):
    projection = circuit.projections["v1_to_v1"]
    backwards = dataclasses.replace(projection, delay_code=projection.delay_code[::-1])
    with pytest.raises(InputError, match=r"v1_to_v1: the connections of sources .* not sorted by delay"):
        Connections(backwards, 1.0, 320)


def test_more_connections_than_32_bits_can_number_are_refused(circuit):
    many = dataclasses.replace(circuit.projections["lgn_to_v1"], target=np.broadcast_to(np.int32(0), 2**31))
    with pytest.raises(InputError, match=r"2,147,483,648 connections.*another engine"):
        Connections(many, 1.0, 320)


# Bytes per connection; 4 of every trained weight, 1 for a moment to find the delays. A second copy of the targets, as
# they were or as int64, would add 4 or 8.
@pytest.mark.parametrize(("trained", "most"), [((), 2.0), (("v1_to_v1",), 6.0)])
def test_starting_takes_the_memory_of_the_trained_weights_only(trained, most):
    program = f"from start_of_torch import bytes_per_connection; print(bytes_per_connection({trained}))"
    tests = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=tests, capture_output=True, text=True, check=True)
    assert float(done.stdout) < most
