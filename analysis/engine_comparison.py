"""Two engines, and NEST, beside each other on the same input; how far seeds differ, as a yardstick."""

import importlib.util
import json
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.models.background import background_spikes
from twincortex.models.equivalence import compare, run_engine, run_trials
from twincortex.models.errors import InputError
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.observables import rates_of
from twincortex.models.randomness import philox
from twincortex.models.recording import Run
from twincortex.models.similarity import similarity
from twincortex.models.stimuli import DriftingGrating
from twincortex.models.tuning import measure_tuning

QUANTITIES = ("rate_Hz", "OSI", "DSI")
RESULTS = {"engine_agreement.json": "cases", "nest_agreement.json": "against_torch"}
MIN_CELLS = 5


@dataclass(frozen=True)
class GratingTest:
    """Gratings short enough to be shown to several engines.

    Attributes
    ----------
    n_directions, n_trials : int
    gray_ms, grating_ms : float [ms]
        In this order; both are measured.
    dt : float [ms]
    """

    n_directions: int = 8
    n_trials: int = 2
    gray_ms: float = 500.0
    grating_ms: float = 1000.0
    dt: float = 1.0

    @property
    def directions(self):
        """Directions, (D,) array [deg]."""
        return 360 / self.n_directions * np.arange(self.n_directions)

    @property
    def duration_ms(self):
        """Length of a trial [ms]."""
        return self.gray_ms + self.grating_ms

    @property
    def description(self):
        """As captions state it."""
        return (
            f"{self.n_directions} directions x {self.n_trials} trials, {self.gray_ms:g} ms of gray and "
            f"{self.grating_ms:g} ms of grating, dt {self.dt:g} ms"
        )

    def inputs(self, circuit, seed):
        """Input spikes of all trials, those of the first direction first, as list of dict of source -> SpikeTrains."""
        lgn, n_background = LgnModel(circuit.lgn_units), circuit.projections["bkg_to_v1"].n_sources
        phases = philox(seed, "analysis: phases of gratings").uniform(0, 360, self.n_directions)
        trials = []
        for direction, phase in zip(self.directions, phases, strict=True):
            movie = DriftingGrating(
                duration=self.duration_ms, direction=float(direction), phase=float(phase), onset=self.gray_ms
            )
            rates = lgn.rates(movie)
            for _ in range(self.n_trials):
                number = len(trials)
                bkg = background_spikes(self.duration_ms, seed=seed, trial=number, n_units=n_background)
                trials.append({"lgn": lgn_spikes(rates, seed=seed, trial=number), "bkg": bkg})
        return trials


def installed_engines(names):
    """Those of the given engines that can run here: NEST only where it is installed.

    Parameters
    ----------
    names : sequence of str
        Keys of `equivalence.ENGINES`.

    Returns
    -------
    list of str
    """
    return [name for name in names if name != "nest" or importlib.util.find_spec("nest") is not None]


def engines_side_by_side(circuit, inputs, run, engines):
    """Run several engines on the same input and compare each with the first, spike by spike.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source -> SpikeTrains
    run : Run
    engines : sequence of str

    Returns
    -------
    table : pandas.DataFrame, one row per engine
        engine; spikes; mismatched (spikes that are in one of the two only); first_mismatch_ms; max_dv_mV (of the
        neurons of ``run.record_v``); neurons_compared; differ_in (what the runs do not share); seconds, compiling
        included.
    recordings : dict of str -> Recording
    """
    recordings, rows = {}, []
    for name in engines:
        start = time.perf_counter()
        recordings[name] = run_engine(name, circuit, inputs, run)
        seconds = time.perf_counter() - start
        found = compare(recordings[engines[0]], recordings[name])
        rows.append(
            {
                "engine": name,
                "spikes": found.spikes[1],
                "mismatched": found.mismatched,
                "first_mismatch_ms": found.first_mismatch_ms,
                "max_dv_mV": found.max_dv_mV,
                "neurons_compared": found.neurons_compared,
                "differ_in": ", ".join(found.differ_in),
                "seconds": round(seconds, 1),
            }
        )
    return pd.DataFrame(rows), recordings


