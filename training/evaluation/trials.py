"""The input spikes of an evaluation, trial by trial."""

from twincortex.models.background import background_spikes
from twincortex.models.inputs import check_stimulable
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.randomness import stream_key
from twincortex.models.stimuli import DriftingGrating


class EvaluationTrials:
    """Makes the input spikes of an evaluation, the same for every network of one topology.

    Parameters
    ----------
    circuit : Circuit
    protocol : EvaluationProtocol

    Attributes
    ----------
    noise_seed : int
        Of LGN and background spikes.

    Raises
    ------
    InputError
        A movie cannot drive the circuit.
    """

    def __init__(self, circuit, protocol):
        check_stimulable(circuit)
        self.protocol = protocol
        self._n_background = circuit.projections["bkg_to_v1"].n_sources
        self._lgn = LgnModel(circuit.lgn_units)
        self._rates = (None, None)
        # An integer that no training uses as its seed: noise is drawn by (seed, trial) in both.
        self.noise_seed = int(stream_key(protocol.seed, "evaluation_noise"))

    def inputs(self, number):
        """Spikes of one trial.

        Parameters
        ----------
        number : int
            The trials of the first direction come first.

        Returns
        -------
        dict of source -> SpikeTrains
        """
        protocol = self.protocol
        return {
            "lgn": lgn_spikes(self._rates_of(number // protocol.n_trials), seed=self.noise_seed, trial=number),
            "bkg": background_spikes(
                protocol.duration_ms, seed=self.noise_seed, trial=number, n_units=self._n_background
            ),
        }

    def _rates_of(self, direction):
        """Rates of the LGN; those of the last direction are kept, its trials follow each other."""
        if self._rates[0] != direction:
            self._rates = (None, None)  # freed before the next are made
            protocol = self.protocol
            movie = DriftingGrating(
                duration=protocol.duration_ms,
                direction=float(protocol.directions[direction]),
                phase=float(protocol.phases[direction]),
                onset=protocol.onset_ms,
                spatial_frequency=protocol.spatial_frequency,
                temporal_frequency=protocol.temporal_frequency,
                contrast=protocol.contrast,
            )
            self._rates = (direction, self._lgn.rates(movie))
        return self._rates[1]
