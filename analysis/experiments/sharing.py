"""Many processes for one experiment: each runs a share of the rollouts by the same command, the parts meet on disk."""

import os
import subprocess
import sys
import time

import numpy as np

from twincortex.models.errors import InputError, TwinCortexError
from twincortex.models.toolchain import count_processors

_START = "from twincortex.models.command_line import main; raise SystemExit(main())"
_SECONDS_BETWEEN_LOOKS = 0.2


def parse_share(text):
    """Read ``"2/5"``.

    Parameters
    ----------
    text : str

    Returns
    -------
    number, n_shares : int
        Number from 1.

    Raises
    ------
    InputError
    """
    number, _, n_shares = text.partition("/")
    if not (number.isdecimal() and n_shares.isdecimal() and 1 <= int(number) <= int(n_shares)):
        raise InputError(f"--share {text!r}: expected I/N, the I-th of N shares, such as 2/5.")
    return int(number), int(n_shares)


def share_of(rollouts, number, n_shares):
    """The rollouts of a share: neighbours, which may have a movie in common.

    Parameters
    ----------
    rollouts : sequence of Rollout
    number, n_shares : int
        Number from 1.

    Returns
    -------
    list of Rollout
    """
    chosen = np.array_split(np.arange(len(rollouts)), n_shares)[number - 1]
    return [rollouts[place] for place in chosen]


def run_shares(arguments, n_jobs, tell):
    """Run the shares of an experiment in processes of this machine; if one fails, the others end too.

    Parameters
    ----------
    arguments : list of str
        Of `twincortex experiment`.
    n_jobs : int
    tell : callable
        Called without arguments now and then.

    Raises
    ------
    TwinCortexError
        A process failed; with its message and exit code.
    """
    environment = {"OMP_NUM_THREADS": str(max(1, count_processors() // n_jobs)), **os.environ}
    start, parent = [sys.executable, "-c", _START, "experiment", *arguments], ["--parent", str(os.getpid())]
    processes = [
        subprocess.Popen(
            [*start, "--share", f"{number}/{n_jobs}", *parent],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(1, n_jobs + 1)
    ]
    try:
        while any(process.poll() is None for process in processes):
            _refuse_failed(processes)
            tell()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        _refuse_failed(processes)
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            process.communicate()


def _refuse_failed(processes):
    for number, process in enumerate(processes, start=1):
        if process.poll():
            said = process.stderr.read().strip().splitlines()[-5:]
            error = TwinCortexError(
                f"share {number} of {len(processes)} failed (exit code {process.returncode}): " + "\n".join(said)
            )
            error.exit_code = process.returncode if process.returncode > 0 else TwinCortexError.exit_code
            raise error


def stop_with(parent):
    """Make a check that ends this process once the one that started it is gone.

    Parameters
    ----------
    parent : int or None
        Process id.

    Returns
    -------
    callable
    """

    def check():
        if parent is not None and os.getppid() != parent:
            raise KeyboardInterrupt

    return check
