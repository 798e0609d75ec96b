"""Projections read from populations of edges: straight into their final arrays where the rows are in order."""

import numpy as np

from twincortex.models.circuit import Projection
from twincortex.models.errors import FileError

_MOST_DELAYS = 255
_MOST_SYNAPSES = np.iinfo(np.uint16).max


class _Rows:
    """The rows of all populations of a projection, in our words."""

    def __init__(self, n_rows, n_sources, weight_dtype, has_counts, keep_sources):
        self.target = np.empty(n_rows, dtype=np.int32)
        self.code = np.empty(n_rows, dtype=np.uint8)
        self.weight = np.empty(n_rows, dtype=weight_dtype)
        self.n_synapses = np.empty(n_rows, dtype=np.uint16) if has_counts else None
        self.source = np.empty(n_rows, dtype=np.int32) if keep_sources else None
        self.per_source = np.zeros(n_sources, dtype=np.int64)
        self.are_ordered, self._last = True, None
        self.n_rounded, self.largest_change = 0, 0.0

    def note_order(self, rows, sources, may_repeat):
        """Whether the rows read so far are in the canonical order of a projection."""
        code, target = self.code[rows], self.target[rows]
        first = (sources[0], code[0], target[0])
        if self._last is not None:
            self.are_ordered &= first > self._last or (may_repeat and first == self._last)
        self._last = sources[-1], code[-1], target[-1]
        further = target[1:] >= target[:-1] if may_repeat else target[1:] > target[:-1]
        further = (code[1:] > code[:-1]) | ((code[1:] == code[:-1]) & further)
        step = np.diff(sources)
        self.are_ordered &= bool(np.all((step > 0) | ((step == 0) & further)))

    def note_rounding(self, moved):
        """Count the rows whose delays were rounded."""
        if moved is not None and moved.any():
            self.n_rounded += int(np.count_nonzero(moved > 1e-9))
            self.largest_change = max(self.largest_change, float(moved.max()))


def read_projection(source, n_sources, edges, sign_of_source, n_targets, report, resolution=None):
    """Read one projection.

    Parameters
    ----------
    source : str
    n_sources : int
    edges : list of EdgePopulation
    sign_of_source : (n_sources,) float32 array
        See `EdgePopulation.weights`.
    n_targets : int
        Neurons times receptors.
    report : ProjectionReport
    resolution : float [ms], optional
        What delays are rounded to.

    Returns
    -------
    Projection

    Raises
    ------
    FileError
        See `EdgePopulation`; or more distinct delays, or synapses of a connection, than fit.
    """
    are_ours = len(edges) == 1 and edges[0].is_ours
    table = delay_table(edges, resolution)
    rows = _read_rows(n_sources, edges, sign_of_source, table, keep_sources=False)
    if not rows.are_ordered:
        rows = _read_rows(n_sources, edges, sign_of_source, table, keep_sources=True)
        _sort(rows, n_targets, len(table), collapse=not are_ours)
    _describe(rows, edges, report, resolution)
    n_synapses = rows.n_synapses
    if n_synapses is not None and not are_ours and np.all(n_synapses == 1):
        n_synapses = None
    indptr = np.concatenate([[0], np.cumsum(rows.per_source)])
    weight = _as_float32(rows.weight, edges)
    report.connections = len(rows.target)
    report.synapses = report.connections if n_synapses is None else int(n_synapses.sum(dtype=np.int64))
    return Projection(source, n_sources, indptr, rows.target, rows.code, table, weight, n_synapses)


def no_projection(source, n_sources):
    """A projection without connections, of a population that no edges leave."""
    empty = np.zeros(0, dtype=np.int32)
    indptr = np.zeros(n_sources + 1, dtype=np.int64)
    return Projection(
        source, n_sources, indptr, empty, empty.astype(np.uint8), np.zeros(0), np.zeros(0, dtype=np.float32)
    )


def delay_table(edges, resolution=None):
    """Distinct delays of a projection.

    Parameters
    ----------
    edges : list of EdgePopulation
    resolution : float [ms], optional
        What delays are rounded to.

    Returns
    -------
    (n_delays,) float64 array [ms], ascending

    Raises
    ------
    FileError
        More than 255.
    """
    if len(edges) == 1 and resolution is None and (table := edges[0].own_delay_table()) is not None:
        return table
    table = np.zeros(0)
    for population in edges:
        table = np.union1d(table, population.distinct_delays(_MOST_DELAYS))
        if len(table) > _MOST_DELAYS:
            raise FileError(
                f"{population.path}: more than {_MOST_DELAYS} distinct delays; at most {_MOST_DELAYS} fit. Round them "
                "with --delay-resolution-ms, for example to the dt of the simulation.",
                population.path,
                "delay",
            )
    return table


