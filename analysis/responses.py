"""Responses that wiring is compared with: of an evaluation (responses.npz) or of an experiment."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.observables import preferred_direction

FILE = Path("evaluation") / "responses.npz"


@dataclass(frozen=True)
class GratingResponses:
    """Responses of one network to drifting gratings, as an evaluation stored them.

    Attributes
    ----------
    network : str
    curve : (N, D) array [Hz]
        Mean over trials.
    direction : (D,) array [deg]
    OSI, DSI, preferred_direction_rate_Hz : (N,) arrays
        Of `tuning.measure_tuning`.
    n_trials : int
        Per direction.
    identity : dict
        All that decides the numbers: protocol, engine, hashes of circuit and weights.
    """

    network: str
    curve: np.ndarray
    direction: np.ndarray
    OSI: np.ndarray
    DSI: np.ndarray
    preferred_direction_rate_Hz: np.ndarray
    n_trials: int
    identity: dict

    @property
    def description(self):
        """Directions, trials and seed, as captions state them."""
        seed = self.identity["protocol"]["seed"]
        return f"{len(self.direction)} directions x {self.n_trials} trials, input seed {seed}"

    def preferred_directions(self, min_rate_Hz=1.0):
        """Preferred direction of every neuron, (N,) array [deg]; NaN below a rate at the best direction [Hz].

        Source: Ito et al. (2025), Fig. 5, for the least rate.
        """
        preferred = preferred_direction(self.curve, self.direction)
        return np.where(self.curve.max(axis=1) >= min_rate_Hz, preferred, np.nan)


def read_grating_responses(folder, network, circuit=None):
    """Read what `twincortex evaluate` stored of one network.

    Parameters
    ----------
    folder : str or Path
        Of a run, or the file itself.
    network : str
        ``"untrained"``, ``"trained"``, or ``"circuit"`` where a circuit was evaluated.
    circuit : Circuit, optional
        Whose weights the responses are to be compared with.

    Returns
    -------
    GratingResponses

    Raises
    ------
    InputError
        There is no such file or network, it is damaged, or the responses were measured with other weights.
    """
    path = Path(folder) if Path(folder).suffix == ".npz" else Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{path} does not exist. Measure the responses first with `twincortex evaluate {folder}`.")
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as opened, np.load(opened) as file:
            networks = sorted(name.removesuffix("/identity") for name in file if name.endswith("/identity"))
            if network not in networks:
                raise InputError(f"{path} holds no network {network!r}; {near_name_hint(network, networks)}.")
            names = ("curve", "OSI", "DSI", "preferred_direction_rate_Hz")
            responses = GratingResponses(
                network=network,
                direction=file["direction"],
                n_trials=file[f"{network}/grating_counts"].shape[2],
                identity=json.loads(str(file[f"{network}/identity"])),
                **{name: file[f"{network}/{name}"].astype(float) for name in names},
            )
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error!r}). Evaluate again with `twincortex evaluate`.") from error
    for name in ("topology_hash", "weights_hash") if circuit is not None else ():
        measured, asked = str(responses.identity.get(name)), getattr(circuit, name)
        if measured != asked:
            raise InputError(
                f"{path}: the responses of {network!r} were measured with {name} {measured[:12]}..., not "
                f"{asked[:12]}... of this circuit. Evaluate it again with `twincortex evaluate`."
            )
    return responses


def responses_of_experiment(dataset, window):
    """Mean response of every neuron to every condition of an experiment.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``spike_count`` over condition, trial, window and neuron.
    window : str
        In which the stimulus is shown.

    Returns
    -------
    (N, S) array
        Spikes per window, mean over trials, in the order of the conditions.
    """
    count = dataset["spike_count"].sel(window=window)
    return count.mean("trial").transpose("neuron", "condition").to_numpy().astype(float)
