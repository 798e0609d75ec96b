import errno
import os
from pathlib import Path

import h5py
import pytest

from twincortex.models.atomic_output import new_file, new_folder, refuse_existing
from twincortex.models.errors import InputError


class InterruptedHere(BaseException):
    """Like Ctrl-C, not an Exception."""


def write_folder(path, text, overwrite=False):
    with new_folder(path, "marker.json", overwrite) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "data").write_text(text)
        (partial / "marker.json").write_text("{}")


def test_a_folder_appears_whole(tmp_path):
    write_folder(tmp_path / "deep" / "out", "one")
    assert (tmp_path / "deep" / "out" / "sub" / "data").read_text() == "one"
    assert os.listdir(tmp_path / "deep") == ["out"]


@pytest.mark.parametrize("error", [ValueError, InterruptedHere])
def test_nothing_half_written_stays_behind(tmp_path, error):
    def write_half(writer, name):
        with writer as partial:
            (partial / name if name else partial).write_text("half")
            raise error

    with pytest.raises(error):
        write_half(new_folder(tmp_path / "out", "marker.json"), "data")
    with pytest.raises(error):
        write_half(new_file(tmp_path / "file"), "")
    assert os.listdir(tmp_path) == []


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path):
    write_folder(tmp_path / "out", "one")
    with pytest.raises(InputError, match=r"out exists already.*--overwrite"):
        write_folder(tmp_path / "out", "two")
    assert (tmp_path / "out" / "sub" / "data").read_text() == "one"


def test_overwriting_replaces_the_whole_folder(tmp_path):
    write_folder(tmp_path / "out", "one")
    (tmp_path / "out" / "old").touch()
    write_folder(tmp_path / "out", "two", overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["marker.json", "sub"]
    assert (tmp_path / "out" / "sub" / "data").read_text() == "two"
    assert os.listdir(tmp_path) == ["out"]


def test_a_failed_overwrite_keeps_the_old_folder(tmp_path):
    write_folder(tmp_path / "out", "one")
    with pytest.raises(ValueError, match="half"), new_folder(tmp_path / "out", "marker.json", overwrite=True):
        raise ValueError("half")
    assert (tmp_path / "out" / "sub" / "data").read_text() == "one"


@pytest.mark.parametrize("n_renames", [0, 1, 2])  # before the old folder is set aside, between the two, at the end
def test_an_interrupt_while_a_folder_is_replaced_keeps_one_of_the_two(tmp_path, monkeypatch, n_renames):
    write_folder(tmp_path / "out", "one")
    rename, done = Path.rename, []

    def rename_until_interrupted(path, target):
        if len(done) == n_renames:
            done.append("interrupt")
            raise InterruptedHere
        rename(path, target)
        done.append(target)
        if len(done) == n_renames == 2:
            raise InterruptedHere

    monkeypatch.setattr(Path, "rename", rename_until_interrupted)
    with pytest.raises(InterruptedHere):
        write_folder(tmp_path / "out", "two", overwrite=True)
    assert (tmp_path / "out" / "sub" / "data").read_text() == ("two" if n_renames == 2 else "one")
    assert os.listdir(tmp_path) == ["out"]


def test_folders_get_the_permissions_of_the_user(tmp_path):
    write_folder(tmp_path / "out", "one")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds no marker.json.*stays untouched"):
        refuse_existing(tmp_path / "home", "marker.json", overwrite=True)


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", "one")
    assert (tmp_path / "out" / "marker.json").is_file()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"out cannot be written.*choose another place"):
        write_folder(tmp_path / "file" / "out", "one")


def test_files_get_the_permissions_of_the_user(tmp_path):
    with new_file(tmp_path / "file") as partial:
        partial.write_text("x")
    (tmp_path / "usual").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def open_a_missing_file(place):
    (place.parent / "missing.csv").read_text()


def open_a_missing_file_inside(place):
    (place / "sub" / "missing").write_text("x")


def open_hdf5_inside(place):
    h5py.File(place / "sub" / "missing.h5", "w")


def fill_the_disk(place):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def reach_no_server(place):
    raise ConnectionRefusedError("no answer")


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (open_a_missing_file, FileNotFoundError),
        (reach_no_server, ConnectionRefusedError),
        (open_a_missing_file_inside, InputError),
        (open_hdf5_inside, InputError),
        (fill_the_disk, InputError),
    ],
)
def test_only_failures_to_write_the_output_are_called_so(tmp_path, action, error):
    for writer in (new_folder(tmp_path / "out", "marker.json"), new_file(tmp_path / "file")):
        with pytest.raises(error) as caught, writer as partial:
            action(partial)
        assert ("cannot be written" in str(caught.value)) == (error is InputError)
    assert os.listdir(tmp_path) == []
