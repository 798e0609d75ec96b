"""All populations of a circuit: point neurons in one numbering, virtual ones as the sources of projections."""

import re
from dataclasses import dataclass

import pandas as pd

from twincortex.models.circuit import Nodes, NodeTypes
from twincortex.models.errors import FileError
from twincortex.models.sonata.cell_parameters import Receptors
from twincortex.models.sonata.import_report import PopulationReport
from twincortex.models.sonata.neurons import read_lgn_units, read_neuron_types, read_neurons
from twincortex.models.sonata.node_reading import VIRTUAL, node_kind, read_nodes
from twincortex.models.sonata.type_tables import read_type_table

NEURONS = "v1"
LGN = "lgn"
# Sources become names of files, of Brian2 objects and so of generated code.
_SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKEN = (
    *("v1", "neurons", "inbox", "cell_models", "spikes", "voltage", "column", "injected_current"),
    *("clear_inbox", "deliver", "inject", "defaultclock"),
)


@dataclass(frozen=True)
class Source:
    """A population as the source of a projection.

    Attributes
    ----------
    name : str
        In the circuit: ``"v1"`` for all point neurons.
    first : int
        Number of its first node among those of the source.
    n_nodes : int
    """

    name: str
    first: int
    n_nodes: int


@dataclass(frozen=True)
class Populations:
    """The nodes of a circuit.

    Attributes
    ----------
    nodes : Nodes
    node_types : NodeTypes
    lgn_units : pandas.DataFrame
        Empty where no population is an LGN in our words.
    receptors : Receptors
    sources : dict of str -> Source
        Populations by their names in the files, in the order of the configuration.
    n_of_source : dict of str -> int
        Nodes per source; ``"v1"`` comes first.
    are_ours : bool
        The neurons come from files that twincortex wrote.
    """

    nodes: Nodes
    node_types: NodeTypes
    lgn_units: pd.DataFrame
    receptors: Receptors
    sources: dict
    n_of_source: dict
    are_ours: bool


def read_population(configuration, name):
    """Read one population of nodes.

    Parameters
    ----------
    configuration : Configuration
    name : str

    Returns
    -------
    population : NodePopulation
    kind : str
        ``"virtual"`` or ``"point"``.

    Raises
    ------
    FileError
        See `read_nodes` and `node_kind`.
    """
    path, types_path = configuration.nodes[name]
    table = None if types_path is None else read_type_table(types_path, "node_type_id")
    population = read_nodes(path, name, table)
    return population, node_kind(population, configuration.model_types.get(name))


def read_all_populations(configuration, report):
    """Read the nodes of a circuit.

    Parameters
    ----------
    configuration : Configuration
    report : ImportReport
        Gets what was used, missing and ignored.

    Returns
    -------
    Populations

    Raises
    ------
    FileError
        See `read_nodes`, `read_models`; or no population of point neurons.
    """
    point, virtual = [], []
    for name in configuration.nodes:
        population, kind = read_population(configuration, name)
        (virtual if kind == VIRTUAL else point).append(population)
    if not point:
        raise FileError(f"{configuration.path}: no population of point neurons among the nodes.", configuration.path)
    names = _source_names([population.name for population in virtual], report)
    sources, n_of_source = {}, {NEURONS: 0}
    for population in point:
        sources[population.name] = Source(NEURONS, n_of_source[NEURONS], population.n_nodes)
        n_of_source[NEURONS] += population.n_nodes
    for population in virtual:
        sources[population.name] = Source(names[population.name], 0, population.n_nodes)
        n_of_source[names[population.name]] = population.n_nodes
    are_ours = len(point) == 1 and point[0].is_ours
    for population in (*point, *virtual):
        report.populations[population.name] = _describe(population, sources[population.name])
    are_ours = len(point) == 1 and point[0].is_ours
    node_types, type_index, receptors = read_neuron_types(configuration.cell_models, point, are_ours, report)
    nodes = read_neurons(point, type_index, are_ours, report)
    lgn = [population for population in virtual if names[population.name] == LGN]
    lgn_units = read_lgn_units(lgn[0], report) if lgn else pd.DataFrame()
    return Populations(nodes, node_types, lgn_units, receptors, sources, n_of_source, are_ours)


def _describe(population, source):
    if source.name == NEURONS:
        return PopulationReport("point", population.n_nodes, first_id=source.first)
    return PopulationReport(VIRTUAL, population.n_nodes, source=source.name)


def _source_names(names, report):
    """Names that can stand in file names and in generated code, one per virtual population."""
    chosen = {}
    for name in names:
        short = re.sub(r"[^A-Za-z0-9_]", "_", name)[:30]
        short = short if _SOURCE.fullmatch(short) else f"p_{short}"
        free, number = short, 1
        while free.lower() in _TAKEN or "_to_v1" in free or free.lower() in map(str.lower, chosen.values()):
            number += 1
            free = f"{short.replace('_to_v1', '_onto_v1')}_{number}"
        chosen[name] = free
        if free != name:
            report.warn(f"the virtual population {name!r:.80} is called {free!r} in the circuit, where names are words")
    return chosen
