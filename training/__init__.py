"""How weights are found: objectives, optimizers and the training loop."""

from twincortex.models import before_torch as _before_torch  # noqa: F401
