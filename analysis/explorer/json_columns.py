"""Arrays as JSON."""

import numpy as np


def as_column(values, digits=3):
    """Round numbers and list them, with None where they are not finite.

    Parameters
    ----------
    values : array
    digits : int
        Behind the point.

    Returns
    -------
    list
        Nested as the array is.
    """
    values = np.asarray(values)
    if values.dtype.kind in "biu":
        return values.tolist()
    rounded = np.round(values.astype(float), digits).astype(object)
    rounded[~np.isfinite(values)] = None
    return rounded.tolist()


def as_number(value, digits=4):
    """One number for JSON, with so many significant digits; None where it is not finite.

    Parameters
    ----------
    value : float
    digits : int

    Returns
    -------
    float or None
    """
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None
