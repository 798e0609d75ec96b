"""Node and edge types: SONATA's tables in CSV, read as text and converted column by column."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.sonata.tables import read_text_file

# What pandas, and so BMTK, reads as a missing value.
NULLS = frozenset(["", "NULL", "null", "NONE", "None", "NA", "N/A", "n/a", "NaN", "nan", "<NA>"])
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
# Ids that lie this close together are found through a table, ten times faster than by searching.
_DENSE_IDS = 10**7


@dataclass(frozen=True)
class TypeTable:
    """The rows of a table of node or edge types.

    Attributes
    ----------
    path : Path or None
        None for populations without a table.
    ids : (n,) int64 array
    columns : dict of str -> list of str or None
        None is what the table calls NULL.
    """

    path: Path | None
    ids: np.ndarray
    columns: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.ids)

    def text(self, column):
        """Texts of a column, None where there is none: a list of n."""
        return self.columns.get(column, [None] * len(self))

    def has(self, column):
        """Whether a column is there and holds something."""
        return any(value is not None for value in self.text(column))

    def numbers(self, column):
        """Numbers of a column, (n,) float64, NaN where there is none.

        Raises
        ------
        FileError
            A value is not a number.
        """
        return np.array([self._number(column, row, value) for row, value in enumerate(self.text(column))], dtype=float)

    def _number(self, column, row, value):
        try:
            if value is not None and not value.isascii():
                raise ValueError(f"{value!r:.40} is not ASCII")
            return np.nan if value is None else float(value)
        except ValueError as error:
            message = f"{self.path}: column {column}: {error}. Is the file cut short or damaged?"
            raise FileError(message, self.path, column, [row]) from error

    def take(self, rows):
        """The table of some of its rows."""
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return TypeTable(self.path, self.ids[list(rows)], columns)

    def rows_of(self, ids):
        """Row of each id, (m,) int32; -1 where the table does not list it."""
        return self._find_rows(ids).astype(np.int32, copy=False)

    @cached_property
    def _find_rows(self):
        known = self.ids
        first, last = int(known.min(initial=0)), int(known.max(initial=0))
        if last - first > _DENSE_IDS:
            index = pd.Index(known)
            return lambda ids: index.get_indexer(_as_int64(ids))
        row_of_id = np.full(last - first + 2, -1, dtype=np.int32)
        row_of_id[known - first] = np.arange(len(known))

        def find(ids):
            if ids.dtype.itemsize == 8:
                ids = _as_int64(ids)
            return row_of_id[np.where((ids >= first) & (ids <= last), ids.astype(np.int64) - first, -1)]

        return find


def _as_int64(ids):
    """Ids above the largest int64 become -1, which no table may list without being asked for."""
    ids = np.asarray(ids)
    return np.where(ids > np.iinfo(np.int64).max, np.iinfo(np.int64).min, ids).astype(np.int64)


def one_type():
    """The table of a population whose properties all stand with its nodes or edges: one type that says nothing.

    Returns
    -------
    TypeTable
    """
    return TypeTable(None, np.zeros(1, dtype=np.int64))


def read_type_table(path, index):
    """Read a space-separated CSV of node or edge types.

    Parameters
    ----------
    path : Path
    index : str
        ``"node_type_id"`` or ``"edge_type_id"``; unique whole numbers.

    Returns
    -------
    TypeTable

    Raises
    ------
    FileError
        The file is missing or no table, its rows differ in length, an id is no whole number or occurs twice.
    """
    text = read_text_file(path, "a SONATA table of types")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=" ", strict=True))
    except csv.Error as error:
        message = f"{path} is not a table of types: {error}. Expected columns separated by spaces."
        raise FileError(message, path) from error
    header, *rows = [line for line in lines if line] or [[]]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise FileError(f"{path}: the column {first_offenders(twice)} occurs twice. Expected each once.", path)
    bad = [row for row, values in enumerate(rows) if len(values) != len(header)]
    if bad:
        raise FileError(
            f"{path}: rows {first_offenders(bad)} do not have the {len(header)} values of the header. Expected values "
            "separated by single spaces, NULL where there is none. Is the file cut short?",
            path,
            index=bad,
        )
    if index not in header:
        raise FileError(f"{path} has no column {index!r}; {near_name_hint(index, header)}.", path, index)
    values = zip(*rows, strict=True) if rows else ([] for _ in header)
    columns = {
        name: [None if value in NULLS else value for value in column]
        for name, column in zip(header, values, strict=True)
    }
    return TypeTable(path, _ids(path, index, columns.pop(index)), columns)


def _ids(path, index, texts):
    bad = [row for row, text in enumerate(texts) if text is None or not _WHOLE.fullmatch(text)]
    if bad:
        found = first_offenders([f"{texts[row]!r:.40}" for row in bad])
        message = f"{path}: {index} of rows {first_offenders(bad)} is {found}; expected whole numbers. Correct it."
        raise FileError(message, path, index, bad)
    ids = [int(text.partition(".")[0]) for text in texts]
    twice = [id_ for id_, count in Counter(ids).items() if count > 1]
    if twice:
        message = f"{path}: {index} {first_offenders(twice)} occurs twice. Expected each type once."
        raise FileError(message, path, index, [row for row, id_ in enumerate(ids) if id_ in set(twice)])
    return np.array(ids, dtype=np.int64)
