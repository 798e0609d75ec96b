"""Spikes with a surrogate gradient: a step function forward, a smooth bump backward."""

from dataclasses import dataclass

import torch

from twincortex.models.errors import InputError, near_name_hint


def triangular(x, width, gain):
    """gain * max(0, 1 - |x|/width)."""
    return gain * torch.clamp(1 - x.abs() / width, min=0)


def gaussian(x, width, gain):
    """gain * exp(-(x/width)**2)."""
    return gain * torch.exp(-((x / width) ** 2))


def exponential(x, width, gain):
    """gain * exp(-|x|/width) (SLAYER)."""
    return gain * torch.exp(-x.abs() / width)


SURROGATES = {"triangular": triangular, "gaussian": gaussian, "exponential": exponential}


@dataclass(frozen=True)
class GradientShaping:
    """How gradients pass a spike and travel back through time.

    Attributes
    ----------
    surrogate : str
        ``triangular``, ``gaussian`` or ``exponential``: dz/dx at x = (V - V_th)/(V_th - E_L).
    width : float
        Width of the bump in units of V_th - E_L.
    gain : float
        Height of the bump.
    recurrent_factor : float
        Share of the gradient kept from a synaptic current to the presynaptic spike.
    voltage_factor : float
        Share of the gradient kept from the membrane potential to its own past.

    Source
    ------
    Defaults were measured to train the column best (Gaussian .28/.05, undamped); ``REFERENCE_SHAPING`` is the setting
    of the V1_GLIF_model system (triangular, gain .1, factors .1 and .5).
    """

    surrogate: str = "gaussian"
    width: float = 0.28
    gain: float = 0.05
    recurrent_factor: float = 1.0
    voltage_factor: float = 1.0

    def __post_init__(self):
        """Refuse unknown surrogates and widths that divide by zero."""
        if self.surrogate not in SURROGATES:
            raise InputError(f"surrogate {self.surrogate!r}: {near_name_hint(self.surrogate, SURROGATES)}.")
        if not self.width > 0:
            raise InputError(f"surrogate width {self.width}: expected a number > 0 (in units of V_th - E_L).")


REFERENCE_SHAPING = GradientShaping("triangular", width=1.0, gain=0.1, recurrent_factor=0.1, voltage_factor=0.5)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, excess, scale, shaping):
        ctx.save_for_backward(excess, scale)
        ctx.shaping = shaping
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx, grad):
        excess, scale = ctx.saved_tensors
        shaping = ctx.shaping
        slope = SURROGATES[shaping.surrogate](excess / scale, shaping.width, shaping.gain)
        return grad * slope / scale, None, None


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


def spike(excess, scale, shaping):
    """Emit a spike where the potential exceeds the threshold.

    Parameters
    ----------
    excess : tensor [mV]
        V - V_th.
    scale : tensor [mV]
        V_th - E_L; the surrogate is a function of x = excess/scale.
    shaping : GradientShaping

    Returns
    -------
    tensor of 0 and 1, whose gradient is the surrogate's.
    """
    return _Spike.apply(excess, scale, shaping)


def scale_gradient(x, factor):
    """Pass x on unchanged and multiply its gradient by a factor (number or tensor)."""
    return _ScaleGradient.apply(x, factor)
