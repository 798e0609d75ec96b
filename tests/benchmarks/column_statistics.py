"""Compare a built column with the published rules summed over the same neurons; print, store and draw the result.

``PYTHONPATH=tests python tests/benchmarks/column_statistics.py [--size core] [--seed 1] [--targets N]``

Takes three minutes of processor time and 1.3 GB for core, most of it for the probabilities of 4.4e9 pairs of neurons;
for full, ask for some 4,000 random targets. Columns smaller than small have too few cells of some kinds for a z.
"""

import argparse
import json
import os
import platform
import re
import resource
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from column_figure import draw_column_statistics
from oracles.deviations import summarize
from oracles.lgn_sampler import compare_with_sampler, count_wrong_cells
from oracles.published_inputs import (
    check_background,
    count_by_population,
    largest_difference_of_weights,
    population_rows,
)
from oracles.published_probability import cell_types, count_reciprocal, read_cells
from oracles.published_weights import check_psps
from oracles.published_wiring import CLASS_PAIRS, DIRECTION_BIN_DEG, DISTANCE_BIN_UM, check_recurrent, deviations_of

from twincortex.models.column import build_column

RESULTS = Path(__file__).resolve().parent / "results"
SAMPLER_CELLS, RECIPROCAL_NEURONS = 100, 4000
COUNTS_OF_WRONG = (
    ("recurrent", "self_connections"), ("recurrent", "duplicates"), ("psp", "n_beyond_limits"),
    ("lgn", "cells_with_a_wrong_number"), ("lgn", "cells_with_sON_and_sOFF"), ("lgn", "duplicates"),
    ("background", "n_wrong_cells"), ("background", "n_wrong_weights"),
)  # fmt: skip
FLOAT32_ROUNDING = 1e-6
PACKAGES = ("twincortex", "numpy", "numba", "scipy")


