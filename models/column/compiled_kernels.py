"""Keep compiled kernels on disk until a file of their folder changes.

numba's own cache notices an edit of the file in which a kernel stands, but not of the formulas that the kernel calls
from other files.
"""

import hashlib
import threading
from functools import cache
from pathlib import Path

from numba import njit

from twincortex.models import randomness

_ONE_AT_A_TIME = threading.Lock()  # else every thread of a pool would load a copy of its own


def compile_cached(make_kernel):
    """Compile a kernel, or load it from numba's cache on disk.

    Parameters
    ----------
    make_kernel : callable
        ``make_kernel(sources)`` returns the Python function to compile; it must use ``sources``, a number above 0. What
        a kernel closes over is part of the key of its cache, and ``sources`` is a digest of all files of the folder
        and of ``randomness.py``.

    Returns
    -------
    callable
        The compiled function, which releases the GIL; the same one each time.
    """
    with _ONE_AT_A_TIME:
        return _compile(make_kernel)


def digest_of_sources(folder, *files):
    """Number above 0 that changes with the text and the names of the Python files of a folder, and of some files."""
    digest = hashlib.blake2b(digest_size=7)
    for path in [*sorted(Path(folder).glob("*.py")), *map(Path, files)]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return int.from_bytes(digest.digest(), "big") + 1


@cache
def _compile(make_kernel):
    folder = Path(make_kernel.__code__.co_filename).parent
    return njit(cache=True, nogil=True)(make_kernel(digest_of_sources(folder, randomness.__file__)))
