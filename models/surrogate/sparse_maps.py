"""Constant sparse matrices that act on a batch of trials and pass gradients back through their transpose."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch


def csr_matrix(indptr, columns, values, shape):
    """Make a sparse CSR tensor with 32-bit indices, which torch multiplies fastest.

    Parameters
    ----------
    indptr : (n_rows + 1,) int tensor
    columns : (nnz,) int tensor
    values : (nnz,) tensor
    shape : (int, int)

    Returns
    -------
    sparse CSR tensor
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(Sparse CSR|invariant).*")
        return torch.sparse_csr_tensor(indptr.to(torch.int32), columns.to(torch.int32), values, shape)


@dataclass(frozen=True)
class Elements:
    """The states, or the receptors, of all neurons in one row of numbers.

    Attributes
    ----------
    per_neuron : int
    n_neurons : int
    by_neuron : bool
        Element k of neuron i is number ``i * per_neuron + k``; otherwise ``k * n_neurons + i``.
    """

    per_neuron: int
    n_neurons: int
    by_neuron: bool = False

    @property
    def size(self):
        """How many they are in all."""
        return self.per_neuron * self.n_neurons

    def numbers(self, k):
        """Numbers of elements k, (n,) int, of every neuron: (n, n_neurons) int32 tensor."""
        k, neuron = torch.from_numpy(k).int()[:, None], torch.arange(self.n_neurons, dtype=torch.int32)
        return neuron * self.per_neuron + k if self.by_neuron else k * self.n_neurons + neuron


class SparseMap:
    """A linear map y = A x with constant A that maps every neuron's elements to elements of the same neuron.

    Parameters
    ----------
    rows, columns : (nnz,) int arrays
        Elements of a neuron that A connects, each pair once.
    values : (nnz, n_neurons) tensor
    to, of : Elements
        Those of y and of x.
    """

    def __init__(self, rows, columns, values, to, of):
        self._matrix = _csr_of_neurons(rows, columns, values, to, of)
        self._transpose = _csr_of_neurons(columns, rows, values, of, to)

    def __deepcopy__(self, memo):
        """Itself: it never changes, and torch cannot copy sparse CSR tensors."""
        return self

    def __call__(self, x):
        """Apply the map to x, (n_columns, B), and return (n_rows, B)."""
        return _Product.apply(x, self._matrix, self._transpose)


def _csr_of_neurons(rows, columns, values, to, of):
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=to.per_neuron)
    # Row after row: those of a neuron follow one another, or those of an element.
    parts = [order] if to.by_neuron else np.split(order, np.cumsum(counts)[:-1])
    counts = np.tile(counts, to.n_neurons) if to.by_neuron else np.repeat(counts, to.n_neurons)
    indptr = torch.from_numpy(np.append(0, np.cumsum(counts)))
    numbers = torch.cat([of.numbers(columns[part]).T.reshape(-1) for part in parts])
    entries = torch.cat([values[part].T.reshape(-1) for part in parts])
    return csr_matrix(indptr, numbers, entries, (to.size, of.size))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, matrix, transpose):
        ctx.transpose = transpose
        return matrix @ x

    @staticmethod
    def backward(ctx, grad):
        return ctx.transpose @ grad.contiguous(), None, None
