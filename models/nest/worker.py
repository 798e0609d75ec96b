"""A NEST process: ``python -m twincortex.models.nest.worker JOB.json``, alone or as one of several under MPI.

It reads SONATA files and writes its neurons' spikes; what it has to say goes to stdout in `messages`.
"""

import os
import sys
import traceback

from twincortex.models.errors import OutOfMemoryError, TwinCortexError
from twincortex.models.nest.job import read_job
from twincortex.models.nest.messages import tell


def main(path):
    """Run a job and report how it ended.

    Parameters
    ----------
    path : str

    Returns
    -------
    int
        Exit code.
    """
    try:
        from twincortex.models.nest.execution import run_job

        run_job(read_job(path))
    except Exception as caught:
        # NEST has some sixty kinds, and the process that waits wants to hear of all of them.
        error = _as_ours(caught)
        if error is not caught:
            traceback.print_exception(caught)
        tell(exit_code=error.exit_code, text=str(error))
        return error.exit_code
    return 0


def _as_ours(error):
    if isinstance(error, TwinCortexError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(str(error))
    return TwinCortexError(f"NEST failed with {type(error).__name__}: {error}")


if __name__ == "__main__":
    code = main(sys.argv[1])
    if code:
        # Without what NEST and MPI do at exit: there they would wait for the other processes.
        os._exit(code)
