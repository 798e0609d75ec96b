"""Errors of twincortex: one root, few children, each with the exit code of the command line."""

import difflib


class TwinCortexError(Exception):
    """Anything twincortex refuses to do; the text says what, where, what was expected and what to do."""

    exit_code = 1


class InputError(TwinCortexError):
    """A file, table, argument or circuit is not what it has to be."""

    exit_code = 2


class FileError(InputError):
    """Something in a file is not what it has to be; carries the place, for lists of findings.

    Attributes
    ----------
    file : str or None
    dataset : str or None
        Name inside an HDF5 file, column of a table or entry of a JSON file.
    index : tuple of int
        First offending rows.
    """

    def __init__(self, message, file=None, dataset=None, index=()):
        super().__init__(message)
        self.file = None if file is None else str(file)
        self.dataset = dataset
        self.index = tuple(int(i) for i in index[:5])


class DivergedError(TwinCortexError):
    """A simulation or a training run produced values that are not finite."""

    exit_code = 3


class OutOfMemoryError(TwinCortexError):
    """The work does not fit in the memory of the machine or of the device."""

    exit_code = 4


def is_out_of_memory(error):
    """Tell whether an exception of Python, numpy or torch says that memory ran out.

    What torch raises has a type of its own on GPUs only.
    """
    signs = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def first_offenders(indices, limit=5):
    """Name the first few offending indices and how many there are.

    Parameters
    ----------
    indices : sequence of int or str
    limit : int
        How many to spell out.

    Returns
    -------
    str
        For example ``"3, 17, 44, 52, 60, ... (1,204 in all)"``.
    """
    shown = ", ".join(str(index) for index in indices[:limit])
    return shown if len(indices) <= limit else f"{shown}, ... ({len(indices):,} in all)"


def near_name_hint(name, known):
    """Suggest the known name nearest to an unknown one.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str
        ``"did you mean 'tiny'? Known: core, full, ..."``.
    """
    known = sorted(known)
    lower = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1)
    hint = f"did you mean {lower[near[0]]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}"
