"""An evaluation as JSON: protocol, engine and hashes; per network the table of similarities, Fano curves, agreement."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from twincortex.training.evaluation.agreement import preferred_direction_agreement
from twincortex.training.evaluation.pools import fano_bins
from twincortex.training.evaluation.scores import mean_scores, score_core
from twincortex.training.evaluation.synaptic_weights import (
    MIN_CONNECTIONS,
    compare_pairs,
    count_violations,
    mean_weight_similarity,
)


@dataclass(frozen=True)
class NetworkResult:
    """What an evaluation found of one network.

    Attributes
    ----------
    responses : Responses
    tuning : Tuning
    scores : list of Score
    """

    responses: object
    tuning: object
    scores: list


def score_network(core, protocol, responses, n_bootstrap=0):
    """Measure and score one network.

    Parameters
    ----------
    core : Core
    protocol : EvaluationProtocol
    responses : Responses
    n_bootstrap : int

    Returns
    -------
    NetworkResult
    """
    tuning = responses.tuning(protocol)
    return NetworkResult(responses, tuning, score_core(core, tuning, n_bootstrap, protocol.random("bootstrap")))


def describe_network(core, protocol, result, circuit):
    """What is said of one network in evaluation.json.

    Parameters
    ----------
    core : Core
    protocol : EvaluationProtocol
    result : NetworkResult
    circuit : Circuit

    Returns
    -------
    dict
    """
    means = mean_scores(result.scores)
    mean = {
        name: {"similarity": value, "interval": interval, "n_types": n} for name, (value, interval, n) in means.items()
    }
    rates = {
        name: float(getattr(result.tuning, name)[core.neurons].mean()) if len(core.neurons) else None
        for name in ("evoked_rate_Hz", "spontaneous_rate_Hz")
    }
    return {
        "weights_hash": circuit.weights_hash,
        "mean_similarity": mean,
        "mean_rate_of_core": rates,
        "table": _table(result.scores),
        "fano": {name: describe_fano(result.responses, protocol, name) for name in protocol.windows_ms},
        "preferred_direction": preferred_direction_agreement(core, result.tuning, circuit.nodes.tuning_angle),
    }


def _table(scores):
    rows = {}
    for score in scores:
        found = score.similarity
        rows.setdefault(score.name, {})[score.quantity] = {
            "similarity": found.value,
            "interval": found.interval,
            "lowered_by_resampling": found.value - found.resampled.mean() if len(found.resampled) else None,
            "n_model": found.n[0],
            "n_recorded": found.n[1],
            "median_model": score.median[0],
            "median_recorded": score.median[1],
            "in_mean": not score.flag,
            "flag": score.flag,
        }
    return rows


def describe_fano(responses, protocol, condition):
    """Fano curve of the model beside that of the recordings.

    Parameters
    ----------
    responses : Responses
    protocol : EvaluationProtocol
    condition : str

    Returns
    -------
    dict
        bin_ms, model, recorded, their mean absolute error, and the number of pools that fired.
    """
    start, stop = protocol.fano_windows_ms[condition]
    bin_ms, recorded = fano_bins(stop - start, condition)
    model, n_pools = responses.fano_curve(condition)
    return {
        "bin_ms": bin_ms.tolist(),
        "model": model.tolist(),
        "recorded": recorded.tolist(),
        "mean_absolute_error": float(np.abs(model - recorded).mean()),
        "n_pools": n_pools,
    }


def describe_weights(before, after):
    """What is said of the weights of a run in evaluation.json.

    Parameters
    ----------
    before, after : Circuit

    Returns
    -------
    dict
    """
    pairs = compare_pairs(before, after)
    mean, n_pairs = mean_weight_similarity(pairs)
    return {
        "mean_similarity": mean,
        "n_pairs": n_pairs,
        "min_connections": MIN_CONNECTIONS,
        "projections": count_violations(before, after),
        "pairs": [dataclasses.asdict(pair) for pair in pairs],
    }


def ready_for_json(value):
    """The same with None for numbers that are not finite, and lists for tuples and arrays.

    Parameters
    ----------
    value : anything made of dicts, sequences, strings and numbers

    Returns
    -------
    anything json.dumps takes with allow_nan=False
    """
    if isinstance(value, dict):
        return {str(key): ready_for_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [ready_for_json(item) for item in value]
    if isinstance(value, np.generic):
        return ready_for_json(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
