import dataclasses

import numpy as np
import pytest

from twincortex.models import circuit as circuit_module
from twincortex.models.circuit import validate
from twincortex.models.errors import InputError

NAME = "lgn_to_v1"


def changed(circuit, **columns):
    projection = dataclasses.replace(circuit.projections[NAME], **columns)
    return dataclasses.replace(circuit, projections=circuit.projections | {NAME: projection})


def with_entry(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("target", -1, "targets outside the column"),
        ("target", 40 * 8, "targets outside the column"),
        ("delay_code", 200, "delay codes without a delay"),
        ("weight", np.inf, "weights that are not finite"),
        ("weight", np.nan, "weights that are not finite"),
        ("weight", -1.0, "weights of the wrong sign"),
    ],
)
@pytest.mark.parametrize("block", [1, 50, 2**20])
def test_bad_connections_are_named_whatever_block_they_are_in(circuit, monkeypatch, column, value, complaint, block):
    monkeypatch.setattr(circuit_module, "_BLOCK", block)
    array = getattr(circuit.projections[NAME], column)
    bad = changed(circuit, **{column: with_entry(array, [3, 100, 203], value)})
    with pytest.raises(InputError, match=f"{NAME}: {complaint} at connections 3, 100, 203. "):
        validate(bad)
    validate(bad, ["v1_to_v1", "bkg_to_v1"])


@pytest.mark.parametrize("block", [1, 50, 2**20])
def test_blocks_of_rows_cover_all_rows_once(circuit, monkeypatch, block):
    monkeypatch.setattr(circuit_module, "_BLOCK", block)
    projection = circuit.projections[NAME]
    blocks = list(projection.blocks_of_rows())
    assert [row for first, last in blocks for row in range(first, last)] == list(range(projection.n_sources))


def drop_a_row(projection):
    return {"indptr": projection.indptr[:-1]}


def end_too_late(projection):
    return {"indptr": with_entry(projection.indptr, -1, projection.n_edges + 1)}


def go_backwards(projection):
    return {"indptr": with_entry(projection.indptr, 3, projection.indptr[-1])}


def drop_a_weight(projection):
    return {"weight": projection.weight[:-1]}


@pytest.mark.parametrize("change", [drop_a_row, end_too_late, go_backwards, drop_a_weight])
def test_rows_that_do_not_cover_the_connections_are_refused(circuit, change):
    bad = changed(circuit, **change(circuit.projections[NAME]))
    with pytest.raises(InputError, match=rf"{NAME}: \d+ rows from 0 to .*; expected 20 rows that cover them all"):
        validate(bad)
