"""Find the smallest, the largest and the n-th smallest of many numbers inside compiled kernels."""

from numba import njit


@njit
def nth_smallest(values, n):
    """Find the n-th smallest value (quickselect); brings the values into another order.

    Parameters
    ----------
    values : (m,) float64 array
    n : int
        1 to m.

    Returns
    -------
    float
    """
    low, high, wanted = 0, len(values) - 1, n - 1
    while low < high:
        middle = (low + high) // 2
        pivot, values[middle] = values[middle], values[high]
        border = low
        for k in range(low, high):  # without a branch, which would be mispredicted every other time
            value = values[k]
            values[k] = values[border]
            values[border] = value
            border += value < pivot
        values[high] = values[border]
        values[border] = pivot
        if wanted == border:
            return pivot
        if wanted < border:
            high = border - 1
        else:
            low = border + 1
    return values[wanted]


@njit(fastmath={"nnan", "nsz", "reassoc"})
def smallest_of(values, n):
    """Smallest of the first n values."""
    smallest = values[0]
    for k in range(n):
        smallest = min(smallest, values[k])
    return smallest


@njit(fastmath={"nnan", "nsz", "reassoc"})
def largest_of(values, n):
    """Largest of the first n values."""
    largest = values[0]
    for k in range(n):
        largest = max(largest, values[k])
    return largest
