"""The objectives: pure functions of a rollout and the targets, one family per function, one row each in a table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from twincortex.models.errors import InputError
from twincortex.models.observables import crowd_selectivity, firing_rate
from twincortex.models.randomness import philox
from twincortex.training.loss_options import Losses
from twincortex.training.pool_counts import total_and_each
from twincortex.training.synchrony import synchrony_loss
from twincortex.training.targets import CONDITIONS
from twincortex.training.voltage import voltage_loss
from twincortex.training.weight_distribution import weight_distribution_loss

INITIAL_RATE_AVERAGE_HZ = 3.0


@dataclass(frozen=True)
class Activity:
    """One rollout and the weights that made it.

    Attributes
    ----------
    spikes : (T, B, N) tensor
        0 or 1, carrying gradients.
    v : (T, B, N) tensor [mV]
        Membrane potential before reset.
    dt : float [ms]
    condition : str
        ``"evoked"`` or ``"spontaneous"``.
    weights : dict of projection name -> (E,) tensor [pA]
    direction : (B,) tensor [deg] or None
        Of the grating in each trial.
    rate_average : (N,) tensor [Hz] or None
        From `update_rate_average`, already including this rollout.
    seed, step : int
        Random choices (pools, order of equal rates) are a pure function of them.
    share : float
        Of this process in objectives that each process computes on trials of its own: one over their number.
    """

    spikes: torch.Tensor
    v: torch.Tensor
    dt: float
    condition: str
    weights: dict = field(default_factory=dict)
    direction: torch.Tensor | None = None
    rate_average: torch.Tensor | None = None
    seed: int = 0
    step: int = 0
    share: float = 1.0

    @cached_property
    def _counts(self):
        # (time, neuron, trial) is how the engines lay spikes out in memory.
        return total_and_each(self.spikes.transpose(1, 2).flatten(1))

    @cached_property
    def rates(self):
        """Rate of every neuron in every trial, (B, N) tensor [Hz]."""
        n_steps, n_trials, n_neurons = self.spikes.shape
        return (self._counts[0] / n_steps * (1000 / self.dt)).view(n_neurons, n_trials).T

    @property
    def spikes_by_member(self):
        """Spikes for `count_in_pools`, (T, N * B) tensor; neuron i of trial b is in column ``i * B + b``."""
        return self._counts[1]

    def random(self, purpose):
        """Open the random stream of this rollout for a purpose."""
        return philox(self.seed, purpose, self.step, CONDITIONS.index(self.condition))


def trial_rates(spikes, dt):
    """`firing_rate` of (T, B, N) spikes, (B, N) tensor [Hz]: the same numbers, faster in the order of memory."""
    return firing_rate(spikes.transpose(1, 2), dt).T


def firing_rate_loss(activity, targets, kappa_Hz=2.0):
    """Distance of the rate distribution of each cell type from the recorded one.

    The i-th lowest of the n rates of a type, mean over time and trials, is compared with the i-th lowest target:
    with u the difference, the loss is |i/n - [u <= 0]| huber(u), huber(u) = u^2 / (2 kappa) up to kappa and
    |u| - kappa/2 beyond. Sum over neurons over their number; regions add with their weights.

    Parameters
    ----------
    activity : Activity
    targets : Targets
    kappa_Hz : float [Hz]

    Returns
    -------
    value : () tensor [spikes/ms]
        In the unit of the reference, so that its cost carries over.
    parts : dict
        Per region.

    Source
    ------
    Ito et al. (2025); quantile Huber loss after Dabney et al. (2018). Note that the highest rate of a type (i = n) is
    never pushed up, so neither is the only neuron of its type.
    """
    rates = activity.rates.mean(0)

    def score(region):
        model = rates[region.neurons]
        model = model[_rank_within_type(model.detach(), region.type_index, activity.random("rate_ties"))]
        u = model - region.rate_Hz[activity.condition]
        size = u.abs()
        huber = torch.where(size <= kappa_Hz, u**2 / (2 * kappa_Hz), size - kappa_Hz / 2)
        return ((region.level - (u <= 0).to(u.dtype)).abs() * huber).mean() / 1000

    return _over_regions(targets, score)


def update_rate_average(rate_average, rates, decay=0.95):
    """Move the running average of evoked rates towards a rollout; call before scoring that rollout.

    Parameters
    ----------
    rate_average : (N,) tensor [Hz]
        Starts at ``INITIAL_RATE_AVERAGE_HZ``.
    rates : (B, N) tensor [Hz]
    decay : float

    Returns
    -------
    (N,) tensor [Hz]
        Without gradient.
    """
    return decay * rate_average + (1 - decay) * rates.detach().mean(0)


def selectivity_loss(activity, targets, min_average_Hz=0.5):
    """Squared distance of the crowd OSI and DSI of each cell type from the recorded means, weighted by cells.

    Parameters
    ----------
    activity : Activity
        With direction and rate_average. Rates are divided by the average rate of each neuron, taken as a constant.
    targets : Targets
    min_average_Hz : float [Hz]
        Smallest average to divide by.

    Returns
    -------
    value : () tensor
    parts : dict
        osi and dsi of the core.

    Source
    ------
    Ito et al. (2025), with the assigned tuning angle as preferred direction; see `crowd_selectivity`.
    """
    if activity.direction is None or activity.rate_average is None:
        raise InputError("the selectivity loss needs the direction of every trial and the running average of rates.")
    normalized = activity.rates / activity.rate_average.clip(min_average_Hz)
    delta = activity.direction[:, None] - targets.tuning_angle
    errors = []

    def score(region):
        osi, dsi = crowd_selectivity(normalized[:, region.neurons], delta[:, region.neurons], region.membership)
        wanted = ((osi, targets.osi), (dsi, targets.dsi))
        errors.append([(region.type_share * (model - target) ** 2).sum() for model, target in wanted])
        return sum(errors[-1])

    value, _ = _over_regions(targets, score)
    return value, {"osi": errors[0][0].detach(), "dsi": errors[0][1].detach()}


@dataclass(frozen=True)
class Objective:
    """A row of the table.

    Attributes
    ----------
    function : callable
        Of (activity, targets, options of the objective).
    conditions : tuple of str
        When it counts: in rollouts (``CONDITIONS``), or once per update for what depends on weights alone
        (``WEIGHTS``).
    needs_all_trials : bool
        Nonlinear in the trials, so processes that share a batch exchange their spikes; the others average.
    """

    function: Callable
    conditions: tuple = CONDITIONS
    needs_all_trials: bool = True


WEIGHTS = "weights"
OBJECTIVES = {
    "rate": Objective(firing_rate_loss),
    "selectivity": Objective(selectivity_loss, ("evoked",)),
    "synchrony": Objective(synchrony_loss),
    "voltage": Objective(voltage_loss, needs_all_trials=False),
    "weight_distribution": Objective(weight_distribution_loss, (WEIGHTS,), needs_all_trials=False),
}


def total_loss(activity, targets, losses=None):
    """Add up the objectives that count in the condition of a rollout, each times its cost.

    Parameters
    ----------
    activity : Activity
    targets : Targets
        On the device of the activity.
    losses : Losses, optional
        Costs and options; an objective of cost 0 is not computed.

    Returns
    -------
    total : () tensor
        To go backward from; in a process of several its share.
    parts : dict of str -> () tensor without gradient
        ``"rate"``: the objective times its cost; ``"rate/core"``: a part of it, without the cost.
    """
    losses = losses or Losses()
    total, parts = torch.zeros((), device=targets.tuning_angle.device), {}
    for name, objective in OBJECTIVES.items():
        options = dict(vars(getattr(losses, name)))
        cost = options.pop("cost")
        if cost == 0 or activity.condition not in objective.conditions:
            continue
        value, details = objective.function(activity, targets, **options)
        total = total + cost * value * (1.0 if objective.needs_all_trials else activity.share)
        parts[name] = cost * value.detach()
        parts |= {f"{name}/{part}": detail for part, detail in details.items()}
    return total, parts


def _over_regions(targets, score):
    scores = [score(region) for region in targets.regions]
    total = sum(region.weight * value for region, value in zip(targets.regions, scores, strict=True))
    return total, {name: value.detach() for name, value in zip(("core", "annulus"), scores, strict=False)}


def _rank_within_type(rates, type_index, random):
    """Order neurons by type, then rate; equal rates in random order, so that no neuron is always the one pushed."""
    shuffled = torch.as_tensor(random.permutation(len(rates)), device=rates.device)
    by_rate = shuffled[rates[shuffled].argsort(stable=True)]
    return by_rate[type_index[by_rate].argsort(stable=True)]
