"""Spikes from files made by others, for the external sources of a circuit."""

import numpy as np

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.hdf5.access import names_in
from twincortex.models.hdf5.reading import open_hdf5, read_dataset, read_group
from twincortex.models.hdf5.structure import refuse_dangerous
from twincortex.models.spikes import SpikeTrains, read_spikes

_OLD_IDS = ("gids", "node_ids")


def import_spikes(path, source, n_units, names=()):
    """Read the spikes of one source from a SONATA spike file of any origin.

    Parameters
    ----------
    path : str or Path
        ``/spikes/<population>/{timestamps,node_ids}``, or the older ``/spikes/{timestamps,gids}``; sorted or not;
        times in ms, or in s where the file says so.
    source : str
        What the population is called in the circuit.
    n_units : int
        Of the source.
    names : sequence of str
        What else the population may be called in the file.

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        The file is missing or damaged, holds several populations of other names, or ids the source lacks.
    """
    refuse_dangerous([path])
    with open_hdf5(path) as file:
        spikes = read_group(file, "spikes")
        found = names_in(spikes)
        if "timestamps" in found:
            times = read_dataset(spikes, "timestamps")
            ids = read_dataset(
                spikes, next((name for name in _OLD_IDS if name in found), _OLD_IDS[0]), len(times), True
            )
            return SpikeTrains(source, n_units, times, ids.astype(np.int64))
    known = [name for name in (source, *names) if name in found]
    if not known and len(found) != 1:
        hint = near_name_hint(source, found)
        raise InputError(f"{path}:/spikes holds no population {source!r}; {hint}. Expected it, or a single one.")
    trains = read_spikes(path, known[0] if known else found[0], n_units)
    return SpikeTrains(source, n_units, trains.times, trains.node_ids)
