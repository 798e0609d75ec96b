"""The training loop: roll out, score, step; one row of metrics per update."""

import time

import torch

from twincortex.models.errors import DivergedError, InputError, near_name_hint
from twincortex.models.memory_forecast import counts_of
from twincortex.models.observables import firing_rate
from twincortex.models.surrogate import make_column
from twincortex.training.memory_check import check_training
from twincortex.training.objectives import INITIAL_RATE_AVERAGE_HZ, Activity, total_loss, update_rate_average
from twincortex.training.optimizers import ExponentiatedAdam, ExponentiatedGradient
from twincortex.training.stimulation import StimulusProtocol
from twincortex.training.targets import circuit_targets
from twincortex.training.training_state import TrainingState

OPTIMIZERS = {"exponentiated_adam": ExponentiatedAdam, "exponentiated_gradient": ExponentiatedGradient}


def start_training(circuit, config):
    """Make the state from which training starts.

    Parameters
    ----------
    circuit : Circuit
    config : TrainingConfig

    Returns
    -------
    TrainingState

    Raises
    ------
    InputError
        Unknown optimizer or projection.
    OutOfMemoryError
        The updates or the held-out test would not fit.
    """
    torch.set_num_threads(config.threads)
    choice = config.optimization
    for name, known in [(choice.optimizer, OPTIMIZERS), *((name, circuit.projections) for name in choice.projections)]:
        if name not in known:
            raise InputError(f"optimization: {name!r} is unknown; {near_name_hint(name, known)}.")
    check_training(counts_of(circuit), config)
    column = make_column(
        circuit,
        config.engine,
        config.device,
        {"reduced": config.reduced_precision, "segment_steps": config.segment_steps},
        dt=config.protocol.dt,
        shaping=config.gradient,
        dtype=torch.float32,
        trained=choice.projections,
    )
    trained = [column.weights[name] for name in choice.projections]
    optimizer = OPTIMIZERS[choice.optimizer](trained, lr=choice.learning_rate)
    rate_average = torch.full((circuit.n_neurons,), INITIAL_RATE_AVERAGE_HZ, device=column.device)
    return TrainingState(column, optimizer, rate_average)


class Trainer:
    """Performs updates on a TrainingState.

    Parameters
    ----------
    circuit : Circuit
    config : TrainingConfig
    state : TrainingState
    """

    def __init__(self, circuit, config, state):
        self.config, self.state = config, state
        self.stimuli = StimulusProtocol(circuit, config.protocol, config.seed)
        losses = config.losses
        targets = circuit_targets(circuit, config.seed, losses.core_radius_um, losses.annulus_weight)
        self.targets = targets.to(device=state.column.device, dtype=torch.float32)

    def update(self):
        """Do one update: an evoked and a spontaneous rollout from a settled gray state, one step of the optimizer.

        Returns
        -------
        dict of str -> float
            Total loss, its parts by condition, mean rates [Hz], gradient norm, weights whose change was clipped
            (``clipped``), seconds.

        Raises
        ------
        DivergedError
            The loss or the gradient is not finite; the state is then that before the update.
        """
        state, started = self.state, time.perf_counter()
        state.optimizer.zero_grad(set_to_none=True)
        evoked = self.stimuli.gratings(state.step)
        gray = self.stimuli.gray(state.step, "spontaneous", self.config.protocol.spontaneous_ms)
        metrics = {"step": state.step + 1, "loss": 0.0}
        rate_average, n_clipped = state.rate_average, self._n_clipped()
        for condition, stimulation in (("evoked", evoked), ("spontaneous", gray)):
            rollout = self._roll_out(condition, stimulation)
            if condition == "evoked":
                rate_average = update_rate_average(rate_average, rollout.spikes, self.config.protocol.dt)
            value, parts = self._score(condition, rollout, stimulation.direction, rate_average)
            # Backward at once: the graph of one rollout is freed before the next is built.
            value.backward()
            metrics["loss"] += float(value.detach())
            metrics |= {f"{condition}/{name}": float(part) for name, part in parts.items()}
        metrics["gradient_norm"] = self._gradient_norm()
        self._check_finite(metrics)
        state.optimizer.step()
        state.rate_average, state.step = rate_average, state.step + 1
        return metrics | {"clipped": self._n_clipped() - n_clipped, "seconds": time.perf_counter() - started}

    def settled_state(self):
        """State after gray, shared by ``settle_every`` steps; depends on the weights of the first of them."""
        protocol, state = self.config.protocol, self.state
        settle_step = state.step - state.step % protocol.settle_every
        if state.settled_step != settle_step:
            stimulation = self.stimuli.gray(settle_step, "settle", protocol.settle_ms)
            with torch.no_grad():
                settled = state.column(stimulation.inputs, round(protocol.settle_ms / protocol.dt)).state.detach()
            state.settled, state.settled_step = settled, settle_step
        return state.settled

    def _roll_out(self, condition, stimulation):
        protocol = self.config.protocol
        duration = protocol.evoked_ms if condition == "evoked" else protocol.spontaneous_ms
        return self.state.column(stimulation.inputs, round(duration / protocol.dt), self.settled_state())

    def _score(self, condition, rollout, direction, rate_average):
        activity = Activity(
            spikes=rollout.spikes,
            v=rollout.v,
            dt=self.config.protocol.dt,
            condition=condition,
            weights=dict(self.state.column.weights),
            direction=None if direction is None else torch.from_numpy(direction).float().to(rollout.v.device),
            rate_average=rate_average,
            seed=self.config.seed,
            step=self.state.step,
        )
        value, parts = total_loss(activity, self.targets, self.config.losses.costs, self.config.losses.options)
        return value, parts | {"rate_Hz": firing_rate(rollout.spikes.detach(), activity.dt).mean()}

    def _n_clipped(self):
        return sum(moments.get("n_clipped", 0) for moments in self.state.optimizer.state.values())

    def _gradient_norm(self):
        gradients = [weight.grad for weight in self.state.column.weights.values() if weight.grad is not None]
        return float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])))

    def _check_finite(self, metrics):
        bad = [name for name in ("loss", "gradient_norm") if not torch.isfinite(torch.tensor(metrics[name]))]
        if bad:
            raise DivergedError(
                f"step {metrics['step']}: {', '.join(bad)} is not finite; the weights of step {self.state.step} are "
                "kept. Start a new run with a lower optimization.learning_rate, or a lower cost of the objective that "
                "grew last in metrics.csv."
            )
