"""Evaluation: held-out gratings and gray, and how like the recordings the activity is, type by type."""

from twincortex.models import before_torch as _before_torch  # noqa: F401
