"""Protocols: their conditions, that they run, and that what they do to the circuit is done."""

import dataclasses

import numpy as np
import pytest
from short_protocols import SHORT

from twincortex.analysis.experiments.inputs import RolloutInputs
from twincortex.analysis.experiments.protocols import PROTOCOLS
from twincortex.analysis.experiments.results import raster, rates
from twincortex.models.equivalence import run_engine
from twincortex.models.errors import InputError
from twincortex.models.recording import Run

ALL = np.ones(60, dtype=bool)
CONDITIONS = {
    "gratings": (2, {"direction_deg", "phase_deg", "contrast"}),
    "contrast": (2 * 2 + 1, {"direction_deg", "phase_deg", "contrast"}),
    "images": (1 + 3 + 2 + 2, {"stimulus", "image", "orientation_deg", "luminance_step"}),
    "silence": (2 * (1 + 2), {"cohort", "silenced", "n_silenced"}),
    "perturb-weights": (2 * (1 + 2), {"perturbation", "pairs"}),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_runs_from_the_command_line(name, run):
    found, path = run(name, *SHORT[name])
    n_conditions, columns = CONDITIONS[name]
    assert path.name == f"{name}.nc"
    assert found.spike_count.dims == ("condition", "trial", "window", "neuron")
    assert found.spike_count.shape == (n_conditions, 2, found.sizes["window"], 60)
    assert found.spike_count.dtype == np.uint16
    assert columns <= set(found.coords)
    assert (found.x.units, found.tuning_angle.units, found.window_ms.units) == ("um", "deg", "ms")
    assert found.spike_count.sum() > 100


def test_the_defaults_are_those_of_the_paper(circuit):
    contrast = PROTOCOLS["contrast"]().declare(circuit, ALL)
    assert len(contrast.rollouts) == 6 * 8 * 10 + 30
    windows = {(window.name, window.start_ms, window.stop_ms) for window in contrast.windows}
    assert windows == {("gray", 100, 500), ("grating", 700, 2500)}
    assert {rollout.movie.duration for rollout in contrast.rollouts} == {3000}
    phases = {rollout.movie.phase for rollout in contrast.rollouts if hasattr(rollout.movie, "phase")}
    assert len(phases) == 6 * 8 * 10
    gratings = PROTOCOLS["gratings"]().declare(circuit, ALL)
    assert len(gratings.rollouts) == 8 * 10
    assert gratings.window_ms == {"gray": 2000, "grating": 2000}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_rollouts_draw_noise_of_their_own_unless_they_differ_in_the_circuit(name, circuit):
    protocol = PROTOCOLS[name](**({"pairs": ("Exc:Inh",)} if name == "perturb-weights" else {}))
    of_variant = {}
    for rollout in protocol.declare(circuit, ALL).rollouts:
        of_variant.setdefault(rollout.variant, []).append(rollout.noise_trial)
    for trials in of_variant.values():
        assert len(set(trials)) == len(trials)
        assert set(trials) == set(of_variant[next(iter(of_variant))])


def test_counts_and_raster_are_those_of_the_simulation(run, circuit):
    found, _ = run("gratings", *SHORT["gratings"], "--seed", "7")
    options = {"directions": 2, "trials": 2, "settle_ms": 10, "gray_ms": 30, "grating_ms": 40, "seed": 7}
    rollout = PROTOCOLS["gratings"](**options).declare(circuit, ALL).rollouts[2]
    spikes = run_engine("torch-reference", circuit, RolloutInputs(circuit, 7).of(rollout), Run(80.0)).spikes
    for window, start, stop in (("gray", 10, 40), ("grating", 40, 80)):
        inside = spikes.node_ids[(spikes.times > start) & (spikes.times <= stop)]
        counts = np.bincount(inside, minlength=60)
        np.testing.assert_array_equal(found.spike_count.sel(window=window)[1, 0], counts)
        np.testing.assert_array_equal(rates(found, window)[1, 0], counts * (1000 / (stop - start)))
    np.testing.assert_array_equal(raster(found, 1), (spikes.times, spikes.node_ids))


def test_every_picture_is_counted_while_it_is_shown(circuit):
    protocol = PROTOCOLS["images"](n_images=5, trials=2, orientations=2, phases=1, pictures_per_rollout=2)
    declared = protocol.declare(circuit, ALL)
    assert declared.conditions.stimulus.tolist() == ["gray"] + 5 * ["natural"] + 2 * ["static_grating"] + 2 * ["flash"]
    assert {rollout.movie.duration for rollout in declared.rollouts} == {1000}
    for rollout in declared.rollouts:
        for window in rollout.windows:
            frame = rollout.movie.frames(int(window.stop_ms) - 1, int(window.stop_ms))[0]
            first = {"gray": 1, "natural": 1, "static_grating": 6, "flash": 6}
            kind = declared.conditions.stimulus[window.condition]
            expected = 0 * frame if kind == "gray" else rollout.movie.images[window.condition - first[kind]]
            np.testing.assert_array_equal(frame, expected)


def test_a_silenced_cohort_is_silent_and_the_baseline_is_not_touched(run):
    silence, _ = run("silence", *SHORT["silence"])
    gratings, _ = run("gratings", *SHORT["gratings"], out="gratings")
    assert int(silence.spike_count.where(silence.silenced).sum()) == 0
    of_cohort = silence.cohort.values
    np.testing.assert_array_equal(
        silence.silenced[of_cohort == "Exc"][0], silence.n_silenced[2] > 0 and _is_exc(silence)
    )
    np.testing.assert_array_equal(silence.spike_count[of_cohort == "baseline"], gratings.spike_count)
    assert not silence.spike_count[of_cohort == "Exc"].equals(silence.spike_count[of_cohort == "baseline"])


def _is_exc(found):
    return ~np.isin([name.rpartition("_")[2] for name in found.cell_type.values], ["Inh", "PV", "SST", "VIP"])


def test_weights_times_one_are_the_baseline_and_times_zero_are_not(run):
    found, _ = run("perturb-weights", *SHORT["perturb-weights"])
    counts = {name: found.spike_count[found.perturbation == name].values for name in ("baseline", "x 0", "x 1")}
    np.testing.assert_array_equal(counts["x 1"], counts["baseline"])
    assert (counts["x 0"] != counts["baseline"]).any()


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("gratings", {"trials": 0}, "trials 0: expected 1 or more"),
        ("gratings", {"gray_ms": float("nan")}, "gray_ms nan"),
        ("contrast", {"contrasts": (0.1, -1.0)}, "contrasts -1"),
        ("contrast", {"count_ms": 2400.0}, "windows outside their movie"),
        ("contrast", {"contrasts": (2.0,)}, "contrast 2"),
        ("images", {"gray_ms": 100.0}, "windows outside their movie"),
        ("silence", {"current_pA": 10.0}, "expected less than 0"),
        ("silence", {"cohorts": ("Exc", "Exc")}, "expected each once"),
        ("silence", {"cohorts": ("L4_PW",)}, "did you mean 'L4_PV'"),
        ("perturb-weights", {}, "pairs are missing"),
        ("perturb-weights", {"pairs": ("Exc",)}, "expected PRE:POST"),
        ("perturb-weights", {"pairs": ("Exc:Inh",), "factors": (-1.0,)}, "factors -1"),
    ],
)
def test_what_cannot_be_shown_is_refused(circuit, name, changes, complaint):
    with pytest.raises(InputError, match=complaint):
        PROTOCOLS[name](**changes).declare(circuit, ALL)


def test_every_protocol_is_declared_the_same_way_every_time(circuit):
    protocol = PROTOCOLS["images"](n_images=2, trials=1)
    assert protocol.declare(circuit, ALL).digest() == protocol.declare(circuit, ALL).digest()
    other = dataclasses.replace(protocol, seed=1)
    assert protocol.declare(circuit, ALL).digest() != other.declare(circuit, ALL).digest()
