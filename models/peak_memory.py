"""The largest resident memory that a process has held."""

import resource
import sys
from pathlib import Path

import psutil

_FORGET_PEAK = "5"  # man 5 proc, clear_refs


def peak_memory(pid="self"):
    """Peak resident memory of a process [bytes]; on other systems than Linux of this process only.

    Not ru_maxrss where it can be helped: Linux starts it at the peak of the process that started this one.

    Parameters
    ----------
    pid : int or "self"

    Returns
    -------
    int
        0 of a process that has ended, or that cannot be asked.
    """
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(peaks[0]) if peaks else 0
    if pid != "self":
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_now():
    """Resident memory of this process [bytes]; where the system lets it (Linux), `peak_memory` starts anew from it."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        try:
            forget.write_text(_FORGET_PEAK)
        except OSError:
            return psutil.Process().memory_info().rss  # not allowed here: the peak is that since the start
    return psutil.Process().memory_info().rss
