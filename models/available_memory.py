"""How much memory this process may hold, in the machine and in the control group (container, job) that it runs in."""

from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_memory():
    """Memory that this process and those it starts may hold in all: what they have and what is free [bytes].

    Returns
    -------
    int
        The least of what the machine and the limits of all control groups (version 1 and 2) leave.
    """
    own = psutil.Process().memory_info().rss
    return own + min([psutil.virtual_memory().available, *_left_by_control_groups(_MEMBERSHIP, _CGROUPS)])


def _left_by_control_groups(membership, root):
    """What each control group of this process leaves, where it has a limit: list of int [bytes]."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []  # other systems than Linux have none
    left = []
    for controllers, path in (line.split(":", 2)[1:] for line in lines):
        if controllers == "":
            folder, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            folder = root / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container the path may be that outside of it, so that only the top is visible.
        groups = [folder / part for part in (Path(path.lstrip("/")), *Path(path.lstrip("/")).parents)]
        left += [room for group in groups if (room := _room(group, *names)) is not None]
    return left


def _room(group, limit, usage, reclaimable):
    """What a control group leaves below its limit, files that it would drop counted as free; None without a limit."""
    try:
        limit, used = (group / limit).read_text().strip(), int((group / usage).read_text())
        dropped = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())[reclaimable]
    except (OSError, KeyError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(dropped))
