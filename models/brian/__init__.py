"""The Brian2 engine: one network builder for four targets (numpy, cython, C++ and CUDA standalone projects)."""

from twincortex.models.brian.simulate import simulate

__all__ = ["simulate"]
