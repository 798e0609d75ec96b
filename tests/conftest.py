"""What every test gets: quiet threads, repeatable hypothesis examples, a guard against files left behind."""

import os

# Must be set before anything imports torch or loads another OpenMP runtime: idle threads of one would spin against the
# other's. Under pytest-xdist each process also keeps to one thread.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import json
import signal
from pathlib import Path

import hypothesis
import pytest

# A shell lets what it runs in the background ignore Ctrl-C, and processes hand that on to those they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_LEFTOVERS = {".git", ".venv", "__pycache__", ".hypothesis", ".pytest_cache", ".ruff_cache", "twincortex.egg-info"}
SOURCE_SUFFIXES = {".py", ".md", ".toml", ".yaml"}  # an editor may save these while the tests run

hypothesis.settings.register_profile("repeatable", database=None, derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


def repository_files(root: Path = REPOSITORY) -> set[Path]:
    """List what a test may not add to: every file of the repository but caches and sources."""
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_LEFTOVERS]
        found.update(Path(folder, name) for name in files if Path(name).suffix not in SOURCE_SUFFIXES)
    return found


@pytest.fixture(autouse=True)
def _no_file_left_in_the_repository():
    before = repository_files()
    yield
    left = sorted(str(path.relative_to(REPOSITORY)) for path in repository_files() - before)
    assert not left, f"files left in the repository while this test ran: {left[:5]} ({len(left)} in all). Use tmp_path."


@pytest.fixture(scope="session")
def tiny():
    """The column of size tiny, seed 1."""
    from twincortex.models.column import build_column

    return build_column("tiny", seed=1)


@pytest.fixture
def command(capsys):
    """Run a subcommand that must succeed and return the JSON it prints."""
    from twincortex.models.command_line import main

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run
