"""Random circuits and rollouts for two torch engines that have to agree: what is run, and what comes out of it."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import torch

from twincortex.models.circuit import sort_projection
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.spikes import from_steps
from twincortex.models.surrogate import GradientShaping, State

from circuits import small_random_circuit

LOSSES = ("spikes", "v", "both", "state")


@dataclass(frozen=True)
class Wiring:
    """A random circuit; all its cell models have a third after-spike current too.

    Attributes
    ----------
    delays : tuple of float [ms]
    unconnected : float
        Share of the neurons without any connection.
    sources : tuple of str
        ``lgn``, ``bkg``, or another name for what would be LGN.
    is_sorted : bool
        Whether neurons of one cell model follow one another.
    """

    seed: int = 1
    n: int = 40
    in_degree: int = 20
    delays: tuple = (0.9, 1.37, 2.06, 3.6)
    unconnected: float = 0.0
    sources: tuple = ("lgn", "bkg")
    is_sorted: bool = True

    def circuit(self):
        """Make it."""
        rng = np.random.default_rng(self.seed)
        circuit = small_random_circuit(self.seed, n=self.n, in_degree=self.in_degree)
        nodes, types = circuit.nodes, circuit.node_types
        if not self.is_sorted:
            nodes = dataclasses.replace(nodes, type_index=rng.permutation(nodes.type_index))
        size = len(types.node_type_id)
        third = {"asc_decay_2": np.full(size, 0.05), "asc_amp_2": np.full(size, 20.0), "asc_r_2": np.full(size, 0.7)}
        types = dataclasses.replace(types, parameters=types.parameters | third)
        is_connected = rng.random(self.n) >= self.unconnected
        projections = {"v1_to_v1": self._rewired("v1", circuit, is_connected, rng)}
        for source in self.sources:
            projections[f"{source}_to_v1"] = self._rewired(source, circuit, is_connected, rng)
        return dataclasses.replace(circuit, nodes=nodes, node_types=types, projections=projections)

    def _rewired(self, source, circuit, is_connected, rng):
        old = circuit.projections.get(f"{source}_to_v1", circuit.projections["lgn_to_v1"])
        pre, post = old.sources(), old.posts(circuit.n_receptors)
        keep = is_connected[post] & (is_connected[pre] if source == "v1" else True)
        delay = rng.choice(self.delays, keep.sum())
        return sort_projection(source, old.n_sources, pre[keep], old.target[keep], delay, old.weight[keep])


@dataclass(frozen=True)
class Case:
    """Rollouts that follow one another from the same column, and a loss over all of them.

    Attributes
    ----------
    steps : tuple of int
        Of each rollout. Every second one is silent but for what is still on its way.
    loss : str
        Of LOSSES: what it depends on, spikes or v of all rollouts, both, or only the last state.
    has_current : bool
        Whether a current is injected in every second rollout, from the first.
    record_v : tuple of int
        Neurons, modulo their number.
    """

    wiring: Wiring = Wiring()
    equations: str = "glif3"
    dt: float = 1.0
    dtype: torch.dtype = torch.float64
    shaping: GradientShaping = field(default_factory=GradientShaping)
    trained: tuple = ("v1_to_v1", "lgn_to_v1", "bkg_to_v1")
    batch: int = 3
    steps: tuple = (25, 15)
    loss: str = "both"
    has_current: bool = False
    record_v: tuple = (5, 0, 5)

    def column(self, engine, **options):
        """Make a column of a class of columns."""
        circuit = self.wiring.circuit()
        equation_set = EQUATION_SETS[self.equations](circuit.n_receptors)
        trained = [name for name in self.trained if name in circuit.projections]
        return engine(
            circuit, self.dt, equation_set, shaping=self.shaping, dtype=self.dtype, trained=trained, **options
        )

    def run(self, column, backward=True):
        """Run all rollouts; everything that comes out of it, as a dict of name -> tensor."""
        generator = torch.Generator().manual_seed(self.wiring.seed)
        state = start = self._start(column, generator)
        for tensor in (state.x, *state.history):
            tensor.requires_grad_(backward)
        rollouts = []
        for number, n_steps in enumerate(self.steps):
            is_silent = number % 2 == 1
            current = torch.full((n_steps, column.n_neurons), 30.0) if self.has_current and not is_silent else None
            inputs = {} if is_silent else self.inputs(column, n_steps, number)
            record_v = [neuron % column.n_neurons for neuron in self.record_v]
            rollouts.append(column(inputs, n_steps, state, current, record_v))
            state = rollouts[-1].state
        outcome = {
            "spikes": torch.cat([rollout.spikes for rollout in rollouts]),
            "v": torch.cat([rollout.v for rollout in rollouts]),
            "v_recorded": torch.cat([rollout.v_recorded for rollout in rollouts]),
            "x": state.x,
            "refractory": state.refractory,
            "history": torch.stack(state.history),
        }
        if backward:
            self._loss(outcome, generator).backward()
            outcome |= {f"dL/d{name}": _gradient(weight) for name, weight in column.weights.items()}
            outcome |= {"dL/dx": _gradient(start.x), "dL/dhistory": torch.stack([*map(_gradient, start.history)])}
        return {name: tensor.detach() for name, tensor in outcome.items()}

    def _start(self, column, generator):
        """A state in which currents flow, some neurons are refractory and some spikes are on their way."""
        state = column.initial_state(self.batch)

        def draw(like):
            return torch.rand(like.shape, generator=generator, dtype=torch.float64).to(like.dtype)

        return State(
            x=state.x + draw(state.x),
            refractory=(torch.rand(state.refractory.shape, generator=generator) < 0.2) * 3,
            history=tuple((draw(z) < 0.1).to(z.dtype) for z in state.history),
            pending={},
        )

    def inputs(self, column, n_steps, number=0):
        """Spikes of every source and trial; several in one step occur."""
        rng = np.random.default_rng([self.wiring.seed, number])
        inputs = {}
        for source in self.wiring.sources:
            n_units = column.connections[f"{source}_to_v1"].n_sources
            counts = rng.poisson(0.2, size=(self.batch, n_steps, n_units))  # so many that neurons spike within 20 ms
            inputs[source] = [from_steps(source, n_units, *_events(trial), self.dt) for trial in counts]
        return inputs

    def _loss(self, outcome, generator):
        used = {"both": ("spikes", "v"), "state": ("x", "history")}.get(self.loss, (self.loss,))
        scale = {"v": 0.01, "x": 0.01}
        terms = []
        for name in used:
            values = outcome[name]
            weight = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values.dtype)
            terms.append(scale.get(name, 1.0) * (weight * values).sum())
        return sum(terms)


def _events(counts):
    return np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T


def _gradient(tensor):
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def assert_same(found, expected, v_tolerance, gradient_tolerance):
    """Compare two outcomes: spikes and refractory times bit for bit.

    Parameters
    ----------
    found, expected : dict
        Of Case.run.
    v_tolerance : float [mV, pA]
        Absolute, of potentials and other states.
    gradient_tolerance : float
        Of the largest entry of each gradient.
    """
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if name in ("spikes", "refractory", "history"):
            assert torch.equal(found[name], tensor), name
            continue
        scale = float(tensor.abs().max()) if tensor.numel() else 0.0
        atol = gradient_tolerance * scale if name.startswith("dL/d") else v_tolerance
        torch.testing.assert_close(
            found[name], tensor, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


def assert_same_bits(found, expected):
    """Compare two outcomes bit for bit."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
