"""Files that would make the HDF5 library hang are refused in time; which bytes of a file no checksum of HDF5 covers."""

import os

import h5py
import numpy as np
import pytest

from twincortex.models.errors import FileError
from twincortex.models.hdf5.structure import extents_of_chunks, refuse_dangerous
from twincortex.models.hdf5.writing import hdf5_to_write, write_dataset


def write_file(path):
    with hdf5_to_write(path) as file:
        file.attrs["name"] = "text that lies in a heap"
        write_dataset(file, "a/numbers", np.arange(70_000))
        file["a/texts"] = ["x", "y"]
        file["a/itself"] = file["a"]
        file["a/elsewhere"] = h5py.ExternalLink("elsewhere.h5", "x")
    return path


def write_endless_file(path):
    """The first object of the heap takes 0 bytes, so that the library never comes to the next."""
    content = bytearray(write_file(path).read_bytes())
    place = content.index(b"GCOL") + 24
    content[place : place + 8] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(content)
    return path


def test_sound_files_are_let_through_whatever_their_links(tmp_path):
    refuse_dangerous([write_file(tmp_path / "a.h5"), tmp_path / "missing.h5", tmp_path])


def test_files_that_are_not_hdf5_are_left_to_the_reader(tmp_path):
    (tmp_path / "a.h5").write_text("x" * 5000)
    refuse_dangerous([tmp_path / "a.h5"])


@pytest.mark.skipif(os.name == "nt", reason="without a limit of processor time it takes minutes")
def test_a_file_in_which_the_library_runs_in_circles_is_refused(tmp_path):
    files = [write_file(tmp_path / "a.h5"), write_endless_file(tmp_path / "b.h5"), write_file(tmp_path / "c.h5")]
    with pytest.raises(FileError, match=r"b\.h5 makes the HDF5 library hang or crash") as caught:
        refuse_dangerous(files)
    assert caught.value.file == str(tmp_path / "b.h5")


def test_the_extents_of_the_chunks_hold_all_checked_data_and_nothing_else(tmp_path):
    path = write_file(tmp_path / "a.h5")
    extents = extents_of_chunks(path)
    assert sum(stop - start for start, stop in extents) == 70_000 * 8 + 4  # Fletcher-32 takes 4 bytes per chunk
    content = path.read_bytes()
    assert b"".join(content[start:stop] for start, stop in extents)[:-4] == np.arange(70_000).tobytes()
