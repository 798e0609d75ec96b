"""Sizes of a column: radius, and the inner radius inside which connectivity is displaced along the tuning axis."""

from dataclasses import dataclass

from twincortex.models.errors import InputError, near_name_hint

# Radius of the column from which the cell counts of the tables were taken.
FULL_RADIUS_UM = 700.0


@dataclass(frozen=True)
class ColumnSize:
    """A cylinder of cortex.

    Attributes
    ----------
    name : str
        ``"custom"`` when the radius was given as a number.
    radius_um : float [um]
    core_radius_um : float [um]
        Presynaptic displacement holds for targets within 1.5 times this radius.
    """

    name: str
    radius_um: float
    core_radius_um: float


COLUMN_SIZES = {
    size.name: size
    for size in (
        ColumnSize("tiny", 50.0, 20.0),
        ColumnSize("profile", 100.0, 50.0),
        ColumnSize("small", 200.0, 100.0),
        ColumnSize("core", 400.0, 200.0),
        ColumnSize("full", 700.0, 400.0),
    )
}


def column_size(size_or_radius, core_radius_um=None):
    """Look up a named size, or make one from a radius.

    Parameters
    ----------
    size_or_radius : str, float [um] or ColumnSize
    core_radius_um : float [um], optional
        Only with a radius; half of it by default.

    Returns
    -------
    ColumnSize

    Raises
    ------
    InputError
        Unknown name, or radii that are no lengths.

    Source
    ------
    biorealistic-v1-model, Snakefile (networks).
    """
    if isinstance(size_or_radius, ColumnSize):
        return size_or_radius
    if isinstance(size_or_radius, str):
        if size_or_radius not in COLUMN_SIZES:
            raise InputError(f"unknown column size {size_or_radius!r}: {near_name_hint(size_or_radius, COLUMN_SIZES)}")
        if core_radius_um is not None:
            raise InputError(f"size {size_or_radius!r} has its own core radius. Give a radius in um to choose both.")
        return COLUMN_SIZES[size_or_radius]
    radius = float(size_or_radius)
    core = radius / 2 if core_radius_um is None else float(core_radius_um)
    if not (1.0 < radius < float("inf") and 0.0 <= core <= radius):
        raise InputError(
            f"column radius {radius} um with core radius {core} um: expected 1 < radius and 0 <= core radius <= radius."
        )
    return ColumnSize("custom", radius, core)
