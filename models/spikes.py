"""Spike trains as explicit data: the same SONATA spike file drives every engine."""

from dataclasses import dataclass

import h5py
import numpy as np

from twincortex.models.atomic_output import new_file
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.hdf5.access import names_in, refuse
from twincortex.models.hdf5.reading import find_dataset, open_hdf5, read_attribute, read_dataset, read_group, read_rows
from twincortex.models.hdf5.writing import hdf5_to_write, mark_as_sonata, write_dataset

# A stamp may lie this fraction of a step beyond the end of its step: more than t / dt is rounded by.
_STEP_TOLERANCE = 1e-6
# Relative error of a stamp (n + 1) dt and of a duration: four roundings of a double.
ROUNDING = 4 * np.finfo(np.float64).eps
# What SONATA files, BMTK and NEST call their units of time.
_MS_PER_UNIT = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1e3),
}
_SORTING = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="i4")


@dataclass(frozen=True)
class SpikeTrains:
    """Spikes of one population, sorted by (time, id); a unit may spike several times in one step.

    Attributes
    ----------
    population : str
        ``"v1"``, ``"lgn"`` or ``"bkg"``.
    n_units : int
    times : (n,) float64 array [ms]
        NEST's stamps: a spike emitted in step n is stamped (n + 1) dt.
    node_ids : (n,) int64 array
        0 <= id < n_units.

    Raises
    ------
    InputError
        Lengths differ, a time is not finite, or an id is out of range.
    """

    population: str
    n_units: int
    times: np.ndarray
    node_ids: np.ndarray

    def __post_init__(self):
        times = np.ascontiguousarray(self.times, dtype=np.float64)
        node_ids = np.ascontiguousarray(self.node_ids, dtype=np.int64)
        if times.ndim != 1 or times.shape != node_ids.shape:
            raise InputError(
                f"spikes of {self.population}: times {times.shape}, ids {node_ids.shape}; expected as many."
            )
        self._refuse(~np.isfinite(times), "are not finite", times, "Write the spike file again.")
        outside = (node_ids < 0) | (node_ids >= self.n_units)
        advice = f"Expected 0 to {self.n_units - 1}. Are these the spikes of another circuit?"
        self._refuse(outside, "have an id out of range", node_ids, advice)
        if not _is_sorted(times, node_ids):
            order = np.lexsort((node_ids, times))
            times, node_ids = times[order], node_ids[order]
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "node_ids", node_ids)

    @property
    def n_spikes(self):
        """Number of spikes."""
        return len(self.times)

    def steps(self, dt):
        """Step in which each spike was emitted.

        Parameters
        ----------
        dt : float [ms]

        Returns
        -------
        (n,) int64 array
            Step n holds the times in (n dt, (n + 1) dt]; what `check_within` lets pass is in a step of the run.
        """
        steps = np.ceil(self.times / dt - _STEP_TOLERANCE).astype(np.int64) - 1
        # A spike within the tolerance after 0 still belongs to the run, hence to its first step.
        return np.where(self.times > 0, np.maximum(steps, 0), steps)

    def check_within(self, duration):
        """Refuse spikes that a run would silently leave out.

        Parameters
        ----------
        duration : float [ms]

        Raises
        ------
        InputError
            A spike lies outside (0, duration].
        """
        outside = (self.times <= 0) | (self.times > duration * (1 + ROUNDING))
        advice = f"A run of {duration:g} ms takes spikes in (0, {duration:g}] ms. Run longer, or make the input again."
        self._refuse(outside, "lie outside the run", self.times, advice)

    def _refuse(self, is_bad, what, values, advice):
        bad = np.flatnonzero(is_bad)
        if len(bad):
            shown = ", ".join(f"{value:g}" for value in values[bad[:5]])
            raise InputError(
                f"spikes of {self.population}: {len(bad):,} of {len(values):,} {what}, number {first_offenders(bad)} "
                f"(values {shown}). {advice}"
            )


def _is_sorted(times, node_ids):
    later = np.diff(times)
    return bool(np.all((later > 0) | ((later == 0) & (np.diff(node_ids) >= 0))))


def from_steps(population, n_units, steps, node_ids, dt):
    """Make spike trains from the steps in which the spikes were emitted.

    Parameters
    ----------
    population : str
    n_units : int
    steps, node_ids : (n,) int arrays
    dt : float [ms]

    Returns
    -------
    SpikeTrains
        Step n is stamped (n + 1) dt.
    """
    return SpikeTrains(population, n_units, (np.asarray(steps, dtype=np.int64) + 1) * dt, node_ids)


def write_spikes(path, trains):
    """Write a SONATA spike file, ``/spikes/<population>/{timestamps,node_ids}``.

    Parameters
    ----------
    path : str or Path
        Replaced if it exists; never half-written.
    trains : SpikeTrains
    """
    with new_file(path) as partial, hdf5_to_write(partial) as file:
        mark_as_sonata(file)
        group = file.create_group(f"spikes/{trains.population}")
        group.attrs.create("sorting", 2, dtype=_SORTING)
        group.attrs["n_units"] = trains.n_units
        write_dataset(group, "timestamps", trains.times, units="ms")
        write_dataset(group, "node_ids", trains.node_ids.astype(np.uint64))


def read_spikes(path, population=None, n_units=None):
    """Read a SONATA spike file.

    Parameters
    ----------
    path : str or Path
    population : str, optional
        May be left out where the file holds one population only.
    n_units : int, optional
        Number of units that the spikes have to be of; files that do not say theirs are taken to be.

    Returns
    -------
    SpikeTrains
        ``n_units`` is that asked for, or the file's own attribute, or largest id + 1 in files that lack it.

    Raises
    ------
    InputError
        The file is missing, damaged, lacks the population or has another number of units; times are not in ms or s,
        or not finite.
    """
    with open_hdf5(path) as file:
        name, group = _find_population(read_group(file, "spikes"), population)
        timestamps = find_dataset(group, "timestamps")
        times = read_rows(timestamps)
        node_ids = read_dataset(group, "node_ids", length=len(times), integer=True)
        factor = _ms_per_unit(timestamps)
        written = _n_units(group)
    if n_units is not None and written not in (None, n_units):
        raise InputError(
            f"{path}: spikes of {written:,} units; expected {n_units:,}. Are these the spikes of another circuit?"
        )
    if n_units is None:
        n_units = int(node_ids.max(initial=0)) + bool(len(node_ids)) if written is None else written
    # Ids beyond int64 would come back negative; either way they are out of range.
    return SpikeTrains(name, n_units, times if factor == 1 else times * factor, node_ids.astype(np.int64))


def _find_population(populations, population):
    names = names_in(populations)
    if population is None and len(names) != 1:
        refuse(populations, "", f"holds the populations {sorted(names)}. Name the one to read.")
    name = names[0] if population is None else population
    if name not in names:
        refuse(populations, "", f"holds no population {name!r}; {near_name_hint(name, names)}.")
    return name, read_group(populations, name)


def _ms_per_unit(timestamps):
    units = read_attribute(timestamps, "units")
    units = "ms" if units is None else units
    if not isinstance(units, str) or units.strip().lower() not in _MS_PER_UNIT:
        refuse(timestamps, "", f"is in {units!r:.40}; expected 'ms' or 's'. Convert the times.")
    return _MS_PER_UNIT[units.strip().lower()]


def _n_units(group):
    value = read_attribute(group, "n_units")
    if value is None:
        return None
    is_count = np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iu" and 0 <= value < 2**31
    if not is_count:
        refuse(group, "@n_units", f"is {value!r:.40}; expected the number of units. Write the spike file again.")
    return int(value)
