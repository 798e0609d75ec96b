"""CUDA projects are generated everywhere, compiled where nvcc is, and run where a GPU is."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("brian2cuda", reason="Brian2CUDA is not installed (pip install 'twincortex[cuda]')")

from twincortex.models import toolchain
from twincortex.models.brian import cuda as cuda_module
from twincortex.models.brian import simulate
from twincortex.models.brian.cuda import cuda_toolchain
from twincortex.models.brian.plan import plan_network
from twincortex.models.brian.project import generate_project, open_project
from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.spikes import from_steps
from twincortex.models.toolchain import list_gpus

import circuits
from circuits import small_random_circuit, small_random_inputs

# Brian2CUDA leaves closing its files to Python.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

RUN = Run(100.0, record_v=(0, 3))
missing = cuda_toolchain(strict=True).missing


@pytest.fixture
def circuit(monkeypatch):
    """One delay: three Synapses objects, as few as the three projections need; each takes 40 s of nvcc."""
    monkeypatch.setattr(circuits, "DELAYS_MS", np.array([1.0]))
    return small_random_circuit(seed=1, n=12)


@pytest.fixture
def plan(circuit):
    """Plan whose background units spike several times a step, and so take relays."""
    return plan_network(circuit, small_random_inputs(2, circuit, RUN.duration), RUN, one_delay_each=True)


@pytest.fixture
def sources(plan, tmp_path):
    """Text of every generated file."""
    generate_project(plan, cuda_toolchain(strict=True), tmp_path)
    return {path.name: path.read_text() for path in [*tmp_path.rglob("*.cu"), tmp_path / "makefile"]}


def test_the_kernels_multiply_and_add_our_propagators(sources):
    kernel = sources["neurons_stateupdater_codeobject.cu"]
    assert "_v = ((" in kernel or "_v = " in kernel
    assert "step_v_from_asc_0 * asc_0" in kernel
    assert "step_rise_fast_0_from_rise_fast_0 * rise_fast_0" in kernel
    assert "exp(" not in kernel.partition("_run_kernel")[2]


def test_every_delay_is_the_constant_of_its_synapses(sources):
    kernel = sources["v1_to_v1_1_pre_codeobject.cu"]
    assert "atomicAdd" in kernel
    assert {"lgn_to_v1_1_pre_codeobject.cu", "bkg_to_v1_1_pre_codeobject.cu"} <= set(sources)


def test_relays_count_the_spikes_of_a_step(sources):
    assert "n_spikes" in sources["bkg_to_v1_1_count_pre_codeobject.cu"]
    assert "n_spikes * w" in sources["bkg_to_v1_1_pre_codeobject.cu"].replace("n_spikes_pre", "n_spikes")


def test_the_makefile_asks_for_what_cuda_13_needs(sources):
    makefile = sources["makefile"]
    flags = next(line for line in makefile.splitlines() if line.startswith("NVCCFLAGS"))
    assert flags.rindex("-std=c++17") > flags.rindex("-std=c++11")
    assert '-Xcompiler "-O3 -std=c++17"' in flags
    assert "-fmad=false" in flags
    assert "-use_fast_math" not in flags


def test_what_is_missing_is_named(monkeypatch, circuit, tmp_path):
    for module in (cuda_module, toolchain):
        monkeypatch.setattr(module, "find_nvcc", lambda: None)
    with pytest.raises(InputError, match=r"missing here: nvcc .*CUDA_HOME.*brian"):
        simulate(circuit, {}, RUN, "cuda", root=tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(("value", "expected"), [("8.6", 8.6), (None, 9.0)])
def test_the_gpu_generation_can_be_chosen(value, expected, monkeypatch):
    monkeypatch.setattr(cuda_module, "run_quietly", lambda *command: "")
    monkeypatch.delenv("TWINCORTEX_COMPUTE_CAPABILITY", raising=False)
    if value:
        monkeypatch.setenv("TWINCORTEX_COMPUTE_CAPABILITY", value)
    assert cuda_module.compute_capability() == expected


@pytest.mark.slow
@pytest.mark.cuda
@pytest.mark.skipif(bool(missing), reason=missing)
def test_a_cuda_project_compiles_and_links_without_a_gpu(circuit, standalone_root):
    # 10 s of nvcc per file: only recurrent and thalamic connections, no relay, nothing recorded but spikes.
    projections = {name: circuit.projections[name] for name in ("v1_to_v1", "lgn_to_v1")}
    circuit, run = dataclasses.replace(circuit, projections=projections), Run(100.0)
    inputs = {"lgn": from_steps("lgn", 20, np.arange(100), np.arange(100) % 20, 1.0)}
    plan = plan_network(circuit, inputs, run, one_delay_each=True)
    project = open_project(plan, cuda_toolchain(strict=True), standalone_root)
    assert (project.folder / "main").stat().st_size > 1_000_000
    if not list_gpus():
        with pytest.raises(InputError, match="no GPU that this CUDA program could use"):
            simulate(circuit, inputs, run, "cuda", root=standalone_root)


@pytest.mark.slow
@pytest.mark.cuda
@pytest.mark.skipif(bool(missing), reason=missing)
@pytest.mark.skipif(not list_gpus(), reason="no NVIDIA GPU here")
def test_a_gpu_gives_the_spikes_of_the_loop(standalone_root, assert_follows_the_loop):
    circuit, run = small_random_circuit(seed=1), Run(300.0, record_v=(0, 7, 39))
    inputs = small_random_inputs(2, circuit, run.duration)
    recording = simulate(circuit, inputs, run, "cuda", root=standalone_root)
    assert recording.spikes.n_spikes > 200
    assert_follows_the_loop(recording, circuit, inputs, run)
