"""Everything that is wrong with the files of a circuit, as a list of findings instead of the first error.

The checks are those of the reader; each is made on its own here, so that one that fails does not hide the next.
"""

from contextlib import contextmanager

import numpy as np

from twincortex.models.circuit import Circuit, sign_of_sources
from twincortex.models.errors import FileError, InputError
from twincortex.models.hdf5.reading import open_hdf5
from twincortex.models.sonata.cell_model_reading import read_models
from twincortex.models.sonata.cell_models import read_our_models
from twincortex.models.sonata.checksums import changed_files
from twincortex.models.sonata.configuration import read_configuration
from twincortex.models.sonata.edge_indices import check_indices
from twincortex.models.sonata.edge_population import EdgePopulation
from twincortex.models.sonata.import_report import FATAL, WARNING, Finding, ImportReport, ReadingOptions
from twincortex.models.sonata.populations import read_all_populations, read_population
from twincortex.models.sonata.projections import delay_table, no_projection
from twincortex.models.sonata.reading import import_circuit


class _Collector:
    """Findings, in the order in which they were made."""

    def __init__(self):
        self.findings = []

    @contextmanager
    def check(self):
        """Turn an error of the block into a fatal finding."""
        try:
            yield
        except InputError as error:
            self.add(FATAL, error)

    def add(self, severity, error):
        """Add an error, once."""
        place = (error.file, error.dataset, error.index) if isinstance(error, FileError) else (None, None, ())
        finding = Finding(severity, *place, str(error))
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def n_fatal(self):
        """How many findings forbid to read the circuit."""
        return sum(finding.severity == FATAL for finding in self.findings)


def validate_folder(path, root=None, options=None):
    """Check the files of a circuit.

    Parameters
    ----------
    path, root
        See `sonata.read_circuit`.
    options : ReadingOptions, optional

    Returns
    -------
    list of Finding
        Fatal ones first. Without a fatal one the circuit can be read.
    """
    options, collector = options or ReadingOptions(), _Collector()
    with collector.check():
        _check_files(read_configuration(path, root), options, collector)
    if not collector.n_fatal:
        with collector.check():
            collector.findings += import_circuit(path, root, options)[1].warnings
    return sorted(collector.findings, key=lambda finding: finding.severity != FATAL)


def _check_files(configuration, options, collector):
    for error in changed_files(configuration.path.parent):
        collector.add(FATAL, error)
    n_before = collector.n_fatal
    for name in configuration.nodes:
        with collector.check():
            population, kind = read_population(configuration, name)
            if kind == "point":
                _check_cell_models(configuration.cell_models, population, collector)
    if collector.n_fatal > n_before:
        return
    with collector.check():
        populations = read_all_populations(configuration, ImportReport())
        circuit = Circuit(populations.nodes, populations.node_types, populations.lgn_units, {})
        for name, files in configuration.edges.items():
            with collector.check(), open_hdf5(files[0]) as file:
                edges = EdgePopulation(file, files, name, populations, configuration.synaptic_models, options)
                n_sources = populations.n_of_source[edges.source.name]
                _check_edges(edges, sign_of_sources(circuit, no_projection(edges.source.name, n_sources)), collector)


def _check_cell_models(folder, population, collector):
    order = population.order if isinstance(population.order, dict) else {}
    for row in range(len(population.types)) if population.is_ours else np.unique(population.type_index):
        with collector.check():
            if population.is_ours:
                read_our_models(folder, population.types.take([row]), order)
            else:
                read_models(folder, population.types, [row])


def _check_edges(edges, sign, collector):
    """Check every column of a population of edges, then its indices."""
    columns = {}
    for name in ("sources", "posts", "type_rows"):
        with collector.check():
            columns[name] = _whole(edges, getattr(edges, name), np.int32)
    if "type_rows" not in columns:
        return
    types, posts = columns["type_rows"], columns.get("posts")
    # Weights can be judged whatever the sources, but for their signs.
    sources, sign = (columns["sources"], sign) if "sources" in columns else (np.zeros_like(types), np.zeros(1))
    with collector.check():
        for start, stop in edges.slices():
            weights = edges.weights(start, stop, types[start:stop], sources[start:stop], sign)
            if posts is not None:
                with collector.check():
                    edges.targets(start, stop, posts[start:stop], types[start:stop], weights)
    with collector.check():
        table = delay_table([edges], edges.resolution)
        for start, stop in edges.slices():
            edges.delay_codes(start, stop, types[start:stop], table)
    with collector.check():
        for start, stop in edges.slices():
            edges.synapses(start, stop, types[start:stop], counts=True)
    if "sources" in columns and posts is not None:
        ids = {"source": sources - edges.source.first, "target": posts - edges.target.first}
        for error in check_indices(edges.group, ids, {side: getattr(edges, side).n_nodes for side in ids}):
            collector.add(WARNING, error)


def _whole(edges, read, dtype):
    column = np.empty(edges.n_rows, dtype=dtype)
    for start, stop in edges.slices():
        column[start:stop] = read(start, stop)
    return column
