"""Find what is to be evaluated in a folder: a circuit, or the networks of a training run before and after."""

from dataclasses import dataclass
from pathlib import Path

from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit, read_weights
from twincortex.training.checkpoint_folders import BEST, LAST
from twincortex.training.checkpoints import read_checkpoint

UNTRAINED, TRAINED, ALONE = "untrained", "trained", "circuit"
CHECKPOINTS = {"last": LAST, "best": BEST}
_TAG = "trained"


@dataclass(frozen=True)
class Networks:
    """What is evaluated.

    Attributes
    ----------
    folder : Path
    circuits : dict of str -> Circuit
        ``"untrained"`` and ``"trained"`` of a run; ``"circuit"`` of a circuit.
    weights_from : str
        Where the trained weights come from; of a circuit, its own files.
    """

    folder: Path
    circuits: dict
    weights_from: str

    @property
    def is_run(self):
        """Whether there is a before and an after."""
        return TRAINED in self.circuits

    @property
    def any_circuit(self) -> Circuit:
        """One of them, for all that they share."""
        return next(iter(self.circuits.values()))


def read_networks(folder, checkpoint=None):
    """Read a circuit folder or a run folder.

    Parameters
    ----------
    folder : str or Path
    checkpoint : str, optional
        ``"last"`` or ``"best"`` of a run. Default: the weights at the end of training, or the last checkpoint of a run
        that has not come so far.

    Returns
    -------
    Networks

    Raises
    ------
    InputError
        The folder is neither, or a part of it is missing, damaged or of another circuit.
    """
    folder = Path(folder)
    if (folder / "circuit_config.json").is_file():
        if checkpoint:
            raise InputError(f"{folder} is a circuit and has no checkpoints. Leave out --checkpoint.")
        return Networks(folder, {ALONE: read_circuit(folder)}, "the circuit's own files")
    if not (folder / "circuit").is_dir():
        raise InputError(
            f"{folder} is neither a circuit (it holds no circuit_config.json) nor a run (no circuit/). Name the --out "
            "of `twincortex build` or of training/train.py."
        )
    before = read_circuit(folder / "circuit")
    is_finished = any((folder / "weights").glob(f"*_edges_{_TAG}.h5"))
    if is_finished and not checkpoint:
        weights, source = read_weights(before, folder / "weights", _TAG), "the end of training"
    else:
        weights, source = _weights_of_checkpoint(folder, before, checkpoint or "last")
    return Networks(folder, {UNTRAINED: before, TRAINED: before.with_weights(weights)}, source)


def _weights_of_checkpoint(folder, circuit, name):
    checkpoint = read_checkpoint(folder, CHECKPOINTS[name])
    if checkpoint is None:
        raise InputError(f"{folder} holds neither trained weights nor a {name} checkpoint. Train it first.")
    if checkpoint.facts["topology_hash"] != circuit.topology_hash:
        raise InputError(f"{checkpoint.folder} belongs to another circuit than {folder}/circuit. Copy the run again.")
    prefix = "weights/"
    weights = {
        name.removeprefix(prefix): tensor.float().numpy()
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    return weights, f"{name} checkpoint, update {checkpoint.step}"
