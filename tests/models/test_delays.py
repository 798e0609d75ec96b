import dataclasses

import numpy as np
import pytest

from twincortex.models.circuit import sort_projection
from twincortex.models.delays import rounded_delays
from twincortex.models.errors import InputError


def with_delays(circuit, delays):
    """The circuit with one recurrent connection per delay [ms] and a delay of 7.77 ms that none uses."""
    n = len(delays)
    projection = sort_projection("v1", circuit.n_neurons, np.arange(n), np.zeros(n, dtype=int), delays, np.zeros(n))
    projection = dataclasses.replace(projection, delay_ms=np.append(projection.delay_ms, 7.77))
    return dataclasses.replace(circuit, projections={"v1_to_v1": projection})


def test_changed_delays_are_counted_and_their_changes_measured(circuit):
    report = rounded_delays(with_delays(circuit, [1.0, 1.4, 1.4, 2.8]), dt=1.0)["v1_to_v1"]
    assert (report["n_changed"], report["of"]) == (3, 4)
    assert report["mean_change_ms"] == pytest.approx((0 - 0.4 - 0.4 + 0.2) / 4)
    assert report["max_change_ms"] == pytest.approx(0.4)


@pytest.mark.parametrize("dt", [0.1, 0.2])
def test_delays_of_whole_steps_are_unchanged_whatever_their_last_digit(circuit, dt):
    report = rounded_delays(with_delays(circuit, [1.0, 1.4, 2.8]), dt)["v1_to_v1"]
    assert report == {"n_changed": 0, "of": 3, "mean_change_ms": 0.0, "max_change_ms": 0.0}


def test_a_projection_without_connections_has_no_changes(circuit):
    assert rounded_delays(with_delays(circuit, []), dt=1.0)["v1_to_v1"]["of"] == 0


def test_a_delay_of_0_steps_is_refused(circuit):
    with pytest.raises(InputError, match="into 0 steps"):
        rounded_delays(circuit, dt=2.0)
