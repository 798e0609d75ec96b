"""Checkpoints: the state of a training run on disk. Tensors are safetensors, the rest is JSON; nothing is pickled."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from twincortex.models.errors import InputError
from twincortex.training.checkpoint_folders import BEST, LAST, checkpoint_path, find_whole, keep_last, write_folder
from twincortex.training.finite_check import require_finite
from twincortex.training.processes import Processes
from twincortex.training.training_state import (
    count_trials,
    join_trials,
    restore_state,
    settled_part,
    state_to_tensors,
    take_trials,
    weights_digest,
)

log = logging.getLogger(__name__)


def save_checkpoint(run_folder, state, circuit, keep=3, name=LAST, processes=None):
    """Write ``checkpoints/step_<step>`` and remove all but the last few; nothing goes before the new one is whole.

    Called by all processes of a run, of which one writes, as if it had all their trials: a checkpoint does not tell
    how many they were.

    Parameters
    ----------
    run_folder : str or Path
    state : TrainingState
    circuit : Circuit
        Its topology hash ties the checkpoint to it.
    keep : int
        Checkpoints that stay.
    name : str
        ``"best"`` writes ``checkpoints/best_<step>``, of which the last alone is kept, whatever happens to the others.
    processes : Processes, optional
        Default: this one alone.

    Returns
    -------
    Path

    Raises
    ------
    DivergedError
        The state is not finite; a checkpoint always is.
    InputError
        It cannot be written, or the processes no longer have the same weights.
    """
    processes = processes or Processes()
    tensors, facts = take_apart(state, circuit)
    require_finite(tensors, state.step)
    folder = checkpoint_path(run_folder, name, state.step)
    if processes.count > 1:
        processes.require_same("trained weights with the sha256", weights_digest(state.column))
    settled = processes.gather(settled_part(tensors))
    if not processes.is_writer:
        return folder
    tensors |= join_trials(settled)
    write_folder(folder, lambda partial: write_state(partial, tensors, facts))
    keep_last(folder, 1 if name == BEST else keep)
    return folder


def take_apart(state, circuit):
    """Take a training state apart and tie it to its circuit.

    Parameters
    ----------
    state : TrainingState
    circuit : Circuit

    Returns
    -------
    tensors : dict of str -> tensor
    facts : dict
        As of `state_to_tensors`, with the ``topology_hash`` of the circuit.
    """
    tensors, facts = state_to_tensors(state)
    return tensors, facts | {"topology_hash": circuit.topology_hash}


def write_state(folder, tensors, facts):
    """Write ``state.safetensors`` and ``state.json``.

    Parameters
    ----------
    folder : Path
    tensors : dict of str -> tensor
    facts : dict

    Raises
    ------
    OSError
        They cannot be written.
    """
    try:
        save_file(tensors, folder / "state.safetensors")
    except SafetensorError as error:  # of a full disk too
        raise OSError(f"{folder / 'state.safetensors'}: {error}") from error
    (folder / "state.json").write_text(json.dumps(facts, indent=2) + "\n")
    shutil.copymode(folder / "state.json", folder / "state.safetensors")  # which safetensors makes for its owner alone


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes
    ----------
    folder : Path
    tensors : dict of str -> tensor
    facts : dict
    """

    folder: Path
    tensors: dict
    facts: dict

    @property
    def step(self):
        """Updates done."""
        return self.facts["step"]

    def restore(self, state, circuit, processes=None, batch=None):
        """Continue from here.

        Parameters
        ----------
        state : TrainingState
            Filled in place.
        circuit : Circuit
        processes : Processes, optional
            Not necessarily as many as wrote it. Default: this one alone.
        batch : int, optional
            Trials of each process in a step; default: all trials are those of this process.

        Raises
        ------
        InputError
            The checkpoint belongs to another circuit, or to another number of trials per step.
        """
        if self.facts["topology_hash"] != circuit.topology_hash:
            raise InputError(
                f"{self.folder} belongs to another circuit (topology hash differs). Resume with the circuit it was "
                "made of."
            )
        processes, kept = processes or Processes(), count_trials(self.tensors)
        if batch is None or kept is None:
            tensors = self.tensors
        elif kept != batch * processes.count:
            raise InputError(
                f"{self.folder} is of {kept} trials per step; protocol.batch {batch} in {processes.count} process(es) "
                f"makes {batch * processes.count}, which would be another training. Resume with protocol.batch times "
                f"processes equal to {kept}."
            )
        else:
            tensors = take_trials(self.tensors, processes.trials(batch))
        restore_state(state, tensors, self.facts)


def read_last_checkpoint(run_folder):
    """Read the newest checkpoint that is whole; damaged ones are skipped with a warning.

    Parameters
    ----------
    run_folder : str or Path

    Returns
    -------
    Checkpoint or None
        None for a run that has none yet.

    Raises
    ------
    InputError
        All are damaged.
    """
    return read_checkpoint(run_folder, LAST)


def read_checkpoint(run_folder, name):
    """Read the newest checkpoint of a name, ``"step"`` or ``"best"``, as `read_last_checkpoint` does."""
    folder = find_whole(run_folder, name, _say_that_it_is_skipped)
    return None if folder is None else read_state(folder)


def read_state(folder):
    """Read what `write_state` wrote, without looking for damage.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Checkpoint
    """
    return Checkpoint(folder, load_file(folder / "state.safetensors"), json.loads((folder / "state.json").read_text()))


def _say_that_it_is_skipped(folder, damage):
    log.warning("checkpoint %a is damaged (%s) and is skipped", str(folder), damage)
