"""Spike delivery over one projection: spikes -> inbox, and the gradients of weights and spikes.

Rows are (delay, presynaptic unit): row ``(d - 1) * n_sources + pre`` holds what ``pre`` emitted d steps ago. A presynaptic
spike adds one number per connection, its weight, to the inbox of (post, receptor).
"""

import warnings

import numpy as np
import torch


class Connections:
    """A Projection at a time step dt, in the order of spike delivery.

    Attributes
    ----------
    n_rows : int
        Delays in steps times sources.
    indptr : (n_rows + 1,) int64 tensor
    target : (E,) int64 tensor
        ``post * n_receptors + receptor``.
    order : (E,) int64 tensor
        Position of each connection in the canonical order of the Projection: ``weight[order]`` belongs to ``target``.
    """

    def __init__(self, projection, dt, n_targets):
        steps = projection.delay_steps(dt).astype(np.int64)
        rows = (steps - 1) * projection.n_sources + projection.sources()
        order = np.argsort(rows, kind="stable")
        self.max_delay = int(steps.max(initial=1))
        self.delays = np.unique(steps)
        self.n_sources = projection.n_sources
        self.n_rows = self.max_delay * projection.n_sources
        self.n_targets = n_targets
        self.indptr = torch.zeros(self.n_rows + 1, dtype=torch.int64)
        self.indptr[1:] = torch.from_numpy(np.cumsum(np.bincount(rows, minlength=self.n_rows)))
        self.target = torch.from_numpy(projection.target[order].astype(np.int64))
        self.order = torch.from_numpy(order)
        self._crow, self._col = self.indptr.to(torch.int32), self.target.to(torch.int32)

    def edges_of(self, rows):
        """Connections of some rows: (edge indices, which of the rows each belongs to), both (n,) int64."""
        starts, ends = self.indptr[rows], self.indptr[rows + 1]
        counts = ends - starts
        which = torch.repeat_interleave(torch.arange(len(rows)), counts)
        within = torch.arange(len(which)) - torch.repeat_interleave(torch.cumsum(counts, 0) - counts, counts)
        return starts[which] + within, which

    def matrix(self, weight):
        """The weights as a sparse (n_rows, n_targets) CSR matrix."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(Sparse CSR|invariant).*")
            return torch.sparse_csr_tensor(self._crow, self._col, weight, (self.n_rows, self.n_targets))


class _DeliverEvents(torch.autograd.Function):
    """inbox[trial, target] += count * weight over the connections of the rows; differentiable in the weights."""

    @staticmethod
    def forward(ctx, weight, connections, trial, row, count, batch):
        edge, which = connections.edges_of(row)
        slot = trial[which] * connections.n_targets + connections.target[edge]
        inbox = weight.new_zeros(batch * connections.n_targets)
        inbox.index_add_(0, slot, weight[edge] * count[which])
        ctx.save_for_backward(edge, slot, count[which])
        ctx.n_edges = len(weight)
        return inbox.view(batch, connections.n_targets)

    @staticmethod
    def backward(ctx, grad):
        edge, slot, count = ctx.saved_tensors
        grad_weight = grad.new_zeros(ctx.n_edges).index_add_(0, edge, grad.reshape(-1)[slot] * count)
        return grad_weight, None, None, None, None, None


class _DeliverSpikes(torch.autograd.Function):
    """As _DeliverEvents, from dense spikes (batch, n_rows) that need a gradient too, silent ones included."""

    @staticmethod
    def forward(ctx, weight, spikes, connections):
        trial, row = torch.nonzero(spikes, as_tuple=True)
        edge, which = connections.edges_of(row)
        slot = trial[which] * connections.n_targets + connections.target[edge]
        inbox = weight.new_zeros(len(spikes) * connections.n_targets)
        inbox.index_add_(0, slot, weight[edge] * spikes[trial, row][which])
        ctx.save_for_backward(weight, edge, slot)
        ctx.connections = connections
        return inbox.view(len(spikes), connections.n_targets)

    @staticmethod
    def backward(ctx, grad):
        weight, edge, slot = ctx.saved_tensors
        grad_weight = grad_spikes = None
        if ctx.needs_input_grad[0]:
            grad_weight = torch.zeros_like(weight).index_add_(0, edge, grad.reshape(-1)[slot])
        if ctx.needs_input_grad[1]:
            grad_spikes = (ctx.connections.matrix(weight) @ grad.T.contiguous()).T
        return grad_weight, grad_spikes, None


def deliver_events(weight, connections, trial, row, count, batch):
    """Deliver external spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In delivery order (``canonical[connections.order]``).
    connections : Connections
    trial, row : (n,) int64 tensors
    count : (n,) tensor
        Spikes of that unit in that step.
    batch : int

    Returns
    -------
    (batch, n_targets) tensor [pA]
    """
    return _DeliverEvents.apply(weight, connections, trial, row, count, batch)


def deliver_spikes(weight, spikes, connections):
    """Deliver the column's own spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In delivery order.
    spikes : (batch, n_rows) tensor of 0 and 1
        Spikes emitted 1, 2, ... steps ago, side by side.
    connections : Connections

    Returns
    -------
    (batch, n_targets) tensor [pA]
        Gradients flow to the weights of connections that carried a spike and to every presynaptic neuron.
    """
    return _DeliverSpikes.apply(weight, spikes, connections)
