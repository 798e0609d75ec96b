"""How the command ends: every failure is one message on stderr and an exit code."""

import os
import sys

from twincortex.models.errors import OutOfMemoryError, TwinCortexError, is_out_of_memory
from twincortex.training.interruption import interrupt_on_signals
from twincortex.training.memory_check import KNOBS

INTERRUPTED = 130


def run_as_program(main):
    """Run a command and turn what it raises into an exit code.

    Parameters
    ----------
    main : callable
        Without arguments.

    Returns
    -------
    int
        0 done, 2 bad input, 3 diverged, 4 out of memory, 130 interrupted.
    """
    interrupt_on_signals()
    try:
        main()
    except TwinCortexError as error:
        return _complain(error, error.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _complain(f"out of memory ({error}). {KNOBS}", OutOfMemoryError.exit_code)
    except KeyboardInterrupt as stop:
        return _complain(f"interrupted; {str(stop) or 'nothing has been written'}.", INTERRUPTED)
    return 0


def _complain(message, exit_code):
    rank = os.environ.get("RANK", "0")  # set by torchrun
    name = "train.py" if rank == "0" else f"train.py, process {rank}"
    sys.stderr.write(f"{name}: {message}\n")
    return exit_code
