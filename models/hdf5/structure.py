"""The structure of HDF5 files, which HDF5 does not check: which bytes it is, and whether a reader survives it."""

import subprocess
import sys
from pathlib import Path

import h5py

from twincortex.models.errors import FileError, TwinCortexError
from twincortex.models.hdf5.access import CUT

# A sound file takes well below a second; large ones may have many chunks.
_SECONDS = 5
_BYTES_PER_SECOND = 2**27
# Seconds to wait for each of the processor: the machine may be busy, the disk far away.
_PATIENCE = 20


def extents_of_chunks(path):
    """Find the bytes of a file that HDF5 checks itself: chunks with a Fletcher-32 checksum.

    Parameters
    ----------
    path : str or Path
        A sound file.

    Returns
    -------
    list of [int, int]
        First byte, and the one after the last, of each stretch of chunks, ascending. All other bytes are structure.
    """
    chunks = []

    def look(_, thing):
        if isinstance(thing, h5py.Dataset) and thing.fletcher32:
            infos = (thing.id.get_chunk_info(number) for number in range(thing.id.get_num_chunks()))
            chunks.extend([info.byte_offset, info.byte_offset + info.size] for info in infos)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    extents = []
    for start, stop in sorted(chunks):
        if extents and extents[-1][1] == start:
            extents[-1][1] = stop
        else:
            extents.append([start, stop])
    return extents


def refuse_dangerous(paths):
    """Refuse HDF5 files in which the HDF5 library would hang or crash: a process of its own goes first.

    It takes about 0.4 s for all files together.

    Parameters
    ----------
    paths : iterable of str or Path
        Whatever is no plain file is left to the reader.

    Raises
    ------
    FileError
        That process crashed, or did not come to an end.
    """
    paths = sorted(Path(path).resolve() for path in paths if Path(path).is_file())
    if not paths:
        return
    seconds = _SECONDS + sum(path.stat().st_size for path in paths) // _BYTES_PER_SECOND
    command = [sys.executable, "-P", "-m", "twincortex.models.hdf5.probe", str(seconds), *map(str, paths)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE * seconds)
        code, output, complaint = done.returncode, done.stdout, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, output, complaint = None, error.stdout or b"", ""
    if code == 0:
        return
    if not output:
        raise TwinCortexError(f"{' '.join(command[:4])} cannot be started: {complaint[-2000:]}")
    path = paths[int(output.split()[-1])]
    raise FileError(f"{path} makes the HDF5 library hang or crash: its structure is damaged. {CUT}", path)
