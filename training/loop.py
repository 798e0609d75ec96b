"""The training loop: roll out, score, step; one row of metrics per step."""

import math
import time

import torch

from twincortex.models.errors import DivergedError, InputError, near_name_hint
from twincortex.models.memory_forecast import counts_of
from twincortex.models.surrogate import make_column
from twincortex.training.finite_check import sum_of_extremes
from twincortex.training.memory_check import check_training
from twincortex.training.objectives import (
    INITIAL_RATE_AVERAGE_HZ,
    OBJECTIVES,
    WEIGHTS,
    Activity,
    total_loss,
    trial_rates,
    update_rate_average,
)
from twincortex.training.optimizers import ExponentiatedAdam, ExponentiatedGradient, SignConstrainedAdam
from twincortex.training.processes import Processes
from twincortex.training.schedules import make_scheduler
from twincortex.training.stimulation import StimulusProtocol
from twincortex.training.targets import CONDITIONS, circuit_targets
from twincortex.training.training_state import TrainingState

OPTIMIZERS = {
    "exponentiated_adam": ExponentiatedAdam,
    "exponentiated_gradient": ExponentiatedGradient,
    "adam": SignConstrainedAdam,
}
EXTREMES, NORM = "potentials or weights", "gradient_norm"


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
        Unknown optimizer or projection, or a schedule that torch refuses.
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
    return TrainingState(column, optimizer, rate_average, make_scheduler(optimizer, choice.schedule))


class Trainer:
    """Performs steps of training on a TrainingState.

    Parameters
    ----------
    circuit : Circuit
    config : TrainingConfig
    state : TrainingState
    processes : Processes, optional
        Those that share the trials of a step; default: this one alone.
    """

    def __init__(self, circuit, config, state, processes=None):
        self.config, self.state, self.processes = config, state, processes or Processes()
        self.stimuli = StimulusProtocol(circuit, config.protocol, config.seed, self.processes)
        losses = config.losses
        targets = circuit_targets(circuit, config.seed, losses.core_radius_um, losses.annulus_weight)
        self.targets = targets.to(device=state.column.device, dtype=torch.float32)

    def update(self):
        """Do one step: an evoked and a spontaneous rollout from a settled gray state, one or two optimizer updates.

        Returns
        -------
        dict of str -> float
            Total loss, its parts by condition and of the weights, mean rates [Hz], gradient norm, learning rate,
            weights whose change was clipped (``clipped``), seconds.

        Raises
        ------
        DivergedError
            The loss, the gradient, a potential or a weight is not finite; the state is then that before the update.
        """
        state, started = self.state, time.perf_counter()
        metrics = {"step": state.step + 1, "loss": 0.0, "learning_rate": state.optimizer.param_groups[0]["lr"]}
        n_clipped, settled = self._n_clipped(), self.settled_state()
        together = self.config.protocol.updates == "combined"
        for conditions in (CONDITIONS,) if together else ((name,) for name in CONDITIONS):
            for name, value in self._update(conditions, settled).items():
                # What both updates of a sequential step have, the loss of the weights, adds up.
                metrics[name] = max(metrics.get(name, 0.0), value) if name == NORM else metrics.get(name, 0.0) + value
        if state.scheduler is not None:
            state.scheduler.step()
        state.step += 1
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

    def _update(self, conditions, settled):
        """Update the weights from the rollouts of these conditions; return the metrics."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        rate_average, metrics, loss = state.rate_average, {}, 0.0
        extremes = [sum_of_extremes(weight) for weight in self._trained()]
        for condition in conditions:
            activity = self._roll_out(condition, settled, rate_average)
            rate_average = activity.rate_average
            extremes.append(sum_of_extremes(activity.v))
            loss += self._go_backward(activity, metrics)
        share, weights = self.processes.share, dict(state.column.weights)
        weights = Activity(None, None, self.config.protocol.dt, WEIGHTS, weights, share=share)
        loss += self._go_backward(weights, metrics, times=len(conditions))
        self.processes.sum_gradients(self._trained())
        # Averaged like the others, so that all processes find out together.
        metrics |= {"loss": loss, EXTREMES: float(torch.stack(extremes).sum())}
        metrics = self.processes.average(metrics) | {NORM: self._gradient_norm()}
        self._check_finite(metrics)
        del metrics[EXTREMES]
        state.optimizer.step()
        state.rate_average = rate_average
        return metrics

    def stimulate(self, condition):
        """Inputs of this process in the step under way.

        Parameters
        ----------
        condition : str
            ``"evoked"`` or ``"spontaneous"``.

        Returns
        -------
        Stimulation
        """
        if condition == "evoked":
            return self.stimuli.gratings(self.state.step)
        return self.stimuli.gray(self.state.step, condition, self.config.protocol.spontaneous_ms)

    def n_steps(self, condition):
        """Time steps of a rollout."""
        protocol = self.config.protocol
        return round((protocol.evoked_ms if condition == "evoked" else protocol.spontaneous_ms) / protocol.dt)

    def _roll_out(self, condition, settled, rate_average):
        state, dt = self.state, self.config.protocol.dt
        stimulation = self.stimulate(condition)
        rollout = state.column(stimulation.inputs, self.n_steps(condition), settled)
        spikes, direction = self.processes.gather_trials(rollout.spikes), stimulation.direction
        if condition == "evoked":
            rate_average = update_rate_average(rate_average, trial_rates(spikes.detach(), dt))
        return Activity(
            spikes=spikes,
            v=rollout.v,
            dt=dt,
            condition=condition,
            direction=None if direction is None else torch.from_numpy(direction).float().to(spikes.device),
            rate_average=rate_average,
            seed=self.config.seed,
            step=state.step,
            share=self.processes.share,
        )

    def _go_backward(self, activity, metrics, times=1):
        """Score, and go backward at once: the graph of one rollout is freed before the next is built."""
        value, parts = total_loss(activity, self.targets, self.config.losses)
        if value.requires_grad:
            (times * value).backward()
        if activity.spikes is not None:
            parts["rate_Hz"] = activity.rates.detach().mean()
        parts = {name: float(part) * (times if name in OBJECTIVES else 1) for name, part in parts.items()}
        metrics |= {f"{activity.condition}/{name}": value for name, value in parts.items()}
        return sum(value for name, value in parts.items() if name in OBJECTIVES)

    def _trained(self):
        return [weight for weight in self.state.column.weights.values() if weight.requires_grad]

    def _n_clipped(self):
        return sum(moments.get("n_clipped", 0) for moments in self.state.optimizer.state.values())

    def _gradient_norm(self):
        return float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(w.grad) for w in self._trained()])))

    def _check_finite(self, metrics):
        bad = [name for name in ("loss", NORM, EXTREMES) if not math.isfinite(metrics[name])]
        if bad:
            step = self.state.step
            raise DivergedError(
                f"step {step + 1}: not finite: {', '.join(bad)}; the weights of step {step} are "
                "kept. Start a new run with a lower optimization.learning_rate, or a lower cost of the objective that "
                "grew last in metrics.csv."
            )
