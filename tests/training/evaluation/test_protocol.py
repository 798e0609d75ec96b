"""What an evaluation shows: other inputs than training, the same for the same seed."""

import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.stimuli import Gray
from twincortex.training.config import Protocol
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.trials import EvaluationTrials
from twincortex.training.evaluation.validation_set import VALIDATION
from twincortex.training.stimulation import StimulusProtocol

SHORT = {"n_directions": 4, "n_trials": 2, "settle_ms": 20.0, "gray_ms": 220.0, "grating_ms": 220.0}


def spikes_of(inputs):
    return {source: (trains.times.tobytes(), trains.node_ids.tobytes()) for source, trains in inputs.items()}


def test_the_default_is_eight_directions_with_ten_trials_of_two_seconds():
    protocol = EvaluationProtocol()
    assert protocol.directions.tolist() == [0, 45, 90, 135, 180, 225, 270, 315]
    assert protocol.n_trials == 10
    assert protocol.windows_ms == {"spontaneous": (500, 2500), "evoked": (2500, 4500)}
    assert protocol.fano_windows_ms == {"spontaneous": (700, 2500), "evoked": (2700, 4500)}


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others(tiny):
    first, again = (EvaluationTrials(tiny, EvaluationProtocol(**SHORT, seed=4)).inputs(3) for _ in range(2))
    other = EvaluationTrials(tiny, EvaluationProtocol(**SHORT, seed=5)).inputs(3)
    assert spikes_of(first) == spikes_of(again)
    assert all(spikes_of(first)[source] != spikes_of(other)[source] for source in first)


def test_trials_differ_in_their_noise_and_do_not_depend_on_the_order_in_which_they_are_made(tiny):
    trials = EvaluationTrials(tiny, EvaluationProtocol(**SHORT))
    forwards = [spikes_of(trials.inputs(number)) for number in (0, 1, 5)]
    backwards = [spikes_of(trials.inputs(number)) for number in (5, 1, 0)]
    assert forwards == backwards[::-1]
    assert forwards[0]["lgn"] != forwards[1]["lgn"]
    assert forwards[0]["bkg"] != forwards[1]["bkg"]


def test_no_trial_has_the_noise_of_a_training_with_the_same_seed(tiny):
    protocol = EvaluationProtocol(**SHORT, seed=5)
    training = StimulusProtocol(tiny, Protocol(batch=8), seed=5)
    # Its trials have the numbers 0 to 7, as those of the evaluation.
    shown = training.gray(0, "settle", protocol.duration_ms).inputs["bkg"]
    trials = EvaluationTrials(tiny, protocol)
    trained = {trains.times.tobytes() for trains in shown}
    evaluated = {trials.inputs(number)["bkg"].times.tobytes() for number in range(8)}
    assert len(trained) == len(evaluated) == 8
    assert not trained & evaluated


def test_phases_are_drawn_per_direction_and_validation_has_its_own():
    phases = EvaluationProtocol().phases
    assert len(set(phases)) == 8
    assert not set(phases) & set(VALIDATION.phases)


def test_before_the_grating_units_fire_as_in_gray(tiny):
    protocol = EvaluationProtocol(**SHORT)
    trials = EvaluationTrials(tiny, protocol)
    gray = lgn_spikes(LgnModel(tiny.lgn_units).rates(Gray(protocol.duration_ms)), seed=trials.noise_seed, trial=0)
    found = trials.inputs(0)["lgn"]
    before = found.times <= protocol.onset_ms
    np.testing.assert_array_equal(found.times[before], gray.times[gray.times <= protocol.onset_ms])
    assert found.n_spikes != gray.n_spikes


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"n_trials": 0}, "n_trials 0: expected 1"),
        ({"n_directions": 2}, "n_directions 2: expected 3"),
        ({"gray_ms": 100.0}, "gray_ms 100: expected 210 ms"),
        ({"grating_ms": 1000.5}, "not a whole number of steps"),
        ({"settle_ms": -1.0}, "settle_ms -1"),
    ],
)
def test_protocols_that_cannot_be_run_or_measured_are_refused(values, complaint):
    with pytest.raises(InputError, match=complaint):
        EvaluationProtocol(**values)
