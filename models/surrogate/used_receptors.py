"""Which receptors of a cell model have connections: the others stay silent, and GPUs need not read their states."""

import numpy as np
import torch


def find_used_receptors(connections, type_index, n_models, n_receptors):
    """Find the receptors of each cell model onto which any connection goes.

    Parameters
    ----------
    connections : iterable of Connections
        Of all projections.
    type_index : (N,) int tensor
        Cell model of each neuron.
    n_models, n_receptors : int

    Returns
    -------
    (n_models,) int32 tensor
        Bit k of a model is set where receptor k is used; all are where one beyond 32 is.
    """
    is_reached = np.zeros(len(type_index) * n_receptors, dtype=bool)
    for projection in connections:
        is_reached[projection.target.numpy()] = True
    used = np.zeros((n_models, n_receptors), dtype=bool)
    np.logical_or.at(used, type_index.numpy(), is_reached.reshape(-1, n_receptors))
    receptor = np.arange(n_receptors)
    bits = np.where(receptor < 32, 1 << np.minimum(receptor, 31), 0xFFFFFFFF)
    return torch.from_numpy(np.bitwise_or.reduce(used * bits, axis=1).astype(np.uint32).view(np.int32))
