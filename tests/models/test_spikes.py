import h5py
import libsonata
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.spikes import SpikeTrains, from_steps, read_spikes, write_spikes


def test_trains_are_sorted_by_time_then_id():
    trains = SpikeTrains("v1", 9, [2.0, 1.0, 2.0], [5, 8, 3])
    assert trains.times.tolist() == [1.0, 2.0, 2.0]
    assert trains.node_ids.tolist() == [8, 3, 5]


@pytest.mark.parametrize("dt", [1.0, 0.25, 0.1, 1 / 3])
def test_a_spike_stamped_at_the_end_of_a_step_belongs_to_that_step(dt):
    steps = np.arange(100_000)
    assert np.array_equal(from_steps("v1", 1, steps, np.zeros_like(steps), dt).steps(dt), steps)


def test_a_spike_inside_a_step_belongs_to_that_step():
    assert SpikeTrains("lgn", 1, [0.001, 0.5, 1.0, 1.001], [0] * 4).steps(1.0).tolist() == [0, 0, 0, 1]


def test_a_coarser_step_holds_the_spikes_of_its_fine_steps():
    trains = from_steps("bkg", 1, np.arange(8), np.zeros(8, dtype=int), 0.25)
    assert trains.steps(1.0).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 6)), max_size=50))
def test_writing_and_reading_changes_nothing(tmp_path_factory, spikes):
    path = tmp_path_factory.mktemp("spikes") / "spikes.h5"
    steps, ids = np.array(spikes, dtype=np.int64).reshape(-1, 2).T
    trains = from_steps("lgn", 7, steps, ids, 0.1)
    write_spikes(path, trains)
    back = read_spikes(path)
    assert (back.population, back.n_units) == ("lgn", 7)
    assert np.array_equal(back.times, trains.times)
    assert np.array_equal(back.node_ids, trains.node_ids)


def test_libsonata_reads_our_spike_files(tmp_path):
    write_spikes(tmp_path / "s.h5", SpikeTrains("v1", 9, [1.0, 2.0, 2.0], [8, 3, 5]))
    population = libsonata.SpikeReader(str(tmp_path / "s.h5"))["v1"]
    assert population.sorting == "by_time"
    assert population.get() == [(8, 1.0), (3, 2.0), (5, 2.0)]


def test_a_file_without_the_number_of_units_takes_the_largest_id(tmp_path):
    write_spikes(tmp_path / "s.h5", SpikeTrains("v1", 9, [1.0], [4]))
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file["spikes/v1"].attrs["n_units"]
    assert read_spikes(tmp_path / "s.h5").n_units == 5


@pytest.mark.parametrize(
    ("times", "ids", "message"),
    [
        ([1.0], [1, 2], r"spikes of lgn: times \(1,\), ids \(2,\); expected as many"),
        ([1.0, np.nan], [1, 2], "1 of 2 are not finite, number 1"),
        ([1.0, 1.0], [-1, 3], r"2 of 2 have an id out of range, number 0, 1 \(values -1, 3\). Expected 0 to 2"),
    ],
)
def test_trains_that_cannot_be_are_refused(times, ids, message):
    with pytest.raises(InputError, match=message):
        SpikeTrains("lgn", 3, times, ids)


def test_spikes_outside_the_run_are_refused_with_times_and_advice():
    trains = SpikeTrains("lgn", 3, [0.0, 10.0, 10.5], [0, 1, 2])
    with pytest.raises(InputError, match=r"2 of 3 lie outside the run.*values 0, 10.5.*in \(0, 10\] ms. Run longer"):
        trains.check_within(10.0)


def test_spikes_up_to_the_last_moment_are_inside_the_run():
    from_steps("lgn", 3, [2999], [0], 0.1).check_within(300.0)


@pytest.mark.parametrize("n_steps", [10, 10_000_000])
@pytest.mark.parametrize("dt", [1.0, 0.1, 1 / 3])
def test_every_spike_inside_the_run_is_in_one_of_its_steps(n_steps, dt):
    duration = n_steps * dt
    latest = duration * (1 + 4 * np.finfo(float).eps)  # the last time that check_within lets pass
    trains = SpikeTrains("lgn", 1, [1e-300, 1e-7 * dt, latest], [0, 0, 0])
    trains.check_within(duration)
    assert trains.steps(dt).tolist() == [0, 0, n_steps - 1]


