"""The result of an experiment: one tidy netCDF4 file, gathered from the parts."""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from twincortex.analysis.experiments.table import Experiment
from twincortex.models.atomic_output import new_file
from twincortex.models.errors import InputError, near_name_hint

_COUNTS = ("condition", "trial", "window", "neuron")
_NODE_UNITS = {"x": "um", "y": "um", "z": "um", "tuning_angle": "deg"}


def gather(experiment: Experiment, parts, subject, facts):
    """Put the parts of an experiment together.

    Parameters
    ----------
    experiment : Experiment
    parts : Parts
        All of them there.
    subject : Subject
    facts : dict
        Attributes of the result.

    Returns
    -------
    xarray.Dataset
        ``spike_count`` (condition, trial, window, neuron), ``start_ms`` (condition, trial, window), spikes of the core
        (``raster_times_ms``, ``raster_ids``, by ``raster_first`` and ``raster_stop`` of every condition), and what the
        experiment's table and the circuit say of conditions, windows and neurons.

    Raises
    ------
    InputError
        A part is missing.
    """
    names = list(experiment.window_ms)
    shape = (len(experiment.conditions), experiment.n_trials, len(names), subject.circuit.n_neurons)
    counts, start = np.zeros(shape, dtype=np.uint16), np.zeros(shape[:3])
    times, ids, first, stop = [], [], np.zeros(shape[0], dtype=np.int64), np.zeros(shape[0], dtype=np.int64)
    for rollout in experiment.rollouts:
        part = parts.find(rollout)
        if part is None:
            raise InputError(
                f"{parts.folder} lacks rollout {rollout.name}. Run the experiment again: it goes on from there."
            )
        for row, window in zip(part.counts, rollout.windows, strict=True):
            place = window.condition, window.trial, names.index(window.name)
            counts[place], start[place] = row, window.start_ms
        if rollout.keeps_spikes:
            shown = [window.condition for window in rollout.windows]
            first[shown] = sum(map(len, times))
            times, ids = [*times, part.times], [*ids, part.ids]
            stop[shown] = sum(map(len, times))
    return xr.Dataset(
        {
            "spike_count": (_COUNTS, counts, {"units": "1", "long_name": "spikes in a window"}),
            "raster_times_ms": ("spike", np.concatenate([np.empty(0), *times]), _described("ms", "since the start")),
            "raster_ids": ("spike", np.concatenate([np.empty(0, dtype=np.int64), *ids]).astype(np.int32)),
            "raster_first": ("condition", first),
            "raster_stop": ("condition", stop),
        },
        coords=_coordinates(experiment, subject, start),
        attrs=facts,
    )


def _described(units, text):
    return {"units": units, "long_name": text}


def _coordinates(experiment, subject, start):
    n_conditions, n_trials, _ = start.shape
    coordinates = {
        "condition": np.arange(n_conditions, dtype=np.int32),
        "trial": np.arange(n_trials, dtype=np.int32),
        "window": np.array(list(experiment.window_ms), dtype=str),
        "window_ms": (
            "window",
            np.array(list(experiment.window_ms.values())),
            _described("ms", "length of the window"),
        ),
        "start_ms": (_COUNTS[:3], start, _described("ms", "start of the window since the start of its rollout")),
    }
    for name, column in experiment.conditions.items():
        values = column.to_numpy()
        values = values.astype(str) if values.dtype.kind not in "biuf" else values
        coordinates[name] = ("condition", values, _unit(experiment, name))
    for name, (dims, values) in experiment.columns.items():
        coordinates[name] = (dims, values, _unit(experiment, name))
    return coordinates | _nodes(subject.circuit, subject.is_core)


def _unit(experiment, name):
    return {"units": experiment.units[name]} if name in experiment.units else {}


def _nodes(circuit, is_core):
    columns = {
        "node_id": np.arange(circuit.n_neurons, dtype=np.int32),
        "pop_name": circuit.pop_name,
        "cell_type": circuit.cell_type,
        **{name: getattr(circuit.nodes, name) for name in _NODE_UNITS},
        "is_core": is_core,
    }
    units = {name: {"units": unit} for name, unit in _NODE_UNITS.items()}
    return {name: ("neuron", values, units.get(name, {})) for name, values in columns.items()}


def write_experiment(path, dataset):
    """Write the result; the same dataset gives the same bytes.

    Parameters
    ----------
    path : Path
    dataset : xarray.Dataset
    """
    encoding = {
        name: {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "iuf" and variable.size > 1024
    }
    with new_file(path) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=encoding)


def read_experiment(path):
    """Read the result of `twincortex experiment`.

    Parameters
    ----------
    path : str or Path
        The file, or the folder that the experiment was written to.

    Returns
    -------
    xarray.Dataset
        See `gather`; in memory.

    Raises
    ------
    InputError
        There is no result, or it is damaged or something else.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("*.nc"))
        if len(found) != 1:
            raise InputError(
                f"{path} holds {len(found)} results (*.nc); expected one. Run the experiment again to finish it."
            )
        path = found[0]
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as file:
            dataset = file.load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read ({error}). Expected the result of `twincortex experiment`.") from error
    if "experiment" not in dataset.attrs or dataset.get("spike_count", xr.DataArray()).dims != _COUNTS:
        raise InputError(f"{path} is not the result of `twincortex experiment`: it has no spike_count {_COUNTS}.")
    return dataset


def rates(dataset, window):
    """Firing rates of every neuron in every trial.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `read_experiment`.
    window : str

    Returns
    -------
    xarray.DataArray [Hz]
        (condition, trial, neuron), float64.

    Raises
    ------
    InputError
        There is no window of that name.
    """
    names = dataset.window.values.tolist()
    if window not in names:
        raise InputError(f"window {window!r} is unknown; {near_name_hint(window, names)}.")
    of_window = dataset.sel(window=window)
    rate = of_window.spike_count * (1000.0 / float(of_window.window_ms))
    rate.attrs = {"units": "Hz", "long_name": "firing rate in a window"}
    return rate.rename("rate")


def raster(dataset, condition):
    """Spikes of the core in the first trial of a condition.

    Parameters
    ----------
    dataset : xarray.Dataset
    condition : int

    Returns
    -------
    times : (n,) float64 array [ms]
        Since the start of the rollout, which may show other conditions too (see ``start_ms``).
    ids : (n,) int array
        Empty where the experiment keeps no spikes of the condition.
    """
    kept = slice(int(dataset.raster_first[condition]), int(dataset.raster_stop[condition]))
    return dataset.raster_times_ms.values[kept], dataset.raster_ids.values[kept]


def provenance(dataset):
    """What the result was made from: dict with circuit, settings and versions."""
    return json.loads(dataset.attrs["provenance"])
