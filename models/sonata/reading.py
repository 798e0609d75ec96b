"""Circuits read from SONATA files, ours and those of others, with a report of what became of everything in them."""

from contextlib import ExitStack

import numpy as np

from twincortex.models.circuit import Circuit, Projection, sign_of_sources
from twincortex.models.delays import rounded_delays
from twincortex.models.errors import FileError, InputError, first_offenders
from twincortex.models.hdf5.reading import open_hdf5
from twincortex.models.sonata.checksums import check_files, check_hashes
from twincortex.models.sonata.configuration import read_configuration
from twincortex.models.sonata.edge_population import EdgePopulation
from twincortex.models.sonata.import_report import ImportReport, ProjectionReport, ReadingOptions
from twincortex.models.sonata.populations import NEURONS, read_all_populations
from twincortex.models.sonata.projections import no_projection, read_projection

_MOST_TARGETS = np.iinfo(np.int32).max


def read_circuit(path, root=None):
    """Read a SONATA circuit, ours or made by others.

    Parameters
    ----------
    path : str or Path
        Folder with a ``circuit_config.json``, or a configuration of any name; see `read_configuration`.
    root : str or Path, optional
        Folder that no file may lie outside of (default: that of the configuration).

    Returns
    -------
    Circuit
        One that `write_circuit` wrote is equal to the one written, bit by bit; or has other weights where the
        configuration names other edge files inside the folder, such as those of `write_weights`.

    Raises
    ------
    InputError
        A file is missing, cut short or changed; ids, weights or delays are not what they have to be; or the circuit
        has dynamics that no engine here has.
    """
    return import_circuit(path, root)[0]


def import_circuit(path, root=None, options=None, dt=None):
    """Read a SONATA circuit and say what was used, rounded, merged, ignored and not understood.

    Parameters
    ----------
    path, root
        See `read_circuit`.
    options : ReadingOptions, optional
    dt : float [ms], optional
        Also report what rounding the delays to steps of dt changes.

    Returns
    -------
    circuit : Circuit
        The populations of point neurons, one after the other in the order of the configuration, are its neurons;
        every virtual population is the source of a projection ``<population>_to_v1``.
    report : ImportReport

    Raises
    ------
    InputError
        See `read_circuit`.
    """
    options = options or ReadingOptions()
    if options.delay_resolution_ms is not None and not 0 < options.delay_resolution_ms < np.inf:
        raise InputError(f"delay resolution {options.delay_resolution_ms} ms: expected a positive number.")
    configuration = read_configuration(path, root)
    folder = configuration.path.parent
    checksums = check_files(folder)
    report = ImportReport(configuration.path.name, not_used=list(configuration.not_used))
    populations = read_all_populations(configuration, report)
    n_targets = len(populations.nodes.x) * populations.receptors.n_receptors
    if n_targets > _MOST_TARGETS:
        raise FileError(f"{configuration.path}: {n_targets:,} receptors of neurons; at most {_MOST_TARGETS:,} fit.")
    provenance = configuration.provenance if populations.are_ours else _provenance(configuration, report, options)
    circuit = Circuit(populations.nodes, populations.node_types, populations.lgn_units, {}, provenance)
    projections = _read_projections(configuration, populations, circuit, options, report)
    circuit = Circuit(circuit.nodes, circuit.node_types, circuit.lgn_units, projections, provenance)
    check_hashes(circuit, checksums, folder, configuration.paths())
    if dt is not None:
        for name, change in rounded_delays(circuit, dt).items():
            report.projections[name].rounded["delay_to_steps"] = {"dt": dt, **change}
    return circuit, report


def _provenance(configuration, report, options):
    """How a circuit made by others came to be ours."""
    populations = {
        name: {"kind": facts.kind, "n_nodes": facts.n_nodes, "first_id": facts.first_id, "source": facts.source}
        for name, facts in report.populations.items()
    }
    return {
        "imported_from": configuration.path.name,
        "populations": populations,
        "delay_resolution_ms": options.delay_resolution_ms,
        "weights_as_written": options.weights_as_written,
        **({"provenance": configuration.provenance} if configuration.provenance else {}),
    }


def open_edges(stack, configuration, populations, options):
    """Open every population of edges.

    Parameters
    ----------
    stack : contextlib.ExitStack
        Keeps the files open.
    configuration : Configuration
    populations : Populations
    options : ReadingOptions

    Returns
    -------
    dict of source -> list of EdgePopulation
    """
    edges = {source: [] for source in populations.n_of_source}
    for name, files in configuration.edges.items():
        file = stack.enter_context(open_hdf5(files[0]))
        opened = EdgePopulation(file, files, name, populations, configuration.synaptic_models, options)
        edges[opened.source.name].append(opened)
    return edges


def _read_projections(configuration, populations, circuit, options, report):
    projections = {}
    with ExitStack() as stack:
        edges = open_edges(stack, configuration, populations, options)
        for source, n_sources in populations.n_of_source.items():
            name = f"{source}_to_{NEURONS}"
            facts = report.projections[name] = ProjectionReport()
            if edges[source]:
                projections[name] = _read_one(source, n_sources, edges[source], circuit, options, facts)
                _note_mixed_signs(projections[name], circuit, report)
            else:
                projections[name] = no_projection(source, n_sources)
                report.warn(f"no edges leave the population that is called {source!r} in the circuit")
    return projections


def _read_one(source, n_sources, edges, circuit, options, facts):
    sign = sign_of_sources(circuit, no_projection(source, n_sources))
    n_targets = circuit.n_neurons * circuit.n_receptors
    return read_projection(source, n_sources, edges, sign, n_targets, facts, options.delay_resolution_ms)


def _note_mixed_signs(projection: Projection, circuit, report):
    """Warn of units that excite some cells and inhibit others."""
    is_unknown = sign_of_sources(circuit, projection) == 0
    if not is_unknown.any() or not projection.n_edges:
        return
    mixed = np.zeros(projection.n_sources, dtype=bool)
    for first, last in projection.blocks_of_rows():
        rows = slice(projection.indptr[first], projection.indptr[last])
        unit = np.repeat(np.arange(first, last), np.diff(projection.indptr[first : last + 1]))
        weight = projection.weight[rows]
        signs = [np.bincount(unit[chosen] - first, minlength=last - first) > 0 for chosen in (weight > 0, weight < 0)]
        mixed[first:last] = signs[0] & signs[1]
    mixed = np.flatnonzero(mixed & is_unknown)
    if len(mixed):
        report.warn(
            f"{projection.source} units {first_offenders(mixed)} have weights of both signs; training keeps the sign "
            "of each weight",
            index=mixed,
        )
