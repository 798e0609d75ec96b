"""The objectives: pure functions of one rollout and of the targets, one family per function, one row each in a table."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.neuropixels import read_fano_curve
from twincortex.models.observables import crowd_selectivity, fano_factor_curve, firing_rate
from twincortex.models.randomness import philox
from twincortex.training.targets import CONDITIONS

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

    def random(self, purpose):
        """Open the random stream of this rollout for a purpose."""
        return philox(self.seed, purpose, self.step, CONDITIONS.index(self.condition))


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
    rates = firing_rate(activity.spikes, activity.dt).mean(0)

    def score(region):
        model = rates[region.neurons]
        model = model[_rank_within_type(model.detach(), region.type_index, activity.random("rate_ties"))]
        u = model - region.rate_Hz[activity.condition]
        size = u.abs()
        huber = torch.where(size <= kappa_Hz, u**2 / (2 * kappa_Hz), size - kappa_Hz / 2)
        return ((region.level - (u <= 0).to(u.dtype)).abs() * huber).mean() / 1000

    return _over_regions(targets, score)


def update_rate_average(rate_average, spikes, dt, decay=0.95):
    """Move the running average of evoked rates towards a rollout; call before scoring that rollout.

    Parameters
    ----------
    rate_average : (N,) tensor [Hz]
        Starts at ``INITIAL_RATE_AVERAGE_HZ``.
    spikes : (T, B, N) tensor
    dt : float [ms]
    decay : float

    Returns
    -------
    (N,) tensor [Hz]
        Without gradient.
    """
    rates = firing_rate(spikes.detach(), dt).mean(0)
    return decay * rate_average + (1 - decay) * rates


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
    normalized = firing_rate(activity.spikes, activity.dt) / activity.rate_average.clip(min_average_Hz)
    delta = activity.direction[:, None] - targets.tuning_angle
    errors = []

    def score(region):
        osi, dsi = crowd_selectivity(normalized[:, region.neurons], delta[:, region.neurons], region.membership)
        share = region.n_cells / region.n_cells.sum()
        errors.append(((share * (osi - targets.osi) ** 2).sum(), (share * (dsi - targets.dsi) ** 2).sum()))
        return sum(errors[-1])

    value, _ = _over_regions(targets, score)
    return value, {"osi": errors[0][0].detach(), "dsi": errors[0][1].detach()}


def synchrony_loss(activity, targets, n_pools=500, settle_ms=200.0):
    """Squared distance of the Fano factor of random excitatory pools from the recorded curve, mean over bin widths.

    Parameters
    ----------
    activity : Activity
    targets : Targets
    n_pools : int
        See `draw_fano_pools`.
    settle_ms : float [ms]
        Left out at the start, but never more than 40 % of the rollout.

    Returns
    -------
    value : () tensor
    parts : dict
        Mean Fano factor of the model and of the recordings over the same bin widths.

    Source
    ------
    Ito et al. (2025), which has curves for rollouts of 500 and 2000 ms only; `read_fano_curve` has them for any length.
    Widths are the recorded ones, to the nearest step.
    """
    n_steps = len(activity.spikes)
    first = round(min(settle_ms / activity.dt, 0.4 * n_steps))
    bin_ms, recorded = read_fano_curve((n_steps - first) * activity.dt, activity.condition)
    bin_steps = np.maximum(np.rint(bin_ms / activity.dt), 1).astype(int).tolist()
    n_trials, n_neurons = activity.spikes.shape[1:]
    trial, cell, pool = draw_fano_pools(n_trials, len(targets.excitatory_core), n_pools, activity.random("fano_pools"))
    on_device = {"device": activity.spikes.device}
    column = torch.as_tensor(trial, **on_device) * n_neurons + targets.excitatory_core[torch.as_tensor(cell, **on_device)]
    members = activity.spikes[first:].flatten(1).index_select(1, column)
    counts = members.new_zeros(len(members), n_pools).index_add(1, torch.as_tensor(pool, **on_device), members)
    model = torch.stack([fano.mean() for fano in fano_factor_curve(counts, bin_steps)])
    recorded = torch.as_tensor(recorded, dtype=model.dtype, **on_device)
    value = ((model - recorded) ** 2).mean()
    return value, {"fano_model": model.detach().mean(), "fano_recorded": recorded.mean()}


def draw_fano_pools(n_trials, n_cells, n_pools, random, mean_size=70.0, sd_size=30.0, min_size=15):
    """Draw pools of cells whose spikes are counted together.

    Parameters
    ----------
    n_trials, n_cells, n_pools : int
    random : numpy.random.Generator
    mean_size, sd_size : float
        Pool sizes are normal, rounded down, between min_size (or n_cells if that is less) and n_cells.
    min_size : int

    Returns
    -------
    trial, cell, pool : (n_members,) int64 arrays
        One row per member. Each pool sees one random trial. Cells are dealt from a shuffled deck, shuffled anew when it
        runs short, so that no cell is twice in a pool.
    """
    sizes = np.clip(random.normal(mean_size, sd_size, n_pools).astype(int), min(min_size, n_cells), n_cells)
    trials = random.integers(n_trials, size=n_pools)
    deck, dealt, cells = random.permutation(n_cells), 0, []
    for size in sizes:
        if dealt + size > n_cells:
            deck, dealt = random.permutation(n_cells), 0
        cells.append(deck[dealt : dealt + size])
        dealt += size
    return np.repeat(trials, sizes), np.concatenate(cells), np.repeat(np.arange(n_pools), sizes)


VOLTAGE_PENALTIES = {
    "range": lambda x: ((x - 0.5).abs() - 0.5).relu() ** 2,
    "threshold": lambda x: (x - 1) ** 2,
}


def voltage_loss(activity, targets, mode="threshold"):
    """Penalty on the membrane potential x = (V - E_L) / (V_th - E_L), mean over time, trials and all neurons.

    Parameters
    ----------
    activity : Activity
    targets : Targets
    mode : str
        ``"range"``: squared distance from the range of 0 to 1; ``"threshold"``: squared distance from the threshold.

    Returns
    -------
    value : () tensor
    parts : dict
        Mean normalized potential.

    Raises
    ------
    InputError
        Unknown mode.
    """
    if mode not in VOLTAGE_PENALTIES:
        raise InputError(f"unknown mode {mode!r} of the voltage loss: {near_name_hint(mode, VOLTAGE_PENALTIES)}")
    rest, threshold = targets.resting_potential, targets.threshold_potential
    normalized = (activity.v - rest) / (threshold - rest)
    return VOLTAGE_PENALTIES[mode](normalized).mean(), {"mean": normalized.detach().mean()}


def weight_distribution_loss(activity, targets):
    """Earth mover's distance of the weights of each pair of cell types from the initial ones, mean over pairs.

    Weights are divided by V_th - E_L of their target. In one dimension the distance is the mean absolute difference of
    the sorted weights; one sort orders all groups at once.

    Parameters
    ----------
    activity : Activity
    targets : Targets

    Returns
    -------
    value : () tensor [pA/mV]
        Summed over the projections whose distributions are held.
    parts : dict
        Per projection.
    """
    parts = {}
    for initial in targets.weights:
        scaled = activity.weights[initial.projection] * initial.per_threshold
        with torch.no_grad():
            # Groups lie further apart than any weight reaches; in float64 the shift moves no weight by more than 1e-13
            # of the largest, so that order within a group is kept to that distance.
            spacing = 3 * scaled.abs().max().double()
            order = (scaled.double() + spacing * initial.group).argsort()
        parts[initial.projection] = ((scaled[order] - initial.sorted_initial).abs() * initial.rank_share).sum()
    return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


@dataclass(frozen=True)
class Objective:
    """A row of the table: a function of (activity, targets), its cost, and the conditions in which it counts."""

    function: Callable
    cost: float
    conditions: tuple = CONDITIONS


# Costs of the paper-aligned run of Ito et al. (2025).
OBJECTIVES = {
    "rate": Objective(firing_rate_loss, 10_000.0),
    "selectivity": Objective(selectivity_loss, 20.0, ("evoked",)),
    "synchrony": Objective(synchrony_loss, 1.5),
    "voltage": Objective(voltage_loss, 1.0),
    "weight_distribution": Objective(weight_distribution_loss, 10.0),
}


def total_loss(activity, targets, costs=None, options=None):
    """Add up the objectives that count in the condition of a rollout, each times its cost.

    Parameters
    ----------
    activity : Activity
    targets : Targets
        On the device of the activity.
    costs : dict of objective -> float, optional
        Replace the default costs; an objective of cost 0 is not computed.
    options : dict of objective -> dict, optional
        Keyword arguments, for example ``{"voltage": {"mode": "range"}}``.

    Returns
    -------
    total : () tensor
    parts : dict of str -> () tensor without gradient
        ``"rate"``: the objective times its cost; ``"rate/core"``: a part of it, without the cost.

    Raises
    ------
    InputError
        A name that is not in the table.
    """
    costs, options = costs or {}, options or {}
    for name in (*costs, *options):
        if name not in OBJECTIVES:
            raise InputError(f"unknown objective {name!r}: {near_name_hint(name, OBJECTIVES)}")
    total, parts = activity.spikes.new_zeros(()), {}
    for name, objective in OBJECTIVES.items():
        cost = costs.get(name, objective.cost)
        if cost == 0 or activity.condition not in objective.conditions:
            continue
        value, details = objective.function(activity, targets, **options.get(name, {}))
        total = total + cost * value
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
