"""Damaged folders give the same circuit or a named error; tests/benchmarks/damaged_circuits.py reads 2,000 of them."""

import os

import numpy as np
import pytest
from damaged_reading import bases, read_damaged

from twincortex.models.hdf5.structure import extents_of_chunks
from twincortex.models.sonata.checksums import changed_files


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each folder is read in a forked process")
def test_a_damaged_folder_gives_the_same_circuit_or_a_named_error(tmp_path):
    all_bases = bases(tmp_path)
    harmful = []
    for seed in range(100_000, 100_300):
        base = all_bases[seed % len(all_bases)]
        outcome = read_damaged(base, seed, tmp_path)
        if not outcome.is_harmless(base.has_checksums):
            harmful.append(f"seed {seed}, {base.name}: {outcome.damage.what}: {outcome.result} {outcome.message[:200]}")
    assert not harmful, "\n".join(harmful)


def test_a_change_of_any_byte_that_hdf5_does_not_check_is_noticed_before_hdf5_sees_it(circuit_folder):
    path = circuit_folder / "network" / "lgn_v1_edges.h5"
    content = path.read_bytes()
    is_structure = np.ones(len(content), dtype=bool)
    for start, stop in extents_of_chunks(path):
        is_structure[start:stop] = False
    assert not list(changed_files(circuit_folder))
    for place in np.random.default_rng(1).choice(np.flatnonzero(is_structure), 200, replace=False):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert [error.file for error in changed_files(circuit_folder)] == [str(path)]
