import h5py
import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.recording import Recording, Run, read_recording, write_recording
from twincortex.models.spikes import from_steps


def make_recording(n_steps=20, v_ids=(0, 2)):
    v = np.random.default_rng(1).normal(-60, 5, (n_steps, len(v_ids)))
    spikes = from_steps("v1", 3, [1, 5], [2, 0], 0.25)
    return Recording(spikes, v, np.array(v_ids, dtype=int), 0.25, n_steps * 0.25, "torch", {"precision": "float64"})


@pytest.mark.parametrize("v_ids", [(0, 2), ()])
def test_writing_and_reading_changes_no_bit(tmp_path, v_ids):
    recording = make_recording(v_ids=v_ids)
    write_recording(recording, tmp_path / "out")
    back = read_recording(tmp_path / "out")
    assert np.array_equal(back.v, recording.v)
    assert np.array_equal(back.v_ids, recording.v_ids)
    assert np.array_equal(back.spikes.times, recording.spikes.times)
    assert (back.dt, back.duration, back.engine) == (0.25, 5.0, "torch")
    assert back.settings == recording.settings


def test_the_report_times_are_ends_of_steps(tmp_path):
    write_recording(make_recording(), tmp_path / "out")
    with h5py.File(tmp_path / "out" / "v.h5") as file:
        assert file["report/v1/mapping/time"][:].tolist() == [0.25, 5.25, 0.25]
        assert file["report/v1/data"].attrs["units"] == "mV"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"duration": -1.0}, "duration -1.0 ms: expected a positive number"),
        ({"duration": float("nan")}, "duration nan ms"),
        ({"duration": 10.0, "dt": 0.0}, "dt 0.0 ms"),
        ({"duration": 10.0, "dt": 0.3}, "not a whole number of steps of dt 0.3 ms. Choose 9.9 ms"),
        ({"duration": 0.1, "dt": 1.0}, "Choose 1 ms"),
        ({"duration": 10.0, "after_spike_current": "stepmean"}, "did you mean 'step_mean'"),
        ({"duration": 10.0, "precision": "float16"}, "precision 'float16' is unknown"),
    ],
)
def test_runs_that_no_engine_can_run_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Run(**arguments)


def test_a_duration_that_only_rounding_keeps_from_whole_steps_is_accepted():
    assert Run(duration=0.3, dt=0.1).n_steps == 3


@pytest.mark.parametrize(
    ("ids", "message"), [((0, 40), r"record_v \[40\]: expected neurons 0 to 39"), ((1, 1), "twice")]
)
def test_neurons_that_cannot_be_recorded_are_refused(ids, message):
    with pytest.raises(InputError, match=message):
        Run(10.0, record_v=ids).check_record_v(40)


def test_a_folder_that_is_no_recording_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no run.json. Expected the --out folder of `twincortex simulate`"):
        read_recording(tmp_path)


def test_a_cut_description_is_refused(tmp_path):
    write_recording(make_recording(), tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text('{"engine": "tor')
    with pytest.raises(InputError, match=r"run.json is damaged"):
        read_recording(tmp_path / "out")


def test_potentials_of_another_duration_are_refused(tmp_path):
    write_recording(make_recording(n_steps=20), tmp_path / "a")
    write_recording(make_recording(n_steps=12), tmp_path / "b")
    (tmp_path / "a" / "v.h5").replace(tmp_path / "b" / "v.h5")
    with pytest.raises(InputError, match="data has 20 entries; expected 12"):
        read_recording(tmp_path / "b")
