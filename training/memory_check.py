"""Refuse a training that does not fit into memory before it starts, and say what would help."""

from twincortex.models.available_memory import available_memory
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
    protocol = config.protocol
    require_memory(
        f"training {circuit.n_neurons:,} neurons with {circuit.n_connections:.2g} connections on {protocol.batch} "
        f"trials of {_longest(protocol):g} ms",
        memory_of(circuit, config, protocol.batch),
        f"{KNOBS}{_batch_that_fits(circuit, config)} Or set ignore_memory_forecast to true to try all the same.",
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


def _longest(protocol):
    return max(protocol.evoked_ms, protocol.spontaneous_ms, protocol.settle_ms)


def _batch_that_fits(circuit, config):
    available = available_memory()
    batches = range(config.protocol.batch - 1, 0, -1)
    fitting = next((batch for batch in batches if memory_of(circuit, config, batch) <= available), None)
    if fitting is None:
        return f" One trial alone needs {gigabytes(memory_of(circuit, config, 1))} GB."
    return f" A batch of {fitting} would fit."
