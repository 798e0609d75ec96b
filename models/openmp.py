"""Quiet OpenMP threads: import this before torch.

torch, compiled kernels and numba bring OpenMP runtimes of their own. Idle threads of one spin against the others',
which
makes everything 10 to 100 times slower. They only read these variables when they are loaded, so this is the one module
that does something on import; values that are set already stay.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
