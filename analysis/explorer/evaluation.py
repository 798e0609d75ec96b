"""What an evaluation measured of every neuron, read from its folder."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twincortex.models.errors import InputError

# Our names of the networks in the words of `twincortex evaluate`, of runs and of circuits.
NETWORKS = {"before": ("untrained", "circuit"), "after": ("trained",)}
MEASURED = (
    *("evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction_rate_Hz", "OSI", "DSI"),
    *("preferred_direction", "curve", "grating_counts", "raster_times", "raster_ids"),
)
REMEASURE = "Run `twincortex evaluate` again, with --overwrite."


@dataclass(frozen=True)
class Evaluation:
    """Responses of the networks to gratings.

    Attributes
    ----------
    folder : Path
    facts : dict
        evaluation.json.
    direction : (D,) array [deg]
    core : (n,) int array
        Neurons that the raster shows.
    networks : dict of str -> dict of str -> array
        By ``"before"`` and ``"after"``: evoked_rate_Hz, spontaneous_rate_Hz, preferred_direction_rate_Hz, OSI, DSI,
        preferred_direction [deg] (N,); curve (N, D) [Hz]; grating_counts (N, D, K) spikes; raster_times [ms] and
        raster_ids of one trial.
    remarks : tuple of str
        What a reader has to know.
    """

    folder: Path
    facts: dict
    direction: np.ndarray
    core: np.ndarray
    networks: dict
    remarks: tuple = ()


def read_evaluation(folder, circuits):
    """Read what `twincortex evaluate` wrote.

    Parameters
    ----------
    folder : str or Path
    circuits : dict of str -> Circuit
        The networks to find in it, ``"before"`` and ``"after"``.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        A file is missing or damaged, or belongs to another circuit.
    """
    folder = Path(folder)
    path = folder / "responses.npz"
    try:
        facts = json.loads((folder / "evaluation.json").read_text())
        with path.open("rb") as opened, np.load(opened) as file:
            prefixes = {network: _prefix(file, network, path) for network in circuits}
            identities = {network: json.loads(str(file[f"{prefix}identity"])) for network, prefix in prefixes.items()}
            networks = {network: {name: file[f"{prefix}{name}"] for name in MEASURED}
                        for network, prefix in prefixes.items()}  # fmt: skip
            direction, core = file["direction"], file["core"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{folder} is no evaluation that can be read: {error}. {REMEASURE}") from error
    remarks = [_check(circuits[network], identity, path, network) for network, identity in identities.items()]
    return Evaluation(folder, facts, direction, core, networks, tuple(filter(None, remarks)))


def _prefix(file, network, path):
    for name in NETWORKS[network]:
        if f"{name}/identity" in file:
            return f"{name}/"
    raise InputError(f"{path} holds no network {' or '.join(NETWORKS[network])}. {REMEASURE}")


def _check(circuit, identity, path, network):
    if identity["topology_hash"] != circuit.topology_hash:
        raise InputError(
            f"{path} was measured in another column ({identity['topology_hash'][:12]}...) than this one "
            f"({circuit.topology_hash[:12]}...). {REMEASURE}"
        )
    if identity["weights_hash"] != circuit.weights_hash:
        return f"The responses {network} training are those of other weights than the wiring shown. {REMEASURE}"
    return ""
