"""LGN and background connections of a column against the published numbers, multiplicities and weights.

An oracle: written from the rules and the tables of ``models/data`` alone, it shares no code with the builder.
"""

import numpy as np
import pandas as pd
import scipy.stats
from oracles.published_weights import unit_psps

from twincortex.models.parameters import read_cell_models, read_populations

# Mean connections and synapses per cell of the rule, were there units enough: biorealistic-v1-model, lgn_params.csv.
PUBLISHED_MEANS = {
    "i1Htr3a": (58, 79), "e23Cux2": (394, 514), "i23Pvalb": (829, 1420), "i23Sst": (216, 296), "i23Vip": (180, 229),
    "e4": (332, 465), "i4Pvalb": (2629, 4506), "i4Sst": (829, 1136), "i4Vip": (338, 430), "e5IT": (155, 189),
    "e5ET": (634, 810), "e5NP": (16, 19), "i5Pvalb": (1419, 2433), "i5Sst": (414, 568), "i5Vip": (116, 147),
    "e6Ntsr1": (40, 52), "i6Pvalb": (210, 359), "i6Sst": (65, 89), "i6Vip": (8, 10),
}  # fmt: skip
LARGEST_MULTIPLICITY = 20  # counted together from here
_CONNECTIONS_AT_A_TIME = 1 << 20


def population_rows(circuit):
    """Row of ``read_populations()`` of every neuron, with ``population``: the row of PUBLISHED_MEANS."""
    rows = read_populations().loc[circuit.pop_name].reset_index()
    return rows.assign(population=rows.pop_name.where(rows.cell_type != "L4_Exc", "e4"))


def wanted_connections(circuit):
    """Number of LGN connections that the size of every neuron asks for, (N,) int array."""
    rows = population_rows(circuit)
    n_synapses = circuit.nodes.target_size * 0.2 * rows.lgn_synapse_ratio.to_numpy()
    rho = rows.lgn_yule_parameter.to_numpy()
    return np.rint(n_synapses * (rho - 1) / rho).astype(int)


def count_multiplicities(circuit):
    """Number of LGN connections with 1, 2, ... synapses.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    pandas.DataFrame
        Index population (19), columns 1 to LARGEST_MULTIPLICITY, the last for all from there.
    """
    projection = circuit.projections["lgn_to_v1"]
    number_of = population_rows(circuit).population.map(list(PUBLISHED_MEANS).index).to_numpy(dtype=np.int32)
    shape = len(PUBLISHED_MEANS), LARGEST_MULTIPLICITY
    kind = number_of[projection.posts(circuit.n_receptors)] * shape[1] + np.minimum(projection.n_synapses, shape[1]) - 1
    counts = np.bincount(kind, minlength=np.prod(shape)).reshape(shape)
    return pd.DataFrame(counts, index=list(PUBLISHED_MEANS), columns=np.arange(1, shape[1] + 1))


def count_by_population(circuit):
    """Compare LGN connections and synapses per cell with the published means and distributions.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    pandas.DataFrame
        19 rows. n_cells; n_short: cells that want more units than there are; missing: connections per cell they lack.
        connections, synapses per cell; published means; standard errors, of the sizes of the cells and of rounding the
        published means; z, with what is missing added. synapses_given_connections_z: of the sum of Yule-Simon numbers;
        multiplicity_p: chi square of their distribution.
    """
    projection, rows = circuit.projections["lgn_to_v1"], population_rows(circuit)
    posts, multiplicities = projection.posts(circuit.n_receptors), count_multiplicities(circuit)
    connections = np.bincount(posts, minlength=circuit.n_neurons)
    found = {"connections": connections, "synapses": np.bincount(posts, projection.n_synapses, circuit.n_neurons)}
    missing = np.maximum(wanted_connections(circuit) - connections, 0)
    table = {}
    for name, published in PUBLISHED_MEANS.items():
        chosen = (rows.population == name).to_numpy()
        n_cells, rho = chosen.sum(), rows.lgn_yule_parameter[chosen].iloc[0]
        row = {"n_cells": n_cells, "n_short": np.count_nonzero(missing[chosen]), "missing": missing[chosen].mean()}
        synapses_each = {"connections": 1.0, "synapses": rho / (rho - 1)}
        for (what, values), mean in zip(found.items(), published, strict=True):
            values = values[chosen] + missing[chosen] * synapses_each[what]
            error = np.sqrt(values.var() / n_cells + 1 / 12)
            row |= {what: found[what][chosen].mean(), f"{what}_published": mean, f"{what}_error": error}
            row[f"{what}_z"] = (values.mean() - mean) / error
        table[name] = row | _multiplicity_deviations(
            multiplicities.loc[name].to_numpy(), found["synapses"][chosen].sum(), rho
        )
    return pd.DataFrame.from_dict(table, orient="index")


