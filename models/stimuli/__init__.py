"""Movies that the LGN sees: 80 x 120 pixels of one degree, 1,000 frames a second, luminance -1 to 1 around gray 0.

A new stimulus is one dataclass with one method, ``luminance``, or, where pictures stand still, ``pictures`` and
``scenes``; and one row in ``STIMULI``. Its parameters are fields made by ``parameter``, from which
``stimulus_options`` lists them for the command line.
"""

import dataclasses

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.stimuli.gratings import DriftingGrating
from twincortex.models.stimuli.movie import FRAME, N_COLUMNS, N_ROWS, Gray, Movie, RecordedMovie, pixel_centres
from twincortex.models.stimuli.still_pictures import FullFieldFlash, ImageSequence, StaticGrating, StillPictures

__all__ = [
    "FRAME",
    "N_COLUMNS",
    "N_ROWS",
    "STIMULI",
    "DriftingGrating",
    "FullFieldFlash",
    "Gray",
    "ImageSequence",
    "Movie",
    "RecordedMovie",
    "StaticGrating",
    "StillPictures",
    "make_stimulus",
    "pixel_centres",
    "stimulus_options",
]

STIMULI = {"gray": Gray, "grating": DriftingGrating, "static-grating": StaticGrating, "flash": FullFieldFlash}


def make_stimulus(name, duration, **parameters):
    """Make a stimulus of the table by its name.

    Parameters
    ----------
    name : str
        ``"gray"``, ``"grating"``, ``"static-grating"`` or ``"flash"``.
    duration : float [ms]
    **parameters
        The other attributes of the stimulus, for example ``direction=45.0``.

    Returns
    -------
    Movie

    Raises
    ------
    InputError
        Unknown stimulus or parameter, or a value it cannot have.
    """
    if name not in STIMULI:
        raise InputError(f"stimulus {name!r} does not exist; {near_name_hint(name, STIMULI)}.")
    known = {field.name for field in _parameters(STIMULI[name])}
    for parameter in parameters:
        if parameter not in known:
            hint = near_name_hint(parameter, known) if known else "it has no parameters but its duration"
            raise InputError(f"stimulus {name!r} has no parameter {parameter!r}; {hint}.")
    return STIMULI[name](duration=duration, **parameters)


def stimulus_options():
    """Parameters of all stimuli of the table, for the command line.

    Returns
    -------
    dict of str -> (float, str)
        Name of the parameter to its default and what it means, unit included. A name means the same in all stimuli.
    """
    fields = [field for stimulus in STIMULI.values() for field in _parameters(stimulus)]
    return {field.name: (field.default, field.metadata["help"]) for field in fields}


def _parameters(stimulus):
    return [field for field in dataclasses.fields(stimulus) if field.name != "duration"]
