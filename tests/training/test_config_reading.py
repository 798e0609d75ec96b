"""The command line of train.py: files, overrides, typing errors, and what a resumed run may change."""

from dataclasses import replace
from pathlib import Path

import pytest

from twincortex.models.errors import InputError
from twincortex.models.surrogate import REFERENCE_SHAPING
from twincortex.training.config import Protocol, TrainingConfig
from twincortex.training.config_reading import read_config
from twincortex.training.loss_options import Losses
from twincortex.training.schedules import ScheduleStage

CONFIGS = Path(__file__).resolve().parents[2] / "training/configs"
TINY = str(CONFIGS / "tiny.yaml")


def test_overrides_win_over_the_file_and_the_file_over_the_defaults():
    config, out, resume, text = read_config(
        ["--config", TINY, "--set", "protocol.batch=3", "--steps", "7", "--out", "x"]
    )
    assert (config.steps, config.protocol.batch, config.protocol.evoked_ms) == (7, 3, 200.0)
    assert config.gradient == TrainingConfig().gradient
    assert (out, resume) == ("x", None)
    assert "batch: 3" in text
    assert "out:" not in text


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_configuration_is_readable(name):
    config, *_ = read_config(["--config", str(CONFIGS / f"{name}.yaml")])
    assert config.steps > 0


def test_the_reference_is_a_second_file():
    config, *_ = read_config(["--config", TINY, "--config", str(CONFIGS / "reference.yaml")])
    tiny = read_config(["--config", TINY])[0]
    optimization = replace(tiny.optimization, learning_rate=0.005)
    protocol = replace(Protocol(), updates="sequential")
    assert config == replace(tiny, gradient=REFERENCE_SHAPING, protocol=protocol, optimization=optimization)


def test_the_unconstrained_run_is_a_second_file():
    config, *_ = read_config(["--config", TINY, "--config", str(CONFIGS / "unconstrained.yaml")])
    assert config.optimization.optimizer == "adam"
    assert config.losses.weight_distribution.cost == 0
    assert config.losses.rate == Losses().rate


def test_a_schedule_is_a_list_of_stages():
    stage = "{name: StepLR, updates: 5, options: {step_size: 2, gamma: 0.5}}"
    config, *_, text = read_config(["--set", f"optimization.schedule=[{stage}]"])
    assert config.optimization.schedule == [ScheduleStage("StepLR", 5, {"step_size": 2, "gamma": 0.5})]
    assert "step_size: 2\n" in text  # a whole number stays one, as some schedulers ask for
    with pytest.raises(InputError, match="did you mean 'StepLR'"):
        read_config(["--set", f"optimization.schedule=[{stage.replace('StepLR', 'StpLR')}]"])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--set", "protocol.bach=3"], "did you mean 'protocol.batch'"),
        (["--set", "losses.selectvity.cost=3"], "did you mean 'losses.selectivity.cost'"),
        (["--config", "losses: {rate: {csot: 3}}"], "did you mean 'losses.rate.cost'"),
        (["--set", "losses.voltage.mode=treshold"], "did you mean 'threshold'"),
        (["--set", "protocol.updates=seqential"], "did you mean 'sequential'"),
        (["--stps", "3"], "did you mean 'steps'"),
        (["--config", "protocol: {bach: 3}"], "did you mean 'protocol.batch'"),
        (["--config", "stps: 3"], "did you mean 'steps'"),
        (["--config", "protcol: {batch: 3}"], "did you mean 'protocol.batch'"),
        (["--steps", "many"], "int"),
        (["--config", None], "File does not exist"),
    ],
)
def test_typing_errors_are_bad_input_and_name_the_nearest_key(tmp_path, arguments, hint):
    if arguments[0] == "--config":
        file = tmp_path / "config.yaml"
        if arguments[1]:
            file.write_text(arguments[1])
        arguments = ["--config", str(file)]
    with pytest.raises(InputError, match=hint) as end:
        read_config(arguments)
    assert end.value.exit_code == 2


@pytest.fixture
def run_folder(tmp_path):
    """The configuration of an earlier run."""
    (tmp_path / "config.yaml").write_text(read_config(["--config", TINY, "--seed", "8"])[-1])
    return str(tmp_path)


def test_a_resumed_run_keeps_its_configuration_but_for_steps_threads_and_validation(run_folder):
    kept, _, resume, _ = read_config(["--resume", run_folder])
    config, _, _, text = read_config(["--resume", run_folder, "--steps", "99", "--set", "validation.engine=brian"])
    assert resume == run_folder
    assert kept.seed == 8
    assert config == replace(kept, steps=99, validation=replace(kept.validation, engine="brian"))
    assert "steps: 99" in text


def test_a_resumed_run_refuses_any_other_change_and_names_it(run_folder):
    with pytest.raises(InputError, match=r"protocol.settle_every \(\d+ before, 3 now\), optimization.learning_rate"):
        read_config(["--resume", run_folder, "--set", "protocol.settle_every=3", "--optimization.learning_rate", "0.5"])
    with pytest.raises(InputError, match=r"seed \(8 before, 5 now\)"):
        read_config(["--resume", run_folder, "--config", TINY])
    with pytest.raises(InputError, match="Leave out --out x"):
        read_config(["--resume", run_folder, "--out", "x"])
    with pytest.raises(InputError, match=r"no config.yaml"):
        read_config(["--resume", f"{run_folder}/elsewhere"])


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("protocol.batch=0", "batch"),
        ("protocol.settle_every=0", "settle_every"),
        ("protocol.dt=0.3", "whole number of steps"),
        ("threads=0", "threads"),
        ("checkpoints.every=0", "checkpoints.every"),
        ("validation.patience=0", "validation.patience"),
        ("steps=-1", "steps"),
        ("validation.directions=[]", "directions"),
        ("optimization.projections=[]", "projections"),
    ],
)
def test_values_that_no_step_could_run_are_refused_before_anything_starts(option, expected):
    with pytest.raises(InputError, match=expected):
        read_config(["--set", option])