def test_a_run_as_long_as_rounding_allows_keeps_its_last_spike():
    run = Run(10.0 + 4.9e-7, 1.0)
    trains = SpikeTrains("lgn", 1, [run.duration], [0])
    trains.check_within(run.duration)
    assert trains.steps(run.dt).tolist() == [run.n_steps - 1]


def test_spikes_before_the_run_are_in_no_step_of_it():
    assert (SpikeTrains("lgn", 1, [-0.5, 0.0], [0, 0]).steps(1.0) < 0).all()


def break_times(file):
    file["spikes/lgn"].move("timestamps", "timestmps")


def break_units(file):
    file["spikes/lgn/timestamps"].attrs["units"] = "min"


def shorten_ids(file):
    del file["spikes/lgn/node_ids"]
    file["spikes/lgn/node_ids"] = np.array([1])


def float_ids(file):
    del file["spikes/lgn/node_ids"]
    file["spikes/lgn/node_ids"] = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_times, "lgn/timestamps is missing; did you mean 'timestmps'"),
        (break_units, "timestamps is in 'min'; expected 'ms' or 's'"),
        (shorten_ids, "node_ids has 1 entries; expected 2"),
        (float_ids, "node_ids has type float64.*whole numbers"),
        (lambda file: file.move("spikes", "spike"), "holds no group 'spikes'; did you mean 'spike'"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / "spikes.h5"
    write_spikes(path, SpikeTrains("lgn", 3, [1.0, 2.0], [0, 1]))
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=message):
        read_spikes(path, "lgn")


def test_the_units_of_a_file_that_does_not_count_them_are_those_asked_for(tmp_path):
    write_spikes(tmp_path / "s.h5", SpikeTrains("v1", 9, [1.0], [4]))
    assert read_spikes(tmp_path / "s.h5", n_units=9).n_units == 9
    with pytest.raises(InputError, match=r"spikes of 9 units; expected 7. Are these the spikes of another circuit"):
        read_spikes(tmp_path / "s.h5", n_units=7)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file["spikes/v1"].attrs["n_units"]
    assert read_spikes(tmp_path / "s.h5", n_units=7).n_units == 7
    with pytest.raises(InputError, match=r"1 of 1 have an id out of range"):
        read_spikes(tmp_path / "s.h5", n_units=3)


@pytest.mark.parametrize("units", ["s", "sec", "Seconds", "seconds "])
def test_times_in_seconds_become_milliseconds(tmp_path, units):
    write_spikes(tmp_path / "s.h5", SpikeTrains("lgn", 9, [0.001, 0.25], [4, 5]))
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["spikes/lgn/timestamps"].attrs["units"] = units
    assert read_spikes(tmp_path / "s.h5").times.tolist() == [1.0, 250.0]


@pytest.mark.parametrize("count", ["three", -1, 2.5, [3, 3]])
def test_a_number_of_units_that_is_none_is_refused(tmp_path, count):
    write_spikes(tmp_path / "s.h5", SpikeTrains("lgn", 9, [1.0], [4]))
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["spikes/lgn"].attrs["n_units"] = count
    with pytest.raises(InputError, match=r"spikes/lgn/@n_units is .*; expected the number of units"):
        read_spikes(tmp_path / "s.h5")


def test_an_unknown_population_gets_a_near_name(tmp_path):
    write_spikes(tmp_path / "s.h5", SpikeTrains("lgn", 3, [1.0], [0]))
    with pytest.raises(InputError, match="no population 'lng'; did you mean 'lgn'"):
        read_spikes(tmp_path / "s.h5", "lng")


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "s.h5"
    write_spikes(path, from_steps("lgn", 3, np.arange(1000), np.zeros(1000, dtype=int), 1.0))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"s.h5 cannot be read as HDF5.*cut short"):
        read_spikes(path)


def test_a_flipped_bit_in_the_data_is_found(tmp_path):
    path = tmp_path / "s.h5"
    write_spikes(path, from_steps("lgn", 3, np.arange(1000), np.zeros(1000, dtype=int), 1.0))
    content = bytearray(path.read_bytes())
    place = content.find(np.array([500.0, 501.0]).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"s.h5:/spikes/lgn/timestamps cannot be read"):
        read_spikes(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none.h5 does not exist"):
        read_spikes(tmp_path / "none.h5")
