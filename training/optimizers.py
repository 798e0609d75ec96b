"""Optimizers that never flip the sign of a weight: exponentiated gradients, and Adam held at zero."""

import torch
from torch.optim import Optimizer

from twincortex.models.errors import InputError


class _Exponentiated(Optimizer):
    """Multiply each weight by the exponential of what a subclass computes from its gradient."""

    def _direction(self, gradient, state, group):
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    exponent = self._direction(weight.grad, state, group).mul_(weight.sign()).neg_()
                    state["n_clipped"] = state.get("n_clipped", 0) + _scale(weight, exponent, group["max_exponent"])
        return loss


class ExponentiatedGradient(_Exponentiated):
    r"""Gradient descent on the logarithm of weights, with the gradient of the weights themselves.

    For every weight w with gradient g,

    .. math:: w \leftarrow w \, \exp(-\eta \, g \, \mathrm{sign}(w))

    so excitatory weights stay excitatory, inhibitory ones inhibitory, and zeros zero.

    Parameters
    ----------
    params : iterable of tensors or of dicts
        In any unit; the gradient, and so a good lr, depends on it.
    lr : float
        :math:`\eta`, in units of weight over loss.
    max_exponent : float
        Largest absolute exponent of one step; beyond it is clipped. ``state[weight]["n_clipped"]`` counts how many
        weights were clipped in all steps together. ``float("inf")`` never clips.

    Raises
    ------
    InputError
        lr is negative or max_exponent is not positive.

    Source
    ------
    Kivinen and Warmuth (1997) Exponentiated gradient versus gradient descent for linear predictors, without their
    normalization; with the sign as in Cornford et al. (2024) Brain-like learning with exponentiated gradients.

    Examples
    --------
    >>> import math, torch
    >>> weight = torch.nn.Parameter(torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64))
    >>> optimizer = ExponentiatedGradient([weight], lr=0.5)
    >>> loss = (weight**2).sum()
    >>> loss.backward()    # gradient 4, -2, 0
    >>> optimizer.step()   # exponents -0.5 * 4 = -2, clipped to -1, and -0.5 * -2 * -1 = -1
    >>> weight.data.tolist() == [2 * math.exp(-1), -math.exp(-1), 0.0]
    True
    >>> optimizer.state[weight]["n_clipped"]
    1
    """

    def __init__(self, params, lr=1e-3, max_exponent=1.0):
        super().__init__(params, _checked(lr=lr, max_exponent=max_exponent))

    def _direction(self, gradient, state, group):
        return gradient * group["lr"]


class ExponentiatedAdam(_Exponentiated):
    r"""Adam's direction as the exponent: every update changes a weight by about the fraction lr.

    With m = v = 0 at the start, in step t = 1, 2, ..., for every weight w with gradient g,

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \eta_t &= \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t) \\
        w &\leftarrow w \, \exp\!\left(-\eta_t \frac{m}{\sqrt{v} + \epsilon} \mathrm{sign}(w)\right)

    Signs never flip and zeros stay zero. The moments are of dL/dw, not of dL/d ln w: both directions agree in sign, and
    Adam's normalization removes the factor \|w\| but for its changes.

    Parameters
    ----------
    params : iterable of tensors or of dicts
    lr : float
        :math:`\eta`: relative change of a weight per step, once its gradient keeps its sign.
    betas : tuple of two floats
        :math:`\beta_1, \beta_2`.
    eps : float
        :math:`\epsilon`, added before the bias correction (Kingma and Ba's "epsilon hat"), unlike in torch's Adam.
    max_exponent : float
        Largest absolute exponent of one step; beyond it is clipped. ``state[weight]["n_clipped"]`` counts how many
        weights were clipped in all steps together. ``float("inf")`` never clips.

    Raises
    ------
    InputError
        An argument is out of its range.

    Source
    ------
    Ito et al. (2025); Kingma and Ba (2015) Adam: a method for stochastic optimization, end of section 2.

    Examples
    --------
    >>> import math, torch
    >>> weight = torch.nn.Parameter(torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64))
    >>> optimizer = ExponentiatedAdam([weight], lr=0.1)
    >>> loss = (weight**2).sum()
    >>> loss.backward()
    >>> optimizer.step()   # the first step of Adam is lr times the sign of the gradient
    >>> [round(w, 6) for w in weight.data.tolist()] == [round(2 * math.exp(-0.1), 6), round(-math.exp(-0.1), 6), 0.0]
    True
    """

    def __init__(self, params, lr=0.02, betas=(0.9, 0.999), eps=1e-11, max_exponent=1.0):
        super().__init__(params, _checked(lr=lr, betas=tuple(betas), eps=eps, max_exponent=max_exponent))

    def _direction(self, gradient, state, group):
        beta_1, beta_2 = group["betas"]
        if "step" not in state:
            state.update(step=0, exp_avg=torch.zeros_like(gradient), exp_avg_sq=torch.zeros_like(gradient))
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1 - beta_1)
        state["exp_avg_sq"].mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
        rate = group["lr"] * (1 - beta_2 ** state["step"]) ** 0.5 / (1 - beta_1 ** state["step"])
        return state["exp_avg_sq"].sqrt().add_(group["eps"]).reciprocal_().mul_(state["exp_avg"]).mul_(rate)


