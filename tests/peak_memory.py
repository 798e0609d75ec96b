"""The largest memory that a command has held, with all the processes it starts."""

import subprocess
import tempfile
import time

import psutil

from twincortex.models.peak_memory import peak_memory

SECONDS_BETWEEN_LOOKS = 0.01


def peak_of_command(command, **options):
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
    **options
        For `subprocess.Popen`.

    Returns
    -------
    peak : int [bytes]
        Of the command and all processes that it started, at the same time.
    exit_code : int
    output : str
        What it printed.
    """
    peak = 0
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options) as process:
            while process.poll() is None:
                peak = max(peak, _memory_now(process.pid))
                time.sleep(SECONDS_BETWEEN_LOOKS)
        output.seek(0)
        return peak, process.returncode, output.read()


def _memory_now(pid):
    try:
        root = psutil.Process(pid)
        command = root.cmdline()
        # A child that has not started its program yet is its parent, counted twice.
        children = [child for child in root.children(recursive=True) if child.cmdline() != command]
        # A peak between two looks is seen afterwards, in the process that had it.
        return max(peak_memory(pid), root.memory_info().rss + sum(child.memory_info().rss for child in children))
    except (psutil.Error, OSError):
        return 0
