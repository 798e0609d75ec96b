"""The wiring between cell types: a number for every pair of types, and the connections behind it."""

from functools import cached_property
from threading import RLock

from twincortex.analysis.explorer.json_columns import as_column, as_number
from twincortex.analysis.explorer.pair_view import draw_against_direction, draw_against_response
from twincortex.analysis.response_correlation import Resampling, correlation_rules
from twincortex.analysis.wiring_rules import MIN_CONNECTIONS, pair_table, wiring_rules
from twincortex.models.errors import InputError, near_name_hint

MEASURES = {
    "orientation": "orientation rule b/c",
    "direction": "direction rule a/c",
    "response": "slope over the response correlation",
    "weight": "mean weight",
    "number": "number of connections",
}
# Of wiring_rules and correlation_rules.
COLUMNS = {"orientation": "b_over_c", "direction": "a_over_c", "response": "slope"}
# Quick enough to wait for; the notebooks take more.
RESAMPLING = Resampling(n_bootstrap=100, n_shuffles=30, min_connections=MIN_CONNECTIONS)


class Wiring:
    """The connections within the core; each table is made when it is first asked for, by one thread.

    Parameters
    ----------
    subject : Subject
    """

    def __init__(self, subject):
        self.subject = subject
        self._lock = RLock()
        self._response_tables = {}

    @property
    def stages(self):
        """``"before"``, and of a run ``"after"`` and ``"change"``."""
        return ["before", "after", "change"] if self.subject.is_run else ["before"]

    @property
    def measures(self):
        """Those of MEASURES that there are, and the stages of each, dict of str -> list of str."""
        stages = dict.fromkeys(MEASURES, self.stages) | {"number": ["before"], "response": self._measured_stages}
        return {name: stages[name] for name in MEASURES if stages[name]}

    @property
    def _measured_stages(self):
        return list(self.subject.evaluation.networks) if self.subject.evaluation else []

    def matrix(self, measure, stage):
        """Measure every pair of cell types.

        Parameters
        ----------
        measure : str
            Of MEASURES.
        stage : str

        Returns
        -------
        dict
            value, n and, where they are known, low and high (95 %) and q (false discovery rate), each (types, types),
            rows presynaptic, None where there are too few connections; n_connections, of all pairs; min_connections.

        Raises
        ------
        InputError
            There is no such measure or stage, or too few connections for any.
        """
        _refuse_unknown("measure", measure, self.measures)
        _refuse_unknown("stage", stage, self.measures[measure])
        with self._lock:
            table = self._table(measure, stage)
        types = self.subject.types
        square = {}
        for name in set(table) - {"pre_type", "post_type"}:
            wide = table.pivot(index="pre_type", columns="post_type", values=name)
            square[name] = as_column(wide.reindex(index=types, columns=types), 5)
        n_least = 1 if measure in ("weight", "number") else MIN_CONNECTIONS
        return square | {"n_connections": len(self.pairs), "min_connections": n_least}

    def pair(self, pre, post, against):
        """Connections between two cell types: a sample of dots, means in bins, fits.

        Parameters
        ----------
        pre, post : str
            Cell types.
        against : str
            ``"direction"``, the difference of tuning angles, or ``"response"``, the correlation of tuning curves.

        Returns
        -------
        dict
            n; stages, each as from `pair_view`, with effects, of this pair in `matrix`.

        Raises
        ------
        InputError
            There is no such type or quantity, or no connection.
        """
        for name in (pre, post):
            _refuse_unknown("cell type", name, self.subject.types)
        measures = {"direction": ("direction", "orientation"), "response": ("response",) * bool(self._measured_stages)}
        measures = {name: found for name, found in measures.items() if found}
        _refuse_unknown("quantity", against, measures)
        chosen = self.pairs[(self.pairs.pre_type == pre) & (self.pairs.post_type == post)]
        if chosen.empty:
            raise InputError(
                f"no connection from {pre} to {post} within {self.subject.core_radius_um:g} um of the axis."
            )
        stages = {}
        for stage in self.measures[measures[against][0]]:
            if against == "direction":
                drawn = draw_against_direction(chosen, stage)
            else:
                drawn = draw_against_response(chosen, stage, self._curve(stage))
            stages[stage] = drawn | {
                "effects": {name: self._effect(name, stage, pre, post) for name in measures[against]}
            }
        return {"pre": pre, "post": post, "n": len(chosen), "stages": stages}

    @property
    def pairs(self):
        """From `pair_table`, without cell types that are not of the column."""
        with self._lock:
            return self._pairs

    @cached_property
    def _pairs(self):
        circuits = self.subject.circuits
        pairs = pair_table(circuits["before"], circuits.get("after", circuits["before"]), self.subject.core_radius_um)
        return pairs[pairs.pre_type.notna() & pairs.post_type.notna()]

    @cached_property
    def _rules(self):
        return wiring_rules(self.pairs, n_shuffles=0)

    def _curve(self, stage):
        return self.subject.evaluation.networks[stage]["curve"]

    def _table(self, measure, stage):
        """pre_type, post_type, n, value and, where they are known, low, high and q."""
        if measure in ("weight", "number"):
            return self._counted(measure, stage)
        if measure == "response":
            rules = self._response_rules(stage)
        else:
            rules = self._rules[self._rules.when == stage]
        effect = COLUMNS[measure]
        # The q of a ratio is that of its numerator.
        names = {effect: "value", f"{effect}_low": "low", f"{effect}_high": "high", f"{effect.split('_')[0]}_q": "q"}
        return rules[["pre_type", "post_type", "n", *names]].rename(columns=names)

    def _counted(self, measure, stage):
        strength = 100 * self.pairs.relative_change if stage == "change" else self.pairs[f"weight_{stage}_pA"].abs()
        groups = strength.groupby([self.pairs.pre_type, self.pairs.post_type], observed=True)
        table = groups.agg(value="mean", n="size").reset_index()
        return table.assign(value=table.n) if measure == "number" else table

    def _response_rules(self, stage):
        if stage not in self._response_tables:
            edges = self.pairs.rename(columns={f"weight_{stage}_pA": "weight_pA"})
            self._response_tables[stage] = correlation_rules(edges, self._curve(stage), resampling=RESAMPLING)
        return self._response_tables[stage]

    def _effect(self, measure, stage, pre, post):
        with self._lock:
            table = self._table(measure, stage)
        row = table[(table.pre_type == pre) & (table.post_type == post)]
        return {name: as_number(row.iloc[0][name]) if len(row) else None for name in ("value", "low", "high", "q")}


def _refuse_unknown(what, name, known):
    if name not in known:
        raise InputError(f"{what} {name!r} is not shown; {near_name_hint(name, known)}.")
