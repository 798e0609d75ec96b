"""Environment variables that libraries read when they are loaded: import this before torch.

This is the one module that does something on import; values that are set already stay.
"""

import os

# torch, compiled kernels and numba bring OpenMP runtimes of their own. Idle threads of one spin against the others',
# which makes everything 10 to 100 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
# torch then aligns tensors from 2 MB to pages, and Linux may use large ones. Aligned to less, a freed tensor is a few
# bytes too small for the next of its size: glibc's heap grew to three times the size in training, and each step was
# slower.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
