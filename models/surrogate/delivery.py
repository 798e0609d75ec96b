"""Spike delivery over one projection: spikes -> inbox, and the gradients of weights and spikes.

Rows are (presynaptic unit, delay): row ``pre * max_delay + d - 1`` holds what ``pre`` emitted d steps ago. In the
canonical order of a Projection the connections of a row follow one another, so the arrays of the circuit serve as they
are. A presynaptic spike adds one number per connection, its weight, to the inbox of (post, receptor).
"""

import warnings

import numpy as np
import torch

from twincortex.models.circuit import delay_steps
from twincortex.models.delays import delay_runs
from twincortex.models.errors import InputError
from twincortex.models.surrogate.sparse_maps import csr_matrix


class Connections:
    """A Projection at a time step dt.

    Attributes
    ----------
    max_delay : int
        Steps of the longest delay.
    delays : (n,) int64 array
        Steps, each once, ascending.
    n_rows : int
        Sources times max_delay.
    indptr : (n_rows + 1,) int32 tensor
    longest_row : int
        Connections.
    rows_ascend : bool
        Whether targets ascend within every row.
    target : (E,) int32 tensor
        ``post * n_receptors + receptor``; the memory of the Projection.

    Raises
    ------
    InputError
        A delay of 0 steps, connections that are not in the canonical order or too many for 32-bit numbers.
    """

    def __init__(self, projection, dt, n_targets):
        if projection.n_edges > torch.iinfo(torch.int32).max:
            raise InputError(
                f"{projection.source}_to_v1: {projection.n_edges:,} connections; the torch engine numbers them in 32 "
                "bits. Use another engine."
            )
        runs, steps = delay_runs(projection), delay_steps(projection.delay_ms, dt).astype(np.int64)
        run_steps = steps[runs.delay_code]
        self.max_delay = int(run_steps.max(initial=1))
        self.delays = np.unique(run_steps)
        self.n_sources = projection.n_sources
        self.n_rows = projection.n_sources * self.max_delay
        self.n_targets = n_targets
        # Delays that round to the same step follow one another in a row, each with ascending targets.
        self.rows_ascend = len(self.delays) == len(np.unique(runs.delay_code))
        ends = np.zeros(self.n_rows + 1, dtype=np.int32)
        np.add.at(ends, self.rows(runs.source, run_steps) + 1, runs.n_edges.astype(np.int32))
        self.longest_row = int(ends.max())
        self.indptr = torch.from_numpy(np.cumsum(ends, dtype=np.int32))
        self.target = shared_tensor(projection.target)

    def rows(self, source, delay):
        """Rows of sources and delays [steps], arrays that fit each other."""
        return source * self.max_delay + delay - 1

    def edges_of(self, rows):
        """Connections of some rows: (edge indices, which of the rows each belongs to), both (n,) int64."""
        starts, ends = self.indptr[rows].long(), self.indptr[rows + 1].long()
        counts = ends - starts
        which = torch.repeat_interleave(torch.arange(len(rows)), counts)
        within = torch.arange(len(which)) - torch.repeat_interleave(torch.cumsum(counts, 0) - counts, counts)
        return starts[which] + within, which

    def slots_of(self, edge, trial, batch):
        """Elements of a flat (n_targets, batch) inbox that connections reach, (n,) int64."""
        return self.target[edge].long() * batch + trial

    def matrix(self, weight):
        """The weights as a sparse (n_rows, n_targets) CSR matrix; it shares the memory of all three arrays."""
        return csr_matrix(self.indptr, self.target, weight, (self.n_rows, self.n_targets))


def shared_tensor(array):
    """A tensor in the memory of an array that nobody will write to, read-only or not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


class _DeliverEvents(torch.autograd.Function):
    """inbox[target, trial] += count * weight over the connections of the rows; differentiable in the weights."""

    @staticmethod
    def forward(ctx, weight, connections, row, trial, count, batch):
        edge, which = connections.edges_of(row)
        slot = connections.slots_of(edge, trial[which], batch)
        inbox = count.new_zeros(connections.n_targets * batch)
        inbox.index_add_(0, slot, weight[edge].to(count.dtype) * count[which])
        ctx.save_for_backward(edge, slot, count[which])
        ctx.n_edges = len(weight)
        return inbox.view(connections.n_targets, batch)

    @staticmethod
    def backward(ctx, grad):
        edge, slot, count = ctx.saved_tensors
        grad_weight = grad.new_zeros(ctx.n_edges).index_add_(0, edge, grad.reshape(-1)[slot] * count)
        return grad_weight, None, None, None, None, None


class _DeliverSpikes(torch.autograd.Function):
    """As _DeliverEvents, from dense spikes (n_rows, batch) that need a gradient too, silent ones included."""

    @staticmethod
    def forward(ctx, weight, spikes, connections):
        row, trial = torch.nonzero(spikes, as_tuple=True)
        batch = spikes.shape[1]
        edge, which = connections.edges_of(row)
        slot = connections.slots_of(edge, trial[which], batch)
        inbox = spikes.new_zeros(connections.n_targets * batch)
        inbox.index_add_(0, slot, weight[edge].to(spikes.dtype))
        ctx.save_for_backward(weight, edge, slot)
        ctx.connections = connections
        return inbox.view(connections.n_targets, batch)

    @staticmethod
    def backward(ctx, grad):
        weight, edge, slot = ctx.saved_tensors
        grad_weight = grad_spikes = None
        if ctx.needs_input_grad[0]:
            grad_weight = grad.new_zeros(len(weight)).index_add_(0, edge, grad.reshape(-1)[slot])
        if ctx.needs_input_grad[1]:
            grad_spikes = ctx.connections.matrix(weight.to(grad.dtype)) @ grad.contiguous()
        return grad_weight, grad_spikes, None


def deliver_events(weight, connections, row, trial, count, batch):
    """Deliver external spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In canonical order.
    connections : Connections
    row, trial : (n,) int64 tensors
    count : (n,) tensor
        Spikes of that unit in that step.
    batch : int

    Returns
    -------
    (n_targets, batch) tensor [pA]
        In the precision of count.
    """
    return _DeliverEvents.apply(weight, connections, row, trial, count, batch)


def deliver_spikes(weight, spikes, connections):
    """Deliver the column's own spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In canonical order.
    spikes : (n_rows, batch) tensor of 0 and 1
        For every neuron, whether it spiked 1, 2, ... steps ago.
    connections : Connections

    Returns
    -------
    (n_targets, batch) tensor [pA]
        In the precision of spikes. Gradients flow to the weights of connections that carried a spike and to every
        presynaptic neuron.
    """
    return _DeliverSpikes.apply(weight, spikes, connections)
