"""Circuit: the nodes and the weighted, delayed connections that every engine runs.

Arrays only, in mV, ms, pA, pF, nS, um and degrees; nothing here knows Brian2, torch or files.
"""

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.parameters import read_external_inputs, read_populations

# Connections that are checked at once: their temporary arrays then stay small beside the circuit.
_BLOCK = 2**20


@dataclass(frozen=True)
class NodeTypes:
    """Cell models: M rows of parameters, shared by the neurons of a type.

    Attributes
    ----------
    node_type_id : (M,) int64 array
        Specimen id of the Allen Cell Types Database.
    pop_name : (M,) str array
    parameters : dict of str -> (M,) float64 array
        In NEST's words: V_th E_L V_reset [mV], g [nS], C_m [pF], t_ref [ms], asc_decay_j [1/ms], asc_amp_j [pA],
        asc_r_j.
    receptor_parameters : dict of str -> (M, R) float64 array
        tau_fast, tau_slow [ms], amp_slow.
    ei : (M,) str array, optional
        ``"e"``, ``"i"`` or ``""`` where it is not known; None for populations of the column, whose table says it.
    """

    node_type_id: np.ndarray
    pop_name: np.ndarray
    parameters: dict
    receptor_parameters: dict
    ei: np.ndarray | None = None


@dataclass(frozen=True)
class Nodes:
    """Neurons: N rows.

    Attributes
    ----------
    type_index : (N,) int32 array
        Row of NodeTypes.
    x, y, z : (N,) float64 arrays [um]
        y is minus the depth below the pia.
    tuning_angle : (N,) float64 array [deg]
    target_size : (N,) int32 array
        Total number of synapses onto the cell.
    """

    type_index: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    tuning_angle: np.ndarray
    target_size: np.ndarray


@dataclass(frozen=True)
class Projection:
    """Connections from one source population onto the column: one CSR by presynaptic unit.

    Rows are sorted by (delay_code, target). The same arrays serve spike delivery, the backward gather and the gradient
    of the weights (DESIGN 5).

    Attributes
    ----------
    source : str
        ``"v1"``, ``"lgn"`` or ``"bkg"``.
    n_sources : int
    indptr : (n_sources + 1,) int64 array
    target : (E,) int32 array
        ``post * n_receptors + receptor``.
    delay_code : (E,) uint8 array
        Index into delay_ms.
    delay_ms : (n_delays,) float64 array, ascending
    weight : (E,) float32 array [pA]
        Signed peak of the fast alpha, over all synapses of the connection.
    n_synapses : (E,) uint16 array or None
        Synapses per connection; None means one each.
    """

    source: str
    n_sources: int
    indptr: np.ndarray
    target: np.ndarray
    delay_code: np.ndarray
    delay_ms: np.ndarray
    weight: np.ndarray
    n_synapses: np.ndarray | None = None

    @property
    def n_edges(self):
        """Number of connections."""
        return len(self.target)

    def sources(self):
        """Presynaptic unit of every connection, (E,) int32."""
        return np.repeat(np.arange(self.n_sources, dtype=np.int32), np.diff(self.indptr))

    def posts(self, n_receptors):
        """Postsynaptic neuron of every connection, (E,) int32."""
        return self.target // n_receptors

    def blocks_of_rows(self):
        """Yield (first, last) of consecutive blocks of rows, with about a million connections each or one row."""
        borders = np.searchsorted(self.indptr, np.arange(0, self.n_edges, _BLOCK))
        yield from itertools.pairwise(np.unique([0, *borders, self.n_sources]))

    def delay_steps(self, dt):
        """Delay of every connection in steps of dt, (E,) uint8 (see the function of the same name)."""
        return delay_steps(self.delay_ms, dt)[self.delay_code]


def delay_steps(delay_ms, dt):
    """Round delays to whole steps.

    Parameters
    ----------
    delay_ms : array [ms]
    dt : float [ms]

    Returns
    -------
    uint8 array
        Nearest whole number of steps.

    Raises
    ------
    InputError
        A delay is nearer to 0 steps than to 1, or longer than 255 steps.
    """
    steps = np.rint(np.asarray(delay_ms) / dt)
    if np.any(steps < 1):
        raise InputError(
            f"dt {dt} ms turns the delay {np.min(delay_ms)} ms into 0 steps; every delay must last at least one step. "
            f"Choose dt < {2 * np.min(delay_ms):.3g} ms."
        )
    if np.any(steps > 255):
        raise InputError(
            f"dt {dt} ms turns the delay {np.max(delay_ms)} ms into more than 255 steps. Choose a larger dt."
        )
    return steps.astype(np.uint8)