class SignConstrainedAdam(torch.optim.Adam):
    """torch's Adam, with every weight that crosses zero put back to zero.

    The optimizer of the unconstrained run that the paper compares with: weights change by about lr in their own unit,
    whatever their size. A weight that reached zero may leave it again, to its own side; a zero at the start stays.

    Parameters
    ----------
    params : iterable of tensors or of dicts
    lr : float
        In the unit of the weights.
    betas : tuple of two floats
    eps : float

    Raises
    ------
    InputError
        An argument is out of its range.

    Source
    ------
    Ito et al. (2025); Kingma and Ba (2015) Adam: a method for stochastic optimization.

    Examples
    --------
    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([2.0, -0.1, 0.0]))
    >>> optimizer = SignConstrainedAdam([weight], lr=0.5)
    >>> (weight - 1).square().sum().backward()    # gradient 2, -2.2, -2
    >>> optimizer.step()
    >>> weight.data.tolist()
    [1.5, 0.0, 0.0]
    """

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-11):
        super().__init__(params, **_checked(lr=lr, betas=tuple(betas), eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        weights = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        signs = [self.state[weight].get("sign", weight.sign().to(torch.int8)) for weight in weights]
        for weight in weights:
            self.state[weight].pop("sign", None)  # Adam takes an empty state for a new one
        loss = super().step(closure)
        for weight, sign in zip(weights, signs, strict=True):
            weight.mul_(weight.sign() == sign)
            self.state[weight]["sign"] = sign
        return loss


def _scale(weight, exponent, max_exponent):
    """Multiply weights by exp(exponent), clipped, within the range of normal numbers; return how many were clipped."""
    n_clipped = int((exponent.abs() > max_exponent).sum())
    sign, range_ = weight.sign(), torch.finfo(weight.dtype)
    weight.abs_().mul_(exponent.clamp_(-max_exponent, max_exponent).exp_())
    # Without a floor a weight could shrink to 0, and 0 has no way back.
    weight.clamp_(range_.tiny, range_.max).mul_(sign)
    return n_clipped


def _checked(**defaults):
    within = {
        "lr": (lambda lr: lr >= 0, "expected 0 or more"),
        "eps": (lambda eps: eps >= 0, "expected 0 or more"),
        "betas": (lambda betas: all(0 <= beta < 1 for beta in betas), "expected two numbers from 0 to below 1"),
        "max_exponent": (lambda most: most > 0, "expected a positive number; float('inf') never clips"),
    }
    for name, value in defaults.items():
        is_right, expected = within[name]
        if not is_right(value):
            raise InputError(f"{name} {value}: {expected}.")
    return defaults
