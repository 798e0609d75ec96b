"""One file per rollout, whole or not there: what a killed experiment has when it is run again."""

import zipfile
from dataclasses import dataclass

import numpy as np

from twincortex.analysis.experiments.table import digest_of
from twincortex.models.atomic_output import new_file
from twincortex.models.errors import InputError
from twincortex.models.observables import rates_of

FOLDER = "parts"
MAX_COUNT = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Part:
    """What is kept of one rollout.

    Attributes
    ----------
    counts : (n_windows, N) uint16 array
        Spikes of every neuron in every window of the rollout.
    times : (n,) float64 array [ms]
    ids : (n,) int64 array
        Spikes of the core, where the rollout keeps them.
    """

    counts: np.ndarray
    times: np.ndarray
    ids: np.ndarray


def measure(rollout, trains, is_core):
    """Reduce the spikes of a rollout to what is kept.

    Parameters
    ----------
    rollout : Rollout
    trains : SpikeTrains
        Of population v1.
    is_core : (N,) bool array

    Returns
    -------
    Part

    Raises
    ------
    InputError
        A neuron spikes more often in a window than 16 bits count.
    """
    counts = np.zeros((len(rollout.windows), trains.n_units), dtype=np.uint16)
    for row, window in zip(counts, rollout.windows, strict=True):
        found = np.rint(rates_of(trains, window.start_ms, window.stop_ms) * (window.length_ms / 1000))
        if found.max(initial=0) > MAX_COUNT:
            raise InputError(
                f"rollout {rollout.name}: {found.max():.0f} spikes in a window; expected {MAX_COUNT} at most."
            )
        row[:] = found
    kept = is_core[trains.node_ids] if rollout.keeps_spikes else np.zeros(trains.n_spikes, dtype=bool)
    return Part(counts, trains.times[kept], trains.node_ids[kept])


class Parts:
    """The parts of an experiment, in a folder.

    Parameters
    ----------
    folder : Path
        Of the experiment; need not exist.
    identity : dict
        All that decides the results beside the rollouts themselves, ready for JSON.
    """

    def __init__(self, folder, identity):
        self.folder = folder / FOLDER
        self._identity = identity

    def _path(self, rollout):
        return self.folder / f"{rollout.name}.npz"

    def _digest(self, rollout):
        return digest_of([self._identity, rollout.description()])

    def write(self, rollout, part):
        """Write a part.

        Parameters
        ----------
        rollout : Rollout
        part : Part
        """
        with new_file(self._path(rollout)) as partial, partial.open("wb") as file:
            np.savez_compressed(file, identity=np.array(self._digest(rollout)), **vars(part))

    def find(self, rollout):
        """Read a part.

        Parameters
        ----------
        rollout : Rollout

        Returns
        -------
        Part or None
            None where there is none, or one that is damaged or of something else: it is simulated again.
        """
        try:
            with open(self._path(rollout), "rb") as opened, np.load(opened) as file:
                if str(file["identity"]) == self._digest(rollout):
                    return Part(**{name: file[name] for name in ("counts", "times", "ids")})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass
        return None

    def missing(self, rollouts):
        """Those of some rollouts that have no part yet, list of Rollout."""
        return [rollout for rollout in rollouts if self.find(rollout) is None]

    def count_files(self):
        """Number of parts that are there, whatever they hold."""
        return len(list(self.folder.glob("[!.]*.npz")))
