"""What became of a circuit made by others on its way in: what was used, rounded, merged, ignored, not understood."""

import dataclasses
from dataclasses import dataclass, field

FATAL, WARNING = "fatal", "warning"


@dataclass(frozen=True)
class ReadingOptions:
    """What may be done to a circuit made by others so that it can be read.

    Attributes
    ----------
    delay_resolution_ms : float or None
        Round delays to multiples of this; None keeps them as they are.
    weights_as_written : bool
        Take syn_weight times nsyns although types of edges name a function that would compute other weights.
    """

    delay_resolution_ms: float | None = None
    weights_as_written: bool = False


@dataclass(frozen=True)
class Finding:
    """Something in the files of a circuit that is not as it has to be, or might not be meant.

    Attributes
    ----------
    severity : str
        ``"fatal"``: no circuit can be read; ``"warning"``: one can, but look at this.
    file, dataset : str or None
    index : tuple of int
        First offending rows.
    message : str
    """

    severity: str
    file: str | None
    dataset: str | None
    index: tuple
    message: str


@dataclass
class PopulationReport:
    """One population of nodes.

    Attributes
    ----------
    kind : str
        ``"point"`` or ``"virtual"``.
    n_nodes : int
    first_id : int or None
        Where its nodes begin among the neurons of the circuit.
    source : str or None
        What a virtual population is called in the circuit.
    used : dict of str -> str
        Quantity -> where from.
    missing, ignored : list of str
    """

    kind: str
    n_nodes: int
    first_id: int | None = None
    source: str | None = None
    used: dict = field(default_factory=dict)
    missing: list = field(default_factory=list)
    ignored: list = field(default_factory=list)


@dataclass
class ProjectionReport:
    """One projection, from one or several populations of edges.

    Attributes
    ----------
    populations : list of str
    rows, connections, synapses : int
        Rows of the files; connections after rows of the same source, target, receptor and delay were collapsed.
    used : dict of str -> str
        Quantity -> where from.
    rounded : dict
        Delays rounded on request, weights to float32.
    merged : dict
        Connections whose receptor was merged with one of the same kinetics.
    ignored, not_understood : list of str
        Properties without an effect, and those of which that is not known.
    """

    populations: list = field(default_factory=list)
    rows: int = 0
    connections: int = 0
    synapses: int = 0
    used: dict = field(default_factory=dict)
    rounded: dict = field(default_factory=dict)
    merged: dict = field(default_factory=dict)
    ignored: list = field(default_factory=list)
    not_understood: list = field(default_factory=list)


@dataclass
class ImportReport:
    """How a circuit was read.

    Attributes
    ----------
    configuration : str
        Name of the file.
    populations : dict of str -> PopulationReport
    cell_models : dict of str -> list or dict
        Templates and how many types have each; what was ignored, defaulted, padded or merged.
    projections : dict of str -> ProjectionReport
    not_used : list of str
        Entries of the configuration.
    warnings : list of Finding
    """

    configuration: str = ""
    populations: dict = field(default_factory=dict)
    cell_models: dict = field(default_factory=dict)
    projections: dict = field(default_factory=dict)
    not_used: list = field(default_factory=list)
    warnings: list = field(default_factory=list)

    def warn(self, message, file=None, dataset=None, index=()):
        """Add a warning."""
        self.warnings.append(
            Finding(WARNING, None if file is None else str(file), dataset, tuple(int(i) for i in index[:5]), message)
        )

    def as_dict(self):
        """The report as JSON can hold it."""
        return dataclasses.asdict(self)
