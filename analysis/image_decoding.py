"""Which image was shown: decoded from the spike counts of a few neurons of one cell type."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from twincortex.analysis.resampling import ordered_types, percentile_interval
from twincortex.models.errors import InputError
from twincortex.models.progress import no_progress
from twincortex.models.randomness import philox

N_CELLS = (10, 30, 50)


@dataclass(frozen=True)
class DecodingOptions:
    """How images are decoded.

    Attributes
    ----------
    n_cells : tuple of int
        Neurons that are decoded from, drawn from one cell type without replacement; types with fewer are left out.
    n_draws : int
        How often neurons are drawn.
    n_folds : int
        Of the cross-validation: every fold leaves out its share of the repetitions, of all images.
    regularization : float
        C of scikit-learn, the inverse strength of the L2 penalty.
    max_iterations : int
        Of lbfgs; bounds the time.
    seed : int
        Of draws and shuffles.
    """

    n_cells: tuple = N_CELLS
    n_draws: int = 5
    n_folds: int = 5
    regularization: float = 1.0
    max_iterations: int = 200
    seed: int = 0


def decode_images(responses, options=None, progress=no_progress):
    """Decode image identity from every cell type.

    Parameters
    ----------
    responses : ImageCounts
    options : DecodingOptions, optional
    progress : callable
        Called with (stage, done, in all).

    Returns
    -------
    pandas.DataFrame, one row per cell type, number of cells and decoder
        cell_type; n_cells; n_available (neurons of the type); decoder: ``logistic``, ``template``
        (`template_accuracy`), ``shuffled`` (logistic, with the labels of the training presentations shuffled); accuracy
        (mean over draws of the share of left-out presentations that are named rightly), low, high (2.5 and 97.5 % of
        the draws: how much the choice of cells matters, not more); chance (1 / images); not_converged (share of fits
        that max_iterations ended).

    Raises
    ------
    InputError
        Fewer than two repetitions, or no cell type with enough neurons.

    Source
    ------
    Ito et al. (2025), Fig. 4: multinomial logistic regression (L2, lbfgs) on 10, 30 and 50 cells per type, leaving
    repetitions out. Counts are standardized by the presentations that are trained on.
    """
    options = options or DecodingOptions()
    n_images, n_repetitions, _ = responses.count.shape
    if n_repetitions < 2:
        raise InputError(
            "one repetition per image: decoding leaves repetitions out. Run the experiment with two or more."
        )
    cells = {name: np.flatnonzero(responses.cell_type == name) for name in ordered_types(responses.cell_type)}
    jobs = [(name, n) for name, of_type in cells.items() for n in options.n_cells if len(of_type) >= n]
    if not jobs:
        largest = max(map(len, cells.values()))
        raise InputError(
            f"n_cells {options.n_cells}: the largest cell type has {largest}. Ask for fewer, or take all cells."
        )
    rows = []
    for done, (name, n) in enumerate(jobs):
        progress("decoding", done, len(jobs))
        draws = [
            _accuracies(responses.count[:, :, _draw(cells[name], n, draw, name, options)], options, draw)
            for draw in range(options.n_draws)
        ]
        rows += _rows(pd.DataFrame(draws), {"cell_type": name, "n_cells": n, "n_available": len(cells[name])})
    progress("decoding", len(jobs), len(jobs))
    return pd.DataFrame(rows).assign(chance=1 / n_images)


def _draw(cells, n, draw, name, options):
    return philox(options.seed, f"analysis: decoded cells of {name}", draw, n).choice(cells, n, replace=False)


def _accuracies(count, options, draw):
    """Accuracy of every decoder on (I, R, n) counts, dict; keys with an underscore are shares of fits."""
    random = philox(options.seed, "analysis: shuffled labels", draw)
    logistic, unfinished = logistic_accuracy(count, options)
    shuffled, unfinished_too = logistic_accuracy(count, options, random)
    template = template_accuracy(count, options.n_folds, random)
    found = {"logistic": logistic, "template": template, "shuffled": shuffled}
    return found | {"logistic_unfinished": unfinished, "shuffled_unfinished": unfinished_too}


def _rows(draws, labels):
    for decoder in ("logistic", "template", "shuffled"):
        low, high = percentile_interval(draws[decoder].to_numpy())
        row = labels | {"decoder": decoder, "accuracy": draws[decoder].mean(), "low": float(low), "high": float(high)}
        yield row | {"not_converged": draws.get(f"{decoder}_unfinished", pd.Series(0.0)).mean()}


def logistic_accuracy(count, options, shuffle=None):
    """Accuracy of multinomial logistic regression in cross-validation over repetitions.

    Parameters
    ----------
    count : (I, R, n) array
        Spikes of n neurons in R repetitions of I images.
    options : DecodingOptions
    shuffle : numpy.random.Generator, optional
        Shuffles the labels of the presentations that are trained on.

    Returns
    -------
    accuracy : float
    not_converged : float
        Share of fits that max_iterations ended.
    """
    image = np.arange(len(count))
    right, unfinished = [], 0
    folds = _folds(count.shape[1], options.n_folds)
    for left_out in folds:
        kept = np.setdiff1d(np.arange(count.shape[1]), left_out)
        train, test = (_presentations(count[:, some]) for some in (kept, left_out))
        labels = np.repeat(image, len(kept))
        if shuffle is not None:
            labels = shuffle.permutation(labels)
        decoder = LogisticRegression(C=options.regularization, solver="lbfgs", max_iter=options.max_iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # counted
            pipeline = make_pipeline(StandardScaler(), decoder).fit(train, labels)
        unfinished += decoder.n_iter_.max() >= options.max_iterations
        right.append(pipeline.predict(test) == np.repeat(image, len(left_out)))
    return float(np.concatenate(right).mean()), unfinished / len(folds)


def template_accuracy(count, n_folds, random):
    """Accuracy of naming the image whose mean response correlates best, in cross-validation over repetitions.

    Parameters
    ----------
    count : (I, R, n) array
    n_folds : int
    random : numpy.random.Generator
        Decides between equal correlations, and where a response that is the same in all neurons has none.

    Returns
    -------
    float
    """
    right = []
    for left_out in _folds(count.shape[1], n_folds):
        kept = np.setdiff1d(np.arange(count.shape[1]), left_out)
        template = _standardized(count[:, kept].mean(axis=1))
        correlation = _standardized(_presentations(count[:, left_out])) @ template.T
        best = correlation >= correlation.max(axis=1, keepdims=True) - 1e-12
        named = np.where(best, random.random(best.shape), -1).argmax(axis=1)
        right.append(named == np.repeat(np.arange(len(count)), len(left_out)))
    return float(np.concatenate(right).mean())


def _folds(n_repetitions, n_folds):
    return np.array_split(np.arange(n_repetitions), min(n_folds, n_repetitions))


def _presentations(count):
    return count.reshape(-1, count.shape[2]).astype(float)


def _standardized(rows):
    """Rows of mean 0 and length 1; 0 where constant."""
    centered = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    return np.divide(centered, length, out=np.zeros_like(centered), where=length > 0)
