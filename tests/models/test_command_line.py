import dataclasses
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import h5py
import numpy as np
import pytest

from twincortex.models.column.sizes import COLUMN_SIZES
from twincortex.models.command_line import main
from twincortex.models.delays import rounded_delays
from twincortex.models.equivalence import V_TOLERANCE_MV
from twincortex.models.errors import DivergedError, OutOfMemoryError, TwinCortexError
from twincortex.models.recording import read_recording
from twincortex.models.sonata import read_circuit, write_circuit, write_weights
from twincortex.models.spikes import read_spikes
from twincortex.models.toolchain import find_compiler

RUN = "import sys; from twincortex.models.command_line import main; sys.exit(main())"

SUBCOMMANDS = (
    *("build", "info", "stimulate", "simulate", "compare", "validate", "evaluate", "pack"),
    *("import", "check", "import-spikes", "benchmark", "doctor"),
)


def in_a_process(*arguments, code=RUN):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def simulated(command, written_circuit, input_folder, tmp_path):
    command(
        "simulate",
        written_circuit,
        "--engine",
        "torch",
        "--inputs",
        input_folder,
        "--record-v",
        "0,5",
        "--out",
        tmp_path / "a",
    )
    return tmp_path / "a"


def test_help_lists_every_subcommand_with_its_description(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in SUBCOMMANDS:
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {name} ")]
        assert len(line.split()) > 5


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: twincortex {name}" in capsys.readouterr().out


def test_only_the_subcommand_that_runs_is_imported():
    code = RUN.replace("sys.exit(main())", "main(); print(sorted(sys.modules))")
    modules = in_a_process("doctor", "--json", code=code).stdout
    assert "twincortex.models.doctor" in modules
    for absent in ("torch", "brian2", "numba", "pandas", "twincortex.models.commands_simulation"):
        assert f"'{absent}'" not in modules, absent


def test_build_writes_a_circuit_that_info_describes(command, tmp_path):
    built = command("build", "--radius-um", "20", "--seed", "4", "--out", tmp_path / "c")
    described = command("info", tmp_path / "c")
    assert built["topology_hash"] == described["topology_hash"] == read_circuit(tmp_path / "c").topology_hash
    assert sum(described["neurons_per_type"].values()) == described["neurons"]
    v1 = described["projections"]["v1_to_v1"]
    assert sum(v1["edges_per_delay_ms"].values()) == v1["edges"] == described["edges"]["v1_to_v1"]
    assert described["provenance"]["seed"] == 4
    assert described["projections"]["lgn_to_v1"]["synapses"] > described["projections"]["lgn_to_v1"]["edges"]


def test_info_tells_what_rounding_the_delays_changes(command, written_circuit, circuit):
    assert "rounded_delays" not in command("info", written_circuit)
    described = command("info", written_circuit, "--dt", "1.0")
    assert described["dt"] == 1.0
    assert described["rounded_delays"] == rounded_delays(circuit, 1.0)


def test_the_help_of_build_names_every_size(capsys):
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for size in COLUMN_SIZES.values():
        assert re.search(rf"{size.name} \((radius )?{size.radius_um:g} um\)", text)


def test_stimulate_writes_spikes_of_lgn_and_background(command, written_circuit, circuit, tmp_path):
    grating = ["--stimulus", "grating", "--direction", "45", "--duration", "300", "--onset", "100", "--seed", "3"]
    facts = command("stimulate", written_circuit, *grating, "--out", tmp_path / "a")
    assert facts["topology_hash"] == circuit.topology_hash
    assert (facts["direction"], facts["contrast"], facts["onset"]) == (45.0, 0.8, 100.0)
    assert read_spikes(tmp_path / "a" / "lgn_spikes.h5").n_units == 20
    assert read_spikes(tmp_path / "a" / "bkg_spikes.h5").n_units == 10
    command("stimulate", written_circuit, *grating, "--out", tmp_path / "b")
    same = [read_spikes(tmp_path / name / "lgn_spikes.h5").times for name in "ab"]
    assert np.array_equal(*same)


def test_simulate_writes_spikes_potentials_and_settings(simulated, circuit):
    recording = read_recording(simulated)
    assert (recording.engine, recording.duration, recording.dt) == ("torch", 100.0, 1.0)
    assert recording.spikes.n_spikes > 0
    assert recording.v.shape == (100, 2)
    assert recording.v_ids.tolist() == [0, 5]
    assert recording.settings["weights_hash"] == circuit.weights_hash


def test_simulate_records_all_neurons_on_request(command, written_circuit, input_folder, tmp_path):
    command(
        "simulate",
        written_circuit,
        "--engine=torch",
        "--inputs",
        input_folder,
        "--record-v=all",
        "--out",
        tmp_path / "a",
    )
    assert read_recording(tmp_path / "a").v_ids.tolist() == list(range(40))


def test_simulate_takes_other_equations_and_records_their_name(command, circuit, input_folder, tmp_path):
    write_circuit(circuit, tmp_path / "c")
    arguments = ["simulate", tmp_path / "c", "--engine", "torch", "--inputs", input_folder]
    spikes = {}
    for name in ("glif3", "lif_exponential"):
        command(*arguments, "--equations", name, "--out", tmp_path / name)
        recording = read_recording(tmp_path / name)
        assert recording.settings["equations"] == name
        spikes[name] = recording.spikes.n_spikes
    assert spikes["glif3"] != spikes["lif_exponential"]


def test_three_after_spike_currents_can_be_run_from_the_command_line(command, circuit, tmp_path):
    types = circuit.node_types
    third = {
        name: np.full(40, value) for name, value in {"asc_decay_2": 0.02, "asc_amp_2": -15.0, "asc_r_2": 0.8}.items()
    }
    types = dataclasses.replace(types, parameters=types.parameters | third)
    write_circuit(dataclasses.replace(circuit, node_types=types), tmp_path / "c")
    engines = ["--engines", "torch", "brian", "--equations", "glif3_three_currents"]
    result = command("validate", tmp_path / "c", *engines, "--duration", "50")
    assert (result["equal"], result["equations"]) == (True, "glif3_three_currents")


def test_simulate_takes_trained_weights(command, circuit, written_circuit, input_folder, tmp_path):
    silent = circuit.with_weights({name: 0 * circuit.projections[name].weight for name in ("v1_to_v1", "bkg_to_v1")})
    write_weights(silent, tmp_path, "silent")
    arguments = ["simulate", written_circuit, "--engine", "torch", "--inputs", input_folder, "--out", tmp_path / "a"]
    command(*arguments, "--weights", "silent", "--weights-from", tmp_path)
    settings = read_recording(tmp_path / "a").settings
    assert settings["topology_hash"] == circuit.topology_hash
    assert settings["weights_hash"] != circuit.weights_hash


def test_compare_counts_spikes_mismatches_and_differences(command, simulated, tmp_path):
    same = command("compare", simulated, simulated)
    assert (same["mismatched"], same["max_dv_mV"], same["neurons_compared"]) == (0, 0.0, 2)
    assert same["spikes"][0] == same["spikes"][1] > 0


def test_validate_succeeds_only_if_the_engines_agree(command, written_circuit):
    result = command("validate", written_circuit, "--engines", "torch", "torch", "--duration", "100", "--seed", "3")
    assert result["equal"] is True
    assert result["comparisons"][0]["mismatched"] == 0


def test_engines_that_differ_have_an_exit_code_of_their_own(written_circuit, capsys):
    engines = ["--engines", "torch", "torch"]
    assert main(["validate", str(written_circuit), *engines, "--duration", "50", "--tolerance-mv", "-1"]) == 5
    assert json.loads(capsys.readouterr().out)["equal"] is False


@pytest.mark.slow
def test_torch_and_compiled_brian_agree_on_a_real_column(command, tmp_path, monkeypatch):
    if find_compiler() is None:
        pytest.skip("no C++ compiler to compile the standalone project with")
    monkeypatch.setenv("TWINCORTEX_STANDALONE", str(tmp_path / "standalone"))
    command("build", "--size", "tiny", "--seed", "2", "--out", tmp_path / "tiny")
    engines = ["--engines", "torch", "brian-cpp"]
    result = command("validate", tmp_path / "tiny", *engines, "--direction", "45", "--duration", "300", "--seed", "3")
    (comparison,) = result["comparisons"]
    assert comparison["engines"] == ["torch", "brian-cpp"]
    assert comparison["spikes"][0] > 500
    assert comparison["mismatched"] == 0
    assert comparison["max_dv_mV"] <= V_TOLERANCE_MV


def test_output_is_replaced_only_on_request(command, simulated, written_circuit, input_folder, capsys):
    arguments = ["simulate", written_circuit, "--engine", "torch", "--inputs", input_folder, "--out", simulated]
    assert main(list(map(str, arguments))) == 2
    assert "exists already. Choose another --out, or pass --overwrite" in capsys.readouterr().err
    command(*arguments, "--overwrite")
    assert read_recording(simulated).v.shape == (100, 0)


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (DivergedError("V is not finite"), 3, "V is not finite"),
        (OutOfMemoryError("too large"), 4, "too large"),
        (MemoryError("8 TiB"), 4, r"out of memory (8 TiB)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 4, "out of memory (DefaultCPUAllocator"),
        (RuntimeError("CUDA out of memory. Tried to allocate 8 TiB"), 4, "out of memory (CUDA out of memory"),
        (TwinCortexError("the program failed"), 1, "the program failed"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written"),
    ],
)
def test_failures_have_their_exit_codes(error, exit_code, message, monkeypatch, capsys, simulated):
    def fail(*_):
        raise error

    monkeypatch.setattr("twincortex.models.commands_simulation.read_recording", fail)
    assert main(["compare", str(simulated), str(simulated)]) == exit_code
    assert capsys.readouterr().err.startswith(f"twincortex: {message}")


def test_an_error_of_our_own_making_is_not_called_out_of_memory(monkeypatch, simulated):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("twincortex.models.commands_simulation.read_recording", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["compare", str(simulated), str(simulated)])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["info", "--help"])
def test_output_that_nobody_reads_to_the_end_is_no_error(written_circuit, command, unbuffered):
    arguments = [command, str(written_circuit)] if command == "info" else [command]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    with subprocess.Popen([sys.executable, "-c", RUN, *arguments], **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"twincortex {version('twincortex')}\n"


def test_an_error_of_the_process_is_one_line_on_stderr(tmp_path):
    done = in_a_process("info", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"twincortex: {tmp_path} holds no circuit_config.json. Expected the --out folder")
    assert done.stderr.count("\n") == 1


def make_weights_nan(folder):
    with h5py.File(folder / "network" / "v1_v1_edges.h5", "r+") as file:
        file["edges/v1_to_v1/0/syn_weight"][5] = np.nan


def make_inhibition_excite(folder):
    with h5py.File(folder / "network" / "v1_v1_edges.h5", "r+") as file:
        file["edges/v1_to_v1/0/syn_weight"][...] = np.abs(file["edges/v1_to_v1/0/syn_weight"][...])


def cut_edges(folder):
    path = folder / "network" / "v1_v1_edges.h5"
    path.write_bytes(path.read_bytes()[:10_000])


SIMULATE = "simulate {circuit} --engine torch --inputs {inputs} --out {out}"
BAD_INPUT = {
    "unknown subcommand": ("biuld", None, "unknown subcommand 'biuld'; did you mean 'build'?"),
    "no size": ("build --out {out}", None, "needs a size. Pass --size tiny"),
    "unknown size": ("build --size tinny --out {out}", None, "unknown column size 'tinny': did you mean 'tiny'"),
    "no trained weights": (
        "build --size tiny --seed 12 --trained --out {out}",
        None,
        "no trained weights of size tiny, seed 12 come with twincortex. Shipped: ",
    ),
    "trained weights that are not there": (
        "build --size tiny --trained {tmp}/no.h5 --out {out}",
        None,
        "no.h5 does not exist",
    ),
    "unknown option": (
        "build --size tiny --sede 1 --out {out}",
        None,
        "unknown option '--sede'; did you mean '--seed'?",
    ),
    "option without a number": (
        "build --size tiny --seed one --out {out}",
        None,
        "argument --seed: invalid int value: 'one'",
    ),
    "missing circuit": ("info {tmp}/none", None, "none does not exist. Expected the folder of a SONATA circuit"),
    "missing inputs": ("simulate {circuit} --engine torch --inputs {tmp} --out {out}", None, "holds no stimulus.json"),
    "unknown engine": (SIMULATE.replace("torch", "brian-gpu"), None, "unknown engine 'brian-gpu'; did you mean"),
    "unknown stimulus": ("stimulate {circuit} --stimulus gratings --out {out}", None, "did you mean 'grating'"),
    "parameter of another stimulus": (
        "stimulate {circuit} --stimulus gray --contrast 1 --out {out}",
        None,
        "stimulus 'gray' has no parameter 'contrast'",
    ),
    "delay of 0 steps": (SIMULATE + " --dt 2", None, "dt 2.0 ms turns the delay 0.9 ms into 0 steps"),
    "delay of 0 steps when stimulating": ("stimulate {circuit} --dt 2 --out {out}", None, "into 0 steps"),
    "unknown equations": (
        SIMULATE + " --equations glif33",
        None,
        "unknown equations 'glif33'; did you mean 'glif3'? Known: glif3, glif3_three_currents, lif_exponential",
    ),
    "unknown equations to validate": ("validate {circuit} --equations lif", None, "unknown equations 'lif'"),
    "parameters that the equations lack": (SIMULATE + " --equations glif3_three_currents", None, "asc_decay_2"),
    "run longer than its input": (SIMULATE + " --duration 200", None, "a run of 200 ms on an input of 100 ms"),
    "dt that is no number": ("info {circuit} --dt nan", None, "--dt nan: expected a positive number"),
    "spikes outside the run": (SIMULATE + " --duration 50", None, "lie outside the run"),
    "duration of half a step": (SIMULATE + " --duration 100.5", None, "not a whole number of steps"),
    "inputs of another circuit": (
        "simulate {other} --engine torch --inputs {inputs} --out {out}",
        None,
        "the input was made for the circuit",
    ),
    "neuron that is not there": (SIMULATE + " --record-v 1,40", None, "record_v [40]: expected neurons 0 to 39"),
    "neuron that is no number": (SIMULATE + " --record-v one", None, "--record-v 'one': expected neuron ids"),
    "weights without a tag": (SIMULATE + " --weights-from {tmp}", None, "pass --weights TAG too"),
    "weights that are not there": (SIMULATE + " --weights x", None, "holds no v1_v1_edges_x.h5"),
    "circuit cut short": (SIMULATE, cut_edges, "v1_v1_edges.h5 has 10,000 bytes, but"),
    "weights not a number": (SIMULATE, make_weights_nan, "/edges/v1_to_v1/0/syn_weight[5] is missing or not finite"),
    "inhibitory weights positive": (
        SIMULATE,
        make_inhibition_excite,
        "weights of the wrong sign. Inhibitory cells need",
    ),
    "tolerance that is no number": (
        "validate {circuit} --tolerance-mv nan",
        None,
        "--tolerance-mv nan: expected a number",
    ),
    "one engine": ("validate {circuit} --engines torch", None, "got only 'torch'. Name two or more"),
    "nothing to compare": ("compare {tmp} {tmp}", None, "holds no run.json. Expected the --out folder"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_exit_code_2_one_message_and_no_output(
    case, circuit_folder, input_folder, tmp_path, capsys
):
    arguments, damage, message = BAD_INPUT[case]
    if "{other}" in arguments:
        main(["build", "--radius-um", "10", "--out", str(tmp_path / "other")])
    if damage:
        damage(circuit_folder)
    places = {"circuit": circuit_folder, "inputs": input_folder, "other": tmp_path / "other", "tmp": tmp_path}
    before = sorted(os.listdir(tmp_path))
    capsys.readouterr()
    assert main(arguments.format(**places, out=tmp_path / "out").split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("twincortex: ")
    assert err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == before
