"""Configuration of a training run: typed and documented. See config_reading for how it is read."""

from dataclasses import dataclass, field

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.recording import Run
from twincortex.models.surrogate import GradientShaping
from twincortex.training.loss_options import Losses
from twincortex.training.schedules import ScheduleStage

UPDATES = ("combined", "sequential")


@dataclass
class CircuitChoice:
    """Which column is trained.

    Attributes
    ----------
    folder : str or None
        A SONATA folder; None builds the size below.
    size : str
        A named size of the column builder.
    seed : int
        Of the builder.
    """

    folder: str | None = None
    size: str = "tiny"
    seed: int = 1


@dataclass
class Protocol:
    """What the column sees in a step: a grating and a gray screen, both from a settled gray state.

    Attributes
    ----------
    dt : float [ms]
    batch : int
        Trials per step and process, each with its own direction, phase and noise.
    updates : str
        ``combined``: one update from both rollouts; ``sequential``: one after each.
    settle_ms : float [ms]
        Gray before both rollouts.
    settle_every : int
        Steps that share one settled state.
    evoked_ms, spontaneous_ms : float [ms]
        Length of the rollouts.
    spatial_frequency : float [cycles/deg]
    temporal_frequency : float [Hz]
    contrast : float

    Source
    ------
    Ito et al. (2025), paper-aligned run. It updates sequentially, for which its own text expects slower convergence;
    see README for both.
    """

    dt: float = 1.0
    batch: int = 5
    updates: str = "combined"
    settle_ms: float = 500.0
    settle_every: int = 25
    evoked_ms: float = 500.0
    spontaneous_ms: float = 500.0
    spatial_frequency: float = 0.04
    temporal_frequency: float = 2.0
    contrast: float = 0.8

    def __post_init__(self):
        """Refuse what no step could run."""
        _refuse_less_than_one(self, "protocol.", ("batch", "settle_every"))
        for name in ("settle_ms", "evoked_ms", "spontaneous_ms"):
            Run(getattr(self, name), self.dt)  # a positive, whole number of steps, or InputError
        if self.updates not in UPDATES:
            raise InputError(f"protocol.updates {self.updates!r}: {near_name_hint(self.updates, UPDATES)}.")


@dataclass
class Optimization:
    """How weights change.

    Attributes
    ----------
    optimizer : str
        ``exponentiated_adam``, ``exponentiated_gradient`` or ``adam`` (in pA, held at zero where a sign would flip).
    learning_rate : float
    schedule : list of ScheduleStage
        How the learning rate changes; empty: not at all.
    projections : list of str
        Whose weights are trained; the LGN's are fixed in the reference.
    """

    optimizer: str = "exponentiated_adam"
    learning_rate: float = 0.02
    schedule: list[ScheduleStage] = field(default_factory=list)
    projections: list[str] = field(default_factory=lambda: ["v1_to_v1", "bkg_to_v1"])

    def __post_init__(self):
        """Refuse a training of nothing."""
        if not self.projections:
            raise InputError("optimization.projections: expected at least one projection to train.")


@dataclass
class Checkpoints:
    """What survives when the machine does not.

    Attributes
    ----------
    every : int
        Steps between checkpoints.
    keep : int
        The last so many stay.
    """

    every: int = 10
    keep: int = 3

    def __post_init__(self):
        """Refuse a run that could not be resumed."""
        _refuse_less_than_one(self, "checkpoints.", ("every", "keep"))


@dataclass
class Validation:
    """Gratings that training never shows: scored against the recordings on the way, run in both engines at the end.

    Attributes
    ----------
    every : int
        Steps between scores of similarity; 0 for none.
    trials : int
        Of a score, for each of eight directions.
    patience : int or None
        Stop when the mean similarity has not risen for so many scores; None goes on to the last step.
    seed : int
        Of the held-out phases and noise.
    at_end : bool
        Run the trained weights in torch and in a second engine, and compare their spikes.
    engine : str
        The second engine: ``brian-cpp``, ``brian-cuda`` or ``brian``.
    directions : list of float [deg]
        Of the gratings at the end; training draws its directions at random.
    gray_ms, grating_ms : float [ms]
        Of each trial at the end: gray, then the grating.
    """

    every: int = 0
    trials: int = 2
    patience: int | None = None
    seed: int = 1_000_003
    at_end: bool = True
    engine: str = "brian-cpp"
    directions: list[float] = field(default_factory=lambda: [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0])
    gray_ms: float = 500.0
    grating_ms: float = 1000.0

    def __post_init__(self):
        """Refuse a test without trials."""
        if not self.directions:
            raise InputError("validation.directions: expected at least one direction [deg].")
        _refuse_less_than_one(self, "validation.", ("trials",))
        if self.patience is not None:
            _refuse_less_than_one(self, "validation.", ("patience",))


@dataclass
class TrainingConfig:
    """A whole run.

    Attributes
    ----------
    steps : int
        Each is one combined or two sequential updates.
    seed : int
        Of everything random in training; the circuit has its own.
    threads : int
        Of torch. At the size of a demo one thread is faster than two; large columns gain from more.
    engine : str
        ``fused`` (compiled kernels) or ``reference`` (a plain loop in torch).
    device : str
        ``cpu``, or ``cuda`` for the fused engine.
    reduced_precision : bool
        The fused engine's backward pass in bfloat16: less memory traffic, gradients with an error of some tenths of a
        percent.
    segment_steps : int or None
        The fused engine keeps the potentials of so many steps only and computes them once more in the backward pass:
        for small memories.
    ignore_memory_forecast : bool
        Start even if memory is forecast not to suffice.
    gradient : GradientShaping
        How gradients pass spikes and travel back; `configs/reference.yaml` has that of the V1_GLIF_model system.
    """

    steps: int = 1875
    seed: int = 3000
    threads: int = 1
    engine: str = "fused"
    device: str = "cpu"
    reduced_precision: bool = False
    segment_steps: int | None = None
    ignore_memory_forecast: bool = False
    circuit: CircuitChoice = field(default_factory=CircuitChoice)
    protocol: Protocol = field(default_factory=Protocol)
    losses: Losses = field(default_factory=Losses)
    gradient: GradientShaping = field(default_factory=GradientShaping)
    optimization: Optimization = field(default_factory=Optimization)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self):
        """Refuse counts that mean nothing, and a test that is not a whole number of steps."""
        _refuse_less_than_one(self, "", ("steps", "threads"))
        if self.segment_steps is not None:
            _refuse_less_than_one(self, "", ("segment_steps",))
        Run(self.validation.gray_ms + self.validation.grating_ms, self.protocol.dt)


def _refuse_less_than_one(options, section, names):
    for name in names:
        if getattr(options, name) < 1:
            raise InputError(f"{section}{name} {getattr(options, name)}: expected 1 or more.")
