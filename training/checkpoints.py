"""Checkpoints: a folder that is whole or not there, with a sha256 of every file.

Tensors are safetensors, everything else is JSON; nothing is pickled.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from twincortex.models.atomic_output import new_folder
from twincortex.models.errors import InputError
from twincortex.training.training_state import restore_state, state_to_tensors

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"


def save_checkpoint(run_folder, state, circuit, keep=3):
    """Write ``checkpoints/step_<step>`` and remove all but the last few.

    Parameters
    ----------
    run_folder : str or Path
    state : TrainingState
    circuit : Circuit
        Its topology hash ties the checkpoint to it.
    keep : int
        Checkpoints that stay.

    Returns
    -------
    Path
    """
    parent = Path(run_folder) / "checkpoints"
    folder = parent / f"step_{state.step:06d}"
    tensors, facts = state_to_tensors(state)
    facts["topology_hash"] = circuit.topology_hash
    with new_folder(folder, MANIFEST, overwrite=True) as partial:
        save_file(tensors, partial / "state.safetensors")
        (partial / "state.json").write_text(json.dumps(facts, indent=2) + "\n")
        hashes = {path.name: _sha256(path) for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps(hashes, indent=2) + "\n")
    for old in sorted(parent.glob("step_*"))[:-keep]:
        for path in old.iterdir():
            path.unlink()
        old.rmdir()
    return folder


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

    def restore(self, state, circuit):
        """Continue from here.

        Parameters
        ----------
        state : TrainingState
            Filled in place.
        circuit : Circuit

        Raises
        ------
        InputError
            The checkpoint belongs to another circuit.
        """
        if self.facts["topology_hash"] != circuit.topology_hash:
            raise InputError(
                f"{self.folder} belongs to another circuit (topology hash differs). Resume with the circuit it was "
                "made of."
            )
        restore_state(state, self.tensors, self.facts)


def read_last_checkpoint(run_folder):
    """Read the newest checkpoint that is whole; damaged ones are skipped with a warning.

    Parameters
    ----------
    run_folder : str or Path

    Returns
    -------
    Checkpoint

    Raises
    ------
    InputError
        No checkpoint is whole.
    """
    for folder in sorted((Path(run_folder) / "checkpoints").glob("step_*"), reverse=True):
        damage = _damage(folder)
        if damage is None:
            facts = json.loads((folder / "state.json").read_text())
            return Checkpoint(folder, load_file(folder / "state.safetensors"), facts)
        log.warning("checkpoint %s is damaged (%s) and is skipped; an older one is used", folder, damage)
    raise InputError(f"{run_folder}/checkpoints holds no whole checkpoint. Start the run again without --resume.")


def _damage(folder):
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        wrong = [name for name, digest in hashes.items() if _sha256(folder / name) != digest]
    except (OSError, ValueError) as error:
        return str(error)
    return f"sha256 of {', '.join(wrong)} differs" if wrong else None


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
