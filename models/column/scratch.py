"""Memory for what lives until it is sorted: it goes back to the system piece by piece, while the result grows."""

import mmap

import numpy as np

# Pieces per block of connections; what is sorted at once, and then released, is one piece of each block.
_N_PIECES = 32
# Systems limit how many mappings a process may have: Linux to 65,530.
_MOST_MAPPINGS = 32768
# Memory that is not shared with other processes is faster to get; systems without the choice do not share it anyway.
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}


def pieces_per_block(n_blocks):
    """Into how many pieces to cut each of so many blocks of connections."""
    return max(1, min(_N_PIECES, _MOST_MAPPINGS // n_blocks))


def copy_to_scratch(values):
    """Copy an array to memory that the system gets back once nobody holds the copy.

    Freed arrays of numpy stay with the process where they are small or come from several threads.

    Parameters
    ----------
    values : (n,) array

    Returns
    -------
    (n,) array
    """
    if len(values) == 0:
        return values.copy()
    copy = np.frombuffer(mmap.mmap(-1, values.nbytes, **_PRIVATE), dtype=values.dtype)
    copy[:] = values
    return copy
