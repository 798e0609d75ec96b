"""Checkpoints: a folder that is whole or not there, with a sha256 of every file.

Tensors are safetensors, everything else is JSON; nothing is pickled. Randomness is counter-based, so weights,
optimizer, running averages and the step are all there is to a run's state.
"""

import hashlib
import json
import logging
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from twincortex.models.atomic_output import new_folder
from twincortex.models.errors import InputError

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
    tensors = {f"weights/{name}": weight.detach().contiguous() for name, weight in state.column.weights.items()}
    tensors["rate_average"] = state.rate_average
    facts = {"step": state.step, "topology_hash": circuit.topology_hash, "optimizer": {}}
    for index, values in state.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if torch.is_tensor(value):
                tensors[f"optimizer/{index}/{name}"] = value.contiguous()
            else:
                facts["optimizer"].setdefault(str(index), {})[name] = value
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


def load_last_checkpoint(run_folder, state, circuit):
    """Continue from the newest checkpoint that is whole; damaged ones are skipped with a warning.

    Parameters
    ----------
    run_folder : str or Path
    state : TrainingState
        Filled in place.
    circuit : Circuit

    Raises
    ------
    InputError
        No checkpoint is whole, or it belongs to another circuit.
    """
    for folder in sorted((Path(run_folder) / "checkpoints").glob("step_*"), reverse=True):
        damage = _damage(folder)
        if damage is None:
            return _load(folder, state, circuit)
        log.warning("checkpoint %s is damaged (%s) and is skipped; an older one is used", folder, damage)
    raise InputError(f"{run_folder}/checkpoints holds no whole checkpoint. Start the run again without --resume.")


def _damage(folder):
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        wrong = [name for name, digest in hashes.items() if _sha256(folder / name) != digest]
    except (OSError, ValueError) as error:
        return str(error)
    return f"sha256 of {', '.join(wrong)} differs" if wrong else None


def _load(folder, state, circuit):
    facts = json.loads((folder / "state.json").read_text())
    if facts["topology_hash"] != circuit.topology_hash:
        raise InputError(
            f"{folder} belongs to another circuit (topology hash differs). Resume with the circuit it was made of."
        )
    tensors = load_file(folder / "state.safetensors")
    with torch.no_grad():
        for name, weight in state.column.weights.items():
            weight.copy_(tensors[f"weights/{name}"])
    state.rate_average, state.step = tensors["rate_average"], facts["step"]
    optimizer = state.optimizer.state_dict()
    optimizer["state"] = {int(index): dict(values) for index, values in facts["optimizer"].items()}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            optimizer["state"].setdefault(int(index), {})[name] = value
    state.optimizer.load_state_dict(optimizer)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
