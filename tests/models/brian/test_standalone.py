"""Compiled projects: compiled once, run again with other numbers, never silently with the wrong ones."""

import dataclasses
import hashlib
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from twincortex.models import toolchain
from twincortex.models.brian import simulate
from twincortex.models.brian.plan import plan_network
from twincortex.models.brian.project import Project, generate_project, open_project, project_name
from twincortex.models.brian.standalone import run_project
from twincortex.models.brian.targets import cpp_toolchain
from twincortex.models.circuit import sort_projection
from twincortex.models.equations import EQUATION_SETS
from twincortex.models.errors import InputError, TwinCortexError
from twincortex.models.recording import Run

from circuits import small_random_circuit, small_random_inputs, with_many_connections

# One process runs them all: they look into the folder of the project while it is used.
pytestmark = pytest.mark.xdist_group("standalone")


def with_one_delay_from_outside(circuit):
    """As in the column: LGN and background have one delay each (and take one relay each to compile)."""
    projections = dict(circuit.projections)
    for name, delay in (("lgn_to_v1", 1.7), ("bkg_to_v1", 1.0)):
        p = projections[name]
        delays = np.full(p.n_edges, delay)
        projections[name] = sort_projection(
            p.source, p.n_sources, p.sources(), p.target, delays, p.weight, p.n_synapses
        )
    return dataclasses.replace(circuit, projections=projections)


RUN = Run(300.0, record_v=(0, 7, 39))
CIRCUIT = with_one_delay_from_outside(small_random_circuit(seed=1))
INPUTS = small_random_inputs(2, CIRCUIT, RUN.duration)


def with_other_weights(circuit, seed):
    rng = np.random.default_rng(seed)
    weights = {name: p.weight * rng.uniform(0.5, 1.5, p.n_edges) for name, p in circuit.projections.items()}
    return circuit.with_weights(weights)


@pytest.fixture(scope="module")
def plan():
    return plan_network(CIRCUIT, INPUTS, RUN)


@pytest.fixture(scope="module")
def project(plan, standalone_root):
    return open_project(plan, cpp_toolchain(strict=True), standalone_root)


@pytest.fixture
def own_project(project, tmp_path):
    """A copy that a test may break."""
    return Project(shutil.copytree(project.folder, tmp_path / "project"), project.manifest)


