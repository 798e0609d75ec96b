"""Spike delivery over one projection: spikes -> inbox, and the gradients of weights and spikes.

Rows are (delay, presynaptic unit): row ``(d - 1) * n_sources + pre`` holds what ``pre`` emitted d steps ago. A
presynaptic spike adds one number per connection, its weight, to the inbox of (post, receptor).
"""

import numpy as np
import torch

from twincortex.models.surrogate.sparse_maps import csr_matrix


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

    def edges_of(self, rows):
        """Connections of some rows: (edge indices, which of the rows each belongs to), both (n,) int64."""
        starts, ends = self.indptr[rows], self.indptr[rows + 1]
        counts = ends - starts
        which = torch.repeat_interleave(torch.arange(len(rows)), counts)
        within = torch.arange(len(which)) - torch.repeat_interleave(torch.cumsum(counts, 0) - counts, counts)
        return starts[which] + within, which

    def matrix(self, weight):
        """The weights, in delivery order, as a sparse (n_rows, n_targets) CSR matrix."""
        return csr_matrix(self.indptr, self.target, weight, (self.n_rows, self.n_targets))


class _DeliverEvents(torch.autograd.Function):
    """inbox[target, trial] += count * weight over the connections of the rows; differentiable in the weights."""

    @staticmethod
    def forward(ctx, weight, connections, row, trial, count, batch):
        edge, which = connections.edges_of(row)
        slot = connections.target[edge] * batch + trial[which]
        inbox = weight.new_zeros(connections.n_targets * batch)
        inbox.index_add_(0, slot, weight[edge] * count[which])
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
    def forward(ctx, weight, spikes, connections, matrix):
        row, trial = torch.nonzero(spikes, as_tuple=True)
        batch = spikes.shape[1]
        edge, which = connections.edges_of(row)
        slot = connections.target[edge] * batch + trial[which]
        inbox = weight.new_zeros(connections.n_targets * batch)
        inbox.index_add_(0, slot, weight[edge])
        ctx.save_for_backward(edge, slot)
        ctx.matrix, ctx.n_edges = matrix, len(weight)
        return inbox.view(connections.n_targets, batch)

    @staticmethod
    def backward(ctx, grad):
        edge, slot = ctx.saved_tensors
        grad_weight = grad_spikes = None
        if ctx.needs_input_grad[0]:
            grad_weight = grad.new_zeros(ctx.n_edges).index_add_(0, edge, grad.reshape(-1)[slot])
        if ctx.needs_input_grad[1]:
            grad_spikes = ctx.matrix @ grad.contiguous()
        return grad_weight, grad_spikes, None, None


def deliver_events(weight, connections, row, trial, count, batch):
    """Deliver external spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In delivery order (``canonical[connections.order]``).
    connections : Connections
    row, trial : (n,) int64 tensors
    count : (n,) tensor
        Spikes of that unit in that step.
    batch : int

    Returns
    -------
    (n_targets, batch) tensor [pA]
    """
    return _DeliverEvents.apply(weight, connections, row, trial, count, batch)


def deliver_spikes(weight, spikes, connections, matrix):
    """Deliver the column's own spikes.

    Parameters
    ----------
    weight : (E,) tensor [pA]
        In delivery order.
    spikes : (n_rows, batch) tensor of 0 and 1
        Spikes emitted 1, 2, ... steps ago, one below the other.
    connections : Connections
    matrix : sparse CSR tensor
        ``connections.matrix(weight)``, made once per rollout, for the gradient of the spikes.

    Returns
    -------
    (n_targets, batch) tensor [pA]
        Gradients flow to the weights of connections that carried a spike and to every presynaptic neuron.
    """
    return _DeliverSpikes.apply(weight, spikes, connections, matrix)
