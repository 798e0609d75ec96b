import os
import signal
import sys

import h5py
import numpy as np
import pytest

from twincortex.models.hdf5.writing import hdf5_to_write


def test_what_is_written_is_read(tmp_path):
    with hdf5_to_write(tmp_path / "x.h5") as file:
        file.create_dataset("a", data=np.arange(10**5), chunks=(1000,), fletcher32=True)
    with hdf5_to_write(tmp_path / "x.h5", "r+") as file:
        file.attrs["seed"] = "1"
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["a"], np.arange(10**5))
        assert file.attrs["seed"] == "1"


def fill(path, error=None):
    with hdf5_to_write(path) as file:
        for name in "abc":  # more than HDF5 buffers
            file.create_dataset(name, data=np.zeros(10**6), chunks=(10**5,), fletcher32=True)
        if error:
            raise error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("error", [None, ValueError("what may follow from it")])
def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(error):
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'") as caught:
        fill("/dev/full", error)
    assert caught.value.__context__ is error


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/x.h5"), hdf5_to_write(tmp_path / "none" / "x.h5"):
        pass


def write_interrupted(path):
    with hdf5_to_write(path) as file:
        os.kill(os.getpid(), signal.SIGINT)
        file["a"] = np.arange(100)


def test_ctrl_c_waits_until_the_file_is_closed(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_interrupted(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["a"], np.arange(100))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
