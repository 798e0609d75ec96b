"""Refuse a training that does not fit into memory before it starts, and say what would help."""

import bisect

from twincortex.models.available_memory import available_memory
from twincortex.models.errors import OutOfMemoryError
from twincortex.models.memory_checks import gigabytes, require_memory
from twincortex.models.memory_forecast import held_out_memory, run_counts, training_memory

KNOBS = (
    "Choose a smaller protocol.batch, shorter rollouts (protocol.evoked_ms, protocol.spontaneous_ms) or a smaller "
    "circuit."
)


def check_training(circuit, config):
    """Refuse a training whose updates, or whose held-out test after them, do not fit.

    Parameters
    ----------
    circuit : CircuitCounts
    config : twincortex.training.config.TrainingConfig

    Raises
    ------
    OutOfMemoryError
    """
    if config.ignore_memory_forecast:
        return
    require_memory(
        _describe(circuit, config),
        memory_of(circuit, config, config.protocol.batch),
        f"{KNOBS}{_batch_that_fits(circuit, config)} Or set ignore_memory_forecast to true to try all the same.",
    )


def explain_out_of_memory(error, circuit, config):
    """Turn what Python, numpy or torch raise when memory ends into an error that says what was forecast and what helps.

    Parameters
    ----------
    error : Exception
    circuit : CircuitCounts
    config : twincortex.training.config.TrainingConfig

    Returns
    -------
    OutOfMemoryError
    """
    forecast = gigabytes(memory_of(circuit, config, config.protocol.batch))
    return OutOfMemoryError(
        f"out of memory while {_describe(circuit, config)}: about {forecast:g} GB were forecast, "
        f"{gigabytes(available_memory()):g} GB are available. {KNOBS} ({error})"
    )


def memory_of(circuit, config, batch):
    """Forecast the memory of train.py.

    Parameters
    ----------
    circuit : CircuitCounts
    config : twincortex.training.config.TrainingConfig
    batch : int

    Returns
    -------
    float [bytes]
    """
    protocol, validation = config.protocol, config.validation
    run = run_counts(validation.gray_ms + validation.grating_ms, protocol.dt, len(validation.directions))
    return training_memory(
        circuit,
        config.optimization.projections,
        batch,
        round(_longest(protocol) / protocol.dt),
        held_out_memory(validation.engine, circuit, run),
        config.engine,
    )


def _describe(circuit, config):
    protocol = config.protocol
    return (
        f"training {circuit.n_neurons:,} neurons with {circuit.n_connections:.2g} connections on {protocol.batch} "
        f"trials of {_longest(protocol):g} ms"
    )


def _longest(protocol):
    return max(protocol.evoked_ms, protocol.spontaneous_ms, protocol.settle_ms)


def _batch_that_fits(circuit, config):
    batches = range(1, config.protocol.batch)
    n_fitting = bisect.bisect(batches, available_memory(), key=lambda batch: memory_of(circuit, config, batch))
    if not n_fitting:
        return f" One trial alone needs {gigabytes(memory_of(circuit, config, 1))} GB."
    return f" A batch of {n_fitting} would fit."
