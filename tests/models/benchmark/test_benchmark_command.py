import importlib.util
import json

import pytest

from twincortex.models.benchmark.processes import run_task
from twincortex.models.benchmark.settings import Settings, write_settings
from twincortex.models.benchmark.worker import SETTINGS
from twincortex.models.command_line import main
from twincortex.models.errors import OutOfMemoryError
from twincortex.models.toolchain import find_compiler

TINY = ("--neurons", "60", "--synapses", "2000", "--duration", "20", "--threads", "1", "--repeats", "2")
HAS_NEST = importlib.util.find_spec("nest") is not None
pytestmark = pytest.mark.skipif(not find_compiler(), reason="the fused engine needs a compiler")


def run(out, *arguments):
    assert main(["benchmark", *map(str, arguments), "--out", str(out)]) == 0
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "result.json"
    engines = ("fused", "reference", "nest") if HAS_NEST else ("fused", "reference")
    return run(out, *TINY, "--batch", "3", "--rate-Hz", "20", "--engines", *engines)


def test_all_engines_make_the_same_spikes_and_gradients(result):
    for name, agreement in result["agreement"].items():
        assert agreement["against"] == "reference"
        assert agreement["spikes_identical"], name
        assert min(agreement["spikes"]) > 5
    # Both sum float32 numbers, each in its order.
    assert 0 <= result["agreement"]["fused"]["gradient_difference"] < 1e-5


def test_every_pass_of_every_engine_is_timed_as_often_as_asked(result):
    for name, engine in result["engines"].items():
        passes = ("forward",) if name == "nest" else ("forward", "backward", "total")
        for part in passes:
            times = engine[part]
            assert len(times["repeats"]) == 2
            assert 0 < times["min"] <= times["median"] <= times["max"]
        assert engine["peak_bytes"] > 1e7
        assert engine["connection_steps_per_s"]["forward"] > 0
    for name in ("fused", "reference"):
        engine = result["engines"][name]
        assert engine["bytes_with_circuit_and_input"] + engine["bytes_above_circuit"] == engine["peak_bytes"]


def test_a_result_says_what_was_measured_and_where(result):
    assert result["circuit"]["connections"]["v1_to_v1"] == 2000
    assert result["settings"]["batch"] == 3
    assert result["settings"]["after_spike_current"] == ("step_mean" if HAS_NEST else "exact")
    assert {"cpu", "cores", "memory_GB", "gpu"} <= result["machine"].keys()
    assert {"torch", "numpy", "compiler", "nest"} <= result["versions"].keys()
    assert result["bandwidth"]["read_GB_per_s"] > 0.1
    # 24 spikes in 20 ms of one trial; the other two have spikes of their own.
    assert result["circuit"]["calibrated_rate_Hz"] == pytest.approx(20, abs=3)
    assert result["engines"]["fused"]["rate_Hz"] == pytest.approx(20, abs=10)


def test_ratios_are_those_of_the_medians(result):
    fused, reference = result["engines"]["fused"], result["engines"]["reference"]
    for part in ("forward", "backward", "total"):
        ratio = reference[part]["median"] / fused[part]["median"]
        assert result["ratios"]["reference_over_fused"][part] == pytest.approx(ratio)
    assert 0 < fused["gather_seconds"] <= fused["backward"]["max"]
    gather = 8 * 2000 * 20 / fused["gather_seconds"] / 1e9
    assert fused["gather_GB_per_s"] == pytest.approx(gather)
    assert result["ratios"]["gather_over_bandwidth"] == pytest.approx(gather / result["bandwidth"]["read_GB_per_s"])
    if HAS_NEST:  # one trial of it against three
        per_trial = 3 * result["engines"]["nest"]["forward"]["median"] / fused["forward"]["median"]
        assert result["ratios"]["nest_over_fused"]["forward_per_trial"] == pytest.approx(per_trial)


@pytest.fixture(scope="module")
def result_of_a_folder(written_circuit, tmp_path_factory):
    # NEST counts microseconds, and may be missing.
    options = ("--dt", "0.0625", "--duration", "5", "--batch", "1", "--repeats", "1", "--threads", "1")
    out = tmp_path_factory.mktemp("benchmark") / "result.json"
    return run(out, "--circuit", written_circuit, *options, "--forward-only", "--engines", "nest", "fused")


def test_a_circuit_from_a_folder_is_measured(result_of_a_folder, circuit):
    assert result_of_a_folder["circuit"]["topology_hash"] == circuit.topology_hash
    fused = result_of_a_folder["engines"]["fused"]
    assert fused["forward"]["median"] > 0
    assert fused["backward"] is None
    assert result_of_a_folder["ratios"]["reference_over_fused"]["forward"] is None


def test_an_engine_that_cannot_run_is_named_and_the_others_run(result_of_a_folder):
    nest = result_of_a_folder["engines"]["nest"]
    assert "NEST" in nest["error"]
    assert not nest["out_of_memory"]
    assert "forward" in result_of_a_folder["engines"]["fused"]
    assert result_of_a_folder["agreement"] == {}


def settings_of(**changes):
    usual = {"engines": ("fused",), "neurons": 60, "synapses": 2000, "rate_Hz": 5.0, "circuit": None, "batch": 1}
    usual |= {"duration": 20.0, "dt": 1.0, "repeats": 1, "threads": 1, "precision": "float32", "device": "cpu"}
    return Settings(**usual | {"forward_only": True, "seed": 1} | changes)


def test_a_process_that_takes_too_much_memory_is_ended(tmp_path):
    write_settings(tmp_path / SETTINGS, settings_of())
    with pytest.raises(OutOfMemoryError, match="may be taken here"):
        run_task("bandwidth", tmp_path, memory_limit=1e7)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--engines", "fussed", "nest"), "did you mean 'fused'"),
        (("--engines", "fused", "fused"), "twice"),
        (("--neurons", "10", "--synapses", "91"), "only 90 pairs"),
        (("--batch", "0"), "expected 1 or more"),
        (("--rate-Hz", "1000"), "less than a spike per step"),
        (("--circuit", "somewhere", "--neurons", "10"), "Leave one out"),
        (("--circuit", "nowhere"), "nowhere"),
        (("--duration", "10.5"), "whole number of steps"),
        (("--out", "nowhere/result.json"), "no such folder"),
        (("--preset", "x"), "unknown option"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, text, capsys):
    assert main(["benchmark", *arguments]) == 2
    assert text in capsys.readouterr().err
