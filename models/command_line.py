"""``twincortex``: finds its subcommands as entry points and imports only the one that runs.

A subcommand is a function that takes its arguments as a list of str, listed under ``twincortex.commands`` in
``pyproject.toml``; its docstring's first line is its help. It may return an exit code.
"""

import argparse
import json
import os
import signal
import sys
import time
import warnings
from importlib.metadata import entry_points, version

from twincortex.models.errors import InputError, OutOfMemoryError, TwinCortexError, is_out_of_memory, near_name_hint

GROUP = "twincortex.commands"
INTERRUPTED = 130
READER_LEFT = 141  # what a shell reports of a program that SIGPIPE ended
_SECONDS_TO_TIDY_UP = 10.0
# The order in which a newcomer meets them; others follow in the order of the alphabet.
_ORDER = (
    *("build", "info", "stimulate", "simulate", "compare", "validate", "evaluate", "report", "pack"),
    *("import", "check", "import-spikes", "benchmark", "doctor"),
)


def main(arguments=None):
    """Run ``twincortex``.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process.

    Returns
    -------
    int
        0 done, 1 a program failed, 2 bad input, 3 diverged, 4 out of memory, 5 not equal (validate), 130 interrupted,
        141 what read the output (such as `head`) had enough.
    """
    # Brian2 asks setuptools for the environment of a C++ compiler in a way that it warns about; no user can act on it.
    warnings.filterwarnings("ignore", message="_get_vc_env is private")
    if arguments is None:
        arguments = sys.argv[1:]
        _turn_signals_into_interrupts()
    try:
        try:
            return _run_command(arguments)
        finally:
            sys.stdout.flush()  # while a reader that left can still be told from a failure
    except BrokenPipeError:
        if not _reader_left():
            raise
        return READER_LEFT
    except TwinCortexError as error:
        return _complain(str(error), error.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        advice = f"out of memory ({error}). Choose a smaller size or a shorter duration."
        return _complain(advice, OutOfMemoryError.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing half-written was left behind.", INTERRUPTED)


def _turn_signals_into_interrupts():
    """Let the signals that end jobs (SIGTERM) and sessions (SIGHUP) tidy up as Ctrl-C does."""
    last = -_SECONDS_TO_TIDY_UP

    def interrupt(number, frame):
        # A second one soon after the first would break off the tidying up.
        nonlocal last
        if time.monotonic() - last >= _SECONDS_TO_TIDY_UP:
            last = time.monotonic()
            raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # there is no SIGHUP on Windows
        # What nohup, or a shell for work in the background, told to ignore stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def _reader_left():
    """Tell whether nobody reads our output any more; if so, drop what Python would flush to it at the end."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _run_command(arguments):
    commands = {entry.name: entry for entry in entry_points(group=GROUP)}
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_describe(commands))
        return 0
    if name == "--version":
        print(f"twincortex {version('twincortex')}")
        return 0
    if name not in commands:
        raise InputError(
            f"unknown subcommand {name!r}; {near_name_hint(name, commands)}. `twincortex --help` lists them."
        )
    return commands[name].load()(arguments[1:]) or 0


def _describe(commands):
    names = [name for name in _ORDER if name in commands] + sorted(set(commands) - set(_ORDER))
    lines = [f"  {name:<13} {_first_line(commands[name].load())}" for name in names]
    return "\n".join(
        [
            "usage: twincortex <subcommand> ...",
            "       twincortex --version",
            "",
            "One cortical circuit, run by two engines that agree spike for spike, and by NEST.",
            "",
            *lines,
            "",
            "`twincortex <subcommand> --help` says what it takes. Exit codes: 0 done, 1 a program failed",
            "(compilation, simulation), 2 bad input, 3 diverged, 4 out of memory, 5 not equal (validate),",
            "130 interrupted, 141 the reader of the output left.",
        ]
    )


def _first_line(function):
    return (function.__doc__ or "").strip().split("\n")[0]


def _complain(message, exit_code):
    print(f"twincortex: {message}", file=sys.stderr)
    return exit_code


class CommandParser(argparse.ArgumentParser):
    """Parser whose complaints are InputErrors that suggest the nearest option."""

    def error(self, message):
        """Raise instead of leaving the process."""
        raise InputError(f"{message}. `{self.prog} --help` says what it takes.")

    def parse_args(self, args=None, namespace=None):
        """Parse, and refuse what is not understood."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for argument in args:
            name = argument.split("=")[0]
            if name.startswith("--") and name not in known:
                self.error(f"unknown option {name!r}; {near_name_hint(name, known)}")
        return super().parse_args(args, namespace)


def command_parser(function, name=None):
    """Start the parser of a subcommand.

    Parameters
    ----------
    function : callable
        The subcommand; gives the description.
    name : str, optional
        Name of the subcommand where the function has another.

    Returns
    -------
    CommandParser
    """
    name = f"twincortex {name or function.__name__}"
    return CommandParser(name, description=_first_line(function), allow_abbrev=False)


def add_output_options(parser):
    """Add ``--out`` and ``--overwrite``."""
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder to write; whole or not at all")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier output of the same command")


def print_json(content):
    """Print a result as JSON; None stands for what was not measured."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_table(content):
    """Print a dict of dicts as a table for people."""
    for title, rows in content.items():
        print(title)
        for name, value in rows.items():
            text = ", ".join(value) if isinstance(value, list) else value
            print(f"  {name:<15} {'-' if text in (None, '') else text}")
