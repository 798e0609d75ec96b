"""One population of edges in an open SONATA file: its quantities, checked and in our words, slice by slice."""

import numpy as np

from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.hdf5.access import find, names_in, refuse
from twincortex.models.hdf5.reading import read_attribute
from twincortex.models.sonata.edge_rows import EdgeRows
from twincortex.models.sonata.edge_values import classify, read_type_values
from twincortex.models.sonata.groups import Property

_MOST_SYNAPSES = np.iinfo(np.uint16).max
_DYNAMICS = "dynamics_params"


class EdgePopulation(EdgeRows):
    """A population of edges with weights, delays, receptors and numbers of synapses.

    Parameters
    ----------
    file, files, name, populations
        See `EdgeRows`.
    folder : Path or None
        Of the synapse files.
    options : ReadingOptions

    Attributes
    ----------
    resolution : float or None
        What delays are rounded to [ms].
    n_merged : int
        Edges read so far whose receptor_type is another receptor here.
    ignored, not_understood : list of str
        Properties that are not used.

    Raises
    ------
    FileError
        See `EdgeRows`; or quantities without a value, dynamics that no engine here has.
    """

    def __init__(self, file, files, name, populations, folder, options):
        super().__init__(file, files, name, populations)
        self._receptors, self._type_of_neuron = populations.receptors, populations.nodes.type_index
        self._most_receptors = self._receptors.of_type.shape[1] - 1
        self.of_type = read_type_values(
            self.types, folder, self._most_receptors, self.used_types, options.weights_as_written
        )
        self.weight, self.delay = self._required("syn_weight", self.of_type.weight), self._delay_property()
        self.receptor = Property(self.groups, "receptor_type", self.of_type.receptor, integer=True)
        self.n_synapses = Property(self.groups, "nsyns", self.of_type.n_synapses)
        self.counts = Property(self.groups, "n_syns_", integer=True)
        self.resolution, self.n_merged = options.delay_resolution_ms, 0
        self.ignored, self.not_understood = self._look_at_the_rest()

    def _required(self, name, of_type):
        """A property that every edge must have."""
        column = Property(self.groups, name, of_type)
        lacking = np.flatnonzero(self.used_types & np.isnan(of_type))
        if column.is_in_a_group or not len(lacking) or not self.n_rows:
            return column
        if name in self.types.columns:
            what = f"no {name} for the types {first_offenders(self.types.ids[lacking])}, and none with the edges"
        else:
            known = {*self.types.columns, *(word for group in self.groups.groups.values() for word in names_in(group))}
            what = f"has no column {name!r}; {near_name_hint(name, known)}"
        raise FileError(
            f"{self.types.path or self.path} {what}. Expected it there or in {self.path}:{self.group.name}/0.",
            self.types.path or self.path,
            name,
            lacking,
        )

    def _delay_property(self):
        given = self.of_type.delay[self.used_types]
        bad = self.types.ids[self.used_types][~np.isnan(given) & ~(np.isfinite(given) & (given > 0))]
        if len(bad):
            message = f"{self.types.path}: delay of types {first_offenders(bad)}: expected a positive number of ms."
            raise FileError(message, self.types.path, "delay", bad)
        return self._required("delay", self.of_type.delay)

    def _look_at_the_rest(self):
        """Refuse properties that would change the dynamics; name those that are ignored or not understood."""
        names = {name for name in self.types.columns if self.types.has(name)}
        for group in self.groups.groups.values():
            names |= {name for name in names_in(group) if name != _DYNAMICS}
            parameters = find(group, _DYNAMICS)
            if parameters is not None:
                refuse(
                    group,
                    _DYNAMICS,
                    "gives edges parameters of their own. Expected them as properties: syn_weight, delay, "
                    "receptor_type.",
                )
            for name in ("model_template", "weight_function"):
                if name in names_in(group):
                    refuse(group, name, "is given per edge. Expected it in the table of types; move it there.")
        if self.n_rows == 0:
            return [], []
        ignored, not_understood, other = classify(names)
        if other:
            raise FileError(
                f"{self.path}:{self.group.name}: {first_offenders(other)} belong to synapses that are not static. "
                "Expected syn_weight, delay and receptor_type only; remove them if they have no effect.",
                self.path,
                self.group.name,
            )
        return ignored + self.of_type.ignored, not_understood

    def places(self):
        """Where each quantity stands: dict of str -> str."""
        columns = {column.name: column for column in (self.weight, self.delay, self.receptor, self.n_synapses)}
        places = {}
        for name, column in columns.items():
            if column.is_in_a_group:
                places[name] = "property of the edges"
            elif self.types.has(name):
                places[name] = f"column of {self.types.path.name}"
        if "receptor_type" not in places:
            files = self.types.has("dynamics_params") and not np.isnan(self.of_type.receptor).all()
            places["receptor_type"] = "synapse files" if files else "sign of the weights"
        places.setdefault("delay", "synapse files")
        if "nsyns" in places and not self._is_multiplied:
            places["nsyns"] += "; weights are not multiplied by it"
        if self.counts.is_in_a_group:
            places["synapses"] = "n_syns_ of the edges"
        return places

    @property
    def weight_dtype(self):
        """float32 where the weights of the file can be taken as they are."""
        as_written = self.weight.dtype == np.float32 and not self._is_multiplied
        return np.dtype(np.float32 if as_written else np.float64)

    @property
    def _is_multiplied(self):
        has_nsyns = self.n_synapses.is_in_a_group or not np.isnan(self.of_type.n_synapses).all()
        return has_nsyns and bool(self.of_type.multiplied[self.used_types].any())

    def weights(self, start, stop, type_rows, sources, sign_of_source):
        """Weight of each row, (n,) float32 or float64 [pA]: syn_weight, times nsyns where there is one.

        Parameters
        ----------
        start, stop : int
        type_rows, sources : (n,) int32 arrays
        sign_of_source : (n_sources,) float32 array
            1, -1, or 0 where either is allowed.

        Raises
        ------
        FileError
            A weight is missing, not finite or of the wrong sign.
        """
        weights = self.weight.values(start, stop, type_rows)
        if not np.isfinite(weights).all():
            bad = np.flatnonzero(~np.isfinite(weights))
            self.refuse_rows(
                self._place("syn_weight"), start + bad, "is missing or not finite; expected pA. Repair it."
            )
        sign = sign_of_source[sources]
        bad = np.flatnonzero(((sign > 0) & (weights < 0)) | ((sign < 0) & (weights > 0)))
        if len(bad):
            self.refuse_rows(
                self._place("syn_weight"),
                start + bad,
                f"is {first_offenders(weights[bad])}: weights of the wrong sign. Inhibitory cells need weights <= 0 "
                "pA, excitatory cells and external sources >= 0 pA.",
            )
        if self._is_multiplied:
            factors = np.where(self.of_type.multiplied[type_rows], self.synapses(start, stop, type_rows), 1)
            return weights * factors.astype(np.float64)
        return weights

    def _place(self, name):
        """Name of a dataset below the population."""
        return f"{next(iter(self.groups.groups))}/{name}"

    @property
    def has_synapse_counts(self):
        """Whether the edges say how many synapses they consist of."""
        has_nsyns = self.n_synapses.is_in_a_group or not np.isnan(self.of_type.n_synapses).all()
        return self.counts.is_in_a_group or has_nsyns

    def synapses(self, start, stop, type_rows, counts=False):
        """Synapses of each row, (n,) uint16; ``counts``: those of n_syns_, by which weights are never multiplied."""
        column = self.counts if counts and self.counts.is_in_a_group else self.n_synapses
        values = column.values(start, stop, type_rows)
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), 1.0, values)
        bad = np.flatnonzero((values < 0) | (values > _MOST_SYNAPSES) | (values != np.rint(values)))
        if len(bad):
            self.refuse_rows(
                self._place(column.name),
                start + bad,
                f"is {first_offenders(values[bad])}; expected whole numbers of synapses, at most {_MOST_SYNAPSES:,}.",
            )
        return values.astype(np.uint16)

    def targets(self, start, stop, posts, type_rows, weights):
        """Element of the inbox of each row, (n,) int32: ``post * n_receptors + receptor``."""
        numbers = self._receptor_numbers(start, stop, type_rows)
        if self._receptors.is_plain:
            found = numbers - np.int32(1)
        else:
            model, sign = self._type_of_neuron[posts], (weights <= 0).astype(np.int8)
            found = self._receptors.of_type[model, np.maximum(numbers, 0), sign]
            self.n_merged += int(np.count_nonzero((numbers > 0) & (found != numbers - 1)))
            found[numbers < 0] = -1
        if found.min(initial=0) < 0:
            bad = np.flatnonzero(found < 0)
            values, most = self.receptor.values(start, stop, type_rows)[bad], self._most_receptors
            self.refuse_rows(
                self._place("receptor_type"),
                start + bad,
                f"is {first_offenders(values)}, which the cell models of the targets lack; expected "
                f"{f'1 to {most}' if most else 'none, or 0: the sign of the weight chooses it'}. Correct it.",
            )
        return posts * np.int32(self._receptors.n_receptors) + found

    def _receptor_numbers(self, start, stop, type_rows):
        """receptor_type of each row, 0 where there is none, -1 where no cell model has it."""
        is_per_edge = self.receptor.is_in_a_group
        numbers = self.receptor.values(start, stop, type_rows) if is_per_edge else self.of_type.receptor
        if numbers.dtype.kind == "f":
            numbers = np.where(np.isnan(numbers), 0, numbers)
        is_known = (numbers >= 0) & (numbers <= self._most_receptors) & (numbers == np.rint(numbers))
        numbers = np.where(is_known, numbers, -1).astype(np.int32)
        return numbers if is_per_edge else numbers[type_rows]

    def distinct_delays(self, most):
        """Distinct delays of all rows, rounded as the options say, ascending [ms]; not many more than ``most``."""
        if not self.delay.is_in_a_group:
            return np.unique(self._rounded(self.of_type.delay[self.used_types])) if self.n_rows else np.zeros(0)
        found = np.zeros(0)
        for start, stop in self.slices():
            found = np.union1d(found, self._rounded(self._delays(start, stop, self.type_rows(start, stop))))
            if len(found) > most:
                break
        return found

    def own_delay_table(self):
        """The delays of a file that we wrote, those that no edge uses included; None in other files."""
        table = read_attribute(self.group, "delay_ms") if self.is_ours else None
        if table is None:
            return None
        table = np.asarray(table)
        is_table = table.dtype.kind in "iuf" and table.ndim == 1 and len(table) <= 255
        if not is_table or not np.all(np.isfinite(table) & (table > 0)) or np.any(np.diff(table) <= 0):
            refuse(self.group, "@delay_ms", f"is {table!r:.80}; expected at most 255 ascending delays. Restore it.")
        if not np.isin(self.of_type.delay, table).all():
            refuse(
                self.group,
                "",
                f"attribute delay_ms lacks delays of {self.types.path}. Expected one table: write both again.",
            )
        return table.astype(np.float64)

    def delay_codes(self, start, stop, type_rows, table):
        """Index into a table of delays of each row, (n,) uint8, and how far rounding moved each type or row [ms]."""
        if self.delay.is_in_a_group:
            delays = self._delays(start, stop, type_rows)
            rounded = self._rounded(delays)
            return np.searchsorted(table, rounded).astype(np.uint8), np.abs(rounded - delays)
        delays = np.where(self.used_types, self.of_type.delay, table[0] if len(table) else 0.0)
        rounded = self._rounded(delays)
        code_of_type = np.searchsorted(table, rounded).astype(np.uint8)
        moved = None if self.resolution is None else np.abs(rounded - delays)[type_rows]
        return code_of_type[type_rows], moved

    def _delays(self, start, stop, type_rows):
        delays = self.delay.values(start, stop, type_rows).astype(np.float64)
        bad = np.flatnonzero(~(np.isfinite(delays) & (delays > 0)))
        if len(bad):
            self.refuse_rows(
                self._place("delay"),
                start + bad,
                f"is {first_offenders(delays[bad])}; expected positive numbers of ms. Repair it.",
            )
        return delays

    def _rounded(self, delays):
        if self.resolution is None:
            return delays
        steps = np.rint(delays / self.resolution)
        if np.any(steps < 1):
            raise FileError(
                f"{self.path}:{self.group.name}: the delay {np.min(delays):g} ms would be rounded to 0. Choose a "
                f"smaller --delay-resolution-ms than {self.resolution:g}.",
                self.path,
                self.group.name,
            )
        return np.round(steps * self.resolution, 9)
