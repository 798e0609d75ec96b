"""Similarity of a network's core to the recordings: per cell type and quantity, and on average."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.neuropixels import read_neuropixels_units
from twincortex.models.parameters import read_populations
from twincortex.models.similarity import Similarity, mean_similarity, similarity

QUANTITIES = ("evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction_rate_Hz", "OSI", "DSI")
MIN_UNITS = 15


@dataclass(frozen=True)
class Score:
    """Similarity of one cell type in one quantity.

    Attributes
    ----------
    name : str
        One of the 17 recorded types, or a subtype of L5 excitatory cells.
    quantity : str
        One of QUANTITIES.
    similarity : Similarity
        Of model cells (first) and recorded units (second).
    median : (float, float)
        Of both.
    flag : str
        Why it does not count in the average; empty where it does.
    """

    name: str
    quantity: str
    similarity: Similarity
    median: tuple
    flag: str


def score_core(core, tuning, n_bootstrap=0, random=None):
    """Compare a network with the recordings.

    Parameters
    ----------
    core : Core
    tuning : Tuning
        Of all neurons.
    n_bootstrap : int
    random : numpy.random.Generator

    Returns
    -------
    list of Score
        Types from the pia downwards, L5 subtypes after L5 Exc; every quantity of each.
    """
    units = read_neuropixels_units()
    scores = []
    for name, recorded_name, is_cell in score_groups(core):
        for quantity in QUANTITIES:
            model = getattr(tuning, quantity)[core.neurons[is_cell]]
            recorded = units.loc[recorded_name, quantity].to_numpy()
            found = similarity(model, recorded, n_bootstrap, random)
            flag = _flag(found.n, is_subtype=name != recorded_name)
            scores.append(Score(name, quantity, found, (_median(model), _median(recorded)), flag))
    return scores


def score_groups(core):
    """Go through the types from the pia downwards, L5 subtypes after L5 Exc.

    Parameters
    ----------
    core : Core

    Yields
    ------
    name, recorded_name : str
        The type, and the one of the recordings that it is compared with.
    is_cell : (n,) bool array
        Its cells among those of the core.
    """
    for recorded_name, of_type in read_populations().groupby("neuropixels_type", sort=False):
        yield recorded_name, recorded_name, core.recorded_type == recorded_name
        subtypes = of_type.cell_type.unique()
        if len(subtypes) > 1:
            for subtype in subtypes:
                yield subtype.replace("_", " "), recorded_name, core.cell_type == subtype


def _median(values):
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else np.nan


def _flag(n, is_subtype):
    few = [f"fewer than {MIN_UNITS} {what}" for what, count in zip(("model cells", "recorded units"), n, strict=True)
           if count < MIN_UNITS]  # fmt: skip
    if is_subtype:
        few.append("a subtype")
    return ", ".join(few)


def mean_scores(scores):
    """Mean similarity of every quantity over the types that count.

    Parameters
    ----------
    scores : list of Score

    Returns
    -------
    dict of quantity -> (value, interval, n_types)
    """
    means = {}
    for quantity in QUANTITIES:
        valid = [score.similarity for score in scores if score.quantity == quantity and not score.flag]
        means[quantity] = (*mean_similarity(valid), len(valid))
    return means
