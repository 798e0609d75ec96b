"""Input folders: spikes of the LGN and of the background, what they are a response to, and for which circuit."""

import json
from pathlib import Path

from twincortex.models.atomic_output import new_folder
from twincortex.models.errors import InputError
from twincortex.models.spikes import ROUNDING, read_spikes, write_spikes

MARKER = "stimulus.json"
SOURCES = ("lgn", "bkg")


def write_inputs(folder, inputs, facts, overwrite=False):
    """Write ``lgn_spikes.h5``, ``bkg_spikes.h5`` (SONATA) and ``stimulus.json``.

    Parameters
    ----------
    folder : str or Path
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
    facts : dict
        ``duration`` and ``dt`` [ms], ``topology_hash`` of the circuit, and whatever else describes the stimulus.
    overwrite : bool
    """
    with new_folder(folder, MARKER, overwrite) as partial:
        for source in SOURCES:
            write_spikes(partial / f"{source}_spikes.h5", inputs[source])
        (partial / MARKER).write_text(json.dumps(facts, indent=2) + "\n")


def read_inputs(folder, circuit):
    """Read an input folder and check that it was made for this circuit.

    Parameters
    ----------
    folder : str or Path
    circuit : Circuit
        Its weights may have changed since; its topology may not.

    Returns
    -------
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
    facts : dict

    Raises
    ------
    InputError
        A file is missing or damaged, or the spikes belong to another circuit.
    """
    folder = Path(folder)
    path = folder / MARKER
    if not path.is_file():
        raise InputError(f"{folder} holds no {MARKER}. Expected the --out folder of `twincortex stimulate`.")
    try:
        facts = json.loads(path.read_text())
        facts |= {name: float(facts[name]) for name in ("duration", "dt")}
        made_for = str(facts["topology_hash"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error!r}). Make the input again with `twincortex stimulate`.") from error
    if made_for != circuit.topology_hash:
        raise InputError(
            f"{path}: the input was made for the circuit {made_for[:12]}..., not for this one "
            f"({circuit.topology_hash[:12]}...). Make the input again for this circuit with `twincortex stimulate`."
        )
    return {source: read_spikes(folder / f"{source}_spikes.h5", source) for source in SOURCES}, facts


def check_lasts(facts, run):
    """Refuse a run that goes on after its input has ended.

    Parameters
    ----------
    facts : dict
        Of `read_inputs`.
    run : Run

    Raises
    ------
    InputError
    """
    if not run.duration <= facts["duration"] * (1 + ROUNDING):
        raise InputError(
            f"a run of {run.duration:g} ms on an input of {facts['duration']:g} ms would go on without LGN and "
            f"background. Choose --duration {facts['duration']:g} or less, or make a longer input with "
            f"`twincortex stimulate --duration {run.duration:g}`."
        )