def _read_rows(n_sources, edges, sign_of_source, table, keep_sources):
    """Read all rows; without ``keep_sources`` only as long as they are in order."""
    rows = _Rows(
        sum(population.n_rows for population in edges),
        n_sources,
        np.result_type(np.float32, *(population.weight_dtype for population in edges)),
        any(population.has_synapse_counts for population in edges),
        keep_sources,
    )
    may_repeat, first = len(edges) == 1 and edges[0].is_ours, 0
    for population in edges:
        population.n_merged = 0
        for start, stop in population.slices():
            place = slice(first + start, first + stop)
            sources, posts = population.sources(start, stop), population.posts(start, stop)
            type_rows = population.type_rows(start, stop)
            rows.weight[place] = weights = population.weights(start, stop, type_rows, sources, sign_of_source)
            rows.target[place] = population.targets(start, stop, posts, type_rows, weights)
            rows.code[place], moved = population.delay_codes(start, stop, type_rows, table)
            if rows.n_synapses is not None:
                rows.n_synapses[place] = population.synapses(start, stop, type_rows, counts=True)
            rows.per_source += np.bincount(sources, minlength=n_sources)
            rows.note_rounding(moved)
            rows.note_order(place, sources, may_repeat)
            if keep_sources:
                rows.source[place] = sources
            elif not rows.are_ordered:
                return rows
        first += population.n_rows
    return rows


def _sort(rows, n_targets, n_delays, collapse):
    """Bring the rows into canonical order, and collapse those of the same source, delay and target into one."""
    n_sources = len(rows.per_source)
    if n_sources * n_delays * n_targets < 2**63:
        key = (rows.source.astype(np.int64) * n_delays + rows.code) * n_targets + rows.target
        order = np.argsort(key, kind="stable")
        is_first = np.diff(key[order], prepend=-1) != 0
        del key
    else:
        order = np.lexsort((rows.target, rows.code, rows.source))
        columns = (rows.target[order], rows.code[order], rows.source[order])
        is_first = np.any([np.diff(column.astype(np.int64), prepend=-1) != 0 for column in columns], axis=0)
    if collapse and not is_first.all():
        first = np.flatnonzero(is_first)
        rows.weight = np.add.reduceat(rows.weight[order].astype(np.float64), first)
        ones = (
            np.ones(len(order), dtype=np.int64) if rows.n_synapses is None else rows.n_synapses[order].astype(np.int64)
        )
        counts = np.add.reduceat(ones, first)
        if counts.max() > _MOST_SYNAPSES:
            raise FileError(
                f"a connection of {counts.max():,} synapses; at most {_MOST_SYNAPSES:,} fit. Check the edges."
            )
        rows.n_synapses, order = counts.astype(np.uint16), order[first]
        rows.per_source = np.bincount(rows.source[order], minlength=n_sources)
    else:
        rows.weight = rows.weight[order]
        rows.n_synapses = None if rows.n_synapses is None else rows.n_synapses[order]
    rows.target, rows.code = rows.target[order], rows.code[order]


def _as_float32(weight, edges):
    with np.errstate(over="ignore"):
        rounded = weight.astype(np.float32, copy=False)
    if not np.isfinite(rounded).all():
        message = f"{edges[0].path}: weights beyond the range of float32 ({np.abs(weight).max():g} pA). Repair them."
        raise FileError(message, edges[0].path, "syn_weight")
    return rounded


def _describe(rows, edges, report, resolution):
    report.populations = [population.name for population in edges]
    report.rows = sum(population.n_rows for population in edges)
    for population in edges:
        for name, where in population.places().items():
            report.used.setdefault(name, [])
            if where not in report.used[name]:
                report.used[name].append(where)
    n_merged = sum(population.n_merged for population in edges)
    if n_merged:
        report.merged = {"receptors": n_merged, "of": report.rows}
    if resolution is not None:
        report.rounded["delay"] = {
            "resolution_ms": resolution,
            "n_changed": rows.n_rounded,
            "of": report.rows,
            "max_change_ms": rows.largest_change,
        }
    if rows.weight.dtype != np.float32:
        report.rounded["syn_weight"] = "to float32"
    report.ignored = sorted({name for population in edges for name in population.ignored})
    report.not_understood = sorted({name for population in edges for name in population.not_understood})
