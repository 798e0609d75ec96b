"""Constant sparse matrices that act on a batch of trials and pass gradients back through their transpose."""

import warnings

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


class SparseMap:
    """A linear map y = A x with constant A, given by its entries.

    Parameters
    ----------
    rows, columns : (nnz,) int64 tensors
    values : (nnz,) tensor
    shape : (int, int)
    """

    def __init__(self, rows, columns, values, shape):
        self._matrix = _sorted_csr(rows, columns, values, shape)
        self._transpose = _sorted_csr(columns, rows, values, shape[::-1])

    def __call__(self, x):
        """Apply the map to x, (n_columns, B), and return (n_rows, B)."""
        return _Product.apply(x, self._matrix, self._transpose)


def _sorted_csr(rows, columns, values, shape):
    order = torch.argsort(rows * shape[1] + columns)
    indptr = torch.zeros(shape[0] + 1, dtype=torch.int64)
    indptr[1:] = torch.cumsum(torch.bincount(rows, minlength=shape[0]), 0)
    return csr_matrix(indptr, columns[order], values[order], shape)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, matrix, transpose):
        ctx.transpose = transpose
        return matrix @ x

    @staticmethod
    def backward(ctx, grad):
        return ctx.transpose @ grad.contiguous(), None, None
