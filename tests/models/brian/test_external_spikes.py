"""Several spikes of a unit in one step become one spike each of its replicas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincortex.models.brian.external_spikes import generator_arrays, plan_spike_inputs
from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.spikes import from_steps

from circuits import small_random_circuit

RUN = Run(10.0)
CIRCUIT = small_random_circuit(seed=1, n=4)
N_UNITS = CIRCUIT.projections["bkg_to_v1"].n_sources

spike_lists = st.lists(st.tuples(st.integers(0, RUN.n_steps - 1), st.integers(0, N_UNITS - 1)), max_size=60)


def bkg(spikes):
    steps, units = np.array(spikes, dtype=int).reshape(-1, 2).T
    return from_steps("bkg", N_UNITS, steps, units, RUN.dt)


@given(spike_lists)
def test_every_spike_is_carried_once_and_no_generator_spikes_twice_in_a_step(spikes):
    trains = bkg(spikes)
    plan = plan_spike_inputs(CIRCUIT, {"bkg": trains}, RUN)["bkg"]
    generators, timebins = generator_arrays(plan, trains, RUN)
    within = timebins < RUN.n_steps
    carried = sorted(zip(timebins[within].tolist(), (generators[within] % N_UNITS).tolist(), strict=True))
    assert carried == sorted(spikes)
    pairs = list(zip(timebins.tolist(), generators.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert generators.max() < plan.n_generators


def test_room_grows_in_powers_of_two():
    trains = bkg([(step, unit) for step in range(10) for unit in range(N_UNITS)] * 30)
    plan = plan_spike_inputs(CIRCUIT, {"bkg": trains}, RUN)
    assert (plan["bkg"].copies, plan["bkg"].capacity, plan["bkg"].is_relayed) == (32, 4096, True)
    assert (plan["lgn"].copies, plan["lgn"].capacity, plan["lgn"].is_relayed) == (1, 1024, False)


def test_there_is_room_for_the_spikes_of_other_movies():
    run, n_units = Run(20_000.0), CIRCUIT.projections["lgn_to_v1"].n_sources
    plans = []
    for rate_Hz in (4, 11):
        steps = np.arange(20 * rate_Hz * n_units)
        trains = from_steps("lgn", n_units, steps, np.zeros_like(steps), run.dt)
        plans.append(plan_spike_inputs(CIRCUIT, {"lgn": trains}, run))
    assert plans[0] == plans[1]
    assert plans[0]["lgn"].capacity >= 20 * 11 * n_units


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"bgk": bkg([])}, "inputs name the source 'bgk'; did you mean 'bkg'"),
        ({"bkg": from_steps("bkg", 3, [1], [2], 1.0)}, "spikes of bkg: 3 units, but the circuit has 10"),
        ({"bkg": bkg([(10, 0)])}, "spikes of bkg: 1 of 1 lie outside the run"),
    ],
)
def test_inputs_of_something_else_are_refused(inputs, message):
    with pytest.raises(InputError, match=message):
        plan_spike_inputs(CIRCUIT, inputs, RUN)
