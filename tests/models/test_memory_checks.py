"""What would not fit is refused before it is allocated, with what would help."""

import json
import shutil

import psutil
import pytest

from twincortex.models.column.sizes import COLUMN_SIZES
from twincortex.models.command_line import main
from twincortex.models.errors import InputError, OutOfMemoryError
from twincortex.models.memory_checks import check_building
from twincortex.models.memory_forecast import ENGINES


@pytest.fixture
def little_memory(monkeypatch):
    """A machine on which nothing more can be allocated."""
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("", (), {"available": -psutil.Process().memory_info().rss})
    )


def test_a_column_larger_than_any_machine_is_refused_before_it_is_begun(capsys, tmp_path):
    assert main(["build", "--radius-um", "1e5", "--out", str(tmp_path / "c")]) == 4
    message = capsys.readouterr().err
    assert "building a column of radius 100000 um" in message
    assert "GB are available" in message
    assert "tiny, profile" in message
    assert "--ignore-memory-forecast" in message
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12, 10**7))
    with pytest.raises(InputError, match=r"writes about 0.31 GB; 0.01 GB are free in .* Choose another --out"):
        check_building(COLUMN_SIZES["small"], tmp_path / "not" / "yet" / "there")


def test_where_nothing_fits_a_smaller_radius_is_advised(little_memory, tmp_path):
    with pytest.raises(OutOfMemoryError, match="Choose a smaller radius"):
        check_building(COLUMN_SIZES["tiny"], tmp_path / "c")


def test_building_goes_on_where_the_forecast_is_ignored(little_memory, tmp_path, capsys):
    arguments = ["build", "--radius-um", "15", "--out", str(tmp_path / "c")]
    assert main(arguments) == 4
    assert main([*arguments, "--ignore-memory-forecast"]) == 0
    assert (tmp_path / "c").is_dir()


def test_a_simulation_that_does_not_fit_is_refused_unless_the_forecast_is_ignored(
    little_memory, written_circuit, input_folder, tmp_path, capsys
):
    arguments = ["simulate", str(written_circuit), "--engine", "torch", "--inputs", str(input_folder)]
    arguments += ["--out", str(tmp_path / "out")]
    assert main(arguments) == 4
    assert "simulating 100 ms of 40 neurons" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--ignore-memory-forecast"]) == 0


def test_another_engine_is_advised_where_it_would_fit(monkeypatch, written_circuit, input_folder, tmp_path, capsys):
    own = psutil.Process().memory_info().rss
    # Room for Brian2 and NEST, whose libraries are smaller than torch's.
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": 400 * 10**6 - own}))
    arguments = ["simulate", str(written_circuit), "--engine", "torch", "--inputs", str(input_folder)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 4
    assert "Choose another engine (brian, nest would fit)" in capsys.readouterr().err


def test_validate_forecasts_every_engine(little_memory, written_circuit, capsys):
    assert main(["validate", str(written_circuit), "--duration", "50"]) == 4
    assert "in torch needs" in capsys.readouterr().err


def test_info_states_the_memory_of_a_run_per_engine(written_circuit, capsys):
    assert main(["info", str(written_circuit), "--duration", "2000", "--batch", "8", "--dt", "0.5"]) == 0
    memory = json.loads(capsys.readouterr().out)["memory"]
    assert (memory["duration_ms"], memory["dt_ms"], memory["batch"]) == (2000, 0.5, 8)
    assert set(memory["simulation_GB"]) == set(ENGINES)
    assert (
        0.2 < memory["simulation_GB"]["brian"] < memory["simulation_GB"]["torch"] < memory["training_GB"]["torch"] < 3
    )
    assert memory["gpu_GB"]["brian-cuda"] > 0
    assert memory["available_GB"] > 0


@pytest.mark.parametrize("option", [("--duration", "0"), ("--batch", "-1"), ("--dt", "nan")])
def test_a_run_that_means_nothing_is_refused(option, written_circuit, capsys):
    assert main(["info", str(written_circuit), *option]) == 2
    assert f"{option[0]} " in capsys.readouterr().err
