"""Compiled kernels on disk: an edit of any file of the folder makes them anew, nothing else does."""

import importlib
import sys
from pathlib import Path

import pytest

from twincortex.models import column, randomness
from twincortex.models.column import hashed_draws, target_blocks, thalamic_sampling
from twincortex.models.column.compiled_kernels import compile_cached, digest_of_sources

FORMULA = "from numba import njit\n\n@njit\ndef formula(x):\n    return x {operation} 10\n"
KERNEL = """
from numba import njit
from twincortex_test_formula import formula
from twincortex.models.column.compiled_kernels import compile_cached

def _make(sources):
    def kernel(x):
        return formula(x) if sources > 0 else 0
    return kernel

@njit(cache=True)
def trusting(x):
    return formula(x)

def kernel():
    return compile_cached(_make)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of a kernel and of the formula that it calls, importable until the end of the test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second would look the same
    (tmp_path / "twincortex_test_kernel.py").write_text(KERNEL)
    yield tmp_path
    forget()


def forget():
    for name in ("twincortex_test_kernel", "twincortex_test_formula"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def import_anew(folder, operation):
    forget()
    (folder / "twincortex_test_formula.py").write_text(FORMULA.format(operation=operation))
    return importlib.import_module("twincortex_test_kernel")


def test_an_edit_of_a_file_that_the_kernel_calls_reaches_the_kernel(folder):
    before = import_anew(folder, "+")
    assert (before.kernel()(1), before.trusting(1)) == (11, 11)
    after = import_anew(folder, "*")
    assert after.kernel()(1) == 10
    assert after.trusting(1) == 11  # what numba's cache does alone; once this fails, compiled_kernels.py can go


def test_an_unchanged_kernel_comes_from_the_disk(folder):
    for hits in (0, 1):
        kernel = import_anew(folder, "-").kernel()
        assert kernel(3) == -7
        assert sum(kernel.stats.cache_hits.values()) == hits


def test_the_digest_follows_text_and_names(tmp_path):
    digests = [digest_of_sources(tmp_path)]
    (tmp_path / "a.py").write_text("x = 1")
    digests.append(digest_of_sources(tmp_path))
    (tmp_path / "a.py").write_text("x = 2")
    digests.append(digest_of_sources(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    digests.append(digest_of_sources(tmp_path))
    assert len(set(digests)) == 4
    assert min(digests) > 0
    (tmp_path / "notes.txt").write_text("no source")
    assert digest_of_sources(tmp_path) == digests[-1]
    assert digest_of_sources(tmp_path, tmp_path / "notes.txt") != digests[-1]


@pytest.mark.parametrize(
    "make_kernel", [target_blocks._block_kernel, thalamic_sampling._cells_kernel, hashed_draws._pairs_kernel]
)
def test_kernels_are_kept_under_the_digest_of_the_folder_and_of_the_hash(make_kernel):
    sources = digest_of_sources(Path(column.__file__).parent, randomness.__file__)
    kernel = compile_cached(make_kernel)
    assert kernel is compile_cached(make_kernel)
    assert kernel.py_func.__closure__[-1].cell_contents == sources
