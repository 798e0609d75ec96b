"""Compiled loops on the threads that torch has, each doing a part of the rows."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch


def run_by_rows(kernel, by_row, *others):
    """Call a kernel that releases the GIL once per thread, each time with other rows.

    Parameters
    ----------
    kernel : callable
        Of numpy arrays: some rows of ``by_row``, then the others; it must give the same however the rows are cut.
    by_row : sequence of tensors on the CPU
        As long as each other; cut along their first dimension.
    *others : tensors on the CPU, or what is none
        Given as they are.
    """
    n_threads = torch.get_num_threads()
    by_row = [tensor.numpy() for tensor in by_row]
    others = [other.numpy() if torch.is_tensor(other) else other for other in others]
    cuts = np.linspace(0, len(by_row[0]), n_threads + 1).astype(int)
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(lambda i, j: kernel(*(rows[i:j] for rows in by_row), *others), cuts[:-1], cuts[1:]))