def sort_projection(source, n_sources, source_ids, target, delay_ms, weight, n_synapses=None):
    """Bring edges in any order into the canonical order of a Projection.

    Parameters
    ----------
    source : str
    n_sources : int
    source_ids : (E,) int array
    target : (E,) int array
        ``post * n_receptors + receptor``.
    delay_ms : (E,) float array [ms]
    weight : (E,) float array [pA]
    n_synapses : (E,) int array, optional

    Returns
    -------
    Projection
    """
    delays, code = np.unique(np.asarray(delay_ms, dtype=np.float64), return_inverse=True)
    if len(delays) > 255:
        raise InputError(
            f"projection {source} to v1 has {len(delays)} distinct delays; at most 255 fit. Round them first."
        )
    if n_synapses is not None and np.max(n_synapses, initial=0) > np.iinfo(np.uint16).max:
        raise InputError(f"projection {source} to v1: a connection has more than 65,535 synapses. Check the edges.")
    order = np.lexsort((target, code, source_ids))
    indptr = np.zeros(n_sources + 1, dtype=np.int64)
    np.cumsum(np.bincount(source_ids, minlength=n_sources), out=indptr[1:])
    return Projection(
        source=source,
        n_sources=n_sources,
        indptr=indptr,
        target=np.asarray(target)[order].astype(np.int32),
        delay_code=code[order].astype(np.uint8),
        delay_ms=delays,
        weight=np.asarray(weight)[order].astype(np.float32),
        n_synapses=None if n_synapses is None else np.asarray(n_synapses)[order].astype(np.uint16),
    )


@dataclass(frozen=True)
class Circuit:
    """A column: neurons, their cell models, LGN units and the three projections onto the column.

    Attributes
    ----------
    nodes : Nodes
    node_types : NodeTypes
    lgn_units : pandas.DataFrame
        One row per LGN unit (see column/lgn_units.py).
    projections : dict of str -> Projection
        ``v1_to_v1``, ``lgn_to_v1``, ``bkg_to_v1``.
    provenance : dict
        Size, radii [um], seed, version, options: how the circuit came to be.
    """

    nodes: Nodes
    node_types: NodeTypes
    lgn_units: pd.DataFrame
    projections: dict
    provenance: dict = field(default_factory=dict)

    @property
    def n_neurons(self):
        """Number of neurons N."""
        return len(self.nodes.type_index)

    @property
    def n_receptors(self):
        """Receptors per neuron R."""
        return next(iter(self.node_types.receptor_parameters.values())).shape[1]

    @property
    def pop_name(self):
        """Population of every neuron, (N,) str."""
        return self.node_types.pop_name[self.nodes.type_index]

    @property
    def cell_type(self):
        """Cell type (of 19) of every neuron, or its population where that is not one of the column, (N,) str."""
        known, names = read_populations().cell_type.to_dict(), self.node_types.pop_name
        return np.array([known.get(name, name) for name in names.tolist()], dtype=str)[self.nodes.type_index]

    @property
    def ei(self):
        """``"e"``, ``"i"`` or ``""`` (not known) of every neuron, (N,) str."""
        types = self.node_types
        known = read_populations().ei.to_dict()
        of_type = [known.get(name, "") for name in types.pop_name.tolist()] if types.ei is None else types.ei
        return np.array(of_type, dtype=str)[self.nodes.type_index]

    def neuron_parameter(self, name):
        """A parameter of the cell model, per neuron, (N,) float64 in the units of NodeTypes."""
        return self.node_types.parameters[name][self.nodes.type_index]

    @cached_property
    def topology_hash(self):
        """sha256 of everything but the weights and the provenance."""
        digest = hashlib.sha256()
        _hash_fields(digest, vars(self.nodes))
        _hash_fields(digest, {key: value for key, value in vars(self.node_types).items() if value is not None})
        _hash_fields(digest, {name: self.lgn_units[name].to_numpy() for name in self.lgn_units})
        for name in sorted(self.projections):
            fields = vars(self.projections[name])
            _hash_fields(digest, {key: value for key, value in fields.items() if key != "weight"})
        return digest.hexdigest()

    @cached_property
    def weights_hash(self):
        """sha256 over all weights in canonical order."""
        digest = hashlib.sha256()
        _hash_fields(digest, {name: self.projections[name].weight for name in sorted(self.projections)})
        return digest.hexdigest()

    def with_weights(self, weights):
        """Return the same circuit with other weights.

        Parameters
        ----------
        weights : dict of projection name -> (E,) array [pA]
            In the canonical order; projections that are not named keep theirs.
        """
        projections = dict(self.projections)
        for name, weight in weights.items():
            weight = np.ascontiguousarray(weight, dtype=np.float32)
            if weight.shape != projections[name].weight.shape:
                raise InputError(
                    f"{name}: {weight.shape} weights for {projections[name].n_edges:,} connections; "
                    "expected one per connection, in canonical order. Are these the weights of another circuit?"
                )
            projections[name] = dataclasses.replace(projections[name], weight=weight)
        return dataclasses.replace(self, projections=projections)


