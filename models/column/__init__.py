"""Build a column of mouse V1: placement, recurrent, thalamic and background connections, synaptic weights."""

from twincortex.models.column.build import build_column, grow_column

__all__ = ["build_column", "grow_column"]