def state_of(folder):
    """Content and time of every file of a project."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("seed", [None, 8, 9])
def test_new_weights_and_spikes_run_in_the_same_program(seed, project, standalone_root, assert_follows_the_loop):
    circuit, inputs = CIRCUIT, INPUTS
    if seed is not None:
        circuit, inputs = with_other_weights(CIRCUIT, seed), small_random_inputs(seed, CIRCUIT, RUN.duration)
    before = state_of(project.folder)
    recording = simulate(circuit, inputs, RUN, "cpp", root=standalone_root)
    assert recording.spikes.n_spikes > 200
    assert_follows_the_loop(recording, circuit, inputs, RUN)
    assert recording.settings["project"] == project.folder.name
    assert state_of(project.folder) == before


def test_new_constants_of_the_cell_models_run_in_the_same_program(project, standalone_root, assert_follows_the_loop):
    run = dataclasses.replace(RUN, after_spike_current="step_mean")
    recording = simulate(CIRCUIT, INPUTS, run, "cpp", root=standalone_root)
    assert recording.settings["project"] == project.folder.name
    assert_follows_the_loop(recording, CIRCUIT, INPUTS, run)


def test_runs_at_the_same_time_do_not_mix(project):
    plans = [plan_network(with_other_weights(CIRCUIT, seed), INPUTS, RUN) for seed in range(4)]
    alone = [run_project(project, plan) for plan in plans]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda plan: run_project(project, plan), plans))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.v, b.v)
    assert not list((project.folder / "runs").iterdir())


def test_the_name_of_a_project_says_what_it_can_run(plan):
    toolchain = cpp_toolchain(strict=True)

    def name(circuit=CIRCUIT, inputs=INPUTS, run=RUN, toolchain=toolchain, **options):
        return project_name(plan_network(circuit, inputs, run, **options), toolchain)

    many = small_random_inputs(3, CIRCUIT, RUN.duration, bkg_rate_Hz=4000.0)
    same = [name(), name(with_other_weights(CIRCUIT, 4)), name(inputs=small_random_inputs(3, CIRCUIT, RUN.duration))]
    assert set(same) == {project_name(plan, toolchain)}
    others = [
        name(small_random_circuit(seed=2)),
        name(inputs=many),
        name(run=Run(300.0, 0.5, record_v=RUN.record_v)),
        name(run=Run(301.0, record_v=RUN.record_v)),
        name(run=Run(300.0)),
        name(run=dataclasses.replace(RUN, current=np.zeros((300, 40)))),
        name(run=dataclasses.replace(RUN, current=np.zeros((1, 40)))),
        name(toolchain=cpp_toolchain(strict=False)),
        name(one_delay_each=True),
    ]
    assert len({*same, *others}) == 1 + len(others)


@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_damaged_array_is_found_before_the_run(damage, own_project, plan):
    path = own_project.folder / "static_arrays" / "_static_array__array_v1_to_v1_targets"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"_array_v1_to_v1_targets (has 3,1\d\d bytes|is missing); expected 3,1\d\d"):
        run_project(own_project, plan)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("echo Error opening static array; exit 0", "Error opening static array"),
        ("echo nothing works; exit 9", r"exit code 9\):\nnothing works"),
        ("echo terminate: std::bad_alloc; exit 134", "ran out of memory"),
        ("exit 0", "was interrupted before the end"),
        ("echo 0.1 0.5 > results/last_run_info.txt", "was interrupted before the end"),
    ],
)
def test_a_program_that_fails_is_no_result(program, message, own_project, plan):
    (own_project.folder / "main").write_text(f"#!/bin/sh\n{program}\n")
    with pytest.raises(TwinCortexError, match=message):
        run_project(own_project, plan)
    assert not list((own_project.folder / "runs").iterdir())


def test_values_that_the_program_did_not_use_are_no_result(own_project, plan):
    entry = own_project.manifest["replaceable"]["v1_to_v1.w"]
    real = own_project.folder / "main"
    real.rename(own_project.folder / "real")
    lie = f"dd if=/dev/zero of=results/{entry['result']['file']} bs=8 seek=3 count=2 conv=notrunc 2>/dev/null"
    real.write_text(f'#!/bin/sh\n{own_project.folder}/real "$@" && {lie}\n')
    real.chmod(0o755)
    with pytest.raises(
        TwinCortexError, match=r"v1_to_v1.w: .* did not use the values it was given \(other element 3, 4\)"
    ):
        run_project(own_project, plan)


def test_a_plan_of_another_size_is_refused(project, plan):
    arrays = plan.arrays | {"v1_to_v1.w": lambda: np.zeros(3)}
    with pytest.raises(InputError, match=r"v1_to_v1.w: 3 values; the compiled project .* expects \d+"):
        run_project(project, dataclasses.replace(plan, arrays=arrays))


def test_a_project_that_does_not_compile_leaves_nothing_behind(monkeypatch, tmp_path, plan):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho this compiler is broken\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(TwinCortexError, match=r"does not compile.*\n(.*\n)*this compiler is broken"):
        open_project(plan, cpp_toolchain(strict=True), tmp_path / "root")
    assert [path.suffix for path in (tmp_path / "root").iterdir()] == [".lock"]


def test_generating_a_project_takes_bounded_memory_per_connection_and_keeps_none(tmp_path):
    plan = plan_network(with_many_connections(CIRCUIT, 1_000_000), INPUTS, RUN, one_delay_each=True)
    tracemalloc.start()
    generate_project(plan, cpp_toolchain(strict=True), tmp_path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Endpoints and weights are written at the end, 16 bytes per connection, and one of two pathways is being made: 39
    # bytes; 51 with the copies of the endpoints that Brian2 would keep.
    assert peak < 45e6
    assert kept < 3e6


def test_what_a_killed_process_left_is_removed(monkeypatch, tmp_path, plan):
    toolchain = cpp_toolchain(strict=True)
    remains = tmp_path / f".{project_name(plan, toolchain)}.abc.partial"
    (remains / "code_objects").mkdir(parents=True)
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(TwinCortexError):
        open_project(plan, toolchain, tmp_path)
    assert not remains.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, plan):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/root cannot be written: .* Set TWINCORTEX_STANDALONE"):
        open_project(plan, cpp_toolchain(strict=True), tmp_path / "file" / "root")


def test_a_missing_compiler_is_named(monkeypatch, tmp_path, plan):
    monkeypatch.setattr(toolchain, "find_compiler", lambda: None)
    with pytest.raises(InputError, match=r"missing here: a C\+\+ compiler .*apt install g\+\+.*--engine brian"):
        simulate(CIRCUIT, INPUTS, RUN, "cpp", root=tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_projects_go_where_the_environment_says(monkeypatch, tmp_path, plan):
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("TWINCORTEX_STANDALONE", str(tmp_path / "elsewhere"))
    with pytest.raises(TwinCortexError):
        open_project(plan, cpp_toolchain(strict=True))
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.slow
def test_fast_flags_give_the_same_spikes_up_to_rounding(standalone_root, assert_follows_the_loop):
    recording = simulate(CIRCUIT, INPUTS, RUN, "cpp", root=standalone_root, strict=False)
    assert_follows_the_loop(recording, CIRCUIT, INPUTS, RUN)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glif3_three_currents", "lif_exponential"])
def test_other_equations_compile_and_take_a_current(name, with_third_current, standalone_root, assert_follows_the_loop):
    circuit = with_third_current(CIRCUIT)
    equation_set = EQUATION_SETS[name](circuit.n_receptors)
    for seed in (1, 2):
        current = np.random.default_rng(seed).uniform(0, 300, (400, circuit.n_neurons))
        run = Run(100.0, 0.25, record_v=(0, 39), current=current)
        inputs = small_random_inputs(seed, circuit, run.duration, run.dt)
        recording = simulate(circuit, inputs, run, "cpp", equation_set, standalone_root)
        assert recording.spikes.n_spikes > 20
        assert_follows_the_loop(recording, circuit, inputs, run, equation_set)
