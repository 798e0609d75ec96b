"""The torch engine: circuits as differentiable modules, trained with surrogate gradients."""

from twincortex.models import openmp as _openmp  # noqa: F401  (before torch)
from twincortex.models.surrogate.reference import ReferenceColumn, Rollout, State
from twincortex.models.surrogate.simulate import simulate, simulate_trials
from twincortex.models.surrogate.spike_functions import REFERENCE_SHAPING, GradientShaping

__all__ = ["REFERENCE_SHAPING", "GradientShaping", "ReferenceColumn", "Rollout", "State", "simulate", "simulate_trials"]
