"""Tables of experiments: each condition, trial and window once; shares cover all; parts know what they are of."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from twincortex.analysis.experiments.parts import Part, Parts, measure
from twincortex.analysis.experiments.sharing import parse_share, share_of
from twincortex.analysis.experiments.table import Experiment, Rollout, Window
from twincortex.models.errors import InputError
from twincortex.models.spikes import SpikeTrains
from twincortex.models.stimuli import Gray

WINDOWS = tuple(Window(condition, 0, "gray", 10.0, 30.0) for condition in range(2))


def declare(*rollouts):
    return Experiment("some", pd.DataFrame({"contrast": [0.0, 0.0]}), {}, rollouts)


def rollout(name, *windows, **options):
    return Rollout(name, Gray(40.0), 0, windows, **options)


@pytest.mark.parametrize(
    ("rollouts", "complaint"),
    [
        ([rollout("a", WINDOWS[0]), rollout("a", WINDOWS[1])], "rollouts a share a name"),
        ([rollout("a", WINDOWS[0])], r"\(1, 0, 'gray'\) are not shown once"),
        ([rollout("a", *WINDOWS), rollout("b", WINDOWS[1])], r"\(1, 0, 'gray'\) are not shown once"),
        ([rollout("a", *WINDOWS, variant="other")], "rollouts a lack their variant"),
        ([rollout("a", WINDOWS[0], dataclasses.replace(WINDOWS[1], stop_ms=41.0))], "windows outside their movie"),
        ([rollout("a", WINDOWS[0], dataclasses.replace(WINDOWS[1], stop_ms=40.0))], "'gray' differ in length"),
    ],
)
def test_a_table_with_gaps_or_twice_the_same_is_refused(rollouts, complaint):
    with pytest.raises(InputError, match=complaint):
        declare(*rollouts)


@pytest.mark.parametrize("n_shares", [1, 2, 3, 7, 20])
def test_shares_cover_all_rollouts_once_and_in_order(n_shares):
    rollouts = list(range(11))
    shares = [share_of(rollouts, number, n_shares) for number in range(1, n_shares + 1)]
    assert [one for share in shares for one in share] == rollouts
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/2/3", "-1/2", "a/b"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="expected I/N"):
        parse_share(text)


def test_spikes_count_in_the_window_that_they_end_in_and_only_those_of_the_core_are_kept():
    trains = SpikeTrains("v1", 3, np.array([10.0, 11.0, 30.0, 31.0]), np.array([0, 1, 1, 2]))
    kept = measure(rollout("a", WINDOWS[0], keeps_spikes=True), trains, np.array([True, True, False]))
    assert kept.counts.tolist() == [[0, 2, 0]]
    assert (kept.times.tolist(), kept.ids.tolist()) == ([10, 11, 30], [0, 1, 1])
    assert not len(measure(rollout("a", WINDOWS[0]), trains, np.ones(3, dtype=bool)).times)


def test_a_part_is_found_by_what_it_is_of(tmp_path):
    part, one = Part(np.ones((2, 3), dtype=np.uint16), np.array([1.0]), np.array([2])), rollout("a", *WINDOWS)
    Parts(tmp_path, {"engine": "torch"}).write(one, part)
    found = Parts(tmp_path, {"engine": "torch"}).find(one)
    assert {name: values.tolist() for name, values in vars(found).items()} == {
        name: values.tolist() for name, values in vars(part).items()
    }
    assert Parts(tmp_path, {"engine": "brian"}).find(one) is None
    assert Parts(tmp_path, {"engine": "torch"}).find(dataclasses.replace(one, noise_trial=1)) is None
    path = tmp_path / "parts/a.npz"
    for damaged in (path.read_bytes()[:-30], b"", b"PK"):
        path.write_bytes(damaged)
        assert Parts(tmp_path, {"engine": "torch"}).missing([one]) == [one]
