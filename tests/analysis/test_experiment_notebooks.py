"""The notebooks contrast_gain, natural_images and dissection on short experiments of a small column."""

import pytest

from twincortex.analysis.experiments.command import experiment
from twincortex.analysis.experiments.results import read_experiment
from twincortex.models.column import build_column
from twincortex.models.sonata import write_circuit

from fabricated_runs import execute_notebook, figures_of

GRATINGS = ("--directions", "4", "--settle-ms", "50", "--gray-ms", "50", "--grating-ms", "250")
CONTRAST = ("contrast", *GRATINGS, "--contrasts", "0.1", "0.8", "--trials", "2", "--count-ms", "50")
EXPERIMENTS = {
    "contrast": CONTRAST,
    "contrast_without_PV": (*CONTRAST, "--silence", "PV"),
    "images": ("images", "--n-images", "4", "--trials", "3", "--orientations", "0", "--flashes", "0"),
    "silence": ("silence", *GRATINGS, "--trials", "2", "--cohorts", "PV", "Exc:top"),
}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("experiment_notebooks")]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    """All experiments on a tiny column, (folder)."""
    folder = tmp_path_factory.mktemp("experiments")
    write_circuit(build_column("tiny", seed=1), folder / "circuit")
    for name, (protocol, *options) in EXPERIMENTS.items():
        where = ["--engine", "torch", "--out", str(folder / name)]
        experiment([protocol, str(folder / "circuit"), *where, *options])
    return folder


@pytest.fixture
def execute(experiments, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_EXPERIMENTS", str(experiments))
    monkeypatch.setenv("TWINCORTEX_DECODED_CELLS", "10")
    return lambda name: execute_notebook(name, experiments, tmp_path, monkeypatch)


def headline(notebook):
    return notebook.cells[-1].outputs[0].text


def test_contrast_gain_runs_and_ends_on_its_headline(execute):
    notebook = execute("contrast_gain.ipynb")
    assert "Hz per decade (n = " in headline(notebook)
    assert "in 0 of 0 cell types" not in headline(notebook)
    assert figures_of(notebook) == 4


def test_natural_images_runs_and_ends_on_its_headline(execute):
    notebook = execute("natural_images.ipynb")
    assert "] of 4 images are named rightly" in headline(notebook)
    assert "chance 25.0 %" in headline(notebook)
    assert figures_of(notebook) == 3


def test_dissection_runs_and_ends_on_its_headline(execute):
    notebook = execute("dissection.ipynb")
    assert "pairs of cohort and cell type" in headline(notebook)
    assert figures_of(notebook) == 2


def test_cells_held_down_in_all_contrasts_are_silent_and_the_inputs_are_the_same(experiments):
    intact, without = (read_experiment(experiments / name) for name in ("contrast", "contrast_without_PV"))
    assert int(without.spike_count.where(without.silenced).sum()) == 0
    assert int(intact.spike_count.where(without.silenced).sum()) > 0
    assert intact.phase_deg.equals(without.phase_deg)
