"""The promise of the engine: a SONATA folder given to NEST spikes as it does in our own engines."""

import pytest

from twincortex.models.command_line import main
from twincortex.models.recording import read_recording
from twincortex.models.sonata import write_weights
from twincortex.models.sonata.checksums import CHECKSUMS
from twincortex.models.toolchain import find_mpi_launcher, find_nest

STEP_MEAN = ["--after-spike-current", "step_mean"]


@pytest.fixture(scope="module")
def of_tiny_in_torch(tiny_folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("torch") / "out"
    assert main(simulate_tiny("torch", tiny_folders, out)) == 0
    return out


def simulate_tiny(engine, folders, out, *options):
    circuit, inputs = map(str, folders)
    run = ["--inputs", inputs, *STEP_MEAN, "--record-v", "0,500,1140"]
    return ["simulate", circuit, "--engine", engine, *run, *options, "--out", str(out)]


@pytest.mark.parametrize("threads", [1, 2])
def test_nest_with_threads_gives_the_spikes_of_torch(threads, command, tiny_folders, of_tiny_in_torch, tmp_path):
    command(*simulate_tiny("nest", tiny_folders, tmp_path / "out", "--threads", str(threads)))

    assert_same(command("compare", of_tiny_in_torch, tmp_path / "out"))
    settings = read_recording(tmp_path / "out").settings
    assert (settings["threads"], settings["processes"]) == (threads, 1)


def test_two_processes_under_mpi_give_the_spikes_of_torch(
    command, tiny_folders, of_tiny_in_torch, tmp_path, monkeypatch
):
    if not (find_nest() or {}).get("mpi"):
        pytest.skip("this NEST was built without MPI, as that of PyPI is")
    if not find_mpi_launcher():
        pytest.skip("no mpirun or srun to start two processes with")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        monkeypatch.setenv(name, "1")

    command(*simulate_tiny("nest", tiny_folders, tmp_path / "out", "--launcher", f"{find_mpi_launcher()} -n 2"))

    assert_same(command("compare", of_tiny_in_torch, tmp_path / "out"))
    assert read_recording(tmp_path / "out").settings["processes"] == 2


def assert_same(comparison):
    assert comparison["spikes"][0] == comparison["spikes"][1] > 1000
    assert comparison["mismatched"] == 0
    # Both are exact; what is left are roundings of exponentials in float64 (as in tests/oracles).
    assert comparison["max_dv_mV"] <= 1e-8
    assert (comparison["neurons_compared"], comparison["differ_in"]) == (3, [])


def test_nest_runs_trained_weights(command, circuit, written_circuit, input_folder, tmp_path):
    stronger = circuit.with_weights({"v1_to_v1": 1.5 * circuit.projections["v1_to_v1"].weight})
    write_weights(stronger, tmp_path, "trained")
    arguments = ["simulate", written_circuit, "--inputs", input_folder, *STEP_MEAN, "--record-v", "all"]
    for name, options in {
        "torch": ["--weights", "trained", "--weights-from", tmp_path],
        "nest": ["--weights", "trained", "--weights-from", tmp_path],
        "untrained": [],
    }.items():
        engine = "torch" if name == "torch" else "nest"
        command(*arguments, *options, "--engine", engine, "--out", tmp_path / name)

    same = command("compare", tmp_path / "torch", tmp_path / "nest")
    assert (same["mismatched"], same["differ_in"]) == (0, [])
    other = command("compare", tmp_path / "torch", tmp_path / "untrained")
    assert other["mismatched"] > 0
    assert other["differ_in"] == ["weights_hash"]


def test_a_folder_of_others_reaches_nest_through_one_of_ours(command, circuit_folder, input_folder, tmp_path):
    (circuit_folder / CHECKSUMS).unlink()
    for engine in ("torch", "nest"):
        arguments = ["simulate", circuit_folder, "--inputs", input_folder, *STEP_MEAN, "--engine", engine]
        command(*arguments, "--out", tmp_path / engine)
    same = command("compare", tmp_path / "torch", tmp_path / "nest")
    assert same["spikes"][0] > 10
    assert (same["mismatched"], same["differ_in"]) == (0, [])


def test_nest_is_validated_against_torch(command, written_circuit):
    engines = ["--engines", "torch", "nest", "--threads", "1", "--tolerance-mv", "1e-8"]
    result = command("validate", written_circuit, *engines, *STEP_MEAN, "--duration", "100")
    assert result["equal"] is True
    assert result["comparisons"][0]["engines"] == ["torch", "nest"]


SIMULATE = "simulate {circuit} --engine nest --inputs {inputs} --out {out}"
REFUSED = {
    "exact after-spike currents": (SIMULATE, "Pass --after-spike-current step_mean"),
    "exact after-spike currents to validate": ("validate {circuit} --engines torch nest", "Pass --after-spike-current"),
    "equations that NEST lacks": (
        SIMULATE + " --after-spike-current step_mean --equations lif_exponential",
        "NEST has no model with the equations 'lif_exponential'. Choose glif3",
    ),
    "threads for torch": (
        SIMULATE.replace("nest", "torch") + " --threads 2",
        "--threads is an option of the engine nest, not of torch",
    ),
    "a launcher for torch": ("validate {circuit} --engines torch brian --launcher mpirun", "--launcher is an option"),
    "no threads": (SIMULATE + " --after-spike-current step_mean --threads 0", "threads 0: expected 1 or more"),
    "a quote that is not closed": (
        SIMULATE + " --after-spike-current step_mean --launcher 'mpirun",
        "No closing quotation. Expected a command",
    ),
    "delay of 0 steps": (SIMULATE + " --after-spike-current step_mean --dt 2", "turns the delay 0.9 ms into 0 steps"),
    "dt below a microsecond": (SIMULATE + " --after-spike-current step_mean --dt 0.0625", "multiple of 0.001 ms"),
    "neuron that is not there": (
        SIMULATE + " --after-spike-current step_mean --record-v 40",
        "record_v [40]: expected neurons 0 to 39",
    ),
    "weights that are not there": (
        SIMULATE + " --after-spike-current step_mean --weights x",
        "holds no v1_v1_edges_x.h5",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nest_cannot_run_is_refused_with_exit_code_2(case, written_circuit, input_folder, tmp_path, capsys):
    arguments, message = REFUSED[case]
    places = {"circuit": written_circuit, "inputs": input_folder, "out": tmp_path / "out"}
    assert main([argument.format(**places) for argument in arguments.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