def _hash_fields(digest, fields):
    for name, value in fields.items():
        digest.update(name.encode())
        if isinstance(value, dict):
            _hash_fields(digest, value)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            digest.update(np.ascontiguousarray(value))
        else:
            digest.update("\0".join(map(str, np.atleast_1d(value))).encode())


def validate(circuit, names=None):
    """Check what every engine relies on.

    Parameters
    ----------
    circuit : Circuit
    names : sequence of str, optional
        Projections to check; all by default.

    Raises
    ------
    InputError
        Rows that do not cover the connections, ids or delays out of range, weights that are not finite, a weight whose
        sign does not fit its presynaptic cell.
    """
    n_targets = circuit.n_neurons * circuit.n_receptors
    for name in circuit.projections if names is None else names:
        projection = circuit.projections[name]
        _refuse_broken_rows(name, projection)
        sign = sign_of_sources(circuit, projection)
        offenders = {complaint: [] for complaint in _COMPLAINTS}
        for first, last in projection.blocks_of_rows():
            rows = slice(projection.indptr[first], projection.indptr[last])
            target, weight = projection.target[rows], projection.weight[rows]
            expected = np.repeat(sign[first:last], np.diff(projection.indptr[first : last + 1]))
            bad = (
                (target < 0) | (target >= n_targets),
                projection.delay_code[rows] >= len(projection.delay_ms),
                ~np.isfinite(weight),
                ((expected > 0) & (weight < 0)) | ((expected < 0) & (weight > 0)),
            )
            for found, is_bad in zip(offenders.values(), bad, strict=True):
                found.append(rows.start + np.flatnonzero(is_bad))
        for (what, advice), found in offenders.items():
            found = np.concatenate([*found, []]).astype(np.int64)
            if len(found):
                raise InputError(f"{name}: {what} at connections {first_offenders(found)}. {advice}")


_COMPLAINTS = (
    ("targets outside the column", "Rebuild the circuit."),
    ("delay codes without a delay", "Rebuild the circuit."),
    ("weights that are not finite", "Repair or rebuild the circuit."),
    (
        "weights of the wrong sign",
        "Inhibitory cells need weights <= 0 pA, excitatory cells and external sources >= 0 pA.",
    ),
)


def sign_of_sources(circuit, projection):
    """Sign that the weights of each presynaptic unit have to have.

    Parameters
    ----------
    circuit : Circuit
    projection : Projection

    Returns
    -------
    (n_sources,) float32 array
        1, -1, or 0 where it is not known whether the unit excites or inhibits. LGN and background excite.
    """
    if projection.source == "v1":
        ei = circuit.ei
        return (ei == "e").astype(np.float32) - (ei == "i").astype(np.float32)
    excites = projection.source in read_external_inputs().index
    return np.full(projection.n_sources, 1.0 if excites else 0.0, dtype=np.float32)


def _refuse_broken_rows(name, projection):
    indptr, n_edges = projection.indptr, projection.n_edges
    lengths = {len(getattr(projection, column)) for column in ("target", "delay_code", "weight")}
    covers = len(indptr) == projection.n_sources + 1 and (indptr[0], indptr[-1]) == (0, n_edges)
    if lengths != {n_edges} or not covers or np.any(np.diff(indptr) < 0):
        raise InputError(
            f"{name}: {len(indptr) - 1:,} rows from {indptr[0]} to {indptr[-1]:,} over columns of {sorted(lengths)} "
            f"connections; expected {projection.n_sources:,} rows that cover them all in order. Rebuild the circuit."
        )
