"""The torch engine: circuits as differentiable modules, trained with surrogate gradients."""

from twincortex.models import before_torch as _before_torch  # noqa: F401
from twincortex.models.surrogate.column import Rollout, State
from twincortex.models.surrogate.engines import make_column
from twincortex.models.surrogate.fused import FusedColumn
from twincortex.models.surrogate.reference import ReferenceColumn
from twincortex.models.surrogate.simulate import simulate, simulate_column, simulate_trials
from twincortex.models.surrogate.spike_functions import REFERENCE_SHAPING, GradientShaping

__all__ = [
    "REFERENCE_SHAPING",
    "FusedColumn",
    "GradientShaping",
    "ReferenceColumn",
    "Rollout",
    "State",
    "make_column",
    "simulate",
    "simulate_column",
    "simulate_trials",
]
