"""Start the processes of a benchmark, and end one before it takes the memory of the whole machine."""

import json
import subprocess
import sys

import psutil

from twincortex.models.available_memory import available_memory
from twincortex.models.benchmark.worker import result_of
from twincortex.models.errors import DivergedError, InputError, OutOfMemoryError, TwinCortexError

_ERRORS = {kind.exit_code: kind for kind in (TwinCortexError, InputError, DivergedError, OutOfMemoryError)}
# Of the memory that is available at the start; the system needs some, and other programs may ask for more.
MEMORY_SHARE = 0.9
_SECONDS_BETWEEN_LOOKS = 0.2
_LINES_SHOWN = 15


def run_task(task, folder, memory_limit=None):
    """Do a task in a process of its own.

    Parameters
    ----------
    task : str
        See `worker.main`.
    folder : Path
        Holds the settings.
    memory_limit : float, optional
        Of the process and those that it starts [bytes]. Default: MEMORY_SHARE of what is available.

    Returns
    -------
    dict

    Raises
    ------
    TwinCortexError
        What the process complains about; OutOfMemoryError where it went beyond the limit.
    """
    limit = MEMORY_SHARE * available_memory() if memory_limit is None else memory_limit
    command = [sys.executable, "-P", "-m", "twincortex.models.benchmark.worker", task, str(folder)]
    log = folder / f"{task}.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait(process, limit)
        except BaseException:
            _end_all(process)
            raise
    path = result_of(task, folder)
    result = json.loads(path.read_text()) if path.exists() else _without_result(process.returncode, log)
    if "error" in result:
        raise _ERRORS.get(result["exit_code"], TwinCortexError)(result["error"])
    return result


def _wait(process, limit):
    while True:
        try:
            process.wait(_SECONDS_BETWEEN_LOOKS)
            return
        except subprocess.TimeoutExpired:
            held = _memory_of_all(process.pid)
        if held > limit:
            raise OutOfMemoryError(
                f"ended when it held {held / 1e9:.3g} GB; {limit / 1e9:.3g} GB may be taken here. Choose a smaller "
                "circuit, fewer trials or a shorter duration."
            )


def _family(pid):
    try:
        root = psutil.Process(pid)
        return [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return []


def _memory_of_all(pid):
    held = 0
    for process in _family(pid):
        try:
            held += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return held


def _end_all(process):
    for one in _family(process.pid):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def _without_result(exit_code, log):
    if exit_code == -9:  # with which Linux ends what takes the last memory
        return {"error": "the system killed it: out of memory.", "exit_code": OutOfMemoryError.exit_code}
    said = "\n  ".join(log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:])
    return {"error": f"ended with exit code {exit_code}:\n  {said}", "exit_code": TwinCortexError.exit_code}
