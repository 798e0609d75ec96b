"""Rows of a node or edge population and where their properties stand: which group, and which row of it."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import first_offenders
from twincortex.models.hdf5.access import names_in, refuse
from twincortex.models.hdf5.reading import find_dataset, read_group, read_rows

_SLICE = 2**22
_MOST_GROUPS = 1000


@dataclass(frozen=True)
class Groups:
    """The groups of properties of a population of n rows.

    Attributes
    ----------
    groups : dict of int -> h5py.Group
    group_of_row, index_of_row : (n,) arrays or None
        None where there is one group and its row is that of the population.
    n_rows : int
    """

    groups: dict
    group_of_row: np.ndarray | None
    index_of_row: np.ndarray | None
    n_rows: int

    @property
    def are_plain(self):
        """Whether there is one group whose rows are those of the population."""
        return self.index_of_row is None

    def parts(self, start, stop):
        """Yield (group number, rows counted from start, rows of the group) of the rows start to stop."""
        if self.are_plain:
            yield next(iter(self.groups)), slice(None), slice(start, stop)
            return
        numbers, index = self.group_of_row[start:stop], self.index_of_row[start:stop]
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            yield number, rows, index[rows]


def read_groups(population, kind, n_rows):
    """Find out where the properties of the rows of a population stand.

    Parameters
    ----------
    population : h5py.Group
    kind : str
        ``"node"`` or ``"edge"``.
    n_rows : int

    Returns
    -------
    Groups

    Raises
    ------
    FileError
        A row names a group that is not there; there are several groups and no row says which is its own.
    """
    numbers = sorted(int(name) for name in names_in(population) if name.isascii() and name.isdecimal())
    id_name, index_name = f"{kind}_group_id", f"{kind}_group_index"
    present = [name in names_in(population) for name in (id_name, index_name)]
    if not any(present):
        if len(numbers) > 1:
            refuse(population, id_name, f"is missing, and there are the groups {numbers}. Expected one group.")
        numbers = numbers or [0]
        return Groups({numbers[0]: read_group(population, str(numbers[0]))}, None, None, n_rows)
    used, group_of_row = _groups_of_rows(population, id_name, n_rows)
    if n_rows == 0:
        used = numbers[:1]
    groups = {int(number): read_group(population, str(number)) for number in used}
    if len(groups) <= 1 and _is_plain(population, index_name, n_rows):
        return Groups(groups or {0: population}, None, None, n_rows)
    index_of_row = read_rows(find_dataset(population, index_name, n_rows, integer=True))
    if group_of_row is None:
        group_of_row = np.full(n_rows, used[0], dtype=np.uint32)
    return Groups(groups, group_of_row, index_of_row, n_rows)


def _groups_of_rows(population, name, n_rows):
    """Numbers of the groups that occur, and that of every row; None where all are the same."""
    dataset = find_dataset(population, name, n_rows, integer=True, may_be_unwritten=True)
    if dataset.id.get_storage_size() == 0 and not dataset.fillvalue:
        return [0], None
    used = set()
    for start in range(0, n_rows, _SLICE):
        used.update(np.unique(read_rows(dataset, slice(start, start + _SLICE))).tolist())
    if len(used) > _MOST_GROUPS or (used and min(used) < 0):
        refuse(population, name, f"holds {first_offenders(sorted(used))}. Expected few numbers of groups. Correct it.")
    return sorted(used), None if len(used) <= 1 else read_rows(dataset)


def _is_plain(population, name, n_rows):
    dataset = find_dataset(population, name, n_rows, integer=True)
    for start in range(0, n_rows, _SLICE):
        index = read_rows(dataset, slice(start, start + _SLICE)).astype(np.int64)
        if not np.array_equal(index, np.arange(start, start + len(index))):
            return False
    return True


class Property:
    """One property of the rows of a population, from its groups where they hold it, else from its types.

    Parameters
    ----------
    groups : Groups
    name : str
        Of a dataset in the groups.
    of_type : (n_types,) float64 array or None
        Value per type, NaN where the table says nothing.
    integer : bool
        Expect whole numbers.
    """

    def __init__(self, groups, name, of_type=None, integer=False):
        self._groups, self.name, self._of_type = groups, name, of_type
        self._datasets = {
            number: find_dataset(group, name, groups.n_rows if groups.are_plain else None, integer)
            for number, group in groups.groups.items()
            if name in names_in(group)
        }
        self._loaded = {}

    @property
    def is_in_every_group(self):
        """Whether no row needs its type."""
        return len(self._datasets) == len(self._groups.groups)

    @property
    def is_in_a_group(self):
        """Whether some rows have values of their own."""
        return bool(self._datasets)

    @property
    def dtype(self):
        """Type of the values: that of the dataset where there is one for all rows, else float64."""
        if self._groups.are_plain and self.is_in_every_group:
            return next(iter(self._datasets.values())).dtype.newbyteorder("=")
        return np.dtype(np.float64)

    def values(self, start, stop, type_rows):
        """Values of the rows start to stop.

        Parameters
        ----------
        start, stop : int
        type_rows : (n,) int array
            Row of the type of each.

        Returns
        -------
        (n,) array
            NaN where neither the group nor the type has one.
        """
        if self._groups.are_plain and self.is_in_every_group:
            return read_rows(next(iter(self._datasets.values())), slice(start, stop))
        values = np.full(len(type_rows), np.nan) if self._of_type is None else self._of_type[type_rows]
        for number, rows, index in self._groups.parts(start, stop):
            if number in self._datasets:
                values[rows] = self._of_group(number, index, start)
        return values

    def _of_group(self, number, index, start):
        dataset = self._datasets[number]
        if isinstance(index, slice):
            return read_rows(dataset, index)
        if number not in self._loaded:
            self._loaded[number] = read_rows(dataset)
        outside = np.flatnonzero((index < 0) | (index >= len(self._loaded[number])))
        if len(outside):
            refuse(
                self._groups.groups[number],
                self.name,
                f"has {len(self._loaded[number]):,} entries, but a row names entry {index[outside[0]]} of it. Expected "
                "smaller indices of groups: was the file cut short?",
            )
        return self._loaded[number][index]
