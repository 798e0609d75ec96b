"""How fast this machine reads memory, as a yardstick for what only reads memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from twincortex.models.available_memory import available_memory
from twincortex.models.benchmark.timing import time_call

# Far larger than caches.
_ARRAY_BYTES = 2**30
_LEAST_REPEATS = 5


def measure_bandwidth(settings):
    """Sum an array with all threads, and copy one on the GPU where one is used.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    dict
        ``read_GB_per_s``: the faster of numpy and torch, best of the repeats; ``device_copy_GB_per_s`` of the GPU:
        bytes read and written; None where no GPU is used.
    """
    torch.set_num_threads(settings.threads)
    repeats = max(_LEAST_REPEATS, settings.repeats)
    numbers = np.ones(min(_ARRAY_BYTES, available_memory() // 4) // 4, dtype=np.float32)
    tensor = torch.from_numpy(numbers)
    with ThreadPoolExecutor(settings.threads) as pool:
        parts = np.array_split(numbers, settings.threads)
        by_numpy = _fastest(lambda: list(pool.map(np.sum, parts)), numbers.nbytes, repeats)
    by_torch = _fastest(tensor.sum, numbers.nbytes, repeats)
    read = {"read_GB_per_s": max(by_numpy, by_torch), "numpy": by_numpy, "torch": by_torch, "bytes": numbers.nbytes}
    is_on_gpu = settings.device == "cuda" and torch.cuda.is_available()
    return read | {"device_copy_GB_per_s": _copy_on_device(repeats) if is_on_gpu else None}


def _fastest(function, n_bytes, repeats, wait=None):
    function()
    return n_bytes / min(time_call(function, wait)[1].seconds for _ in range(repeats)) / 1e9


def _copy_on_device(repeats):
    source = torch.ones(_ARRAY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return _fastest(lambda: target.copy_(source), 2 * source.nbytes, repeats, torch.cuda.synchronize)
