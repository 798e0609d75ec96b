"""The voltage objective: membrane potentials near the threshold, or between rest and threshold."""

import torch
from numba import njit
from torch.autograd.function import once_differentiable

from twincortex.models.errors import InputError, near_name_hint
from twincortex.training.loss_options import VOLTAGE_MODES
from twincortex.training.step_threads import run_by_rows


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
    if mode not in VOLTAGE_MODES:
        raise InputError(f"unknown mode {mode!r} of the voltage loss: {near_name_hint(mode, VOLTAGE_MODES)}")
    rest, threshold = targets.resting_potential, targets.threshold_potential
    scale = 1 / (threshold - rest)
    # In the order of the engine's memory: these are the largest tensors of all.
    value, mean = _SquaredDistance.apply(activity.v.transpose(1, 2), (-rest * scale)[:, None], scale[:, None], mode)
    return value, {"mean": mean}


class _SquaredDistance(torch.autograd.Function):
    """Mean squared distance of ``offset + v * scale`` from what the mode wants, and its mean.

    The numbers of torch's own functions, in fewer passes and keeping nothing but v.
    """

    @staticmethod
    def forward(ctx, v, offset, scale, mode):
        normalized = torch.addcmul(offset, v, scale)
        mean = normalized.mean()
        ctx.save_for_backward(v, offset, scale)
        ctx.mode = mode
        ctx.mark_non_differentiable(mean)
        return _subtract_nearest(normalized, mode).square_().mean(), mean

    @staticmethod
    @once_differentiable
    def backward(ctx, value_gradient, _mean_gradient):
        v, offset, scale = ctx.saved_tensors
        gradient = torch.addcmul(offset, v, scale)
        factors = torch.stack([value_gradient.new_tensor(2 / v.numel()), value_gradient])
        if v.device.type == "cpu":
            run_by_rows(_fill_slopes, (gradient,), ctx.mode == "range", factors, scale)
        else:
            _subtract_nearest(gradient, ctx.mode).mul_(factors[0]).mul_(factors[1]).mul_(scale)
        return gradient, None, None, None


def _subtract_nearest(normalized, mode):
    return normalized.sub_(1) if mode == "threshold" else normalized.sub_(normalized.clamp(0, 1))


@njit(cache=True, nogil=True)
def _fill_slopes(normalized, in_range, factors, scale):
    """Replace normalized potentials, (n_steps, N, B), by what `_SquaredDistance.backward` gives elsewhere."""
    zero, one = factors.dtype.type(0), factors.dtype.type(1)
    for step in range(normalized.shape[0]):
        for neuron in range(normalized.shape[1]):
            row, per_mV = normalized[step, neuron], scale[neuron, 0]
            for trial in range(len(row)):
                x = row[trial]
                nearest = min(max(x, zero), one) if in_range else one
                row[trial] = (x - nearest) * factors[0] * factors[1] * per_mV
