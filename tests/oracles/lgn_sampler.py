"""An independent sampler of LGN connections: one cell at a time, step by step as published.

An oracle: written from the rule and the tables of ``models/data`` alone, it shares no code with the builder.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
from oracles.published_inputs import population_rows, wanted_connections

FREQUENCIES = {"sON": (1, 2, 4, 8), "sOFF": (1, 2, 4, 8, 15), "tOFF": (4, 8, 15)}  # Hz


class Field(NamedTuple):
    """LGN units; (n,) arrays: position [deg, azimuth + i elevation], family, frequency [Hz], axis [deg]."""

    position: np.ndarray
    family: np.ndarray
    frequency: np.ndarray
    axis: np.ndarray


def read_field(circuit):
    """Gather what the rule depends on in every unit: Field (composite units have family "" and an axis)."""
    units = circuit.lgn_units
    family = units.model.str.extract(r"^(sON|sOFF|tOFF)_TF")[0].fillna("").to_numpy(dtype=str)
    frequency = units.model.str.extract(r"_TF(\d+)$")[0].fillna("0").astype(int).to_numpy()
    position = units.x.to_numpy() + 1j * units.y.to_numpy()
    return Field(position, family, frequency, units.tuning_angle.to_numpy())


def centres(circuit):
    """Centre of the receptive field of every neuron, (N,) complex array [deg]."""
    return (60.0 + 0.07 * circuit.nodes.x) + 1j * (40.0 + 0.04 * circuit.nodes.z)


def orientation_between(angle, other):
    """Difference of two orientations given as directions [deg], 0 to 90."""
    difference = np.abs(angle - other) % 180.0
    return np.minimum(difference, 180.0 - difference)


def count_wrong_cells(circuit):
    """Cells whose LGN connections break a rule that leaves nothing to chance.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    dict of str -> int
        cells_with_a_wrong_number: neither what their size asks for nor, where these are fewer, all units that they may
        take; cells_with_sON_and_sOFF; duplicates: connections between the same unit and cell as another.
    """
    projection, wanted, field = circuit.projections["lgn_to_v1"], wanted_connections(circuit), read_field(circuit)
    posts, n_connections = projection.posts(circuit.n_receptors), np.diff(projection.indptr)
    found = np.bincount(posts, minlength=circuit.n_neurons)
    suspects = np.flatnonzero(found != wanted)
    there_are = [
        _count_candidates(circuit, cell, field, units)
        for cell, (units, _) in zip(suspects, connections_of(circuit, suspects), strict=True)
    ]
    takes = [np.isin(np.arange(circuit.n_neurons), posts[np.repeat(field.family == family, n_connections)])
             for family in ("sON", "sOFF")]  # fmt: skip
    same_cell = projection.target[1:] == projection.target[:-1]
    new_unit = projection.indptr[(projection.indptr > 0) & (projection.indptr < projection.n_edges)]
    same_cell[new_unit - 1] = False
    return {
        "cells_with_a_wrong_number": np.count_nonzero(found[suspects] != np.minimum(wanted[suspects], there_are)),
        "cells_with_sON_and_sOFF": np.count_nonzero(takes[0] & takes[1]),
        "duplicates": np.count_nonzero(same_cell),
    }


def _count_candidates(circuit, cell, field, units):
    """Units that one cell may take, judged by the sustained family among those it took."""
    near = np.abs(field.position - centres(circuit)[cell]) <= 40.0
    ignored = "sOFF" if np.any(field.family[units] == "sON") else "sON"
    angle = circuit.nodes.tuning_angle[cell]
    aligned = (field.family != "") | (orientation_between(field.axis, angle) < 15.0)
    return np.count_nonzero(near & aligned & (field.family != ignored))


def published_probabilities(field, centre, angle, is_on, cell_tf):
    """Probability by which a cell chooses its units.

    Parameters
    ----------
    field : Field
    centre : complex [deg]
    angle : float [deg]
    is_on : bool
    cell_tf : int [Hz]

    Returns
    -------
    (n,) array, (n,) complex array
        Probabilities; positions in the receptive field [deg], real along the axis of the cell, both scaled.
    """
    e = np.exp(1j * np.radians(angle)) * (1 if is_on else -1)
    shift = np.select([field.family == "tOFF", field.family == ""], [1.0, 0.0], -1.0)
    relative = (field.position + 2.5 * shift * e - centre) / e
    scaled = relative.real * np.sqrt(1.5) + 1j * relative.imag / np.sqrt(1.5)
    factor = np.where(orientation_between(field.axis, angle) < 15.0, 1.0, 0.0)  # not a number in simple units
    for family, frequencies in FREQUENCIES.items():
        distance = np.abs(cell_tf - np.array(frequencies))
        preferences = (1 - distance / distance.sum()) / (len(frequencies) - 1)
        for frequency, preference in zip(frequencies, preferences, strict=True):
            ignored = family == ("sOFF" if is_on else "sON")
            factor[(field.family == family) & (field.frequency == frequency)] = 0.0 if ignored else preference
    g = np.exp(-(np.abs(scaled) ** 2) / 50.0) * factor * (np.abs(field.position - centre) <= 40.0)
    return g / g.sum(), scaled


def draw_connections(field, centre, angle, row, n_wanted, rng):
    """Draw the LGN connections of one cell, step by step as published.

    Parameters
    ----------
    field, centre, angle
        See ``published_probabilities``.
    row : pandas.Series
        Of ``read_populations()``.
    n_wanted : int
    rng : numpy.random.Generator

    Returns
    -------
    (n,) int array, (n,) int array
        Units, and synapses with each.
    """
    cell_tf = 0
    while cell_tf == 0:
        cell_tf = rng.poisson(row.lgn_poisson_parameter)
    p, scaled = published_probabilities(field, centre, angle, rng.random() < row.lgn_on_ratio, cell_tf)
    units = rng.choice(len(p), min(n_wanted, np.count_nonzero(p)), replace=False, p=p)
    # Yule-Simon: geometric, with an exponentially distributed logarithm of its parameter.
    multiplicity = rng.geometric(np.exp(-rng.exponential(1 / row.lgn_yule_parameter, len(units))))
    synapses, left = np.ones(len(units), dtype=int), np.arange(len(units))
    for k, n_same in zip(*(values[::-1] for values in np.unique(multiplicity, return_counts=True)), strict=True):
        if k > 1:
            log_weight = -(np.abs(scaled[units[left]]) ** 2) / (2 * (5 / np.sqrt(k)) ** 2)
            chosen = np.argsort(-(log_weight + rng.gumbel(size=len(left))))[:n_same]
            synapses[left[chosen]] = k
            left = np.delete(left, chosen)
    return units, synapses


def describe(field, centre, angle, units, synapses):
    """Describe the LGN connections of one cell by numbers that an independent sample must have the same means of.

    Parameters
    ----------
    field, centre, angle
        See ``published_probabilities``.
    units, synapses : (n,) int arrays

    Returns
    -------
    dict of str -> float
        Offsets from the centre of the receptive field [deg], along and across the axis, which is turned around in OFF
        cells; shares. NaN where the cell has no such connections.
    """
    families, relative = field.family[units], field.position[units] - centre
    groups = {"sustained": np.isin(families, ["sON", "sOFF"]), "transient": families == "tOFF"}
    groups["composite"] = families == ""
    is_on = np.mean(families[groups["sustained"]] == "sON") if groups["sustained"].any() else np.nan
    turned = relative * np.exp(-1j * np.radians(angle)) * (2 * is_on - 1)
    numbers = {"ON cells": is_on, "azimuth": relative.real.mean(), "elevation": relative.imag.mean()}
    numbers |= {"offset across": turned.imag.mean()}
    numbers |= {"squared offset along": np.mean(turned.real**2), "squared offset across": np.mean(turned.imag**2)}
    for name, chosen in groups.items():
        numbers[f"offset along, {name}"] = _mean_where(turned.real, chosen)
        numbers[f"share of {name}"] = chosen.mean()
    for name, least, most in (("1 synapse", 1, 1), ("2 or 3 synapses", 2, 3), ("4 or more", 4, np.inf)):
        numbers[f"distance, {name}"] = _mean_where(np.abs(relative), (synapses >= least) & (synapses <= most))
    for family, frequencies in FREQUENCIES.items():
        for frequency in frequencies:
            of_frequency = field.frequency[units] == frequency
            numbers[f"{frequency} Hz among {family}"] = _mean_where(of_frequency, families == family)
    return numbers


def _mean_where(values, chosen):
    return values[chosen].mean() if chosen.any() else np.nan


def compare_with_sampler(circuit, cells, seed):
    """Compare the LGN connections of some cells with an independent draw for the same cells.

    Parameters
    ----------
    circuit : Circuit
    cells : (n,) int array
    seed : int
        Of the independent draw.

    Returns
    -------
    pandas.DataFrame
        Row per number of ``describe``: mean in the circuit, of the draw, standard error of the difference, z, n cells.
    """
    rng, field, rows = np.random.default_rng(seed), read_field(circuit), population_rows(circuit)
    wanted, centre = wanted_connections(circuit), centres(circuit)
    theirs, ours = [], []
    for cell, (units, synapses) in zip(cells, connections_of(circuit, cells), strict=True):
        place = field, centre[cell], circuit.nodes.tuning_angle[cell]
        if len(units):
            ours.append(describe(*place, units, synapses))
            theirs.append(describe(*place, *draw_connections(*place, rows.iloc[cell], wanted[cell], rng)))
    ours, theirs = pd.DataFrame(ours), pd.DataFrame(theirs)
    difference = ours - theirs
    both = difference.notna()
    error = difference.std() / np.sqrt(both.sum())
    columns = {"circuit": ours[both].mean(), "independent": theirs[both].mean(), "standard_error": error}
    return pd.DataFrame(columns | {"z": difference.mean() / error, "n_cells": both.sum()})


def connections_of(circuit, cells):
    """LGN connections of some cells: list of (units, synapses)."""
    projection = circuit.projections["lgn_to_v1"]
    place = np.full(circuit.n_neurons, -1)
    place[cells] = np.arange(len(cells))
    place = place[projection.posts(circuit.n_receptors)]
    edges = np.flatnonzero(place >= 0)
    edges = edges[np.argsort(place[edges], kind="stable")]
    units = np.searchsorted(projection.indptr, edges, side="right") - 1
    borders = np.searchsorted(place[edges], np.arange(len(cells) + 1))
    return [
        (units[start:end], projection.n_synapses[edges[start:end]].astype(int))
        for start, end in itertools.pairwise(borders)
    ]
