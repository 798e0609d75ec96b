"""Validation during training: cheap, held out, and without a trace on the column."""

import numpy as np
import pytest
import torch

from twincortex.models.errors import InputError
from twincortex.models.surrogate import make_column
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.record import describe_fano, score_network
from twincortex.training.evaluation.running import measure_responses, simulate_with
from twincortex.training.evaluation.scores import mean_scores
from twincortex.training.evaluation.trials import EvaluationTrials
from twincortex.training.evaluation.validation_set import VALIDATION, ValidationSet

PROTOCOL = EvaluationProtocol(n_directions=4, n_trials=1, settle_ms=20.0, gray_ms=300.0, grating_ms=300.0, n_pools=50)


@pytest.fixture(scope="module")
def validation(tiny):
    return ValidationSet(tiny, PROTOCOL)


@pytest.fixture(scope="module")
def column(tiny):
    return make_column(tiny, dtype=torch.float32)


def test_scores_are_those_of_an_evaluation_with_the_same_protocol(validation, column, tiny):
    simulate = simulate_with("torch", PROTOCOL, "float32")
    responses = measure_responses({"c": tiny}, validation.core, EvaluationTrials(tiny, PROTOCOL), simulate)["c"]
    means = mean_scores(score_network(validation.core, PROTOCOL, responses).scores)
    scores = validation.score(column)
    assert {name: scores[f"similarity/{name}"] for name in means} == {name: mean for name, (mean, *_) in means.items()}
    for name in PROTOCOL.windows_ms:
        assert scores[f"fano_error/{name}"] == describe_fano(responses, PROTOCOL, name)["mean_absolute_error"]
    assert scores["similarity"] == pytest.approx(np.mean([mean for mean, *_ in means.values()]))


def test_the_same_column_gets_the_same_scores_and_other_weights_others(validation, column, trained):
    first = validation.score(column)
    assert validation.score(column) == first
    assert validation.score(make_column(trained, dtype=torch.float32)) != first


def test_scoring_leaves_no_trace_on_the_column(validation, column):
    before = {name: weight.detach().clone() for name, weight in column.weights.items()}
    assert torch.is_grad_enabled()
    validation.score(column)
    assert torch.is_grad_enabled()
    for name, weight in column.weights.items():
        assert torch.equal(weight, before[name])
        assert weight.grad is None


def test_the_default_simulates_less_than_half_a_minute():
    n_trials = VALIDATION.n_directions * VALIDATION.n_trials
    assert n_trials == 16
    assert n_trials * VALIDATION.duration_ms < 30_000


def test_a_column_of_another_time_step_is_refused(validation, tiny):
    with pytest.raises(InputError, match=r"dt 1 ms on a column of dt 0\.5 ms"):
        validation.score(make_column(tiny, dt=0.5, dtype=torch.float32))


def test_validation_repeats_no_input_of_an_evaluation(tiny):
    noise = [EvaluationTrials(tiny, protocol).noise_seed for protocol in (VALIDATION, EvaluationProtocol())]
    assert noise[0] != noise[1]
