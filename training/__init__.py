"""How weights are found: objectives, optimizers and the training loop."""

from twincortex.models import openmp as _openmp  # noqa: F401  (before torch)
