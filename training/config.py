"""Configuration of a training run: typed and documented. See config_reading for how it is read."""

from dataclasses import dataclass, field

from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.surrogate import GradientShaping


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
        Trials per step, each with its own direction, phase and noise.
    settle_ms : float [ms]
        Gray before both rollouts.
    settle_every : int
        Steps that share one settled state.
    evoked_ms, spontaneous_ms : float [ms]
        Length of the rollouts.
    spatial_frequency : float [cycles/deg]
    temporal_frequency : float [Hz]
    contrast : float
    """

    dt: float = 1.0
    batch: int = 4
    settle_ms: float = 200.0
    settle_every: int = 5
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


def _refuse_less_than_one(options, section, names):
    for name in names:
        if getattr(options, name) < 1:
            raise InputError(f"{section}{name} {getattr(options, name)}: expected 1 or more.")


@dataclass
class Losses:
    """What the column is trained towards.

    Attributes
    ----------
    costs : dict of objective -> float
        Replace the costs of the table in objectives.py; 0 switches an objective off.
    options : dict of objective -> dict
        Keyword arguments, for example ``{"voltage": {"mode": "range"}}``.
    core_radius_um : float [um]
        Neurons within it are scored fully.
    annulus_weight : float
        Weight of the rate and tuning losses of the others.
    """

    costs: dict[str, float] = field(default_factory=dict)
    options: dict[str, dict] = field(default_factory=dict)
    core_radius_um: float = 200.0
    annulus_weight: float = 0.1


@dataclass
class Optimization:
    """How weights change.

    Attributes
    ----------
    optimizer : str
        ``exponentiated_adam`` or ``exponentiated_gradient``.
    learning_rate : float
    projections : list of str
        Whose weights are trained; the LGN's are fixed in the reference.
    """

    optimizer: str = "exponentiated_adam"
    learning_rate: float = 0.02
    projections: list[str] = field(default_factory=lambda: ["v1_to_v1", "bkg_to_v1"])

    def __post_init__(self):
        """Refuse a training of nothing."""
        if not self.projections:
            raise InputError("optimization.projections: expected at least one projection to train.")


@dataclass
class Validation:
    """The held-out test after training, in both engines.

    Attributes
    ----------
    engine : str
        Second engine, beside torch: ``brian-cpp``, ``brian-cuda`` or ``brian``.
    directions : list of float [deg]
        Of gratings that training never shows exactly.
    gray_ms, grating_ms : float [ms]
        Each trial: gray, then the grating.
    seed : int
        Of the held-out noise.
    """

    engine: str = "brian-cpp"
    directions: list[float] = field(default_factory=lambda: [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0])
    gray_ms: float = 500.0
    grating_ms: float = 1000.0
    seed: int = 1_000_003

    def __post_init__(self):
        """Refuse a test without trials."""
        if not self.directions:
            raise InputError("validation.directions: expected at least one direction [deg].")


@dataclass
class TrainingConfig:
    """A whole run.

    Attributes
    ----------
    steps : int
        Updates.
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
        How gradients pass spikes and travel back. ``--config training/configs/reference_shaping.yaml`` after another
        ``--config`` chooses that of the V1_GLIF_model system.
    """

    steps: int = 12
    seed: int = 5
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
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self):
        """Refuse counts that mean nothing, and a test that is not a whole number of steps."""
        _refuse_less_than_one(self, "", ("steps", "threads"))
        if self.segment_steps is not None:
            _refuse_less_than_one(self, "", ("segment_steps",))
        Run(self.validation.gray_ms + self.validation.grating_ms, self.protocol.dt)
