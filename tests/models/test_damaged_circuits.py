"""Damaged folders give the same circuit or a named error; tests/benchmarks/damaged_circuits.py reads 2,000 of them."""

import os

import pytest
from damaged_reading import bases, read_damaged

# The HDF5 library itself never ends on this damaged metadata, which no checksum covers yet.
KNOWN_HANGS = {100_296}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each folder is read in a forked process")


@pytest.mark.slow
def test_a_damaged_folder_gives_the_same_circuit_or_a_named_error(tmp_path):
    all_bases = bases(tmp_path)
    harmful = []
    for seed in sorted(set(range(100_000, 100_300)) - KNOWN_HANGS):
        base = all_bases[seed % len(all_bases)]
        outcome = read_damaged(base, seed, tmp_path)
        if not outcome.is_harmless(base.has_checksums):
            harmful.append(f"seed {seed}, {base.name}: {outcome.damage.what}: {outcome.result} {outcome.message[:200]}")
    assert not harmful, "\n".join(harmful)
