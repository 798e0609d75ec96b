"""What the start of the torch engine takes, for a process of its own: peaks of memory cannot be undone."""

import torch

from twincortex.models.peak_memory import peak_memory
from twincortex.models.surrogate import ReferenceColumn

from circuits import small_random_circuit, with_many_connections


def bytes_per_connection(trained, n_edges=20_000_000):
    """Growth of the peak memory of this process when a column is made of many connections and runs two steps."""
    circuit = small_random_circuit(seed=1)
    # What every column needs, however many connections it has: libraries, constants of the neurons.
    _start(circuit, trained)
    many = with_many_connections(circuit, n_edges)
    before = peak_memory()
    column = _start(many, trained)
    return (peak_memory() - before) / column.connections["v1_to_v1"].target.numel()


def _start(circuit, trained):
    column = ReferenceColumn(circuit, dtype=torch.float32, trained=trained)
    with torch.no_grad():
        column({}, 2)
    return column
