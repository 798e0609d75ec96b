"""What an experiment is: a table of conditions, and the simulations in which they are shown."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.stimuli import Movie

INTACT = "intact"


@dataclass(frozen=True)
class Window:
    """A time in which spikes are counted.

    Attributes
    ----------
    condition, trial : int
    name : str
    start_ms, stop_ms : float [ms]
        Since the start of the rollout; spikes in (start, stop] count.
    """

    condition: int
    trial: int
    name: str
    start_ms: float
    stop_ms: float

    @property
    def length_ms(self):
        """Stop minus start [ms]."""
        return self.stop_ms - self.start_ms


@dataclass(frozen=True, eq=False)
class Variant:
    """What is done to the circuit.

    Attributes
    ----------
    description : dict
        Ready for JSON; two variants of one description are the same.
    change : callable, optional
        From a Circuit to one with other weights.
    current_pA : (N,) float64 array [pA], optional
        Injected during the whole rollout.
    """

    description: dict = field(default_factory=dict)
    change: Callable[[Circuit], Circuit] | None = None
    current_pA: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Rollout:
    """One simulation.

    Attributes
    ----------
    name : str
        Also of its file.
    movie : Movie
        Rollouts that show the same movie share one object, and its LGN rates.
    noise_trial : int
        Counter of the noise of LGN and background; rollouts of one counter and movie have the same input.
    windows : tuple of Window
    variant : str
        Key of `Experiment.variants`.
    keeps_spikes : bool
        Whether the spikes of the core are kept, beside the counts.
    """

    name: str
    movie: Movie
    noise_trial: int
    windows: tuple
    variant: str = INTACT
    keeps_spikes: bool = False

    def description(self):
        """All that decides its result beside the circuit and the settings, ready for JSON."""
        return {
            "name": self.name,
            "movie": describe_movie(self.movie),
            "noise_trial": self.noise_trial,
            "windows": [dataclasses.astuple(window) for window in self.windows],
            "variant": self.variant,
            "keeps_spikes": self.keeps_spikes,
        }


@dataclass(frozen=True, eq=False)
class Experiment:
    """A declared table of conditions x trials x windows, and the rollouts that fill it.

    Attributes
    ----------
    name : str
    conditions : pandas.DataFrame
        One row per condition.
    units : dict of column -> str
        Of the numeric columns of `conditions`, and of `columns`.
    rollouts : tuple of Rollout
        Those that show the same movie follow each other.
    variants : dict of str -> Variant
    columns : dict of str -> (dims, array)
        What else is known of conditions, trials and neurons, such as the phase of every trial.

    Raises
    ------
    InputError
        A condition, trial and window is not shown once, windows of one name differ in length or leave their movie, two
        rollouts share a name, or a variant is missing.
    """

    name: str
    conditions: pd.DataFrame
    units: dict
    rollouts: tuple
    variants: dict = field(default_factory=lambda: {INTACT: Variant()})
    columns: dict = field(default_factory=dict)

    def __post_init__(self):
        names = [rollout.name for rollout in self.rollouts]
        self._refuse("share a name", [name for name in set(names) if names.count(name) > 1])
        self._refuse("lack their variant", [one.name for one in self.rollouts if one.variant not in self.variants])
        outside = [
            one.name
            for one in self.rollouts
            if any(not 0 <= window.start_ms < window.stop_ms <= one.movie.duration for window in one.windows)
        ]
        self._refuse("have windows outside their movie", outside)
        shown = [(window.condition, window.trial, window.name) for window in self.windows]
        shape = (len(self.conditions), self.n_trials)
        wanted = {(c, k, name) for c in range(shape[0]) for k in range(shape[1]) for name in self.window_ms}
        if len(set(shown)) < len(shown) or set(shown) != wanted:
            odd = sorted(wanted ^ set(shown)) or sorted({one for one in shown if shown.count(one) > 1})
            raise InputError(
                f"experiment {self.name}: conditions, trials and windows {first_offenders(odd)} are not shown once."
            )

    def _refuse(self, what, names):
        if names:
            raise InputError(f"experiment {self.name}: rollouts {first_offenders(sorted(names))} {what}.")

    @property
    def windows(self):
        """All windows of all rollouts."""
        return [window for rollout in self.rollouts for window in rollout.windows]

    @property
    def n_trials(self):
        """Trials of every condition."""
        return 1 + max(window.trial for window in self.windows)

    @property
    def window_ms(self):
        """Length of the windows by their name, in the order in which they come, dict of str -> float [ms]."""
        lengths = {}
        for window in self.windows:
            if lengths.setdefault(window.name, window.length_ms) != window.length_ms:
                raise InputError(
                    f"experiment {self.name}: windows {window.name!r} differ in length. Give them two names."
                )
        return lengths

    @property
    def simulated_ms(self):
        """Time that is simulated in all [ms]."""
        return sum(rollout.movie.duration for rollout in self.rollouts)

    def digest(self):
        """Hash of the whole declaration, str."""
        return digest_of(
            {
                "conditions": json.loads(self.conditions.to_json(orient="split", double_precision=15)),
                "rollouts": [rollout.description() for rollout in self.rollouts],
                "variants": {name: variant.description for name, variant in self.variants.items()},
            }
        )


def describe_movie(movie):
    """Name the kind of a movie and its fields, arrays by their hash.

    Parameters
    ----------
    movie : Movie

    Returns
    -------
    dict
        Ready for JSON.
    """
    values = {one.name: getattr(movie, one.name) for one in dataclasses.fields(movie)}
    return {"kind": type(movie).__name__} | {name: _plain(value) for name, value in values.items()}


def _plain(value):
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    return value.item() if isinstance(value, np.generic) else value


def digest_of(content):
    """Hash something that is ready for JSON, str."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
