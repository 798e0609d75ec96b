"""Start the NEST processes, listen to them, and say what went wrong."""

import importlib.util
import subprocess
import sys
from collections import deque

from twincortex.models.errors import DivergedError, InputError, OutOfMemoryError, TwinCortexError
from twincortex.models.nest.messages import understand

_ERRORS = {kind.exit_code: kind for kind in (TwinCortexError, InputError, DivergedError, OutOfMemoryError)}
# Ended by SIGKILL, with which Linux ends what takes the last memory; as seen here, and as launchers pass it on.
_KILLED = (-9, 137)
_OUT_OF_MEMORY = (
    "memory ran out in NEST ({}). Choose a smaller circuit or a shorter duration; or more machines: --launcher starts "
    "NEST under MPI, and each machine holds its part of the connections."
)
_APART = (
    "the launcher started several NEST processes that do not see each other: each would simulate the whole circuit. "
    "This NEST was built without MPI, as those of PyPI are, or with another MPI than that of the launcher. Leave "
    "--launcher out to run one process with --threads; or build NEST with cmake -Dwith-mpi=ON, with that MPI."
)
_SECONDS_TO_END = 10
_LINES_SHOWN = 15


def run_workers(job_path, processes, progress=None):
    """Run a job to its end.

    Parameters
    ----------
    job_path : Path
    processes : Processes
    progress : callable, optional
        Called with the number of steps done.

    Returns
    -------
    n_ranks : int
        Processes that took part, each with results of its own.
    version : str
        Of NEST.

    Raises
    ------
    InputError
        NEST or the launcher is missing, NEST's processes do not see each other, or what they complain about.
    OutOfMemoryError
    TwinCortexError
        A process failed.
    """
    if importlib.util.find_spec("nest") is None:
        raise InputError(
            "NEST is not installed. Install the extra: pip install 'twincortex[nest]' (Linux); or build NEST with MPI "
            "into this Python environment, for several processes."
        )
    command = [*processes.launcher, sys.executable, "-P", "-m", "twincortex.models.nest.worker", str(job_path)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, **pipes, text=True, errors="replace")
    except OSError as error:
        raise InputError(
            f"the launcher {command[0]!r} cannot be started ({error.strerror}). Is MPI installed and on the PATH? "
            "Without --launcher NEST runs in one process with threads."
        ) from error
    listener = Listener(progress)
    with process:
        try:
            for line in process.stdout:
                listener.hear(line)
        except BaseException:
            _end(process)
            raise
    listener.check(process.returncode)
    return len(listener.finished), listener.version


def _end(process):
    """End NEST early; launchers end what they started."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


class Listener:
    """Hears what the NEST processes say.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of steps done.

    Attributes
    ----------
    finished : set of int
        Ranks that are done.
    version : str
        Of NEST.
    """

    def __init__(self, progress=None):
        self.progress = progress
        self.started, self.finished = set(), set()
        self.n_ranks, self.version = 0, None
        self.last_lines = deque(maxlen=_LINES_SHOWN)

    def hear(self, line):
        """Take in a line of output; raise what a process complains about."""
        message = understand(line)
        if message is None:
            self.last_lines.append(line.rstrip())
        elif "exit_code" in message:
            raise self._error(**message)
        elif "rank" in message:
            if message["rank"] in self.started:
                raise InputError(_APART)
            self.started.add(message["rank"])
            self.n_ranks = message["n_ranks"]
        elif "step" in message and self.progress:
            self.progress(message["step"])
        elif "finished" in message:
            self.finished.add(message["finished"])
            self.version = message["nest"]

    def check(self, exit_code):
        """Refuse a run that ended before every process was done.

        Parameters
        ----------
        exit_code : int
        """
        if self.n_ranks and len(self.finished) == self.n_ranks:
            return
        said = self._said()
        if "NEST was not compiled with MPI support" in said:
            raise InputError(_APART)
        if exit_code in _KILLED or "bad_alloc" in said:
            raise OutOfMemoryError(
                _OUT_OF_MEMORY.format("the system killed it" if exit_code in _KILLED else "bad_alloc")
            )
        raise TwinCortexError(f"NEST ended with exit code {exit_code} before it was done. {said}")

    def _error(self, exit_code, text):
        kind = _ERRORS[exit_code]
        if kind is OutOfMemoryError:
            return kind(_OUT_OF_MEMORY.format(text))
        return kind(text + self._said()) if kind is TwinCortexError else kind(text)

    def _said(self):
        return "".join(f"\n  {line}" for line in self.last_lines if line)
