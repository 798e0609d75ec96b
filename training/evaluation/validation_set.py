"""Validation during training: a small held-out set, its input made once, scored with the column that is trained."""

import dataclasses

import numpy as np

from twincortex.models.recording import Run
from twincortex.models.surrogate import simulate_column
from twincortex.training.evaluation.core import find_core
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.record import describe_fano, score_network
from twincortex.training.evaluation.running import measure_responses
from twincortex.training.evaluation.scores import mean_scores
from twincortex.training.evaluation.trials import EvaluationTrials

# Enough to tell whether training still helps; fewer and shorter trials than in an evaluation make OSI and DSI of slow
# cells too large, in every update alike.
VALIDATION = EvaluationProtocol(n_trials=2, settle_ms=100.0, gray_ms=500.0, grating_ms=1000.0, n_pools=500, seed=77)


class ValidationSet:
    """Held-out trials with inputs that are made once and kept.

    Parameters
    ----------
    circuit : Circuit
    protocol : EvaluationProtocol
        Its dt has to be that of the column. The default simulates 26 s in all, in 16 trials.
    radius_um : float [um]
        Of the core that is scored.
    batch : int
        Trials at once.
    """

    def __init__(self, circuit, protocol=VALIDATION, radius_um=200.0, batch=4):
        self.protocol, self.batch = protocol, batch
        self.core = find_core(circuit, radius_um)
        trials = EvaluationTrials(circuit, protocol)
        numbers = range(protocol.n_directions * protocol.n_trials)
        self._inputs = [trials.inputs(number) for number in numbers]

    def inputs(self, number):
        """Spikes of one trial, as of `EvaluationTrials.inputs`."""
        return self._inputs[number]

    def score(self, column):
        """Measure a column as it is, without gradients.

        Parameters
        ----------
        column : surrogate.column.Column
            Of the circuit, with any weights; stays as it is.

        Returns
        -------
        dict of str -> float
            ``similarity/<quantity>``: mean over the cell types with at least 15 cells and units, for the rates, OSI and
            DSI; ``similarity``: mean of the quantities; ``fano_error/<condition>``: mean absolute error of the Fano
            curve. NaN where no type counts, or no pool fires.
        """
        run = Run(self.protocol.duration_ms, self.protocol.dt)

        def simulate(column, inputs):
            return simulate_column(column, inputs, run)[0]

        responses = measure_responses({"column": column}, self.core, self, simulate, self.batch)["column"]
        means = mean_scores(score_network(self.core, self.protocol, responses).scores)
        values = {f"similarity/{quantity}": value for quantity, (value, _, _) in means.items()}
        values["similarity"] = float(np.mean(list(values.values())))
        errors = {name: describe_fano(responses, self.protocol, name) for name in self.protocol.windows_ms}
        return values | {f"fano_error/{name}": curve["mean_absolute_error"] for name, curve in errors.items()}


def make_validation_set(circuit, config):
    """Make the set that a training run is scored with on its way.

    Parameters
    ----------
    circuit : Circuit
    config : twincortex.training.config.TrainingConfig

    Returns
    -------
    ValidationSet or None
        None where the configuration asks for no scores on the way.
    """
    shown, validation = config.protocol, config.validation
    if not validation.every:
        return None
    protocol = dataclasses.replace(
        VALIDATION,
        n_trials=validation.trials,
        dt=shown.dt,
        spatial_frequency=shown.spatial_frequency,
        temporal_frequency=shown.temporal_frequency,
        contrast=shown.contrast,
        seed=validation.seed,
    )
    return ValidationSet(circuit, protocol, config.losses.core_radius_um, shown.batch)