def read_agreements(folder):
    """Committed results of the benchmarks that compared engines.

    Parameters
    ----------
    folder : str or Path
        tests/benchmarks/results.

    Returns
    -------
    pandas.DataFrame, one row per case
        engines, case, spikes, mismatched, max_dv_mV, neurons_compared, date, machine.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    rows = []
    for name, part in RESULTS.items():
        path = Path(folder) / name
        try:
            facts = json.loads(path.read_text())
            for label, case in facts[part].items():
                rows.append(
                    {
                        "engines": " and ".join(case["engines"]),
                        "case": f"{label}; {facts['case']}" if "case" in facts else label,
                        "spikes": case["spikes"][0],
                        **{key: case[key] for key in ("mismatched", "max_dv_mV", "neurons_compared")},
                        **{key: facts[key] for key in ("date", "machine")},
                    }
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} cannot be read ({error!r}). Run the script of that name in tests/benchmarks/."
            ) from error
    return pd.DataFrame(rows)


def measure_cells(circuit, engine, seed, test=None):
    """Rate and selectivity of every neuron, by one engine, with one seed of the input.

    Parameters
    ----------
    circuit : Circuit
    engine : str
    seed : int
        Of phases and noise.
    test : GratingTest, optional

    Returns
    -------
    pandas.DataFrame, one row per neuron
        cell_type, rate_Hz (mean over gratings), OSI, DSI (NaN for cells that do not respond).
    """
    test = test or GratingTest()
    recordings = run_trials(engine, circuit, test.inputs(circuit, seed), Run(test.duration_ms, test.dt))
    shape = (circuit.n_neurons, test.n_directions, test.n_trials)
    windows = {"gray": (0.0, test.gray_ms), "grating": (test.gray_ms, test.duration_ms)}
    rates = {
        name: np.stack([rates_of(recording.spikes, *window) for recording in recordings], axis=1).reshape(shape)
        for name, window in windows.items()
    }
    tuning = measure_tuning(rates["grating"], rates["gray"].mean(axis=(1, 2)), test.directions)
    measured = {"rate_Hz": tuning.evoked_rate_Hz, "OSI": tuning.OSI, "DSI": tuning.DSI}
    return pd.DataFrame({"cell_type": circuit.cell_type} | measured)


def distances(a, b):
    """Kolmogorov-Smirnov distances of two sets of cells, per cell type.

    Parameters
    ----------
    a, b : pandas.DataFrame
        From `measure_cells`.

    Returns
    -------
    pandas.DataFrame, one row per cell type and quantity
        cell_type, quantity (``"rate_Hz"``, ``"OSI"``, ``"DSI"``), distance (0: the same distribution, 1: no overlap),
        n_a, n_b (cells that have the quantity). Types with fewer than five on either side are left out.
    """
    rows = []
    of_b = dict(tuple(b.groupby("cell_type")))
    for cell_type, of_a in a.groupby("cell_type"):
        for quantity in QUANTITIES if cell_type in of_b else ():
            found = similarity(of_a[quantity], of_b[cell_type][quantity])
            if min(found.n) >= MIN_CELLS:
                rows.append((cell_type, quantity, 1 - found.value, *found.n))
    return pd.DataFrame(rows, columns=["cell_type", "quantity", "distance", "n_a", "n_b"])


def against_the_yardstick(seeds, others):
    """Distances between engines or networks beside those between seeds.

    Parameters
    ----------
    seeds : dict of int -> pandas.DataFrame
        One engine and network, several seeds: from `measure_cells`.
    others : dict of str -> pandas.DataFrame
        What is compared with the first of the seeds: another engine with that seed, or a recording of cells.

    Returns
    -------
    pandas.DataFrame, one row per cell type and quantity
        cell_type, quantity; seeds_median and seeds_max of the distances between all pairs of seeds, n_pairs; one column
        per other with its distance; n, cells of the first seed.

    Raises
    ------
    InputError
        Fewer than two seeds.
    """
    if len(seeds) < 2:
        raise InputError(f"{len(seeds)} seed: expected two or more, their distance is the yardstick.")
    key = ["cell_type", "quantity"]
    pairs = pd.concat([distances(seeds[one], seeds[other]) for one, other in combinations(seeds, 2)])
    grouped = pairs.groupby(key, sort=False)
    table = grouped.distance.agg(seeds_median="median", seeds_max="max", n_pairs="size")
    table["n"] = grouped.n_a.first()
    first = next(iter(seeds.values()))
    for name, cells in others.items():
        table[name] = distances(first, cells).set_index(key).distance
    return table.reset_index()
