from pathlib import Path

import numpy as np
import pytest

from twincortex.models.peak_memory import memory_now, peak_memory

MANY = 200_000_000


def test_the_peak_is_that_of_memory_long_given_back():
    before = memory_now()
    np.ones(MANY, dtype=np.uint8)
    assert peak_memory() - before > 0.9 * MANY


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_a_peak_before_the_start_is_forgotten():
    np.ones(MANY, dtype=np.uint8)
    peak = peak_memory()
    memory_now()
    assert peak_memory() < peak - 0.5 * MANY
