"""A process of a benchmark: ``python -m twincortex.models.benchmark.worker TASK FOLDER``.

It reads the settings in the folder, does one task, and writes its result there as JSON.
"""

import json
import sys
import traceback
from importlib import import_module
from pathlib import Path

from twincortex.models.benchmark.settings import read_settings
from twincortex.models.errors import OutOfMemoryError, TwinCortexError, is_out_of_memory

SETTINGS = "settings.json"


def result_of(task, folder):
    """File with the result of a task."""
    return folder / f"{task}.json"


def main(task, folder):
    """Do a task and write what came of it.

    Parameters
    ----------
    task : str
        ``"prepare"``, ``"bandwidth"``, or an engine.
    folder : str

    Returns
    -------
    int
        Exit code; from 1 on the result holds ``error`` and ``exit_code``.
    """
    folder = Path(folder)
    try:
        result = _do(task, read_settings(folder / SETTINGS), folder)
    except (TwinCortexError, MemoryError, RuntimeError) as error:
        if not isinstance(error, TwinCortexError):
            traceback.print_exc()
            if not is_out_of_memory(error):
                return TwinCortexError.exit_code  # without a result: what was printed tells more
            error = OutOfMemoryError(f"out of memory ({error})")
        result = {"error": str(error), "exit_code": error.exit_code}
    result_of(task, folder).write_text(json.dumps(result))
    return result.get("exit_code", 0)


def _do(task, settings, folder):
    # Only what a task needs is imported: what is set for torch would change how NEST's threads wait.
    if task == "nest":
        return _function("nest_engine", "measure_nest")(settings, folder)
    import_module("twincortex.models.before_torch")
    if task == "prepare":
        return _function("preparation", "prepare")(settings, folder)
    if task == "bandwidth":
        return _function("bandwidth", "measure_bandwidth")(settings)
    return _function("torch_engines", "measure_torch")(task, settings, folder)


def _function(module, name):
    return getattr(import_module(f"twincortex.models.benchmark.{module}"), name)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
