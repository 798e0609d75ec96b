"""Columns go through their SONATA folders unharmed; tests/benchmarks/round_trip.py does it with larger ones."""

import dataclasses

import numpy as np
import pytest
from round_trip_of_circuits import differences, write_and_read

from twincortex.models.column import build_column


@pytest.mark.parametrize("size", ["tiny", "profile"])
@pytest.mark.parametrize("options", [{}, {"fluctuate": True, "weight_rule": "like_to_like"}])
def test_a_column_comes_back_bit_by_bit(tmp_path, size, options):
    circuit = build_column(size, seed=2, **options)
    assert differences(circuit, write_and_read(circuit, tmp_path / "circuit")) == []


def test_a_difference_in_one_bit_or_type_is_seen(circuit):
    v1 = circuit.projections["v1_to_v1"]
    weight = v1.weight.copy()
    weight[7] = np.nextafter(weight[7], np.float32(0))
    assert differences(circuit, circuit.with_weights({"v1_to_v1": weight})) == [
        "projections.v1_to_v1.weight",
        "weights_hash",
    ]
    wider = dataclasses.replace(v1, target=v1.target.astype(np.int64))
    other = dataclasses.replace(circuit, projections=circuit.projections | {"v1_to_v1": wider})
    assert "projections.v1_to_v1.target" in differences(circuit, other)
    assert differences(circuit, dataclasses.replace(circuit, provenance={"seed": 5}))
