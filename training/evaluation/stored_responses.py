"""responses.npz: what was measured of every neuron, and what it was measured with, so that it need not be done twice.

Per network, names begin with ``<network>/``: identity (JSON of all that decides the numbers); grating_counts and
gray_counts (N, D, K) spikes; evoked_rate_Hz, spontaneous_rate_Hz, preferred_direction_rate_Hz, OSI, DSI,
preferred_direction [deg], orientation_p (N,); curve (N, D) [Hz]; fano/<condition> (bins, pools); raster_times [ms] and
raster_ids, spikes of the core in the first trial. For all networks: core (node ids), direction (D,) [deg].
"""

import json
import zipfile

import numpy as np

from twincortex.training.evaluation.responses import Responses

FILE = "responses.npz"
_KEPT = ("grating_counts", "gray_counts", "raster_times", "raster_ids")
_MEASURED = (
    *("evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction_rate_Hz", "OSI", "DSI"),
    *("preferred_direction", "orientation_p", "curve"),
)


def write_responses(path, results, identities, core):
    """Write the file.

    Parameters
    ----------
    path : Path
    results : dict of network -> NetworkResult
    identities : dict of network -> dict
    core : Core
    """
    arrays = {"core": core.neurons}
    for network, result in results.items():
        arrays["direction"] = result.tuning.direction
        arrays[f"{network}/identity"] = np.array(json.dumps(identities[network], sort_keys=True))
        arrays |= {f"{network}/{name}": getattr(result.responses, name) for name in _KEPT}
        arrays |= {f"{network}/fano/{name}": values for name, values in result.responses.fano.items()}
        arrays |= {f"{network}/{name}": np.float32(getattr(result.tuning, name)) for name in _MEASURED}
    np.savez_compressed(path, **arrays)


def find_responses(path, identities):
    """Read those responses of an earlier evaluation that a new one would measure again.

    Parameters
    ----------
    path : Path
    identities : dict of network -> dict

    Returns
    -------
    dict of network -> Responses
        Of the networks whose identity, that is all that decides the numbers, is one of those in the file.
    """
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            stored = {str(file[name]): name.removesuffix("identity") for name in file if name.endswith("/identity")}
            wanted = {network: json.dumps(identity, sort_keys=True) for network, identity in identities.items()}
            return {network: _read(file, stored[text]) for network, text in wanted.items() if text in stored}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}  # a damaged file is as good as none: it is measured again


def _read(file, prefix):
    fano = {name.removeprefix(f"{prefix}fano/"): file[name] for name in file if name.startswith(f"{prefix}fano/")}
    return Responses(**{name: file[f"{prefix}{name}"] for name in _KEPT}, fano=fano)
