"""Input folders: spikes of every external source, what they are a response to, and for which circuit."""

import json
from pathlib import Path

import numpy as np

from twincortex.models.atomic_output import new_folder
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.spikes import ROUNDING, SpikeTrains, read_spikes, write_spikes

MARKER = "stimulus.json"
SILENT = "silent_sources"
STIMULATED = ("lgn", "bkg")
_SPIKES = "_spikes.h5"
_RECURRENT = "v1_to_v1"


def external_sources(circuit):
    """Populations outside the circuit that project onto it.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    dict of source -> int
        Number of units of each, ``"lgn"`` and ``"bkg"`` in a column.
    """
    projections = {name: projection for name, projection in circuit.projections.items() if name != _RECURRENT}
    return {name.removesuffix("_to_v1"): projection.n_sources for name, projection in projections.items()}


def check_stimulable(circuit):
    """Refuse a circuit whose sources are not those that a movie can drive.

    Parameters
    ----------
    circuit : Circuit

    Raises
    ------
    InputError
    """
    sources = external_sources(circuit)
    if set(sources) != set(STIMULATED) or not len(circuit.lgn_units):
        raise InputError(
            f"this circuit gets its input from {', '.join(sources) or 'nothing'}; a movie can drive an lgn with "
            "filters, and bkg. Give it spikes of its own with `twincortex import-spikes`."
        )


def write_inputs(folder, inputs, facts, overwrite=False):
    """Write ``<source>_spikes.h5`` (SONATA) for every source, and ``stimulus.json``.

    Parameters
    ----------
    folder : str or Path
    inputs : dict of source -> SpikeTrains
        ``"lgn"`` and ``"bkg"`` in a column.
    facts : dict
        ``duration`` and ``dt`` [ms], ``topology_hash`` of the circuit, and whatever else describes the stimulus;
        ``silent_sources`` where a source of the circuit is left out.
    overwrite : bool
    """
    with new_folder(folder, MARKER, overwrite) as partial:
        for source, trains in inputs.items():
            write_spikes(partial / f"{source}{_SPIKES}", trains)
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
    inputs : dict of source -> SpikeTrains
        One per external source of the circuit.
    facts : dict

    Raises
    ------
    InputError
        A file is missing or damaged, or the spikes belong to another circuit.
    """
    folder = Path(folder)
    path = folder / MARKER
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {MARKER}. Expected the --out folder of `twincortex stimulate` or `import-spikes`."
        )
    facts, made_for, silent = _read_facts(path)
    if made_for != circuit.topology_hash:
        raise InputError(
            f"{path}: the input was made for the circuit {made_for[:12]}..., not for this one "
            f"({circuit.topology_hash[:12]}...). Make the input again for this circuit with `twincortex stimulate`."
        )
    sources = external_sources(circuit)
    odd = sorted(file.name for file in folder.glob(f"*{_SPIKES}") if file.name.removesuffix(_SPIKES) not in sources)
    odd += [name for name in silent if name not in sources]
    if odd:
        hint = near_name_hint(odd[0].removesuffix(_SPIKES), sources)
        raise InputError(f"{folder}: {odd[0]} is of a source that the circuit lacks; {hint}. Remove it.")
    return {name: _read_source(folder, name, n_units, name in silent) for name, n_units in sources.items()}, facts


def _read_facts(path):
    """Facts of the stimulus, hash of the circuit it was made for, sources that are silent."""
    try:
        facts = json.loads(path.read_text())
        facts |= {name: float(facts[name]) for name in ("duration", "dt")}
        silent = facts.get(SILENT, [])
        if not isinstance(silent, list) or not all(isinstance(name, str) for name in silent):
            raise TypeError(f"{SILENT} is {silent!r:.40}")
        return facts, str(facts["topology_hash"]), silent
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error!r}). Make the input again with `twincortex stimulate`.") from error


def _read_source(folder, name, n_units, is_silent):
    path = folder / f"{name}{_SPIKES}"
    if not is_silent:
        return read_spikes(path, name, n_units)
    if path.exists():
        raise InputError(f"{path} holds spikes of a source that {MARKER} calls silent. Make the input again.")
    return SpikeTrains(name, n_units, np.zeros(0), np.zeros(0, dtype=np.int64))


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
            f"a run of {run.duration:g} ms on an input of {facts['duration']:g} ms would go on without "
            f"input. Choose --duration {facts['duration']:g} or less, or make a longer input with "
            f"`twincortex stimulate --duration {run.duration:g}`."
        )
