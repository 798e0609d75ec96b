"""Whether values are finite, in one number, and where they are not."""

import numpy as np
import pytest
import torch

from twincortex.models.errors import DivergedError
from twincortex.training.finite_check import (
    first_bad_connection,
    first_bad_index,
    is_finite,
    require_finite,
    sum_of_extremes,
)

from circuits import small_random_circuit

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, 1, 4), (6, 4, 10)])
def test_one_bad_value_anywhere_is_seen_and_found(bad, place):
    values = torch.randn(7, 5, 11, generator=torch.Generator().manual_seed(1))
    assert is_finite(sum_of_extremes(values))
    assert first_bad_index(values) is None
    values[place] = bad
    assert not is_finite(sum_of_extremes(values))
    assert first_bad_index(values) == place


def test_infinities_of_both_signs_do_not_hide_each_other():
    assert not is_finite(sum_of_extremes(torch.tensor([INF, 0.0, -INF])))


def test_the_first_in_time_is_found():
    values = torch.zeros(5, 2, 3)
    values[4, 0, 0], values[2, 1, 2], values[2, 1, 1] = NAN, NAN, INF
    assert first_bad_index(values) == (2, 1, 1)


@pytest.mark.parametrize("values", [torch.zeros(0), torch.tensor(3.0), torch.ones(3, dtype=torch.int8)])
def test_empty_single_and_whole_numbers_are_finite(values):
    assert is_finite(sum_of_extremes(values))
    assert first_bad_index(values) is None


def test_a_bad_weight_is_named_with_its_two_ends():
    circuit = small_random_circuit(seed=1)
    projection = circuit.projections["v1_to_v1"]
    sources, posts = projection.sources(), projection.posts(circuit.n_receptors)
    for row in (0, 17, projection.n_edges - 1):
        values = torch.from_numpy(np.array(projection.weight))
        values[row] = NAN
        found = first_bad_connection(circuit.projections, {"v1_to_v1": values}, circuit.n_receptors)
        ends = {"source": int(sources[row]), "target": int(posts[row])}
        assert found == {"projection": "v1_to_v1", "row": row, "value": "nan", **ends}


def test_finite_weights_have_no_bad_connection():
    circuit = small_random_circuit(seed=1)
    values = {name: torch.from_numpy(np.array(one.weight)) for name, one in circuit.projections.items()}
    assert first_bad_connection(circuit.projections, values, circuit.n_receptors) is None


def test_a_state_that_is_not_finite_is_refused_by_name():
    tensors = {"weights/a": torch.ones(4), "rate_average": torch.tensor([1.0, NAN]), "count": torch.tensor(3)}
    with pytest.raises(DivergedError, match=r"step 7: the state is not finite: rate_average\[1\] is nan\. No check"):
        require_finite(tensors, 7)
