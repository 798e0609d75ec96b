"""What is measured: the options of a benchmark, as every process of it knows them."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.recording import Run

ENGINES = ("fused", "reference", "nest")
PRECISIONS = ("float32", "float64", "fast")


@dataclass(frozen=True)
class Settings:
    """Options of a benchmark.

    Attributes
    ----------
    engines : tuple of str
        Of ENGINES, each once.
    neurons, synapses : int
        Of a random circuit.
    rate_Hz : float
        At which the neurons of a random circuit fire.
    circuit : str or None
        Folder of a SONATA circuit that takes the place of a random one.
    batch : int
        Trials at once; NEST runs the first of them only.
    duration, dt : float [ms]
    repeats : int
    threads : int
        Of each engine.
    precision : str
        ``"float32"``, ``"float64"``, or ``"fast"``: float32, with weights and delta as bfloat16 in the backward pass of
        the fused engine.
    device : str
        Of the fused engine, ``"cpu"`` or ``"cuda"``; the others run on the processors.
    forward_only : bool
        No gradients, and nothing kept for them.
    seed : int

    Raises
    ------
    InputError
    """

    engines: tuple
    neurons: int
    synapses: int
    rate_Hz: float
    circuit: str | None
    batch: int
    duration: float
    dt: float
    repeats: int
    threads: int
    precision: str
    device: str
    forward_only: bool
    seed: int

    def __post_init__(self):
        Run(self.duration, self.dt)
        for name in self.engines:
            if name not in ENGINES:
                raise InputError(f"--engines {name!r}; {near_name_hint(name, ENGINES)}.")
        if len(set(self.engines)) < len(self.engines):
            raise InputError(f"--engines {' '.join(self.engines)} names an engine twice. Name each once.")
        for name in ("neurons", "synapses", "batch", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)}: expected 1 or more.")
        if self.circuit is None and self.synapses > self.neurons * (self.neurons - 1):
            pairs = self.neurons * (self.neurons - 1)
            raise InputError(f"--synapses {self.synapses:,}: {self.neurons:,} neurons make only {pairs:,} pairs.")
        if not 0 < self.rate_Hz < 1e3 / self.dt:
            raise InputError(f"--rate-Hz {self.rate_Hz:g}: expected more than 0, and less than a spike per step.")

    @property
    def n_steps(self):
        """Steps of a trial."""
        return round(self.duration / self.dt)

    @property
    def after_spike_current(self):
        """NEST's convention where NEST takes part, so that spikes can be compared."""
        return "step_mean" if "nest" in self.engines else "exact"

    @property
    def dtype(self):
        """Name of the numbers that the torch engines compute with."""
        return "float64" if self.precision == "float64" else "float32"


def write_settings(path, settings):
    """Write settings as JSON."""
    Path(path).write_text(json.dumps(dataclasses.asdict(settings)))


def read_settings(path):
    """Read what `write_settings` wrote."""
    content = json.loads(Path(path).read_text())
    return Settings(**content | {"engines": tuple(content["engines"])})
