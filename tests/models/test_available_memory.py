"""What a process may hold: the machine and every control group above the process have a say."""

import psutil
import pytest

from twincortex.models import available_memory as module
from twincortex.models.available_memory import available_memory

GB = 10**9


def write_group(folder, names, limit, used, dropped):
    folder.mkdir(parents=True, exist_ok=True)
    limit_name, used_name, dropped_name = names
    (folder / limit_name).write_text(f"{limit}\n")
    (folder / used_name).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{dropped_name} {dropped}\n")


VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = ("memory.max", "memory.current", "inactive_file")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Stands for /sys/fs/cgroup, beside a file that stands for /proc/self/cgroup."""
    monkeypatch.setattr(module, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": 100 * GB}))
    return tmp_path


def beside_its_own():
    return round((available_memory() - psutil.Process().memory_info().rss) / GB, 2)


def test_it_is_less_than_the_machine_has():
    assert 0 < available_memory() <= psutil.virtual_memory().total


def test_without_control_groups_the_machine_alone_counts(groups):
    assert beside_its_own() == 100


@pytest.mark.parametrize(
    ("membership", "place", "names"),
    [
        ("0::/job/step\n", "cgroup/job/step", VERSION_2),
        ("0::/job/step\n", "cgroup/job", VERSION_2),
        ("0::/outside/of/the/container\n", "cgroup", VERSION_2),
        ("4:memory:/job\n0::/\n", "cgroup/memory/job", VERSION_1),
        ("4:cpu,memory:/outside\n2:cpuset:/\n", "cgroup/memory", VERSION_1),
    ],
)
def test_the_limit_of_a_group_counts_less_what_is_used_but_for_files_it_would_drop(groups, membership, place, names):
    (groups / "membership").write_text(membership)
    write_group(groups / place, names, limit=8 * GB, used=3 * GB, dropped=1 * GB)
    assert beside_its_own() == 6


def test_the_narrowest_of_nested_groups_counts(groups):
    (groups / "membership").write_text("0::/a/b\n")
    write_group(groups / "cgroup/a", VERSION_2, limit=8 * GB, used=5 * GB, dropped=0)
    write_group(groups / "cgroup/a/b", VERSION_2, limit=7 * GB, used=1 * GB, dropped=0)
    assert beside_its_own() == 3


def test_a_group_without_a_limit_does_not_count(groups):
    (groups / "membership").write_text("0::/a\n")
    write_group(groups / "cgroup/a", VERSION_2, limit="max", used=5 * GB, dropped=0)
    assert beside_its_own() == 100
