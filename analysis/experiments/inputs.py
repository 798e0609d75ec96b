"""The input spikes of rollouts: LGN rates once per movie, noise by (seed, trial)."""

from twincortex.models.background import background_spikes
from twincortex.models.inputs import check_stimulable
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.randomness import stream_key


class RolloutInputs:
    """Makes the input spikes of rollouts; nothing is written to disk.

    Parameters
    ----------
    circuit : Circuit
    seed : int

    Raises
    ------
    InputError
        A movie cannot drive the circuit.
    """

    def __init__(self, circuit, seed):
        check_stimulable(circuit)
        # An integer that no training uses as its seed: noise is drawn by (seed, trial) there too.
        self._seed = int(stream_key(seed, "experiment_noise"))
        self._n_background = circuit.projections["bkg_to_v1"].n_sources
        self._lgn = LgnModel(circuit.lgn_units)
        self._movie, self._rates = None, None

    def of(self, rollout):
        """Spikes of one rollout.

        Parameters
        ----------
        rollout : Rollout

        Returns
        -------
        dict of source -> SpikeTrains
        """
        movie, noise = rollout.movie, {"seed": self._seed, "trial": rollout.noise_trial}
        return {
            "lgn": lgn_spikes(self._rates_of(movie), **noise),
            "bkg": background_spikes(movie.duration, n_units=self._n_background, **noise),
        }

    def _rates_of(self, movie):
        """Rates of the LGN; those of the last movie are kept, its rollouts follow each other."""
        if movie is not self._movie:
            self._rates = None  # freed before the next are made
            self._movie, self._rates = movie, self._lgn.rates(movie)
        return self._rates
