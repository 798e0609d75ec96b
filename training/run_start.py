"""What a run starts from: its circuit and its last checkpoint."""

from pathlib import Path

from twincortex.models.column import build_column
from twincortex.models.column.expected_connections import expected_counts
from twincortex.models.column.sizes import column_size
from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit
from twincortex.training.checkpoints import read_last_checkpoint
from twincortex.training.loop import Trainer, start_training
from twincortex.training.memory_check import check_training

CIRCUIT = "circuit"


def find_checkpoint(resume, steps):
    """Read the checkpoint from which a run goes on.

    Parameters
    ----------
    resume : str, Path or None
        Run folder.
    steps : int
        Asked for in all.

    Returns
    -------
    Checkpoint or None
        None for a new run, or one that has no checkpoint yet.

    Raises
    ------
    InputError
        More steps have been done, or all checkpoints are damaged.
    """
    checkpoint = read_last_checkpoint(resume) if resume else None
    if checkpoint and checkpoint.step > steps:
        raise InputError(f"steps {steps}: {resume} has done {checkpoint.step} already. Ask for more.")
    return checkpoint


def find_circuit(config, resume=None):
    """Read the circuit of a run that is resumed or the one that is asked for, or build it.

    Parameters
    ----------
    config : TrainingConfig
    resume : str, Path or None
        Run folder.

    Returns
    -------
    Circuit
    """
    if resume and Path(resume, CIRCUIT).exists():
        return read_circuit(Path(resume, CIRCUIT))
    choice = config.circuit
    if choice.folder:
        return read_circuit(choice.folder)
    # Before minutes are spent on a column that could not be trained.
    check_training(expected_counts(column_size(choice.size)), config)
    return build_column(choice.size, seed=choice.seed)


def read_shared_circuit(run_folder, rank):
    """Read the circuit that the first process has written.

    Parameters
    ----------
    run_folder : Path
    rank : int
        Of this process.

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        It is not there: the nodes do not share the disk.
    """
    folder = Path(run_folder, CIRCUIT)
    if not folder.exists():
        raise InputError(
            f"process {rank} finds no {folder}, which process 0 has written. Choose an --out on a disk that all nodes "
            "see."
        )
    return read_circuit(folder)


def start_trainer(circuit, config, checkpoint, processes):
    """Make what trains a circuit, from its first step on or from a checkpoint.

    Parameters
    ----------
    circuit : Circuit
    config : TrainingConfig
    checkpoint : Checkpoint or None
    processes : Processes

    Returns
    -------
    Trainer

    Raises
    ------
    InputError
        The configuration cannot be trained, or is not that of the checkpoint.
    """
    state = start_training(circuit, config)
    trainer = Trainer(circuit, config, state, processes)
    if checkpoint:
        checkpoint.restore(state, circuit, processes, config.protocol.batch)
    return trainer
