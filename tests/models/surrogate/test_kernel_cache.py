"""Compiled libraries are made once, are whole, and no folder that cannot be written to stops a simulation."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from small_disk import small_disk

from twincortex.models.errors import InputError
from twincortex.models.surrogate import kernel_cache
from twincortex.models.surrogate.kernel_cache import cache_folder, cached_library

LIBRARY = b"library" * 1000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache."""
    monkeypatch.setenv("TWINCORTEX_KERNELS", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A place that not even the administrator can write to: below a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TWINCORTEX_KERNELS", str(tmp_path / "file" / "kernels"))
    monkeypatch.setattr(kernel_cache.tempfile, "tempdir", str(tmp_path))
    kernel_cache._folder_of_this_process.cache_clear()
    yield tmp_path
    kernel_cache._folder_of_this_process.cache_clear()


def never():
    raise AssertionError("made once more")


def test_the_folder_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.delenv("TWINCORTEX_KERNELS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "twincortex" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/twincortex/kernels")
    monkeypatch.setenv("TWINCORTEX_KERNELS", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")


def test_a_library_is_made_once(folder):
    path = cached_library("a.so", lambda: LIBRARY)
    assert path == folder / "a.so"
    assert cached_library("a.so", never).read_bytes() == LIBRARY
    assert cached_library("b.so", lambda: b"other").read_bytes() == b"other"


DAMAGES = {
    "a shorter file": lambda path: path.write_bytes(LIBRARY[:100]),
    "an empty file": lambda path: path.write_bytes(b""),
    "another byte": lambda path: path.write_bytes(LIBRARY[:-1] + b"?"),
    "no checksum": lambda path: path.with_suffix(".sha256").unlink(),
    "a damaged checksum": lambda path: path.with_suffix(".sha256").write_bytes(b"\xff\x00"),
    "no library": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_made_again(folder, damage):
    DAMAGES[damage](cached_library("a.so", lambda: LIBRARY))
    assert cached_library("a.so", lambda: LIBRARY).read_bytes() == LIBRARY
    assert cached_library("a.so", never) == folder / "a.so"


def test_what_fails_leaves_nothing_behind_and_can_be_tried_again(folder):
    with pytest.raises(AssertionError):
        cached_library("a.so", never)
    assert [path for path in os.listdir(folder) if not path.endswith(".lock")] == []
    assert cached_library("a.so", lambda: LIBRARY).read_bytes() == LIBRARY


MAKE_SLOWLY = """
    import os, sys, time
    from pathlib import Path
    from twincortex.models.surrogate.kernel_cache import cached_library

    def make():
        with open(sys.argv[1], "a") as log:
            log.write(f"{os.getpid()}\\n")
        time.sleep(float(sys.argv[2]))
        return b"library" * 1000

    assert cached_library("a.so", make).read_bytes() == b"library" * 1000
"""


def start_making(log, seconds):
    program = textwrap.dedent(MAKE_SLOWLY)
    return subprocess.Popen([sys.executable, "-c", program, str(log), str(seconds)])


def wait_for(path):
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} does not appear")


def test_two_processes_that_need_a_library_at_once_make_it_once(folder, tmp_path):
    processes = [start_making(tmp_path / "log", 3) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert sorted(os.listdir(folder)) == ["a.lock", "a.sha256", "a.so"]


def test_a_process_that_is_killed_while_it_makes_a_library_leaves_none_and_does_not_block_others(folder, tmp_path):
    process = start_making(tmp_path / "log", 100)
    wait_for(tmp_path / "log")
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not (folder / "a.so").exists()
    assert cached_library("a.so", lambda: LIBRARY).read_bytes() == LIBRARY


def test_where_nothing_can_be_kept_a_library_lasts_as_long_as_the_process(no_cache):
    with pytest.warns(UserWarning, match=r"cannot be kept.*Not a directory.*Set TWINCORTEX_KERNELS"):
        path = cached_library("a.so", lambda: LIBRARY)
    assert path.read_bytes() == LIBRARY
    assert path.parent.parent == no_cache
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert cached_library("a.so", never) == path


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs, which only Linux has")
def test_a_full_disk_is_as_good_as_none(no_cache, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_KERNELS", str(no_cache / "disk"))
    library = bytes(2**21)
    with small_disk(no_cache / "disk", megabytes=1) as disk:
        with pytest.warns(UserWarning, match=r"a\.so cannot be written.*No space left on device"):
            path = cached_library("a.so", lambda: library)
        assert path.read_bytes() == library
        assert not (disk / "a.so").exists()


def test_the_folder_for_temporary_files_is_named_where_it_is_full_too(no_cache, monkeypatch):
    monkeypatch.setattr(kernel_cache.tempfile, "tempdir", str(no_cache / "file"))
    with (
        pytest.warns(UserWarning, match="cannot be kept"),
        pytest.raises(InputError, match=r"cannot be written to a temporary folder.*Set TMPDIR"),
    ):
        cached_library("a.so", lambda: LIBRARY)


def test_the_temporary_folder_goes_with_the_process(tmp_path):
    (tmp_path / "file").touch()
    program = """
        import warnings
        from twincortex.models.surrogate.kernel_cache import cached_library
        warnings.simplefilter("ignore")
        print(cached_library("a.so", lambda: b"library"))
    """
    environment = os.environ | {"TWINCORTEX_KERNELS": str(tmp_path / "file" / "x"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path}/twincortex-kernels-")
    assert os.listdir(tmp_path) == ["file"]
