"""What the fused engine refuses, so that nothing is silently wrong and no kernel reads what is not there."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from rollout_cases import Case, Wiring, assert_same_bits
from torch import nn

from twincortex.models.errors import InputError
from twincortex.models.spikes import SpikeTrains
from twincortex.models.surrogate import FusedColumn, ReferenceColumn

CASE = Case(Wiring(seed=31, n=12, in_degree=6), steps=(30,), batch=2)
ENGINES = pytest.mark.parametrize("engine", [FusedColumn, ReferenceColumn])


def rollout_of(column, **options):
    return column(CASE.inputs(column, 30), 30, **options)


@ENGINES
@pytest.mark.parametrize(
    "convert",
    [lambda c: c.to("cpu"), lambda c: c.float(), lambda c: c.double(), lambda c: c.half(), lambda c: c.cuda()],
)
def test_a_column_is_neither_moved_nor_converted(engine, convert):
    with pytest.raises(InputError, match="cannot be moved or converted; make it with the dtype and device"):
        convert(CASE.column(engine))


@ENGINES
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda column: pickle.loads(pickle.dumps(column))])
def test_a_copy_gives_the_same_and_learns_on_its_own(engine, copied):
    column = CASE.column(engine)
    expected = CASE.run(column)
    column.zero_grad()
    other = copied(column)
    with torch.no_grad():
        column.weights["v1_to_v1"].zero_()
    assert_same_bits(CASE.run(other), expected)


@pytest.mark.parametrize("name", CASE.trained)
def test_weights_that_change_between_forward_and_backward_are_noticed(name):
    column = CASE.column(FusedColumn)
    loss = rollout_of(column).spikes.sum()
    with torch.no_grad():
        column.weights[name].mul_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_potentials_that_change_between_forward_and_backward_are_noticed():
    rollout = rollout_of(CASE.column(FusedColumn))
    with torch.no_grad():
        rollout.v.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rollout.spikes.sum().backward()


def test_second_derivatives_are_refused():
    column = CASE.column(FusedColumn)
    loss = rollout_of(column).v.square().sum()
    (gradient,) = torch.autograd.grad(loss, column.weights["v1_to_v1"], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_current_that_would_need_a_gradient_is_refused():
    column = CASE.column(FusedColumn)
    current = torch.zeros(30, 12, requires_grad=True)
    with pytest.raises(InputError, match=r"current requires a gradient.*ReferenceColumn"):
        rollout_of(column, current=current)
    with torch.no_grad():
        rollout_of(column, current=current)


def test_a_loss_on_recorded_potentials_is_refused():
    rollout = rollout_of(CASE.column(FusedColumn), record_v=[3])
    with pytest.raises(InputError, match=r"loss depends on v_recorded.*Use v.*ReferenceColumn"):
        (rollout.spikes.sum() + rollout.v_recorded.sum()).backward()


BAD_OPTIONS = {
    "an unknown projection": ({"trained": ["v1_to_v2"]}, "did you mean 'v1_to_v1'"),
    "reduced precision of float64": ({"reduced": True}, "reduced precision needs dtype float32; it is torch.float64"),
    "half precision": ({"dtype": torch.float16}, "float32 or float64; dtype is torch.float16"),
    "segments without a step": ({"segment_steps": 0}, "segment_steps 0: expected at least 1"),
    "segments that go back": ({"segment_steps": -5}, "segment_steps -5"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_options_that_make_no_sense_are_refused(case):
    options, message = BAD_OPTIONS[case]
    with pytest.raises(InputError, match=message):
        FusedColumn(CASE.wiring.circuit(), **options)


def spikes_at(time):
    return {"lgn": [SpikeTrains("lgn", 20, np.array([time]), np.array([0]))]}


BAD_INPUTS = {
    "no step": (lambda c: c({}, 0), "n_steps 0: expected at least 1"),
    "steps back": (lambda c: c({}, -1), "n_steps -1"),
    "no trial": (lambda c: c({"lgn": []}, 3), "0 trials"),
    "a state without trials": (lambda c: c({}, 3, c.initial_state(0)), "0 trials"),
    "a spike at 0 ms": (lambda c: c(spikes_at(0.0), 3), "at or before 0 ms in trials 0"),
    "a spike before 0 ms": (lambda c: c(spikes_at(-1.0), 3), "at or before 0 ms"),
    "a state of other trials": (lambda c: c(spikes_at(1.0), 3, c.initial_state(2)), r"\[1, 2\] trials"),
    "a neuron that is not there": (lambda c: c({}, 3, record_v=[0, 12]), "neurons 12; the circuit has 0 to 11"),
    "a negative neuron": (lambda c: c({}, 3, record_v=[-1]), "neurons -1"),
}


@ENGINES
@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_do_not_fit_are_refused(case, engine):
    call, message = BAD_INPUTS[case]
    with pytest.raises(InputError, match=message):
        call(CASE.column(engine))


def other_pending(state, **changed):
    pending = {name: dataclasses.replace(arrivals, **changed) for name, arrivals in state.pending.items()}
    return dataclasses.replace(state, pending=pending)


BAD_STATES = {
    "fewer neurons": lambda s: dataclasses.replace(s, x=s.x[:, :-1]),
    "fewer states": lambda s: dataclasses.replace(s, x=s.x[:-1]),
    "another precision": lambda s: dataclasses.replace(s, x=s.x.float()),
    "a shorter history": lambda s: dataclasses.replace(s, history=s.history[:-1]),
    "a history of other trials": lambda s: dataclasses.replace(s, history=tuple(z[:, :1] for z in s.history)),
    "refractory times of other neurons": lambda s: dataclasses.replace(s, refractory=s.refractory[1:]),
    "spikes on their way along other rows": lambda s: other_pending(s, row=s.pending["lgn"].row + 10**6),
    "spikes on their way in other trials": lambda s: other_pending(s, trial=s.pending["lgn"].trial + 2),
    "spikes on their way from elsewhere": lambda s: dataclasses.replace(s, pending={"cortex": s.pending["lgn"]}),
}


@ENGINES
@pytest.mark.parametrize("case", BAD_STATES)
def test_the_state_of_another_column_is_refused(case, engine):
    column = CASE.column(engine)
    state = rollout_of(column).state.detach()
    state = dataclasses.replace(state, pending={"lgn": state.pending["lgn"]})
    column({}, 3, state)
    with pytest.raises(InputError, match=r"the state has .*rollout of this column"):
        column({}, 3, BAD_STATES[case](state))


BAD_WEIGHTS = {
    "another precision": lambda w: w.half(),
    "fewer": lambda w: w[:-1],
    "with gaps": lambda w: w.repeat_interleave(2)[::2],
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weights_that_somebody_replaced_by_others_are_refused(case):
    column = CASE.column(FusedColumn)
    column.weights["v1_to_v1"] = nn.Parameter(BAD_WEIGHTS[case](column.weights["v1_to_v1"].detach()))
    with pytest.raises(InputError, match=r"weights of v1_to_v1: .* expected contiguous"):
        rollout_of(column)


@pytest.mark.parametrize("where", ["weights", "current", "state"])
def test_what_is_not_a_number_spreads_as_in_the_reference_engine_and_ends(where):
    outcomes = []
    for engine in (FusedColumn, ReferenceColumn):
        column = CASE.column(engine)
        state, current = column.initial_state(CASE.batch), torch.zeros(30, 12)
        with torch.no_grad():
            if where == "weights":
                column.weights["lgn_to_v1"][:20] = torch.nan
            if where == "current":
                current[3, 4] = torch.nan
            if where == "state":
                state.x[:, 5] = torch.nan
        rollout = rollout_of(column, state=state, current=current)
        (rollout.spikes.sum() + rollout.v.sum()).backward()
        outcomes.append((rollout, column.weights["bkg_to_v1"].grad))
    (found, found_gradient), (expected, expected_gradient) = outcomes
    assert expected.v.isnan().any()
    assert not expected.v.isnan().all()
    assert torch.equal(found.spikes, expected.spikes)
    torch.testing.assert_close(found.v, expected.v, rtol=0, atol=1e-11, equal_nan=True)
    assert torch.equal(found_gradient.isnan(), expected_gradient.isnan())