def _multiplicity_deviations(counts, n_synapses, rho):
    n = counts.sum()
    mean, variance = rho / (rho - 1), rho**2 / ((rho - 1) ** 2 * (rho - 2))
    expected = n * yule_simon_probabilities(rho)
    common = expected >= 5
    observed, expected = (np.append(values[common], values[~common].sum()) for values in (counts, expected))
    p_value = scipy.stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue
    return {"synapses_given_connections_z": (n_synapses - n * mean) / np.sqrt(n * variance), "multiplicity_p": p_value}


def yule_simon_probabilities(rho):
    """Probability of 1, 2, ... synapses, the last of LARGEST_MULTIPLICITY or more, (LARGEST_MULTIPLICITY,) array."""
    law = scipy.stats.yulesimon(rho)
    k = np.arange(1, LARGEST_MULTIPLICITY)
    return np.append(law.pmf(k), law.sf(k[-1]))


def largest_difference_of_weights(circuit):
    """Largest relative difference of an LGN weight from the published weight per synapse times the synapses."""
    projection, models = circuit.projections["lgn_to_v1"], read_cell_models()
    per_model = 0.345 / unit_psps(["exc"])[0] * models.lgn_damping.to_numpy()
    mean_l4_size = 2188.765 * np.exp(0.345**2 / 2)
    per_synapse = per_model[circuit.nodes.type_index] * mean_l4_size / circuit.nodes.target_size
    largest = 0.0
    for first in range(0, projection.n_edges, _CONNECTIONS_AT_A_TIME):
        some = slice(first, first + _CONNECTIONS_AT_A_TIME)
        expected = per_synapse[projection.target[some] // circuit.n_receptors] * projection.n_synapses[some]
        largest = max(largest, float(np.max(np.abs(projection.weight[some] / expected - 1))))
    return largest


# --- background ------------------------------------------------------------------------------------------------------
def check_background(circuit):
    """Compare the background connections with four distinct units per cell, the tuned weights and 1 ms of delay.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    dict
        n_wrong_cells: without exactly four units; n_wrong_weights; delays_ms; unit_p: chi square of the units' numbers
        of cells, which scatter a little less than chance because no cell takes a unit twice.
    """
    projection, posts = circuit.projections["bkg_to_v1"], circuit.projections["bkg_to_v1"].posts(circuit.n_receptors)
    pairs = np.unique(posts.astype(np.int64) * projection.n_sources + projection.sources())
    units_per_cell = np.bincount(pairs // projection.n_sources, minlength=circuit.n_neurons)
    tuned = read_cell_models().bkg_weight_pA.to_numpy(dtype=np.float32)[circuit.nodes.type_index[posts]]
    counts = np.diff(projection.indptr)
    share = 4 / projection.n_sources
    chi_square = np.sum((counts - counts.mean()) ** 2) / (circuit.n_neurons * share * (1 - share))
    degrees = projection.n_sources - 1
    return {
        "n_connections": projection.n_edges,
        "n_wrong_cells": int(np.sum(units_per_cell != 4) + projection.n_edges - len(pairs)),
        "n_wrong_weights": int(np.sum(projection.weight != tuned)),
        "delays_ms": projection.delay_ms[np.unique(projection.delay_code)].tolist(),
        "unit_p": float(scipy.stats.chi2.sf(chi_square * degrees / projection.n_sources, degrees)),
    }