def main():
    """Build a column, compare it, write results/column_statistics.json and .png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="core")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", type=int, help="random targets of recurrent connections; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON and the figure")
    options = parser.parse_args()
    circuit = build_column(options.size, options.seed)
    built = time.process_time(), _peak_resident_gb()
    rng = np.random.default_rng(options.seed)
    targets = rng.choice(circuit.n_neurons, options.targets, replace=False) if options.targets else None
    check = check_recurrent(circuit, targets)
    psps, psp_shares = check_psps(circuit)
    populations, sampler = count_by_population(circuit), _compare_lgn(circuit, rng)
    result = _describe_run(circuit) | {
        "recurrent": _recurrent(circuit, check, rng),
        "psp": _psp(psps),
        "lgn": _lgn(circuit, populations, sampler),
        "background": check_background(circuit),
        "cpu_s": {"build": built[0], "statistics": time.process_time() - built[0]},
        "peak_resident_GB": {"build": built[1], "whole": _peak_resident_gb()},
    }
    result["beyond_chance"] = _beyond_chance(result)
    (options.results / "column_statistics.json").write_text(_compact_json(result))
    figure = draw_column_statistics(circuit, check, psps, psp_shares, populations, sampler)
    figure.savefig(options.results / "column_statistics.png", dpi=110)
    _print_tables(result, populations, sampler)


def _describe_run(circuit):
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in PACKAGES},
        "circuit": circuit.provenance | {
            "neurons": circuit.n_neurons,
            "connections": {name: projection.n_edges for name, projection in circuit.projections.items()},
            "lgn_synapses": int(circuit.projections["lgn_to_v1"].n_synapses.sum(dtype=np.int64)),
            "topology_hash": circuit.topology_hash,
            "weights_hash": circuit.weights_hash,
        },
    }  # fmt: skip


def _recurrent(circuit, check, rng):
    deviations = deviations_of(check, read_cells(circuit))
    observed, (expected, variance) = check.observed.by_type[..., 0].sum(), check.expected.by_type.sum(axis=(0, 1))
    inner = np.flatnonzero(np.hypot(circuit.nodes.x, circuit.nodes.z) <= circuit.provenance["core_radius_um"])
    both = count_reciprocal(circuit, rng.choice(inner, min(RECIPROCAL_NEURONS, len(inner)), replace=False))
    return {
        "targets": len(check.targets),
        "connections": _row(observed, expected, np.sqrt(variance)),
        "self_connections": check.n_self,
        "duplicates": check.n_duplicates,
        "reciprocal_pairs_of_inner_neurons": _row(*both),
        "summary": {name: summarize(deviation.z) for name, deviation in deviations.items()},
        "pairs_of_classes": _columns(CLASS_PAIRS, deviations["pairs of classes"]),
        "pairs_of_cell_types": _cell_type_pairs(check),
        "profiles": {
            f"distance, bins of {DISTANCE_BIN_UM:g} um": _profile(check, "by_distance"),
            f"difference of tuning, bins of {DIRECTION_BIN_DEG:g} deg": _profile(check, "by_direction"),
        },
    }


def _row(observed, expected, sd):
    return {"observed": observed, "expected": expected, "sd": sd, "z": (observed - expected) / sd}


def _columns(names, deviation):
    return [list(row) for row in zip(names, *deviation[:4], strict=True)]


def _cell_type_pairs(check):
    observed, expected = check.observed.by_type[..., 0], check.expected.by_type
    names = cell_types().index
    return [["pre", "post", "observed", "expected", "sd", "z"]] + [
        [pre, post, *_row(observed[i, j], expected[i, j, 0], np.sqrt(expected[i, j, 1])).values()]
        for i, pre in enumerate(names)
        for j, post in enumerate(names)
        if expected[i, j, 0] > 0
    ]


def _profile(check, name):
    observed, expected = getattr(check.observed, name)[..., 0], getattr(check.expected, name)
    columns = {"observed": observed, "expected": expected[..., 0], "sd": np.sqrt(expected[..., 1])}
    return {
        pair: {name: values[number].tolist() for name, values in columns.items()}
        for number, pair in enumerate(CLASS_PAIRS)
    }


def _psp(psps):
    # Sources of all classes meet the same target cells and their sizes, which make most of the scatter over sizes.
    independent = {"mean_z": True, "variance_z": True, "limit_z": True, "scale_z": False, "shape_z": False}
    return {
        "summary": {name: summarize(psps[name].dropna().to_numpy(), yes) for name, yes in independent.items()},
        "smallest_of_quantile_p": _smallest_p(psps.quantile_p),
        "n_beyond_limits": psps.n_beyond.sum(),
        "kinds": _table(psps.reset_index()),
    }


def _compare_lgn(circuit, rng):
    population = population_rows(circuit).population
    some = [rng.permutation(np.flatnonzero(population == name))[:SAMPLER_CELLS] for name in population.unique()]
    return compare_with_sampler(circuit, np.concatenate(some), seed=rng.integers(2**32))


def _lgn(circuit, populations, sampler):
    normal = ("connections_z", "synapses_z", "synapses_given_connections_z")
    return {
        **count_wrong_cells(circuit),
        "largest_relative_difference_of_weights": largest_difference_of_weights(circuit),
        "summary": {name: summarize(populations[name].to_numpy()) for name in normal}
        | {"independent sampler": summarize(sampler.z.to_numpy(), independent=False)},
        "smallest_of_multiplicity_p": _smallest_p(populations.multiplicity_p),
        "populations": _table(populations.reset_index(names="population")),
        "independent_sampler": _table(sampler.reset_index(names="statistic")),
    }


def _smallest_p(p_values):
    return {"n": len(p_values), "smallest": p_values.min(), "p_value": 1 - (1 - p_values.min()) ** len(p_values)}


def _table(frame):
    return [list(frame.columns), *frame.astype(object).where(frame.notna(), None).to_numpy().tolist()]


def _summaries(result):
    parts = ("recurrent", "psp", "lgn")
    return {f"{part}: {name}": row for part in parts for name, row in result[part]["summary"].items()}


def _beyond_chance(result):
    """Name what should not be, or comes by chance less than once in 1,000 (largest |z|) or 10,000 times (the rest)."""
    summaries = _summaries(result)
    names = [name for name, row in summaries.items() if row["largest_abs_z"] > row["largest_abs_z_once_in_1000"]]
    p_values = {name: row["p_value"] for name, row in summaries.items() if row["p_value"] is not None}
    p_values["psp: quantiles"] = result["psp"]["smallest_of_quantile_p"]["p_value"]
    p_values["lgn: multiplicities"] = result["lgn"]["smallest_of_multiplicity_p"]["p_value"]
    p_values["background: units"] = result["background"]["unit_p"]
    wrong = {f"{part}: {name}": result[part][name] for part, name in COUNTS_OF_WRONG}
    wrong["lgn: weights"] = result["lgn"]["largest_relative_difference_of_weights"] > FLOAT32_ROUNDING
    names += [name for name, p in p_values.items() if p < 1e-4] + [name for name, n in wrong.items() if n]
    return sorted(set(names))


def _print_tables(result, populations, sampler):
    summaries = pd.DataFrame(_summaries(result)).T.astype(float)
    columns = ["connections", "connections_published", "connections_z", "synapses", "synapses_published", "synapses_z"]
    print(summaries.round(3).to_string(), populations[columns].round(2).to_string(), sep="\n\n", end="\n\n")
    print(sampler.round(3).to_string(), end="\n\n")
    recurrent = {name: result["recurrent"][name] for name in ("connections", "reciprocal_pairs_of_inner_neurons")}
    print(pd.DataFrame(recurrent).T.round(2).to_string())
    print({name: result[name] for name in ("cpu_s", "peak_resident_GB", "beyond_chance")})


def _compact_json(result):
    """Rounded to six digits, one row of a table per line."""
    text = json.dumps(_rounded(result), indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda match: re.sub(r"\s+", " ", match[0]), text) + "\n"


def _rounded(value):
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else float(f"{value:.6g}")
    return value.item() if isinstance(value, np.generic) else value


def _peak_resident_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
