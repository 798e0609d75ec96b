"""Responses to natural images: sparsity, image selectivity, and whether activity stays in range."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from twincortex.analysis.resampling import mean_with_limits, ordered_types, type_means
from twincortex.models.errors import InputError
from twincortex.models.randomness import philox

RUNAWAY_HZ = 100.0


@dataclass(frozen=True)
class ImageCounts:
    """Spike counts of N neurons for I images, R repetitions each.

    Attributes
    ----------
    image : (I,) str array
    count : (I, R, N) array
        Spikes while the image is on.
    window_s : float [s]
    cell_type : (N,) str array
        Of the 19 names of the model.
    """

    image: np.ndarray
    count: np.ndarray
    window_s: float
    cell_type: np.ndarray

    @property
    def rate(self):
        """Mean over repetitions, (I, N) [Hz]."""
        return self.count.mean(axis=1) / self.window_s

    def shuffled(self, seed):
        """The same spikes with the order of presentations shuffled within each neuron: what no image drives."""
        flat = self.count.reshape(-1, self.count.shape[2])
        mixed = philox(seed, "analysis: shuffled images").permuted(flat, axis=0)
        return replace(self, count=mixed.reshape(self.count.shape))


def image_counts(dataset, window="stimulus", kind="natural", core_only=True):
    """Arrange the conditions of an experiment by image.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``spike_count`` (condition, trial, window, neuron) with the coordinates ``image`` and ``stimulus`` of its
        conditions, ``window_ms`` and ``cell_type``, ``is_core`` of its neurons.
    window : str
    kind : str
        Which stimuli; those of other kinds are left out.
    core_only : bool
        Leave out neurons far from the axis of the column.

    Returns
    -------
    ImageCounts

    Raises
    ------
    InputError
        Fewer than two images.
    """
    neurons = np.asarray(dataset.is_core) if core_only else np.ones(dataset.sizes["neuron"], dtype=bool)
    chosen = np.flatnonzero(np.asarray(dataset.stimulus) == kind)
    if len(chosen) < 2:
        raise InputError(f"{len(chosen)} conditions with stimulus {kind!r}: expected at least two images.")
    counts = dataset.spike_count.sel(window=window).transpose("condition", "trial", "neuron").to_numpy()
    return ImageCounts(
        image=np.asarray(dataset.image)[chosen].astype(str),
        count=counts[chosen][:, :, neurons].astype(np.int64),
        window_s=float(dataset.window_ms.sel(window=window)) / 1000,
        cell_type=np.asarray(dataset.cell_type)[neurons].astype(str),
    )


def sparsity(responses, axis):
    """Sparsity of responses: 0 if all are equal, 1 if a single one is not 0.

    Parameters
    ----------
    responses : array
        Not negative, in any unit.
    axis : int
        Images for lifetime sparsity (image selectivity), neurons for population sparsity.

    Returns
    -------
    array
        (1 - <r>^2 / <r^2>) / (1 - 1/n); NaN where all responses are 0, or there is one only.

    Source
    ------
    Rolls and Tovee (1995) J Neurophysiol 73:713; Vinje and Gallant (2000) Science 287:1273; Ito et al. (2025), Fig. 4.
    """
    n = responses.shape[axis]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (1 - responses.mean(axis=axis) ** 2 / (responses**2).mean(axis=axis)) / (1 - np.float64(1) / n)


def image_table(responses, seed=0):
    """Rate, image selectivity and population sparsity of every cell type.

    Parameters
    ----------
    responses : ImageCounts
    seed : int
        Of bootstrap and shuffles.

    Returns
    -------
    pandas.DataFrame, one row per cell type and quantity
        cell_type; quantity: ``rate_Hz``, ``lifetime_sparsity`` and ``lifetime_sparsity_noise`` (presentations shuffled
        within each neuron) with means and limits over neurons, ``population_sparsity`` over images; n, mean, low, high.
    """
    rate = responses.rate
    noise = sparsity(responses.shuffled(seed).rate, axis=0)
    values = {
        "rate_Hz": rate.mean(axis=0),
        "lifetime_sparsity": sparsity(rate, axis=0),
        "lifetime_sparsity_noise": noise,
    }
    tables = [
        type_means(of_neurons, responses.cell_type, seed).assign(quantity=name) for name, of_neurons in values.items()
    ]
    types = ordered_types(responses.cell_type)
    of_images = {name: sparsity(rate[:, responses.cell_type == name], axis=1) for name in types}
    tables.append(
        type_means(np.concatenate(list(of_images.values())), np.repeat(types, len(rate)), seed).assign(
            quantity="population_sparsity"
        )
    )
    return pd.concat(tables, ignore_index=True)[["cell_type", "quantity", "n", "mean", "low", "high"]]


def stability_table(responses, runaway_Hz=RUNAWAY_HZ, seed=0):
    """Does activity stay in range: silent and runaway neurons, drift over repetitions.

    Parameters
    ----------
    responses : ImageCounts
    runaway_Hz : float [Hz]
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame, one row per cell type and one of all (``all``)
        cell_type; n; rate_Hz; silent (share of neurons without a spike in all presentations); runaway (share whose mean
        rate exceeds runaway_Hz in any image); drift_Hz (slope of the rate over repetitions, from the first to the last)
        with drift_low, drift_high (95 %, over neurons).
    """
    order = np.arange(responses.count.shape[1])
    centered = order - order.mean()
    by_repetition = responses.count.mean(axis=0) / responses.window_s
    power = centered @ centered
    drift = centered @ by_repetition / power * (len(order) - 1) if power else np.full(by_repetition.shape[1], np.nan)
    each = pd.DataFrame(
        {
            "rate_Hz": responses.rate.mean(axis=0),
            "silent": responses.count.sum(axis=(0, 1)) == 0,
            "runaway": (responses.rate > runaway_Hz).any(axis=0),
            "drift_Hz": drift,
        }
    )
    drifts = type_means(drift, responses.cell_type, seed)
    drifts = pd.concat([drifts, pd.DataFrame([{"cell_type": "all"} | mean_with_limits(drift, seed, "all")])])
    by_type = each.groupby(responses.cell_type).mean().reindex(ordered_types(responses.cell_type))
    table = pd.concat([by_type, each.mean().to_frame("all").T]).rename_axis("cell_type").reset_index()
    table[["n", "drift_low", "drift_high"]] = drifts[["n", "low", "high"]].to_numpy()
    return table.astype({"n": int})[
        ["cell_type", "n", "rate_Hz", "silent", "runaway", "drift_Hz", "drift_low", "drift_high"]
    ]
