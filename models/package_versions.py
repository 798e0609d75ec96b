"""Versions of the packages that decide the numbers of a simulation: part of the identity of what was measured."""

from importlib.metadata import version

PACKAGES = ("twincortex", "torch", "brian2", "numpy", "scipy")


def versions():
    """Versions of what decides the numbers, dict of package -> str."""
    return {package: version(package) for package in PACKAGES}
