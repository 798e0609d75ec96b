"""A sitting of training: scores on the way, the best kept, an end where they stop rising."""

import json
import signal

import pytest

from twincortex.models.column import build_column
from twincortex.training.checkpoints import read_checkpoint, read_last_checkpoint
from twincortex.training.config import Protocol, TrainingConfig, Validation
from twincortex.training.loop import Trainer, start_training
from twincortex.training.run_record import RunRecord
from twincortex.training.session import Session
from twincortex.training.tensorboard_log import TensorBoardLog
from twincortex.training.train import main

PROTOCOL = Protocol(batch=1, settle_ms=40.0, settle_every=2, evoked_ms=60.0, spontaneous_ms=60.0)
SHORT = [
    *("--set", "circuit.size=tiny", "--set", "protocol.batch=1", "--set", "protocol.settle_ms=40"),
    *("--set", "protocol.evoked_ms=60", "--set", "protocol.spontaneous_ms=60", "--set", "checkpoints.every=3"),
    *("--set", "validation.at_end=false", "--set", "validation.every=2", "--set", "validation.trials=1"),
]


@pytest.mark.parametrize(
    ("scores", "has_stopped"),
    [
        ([0.5], False),
        ([0.5, 0.4], False),
        ([0.5, 0.4, 0.5], True),
        ([0.5, 0.4, 0.6], False),
        ([0.5, 0.6, 0.4, float("nan"), 0.3], True),
    ],
)
def test_training_ends_when_no_score_within_the_patience_is_better(tmp_path, scores, has_stopped):
    circuit = build_column(30.0, seed=2)
    config = TrainingConfig(steps=4, protocol=PROTOCOL, validation=Validation(patience=2))
    trainer = Trainer(circuit, config, start_training(circuit, config))
    record = RunRecord(tmp_path / "run", "")
    for step, score in enumerate(scores):
        record.validations.add({"step": step, "similarity": score})
    with TensorBoardLog(record.folder) as tensorboard:
        session = Session(trainer, circuit, record.folder, record, tensorboard)
        assert session.has_stopped_rising() == has_stopped
        session.run()
    assert trainer.state.step == (0 if has_stopped else 4)


class InterruptedScores:
    """Scores during which Ctrl-C is pressed at some steps."""

    def __init__(self, trainer, at_steps):
        self.trainer, self.at_steps = trainer, at_steps

    def score(self, column):
        if self.trainer.state.step in self.at_steps:
            signal.raise_signal(signal.SIGINT)
        return {"similarity": 0.5}


@pytest.mark.parametrize("at_step", [0, 1, 2])  # before the first step, on the way, after the last
def test_ctrl_c_while_a_score_is_computed_ends_training_with_a_checkpoint(tmp_path, at_step):
    circuit = build_column(30.0, seed=2)
    config = TrainingConfig(steps=2, protocol=PROTOCOL, validation=Validation(every=1))
    trainer = Trainer(circuit, config, start_training(circuit, config))
    record = RunRecord(tmp_path / "run", "")
    with TensorBoardLog(record.folder) as tensorboard:
        session = Session(trainer, circuit, record.folder, record, tensorboard, InterruptedScores(trainer, [at_step]))
        with pytest.raises(KeyboardInterrupt, match=f"checkpoint of step {at_step} written"):
            session.run()
    assert read_last_checkpoint(record.folder).step == trainer.state.step == at_step


def test_where_scores_stop_rising_between_two_checkpoints_one_is_written(tmp_path):
    circuit = build_column(30.0, seed=2)
    config = TrainingConfig(steps=9, protocol=PROTOCOL, validation=Validation(every=1, patience=1))
    trainer = Trainer(circuit, config, start_training(circuit, config))
    record = RunRecord(tmp_path / "run", "")
    with TensorBoardLog(record.folder) as tensorboard:
        Session(trainer, circuit, record.folder, record, tensorboard, InterruptedScores(trainer, [])).run()
    assert read_last_checkpoint(record.folder).step == trainer.state.step == 1


@pytest.mark.slow
def test_scores_on_the_way_survive_a_resume_and_the_best_weights_stay(tmp_path, capsys):
    main([*SHORT, "--steps", "4", "--out", str(tmp_path / "whole")])
    main([*SHORT, "--steps", "3", "--out", str(tmp_path / "ended")])
    main(["--resume", str(tmp_path / "ended"), "--steps", "4"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["steps"] == 4
    whole = (tmp_path / "whole/validation.csv").read_text()
    assert (tmp_path / "ended/validation.csv").read_text() == whole
    rows = [line.split(",") for line in whole.splitlines()]
    assert [row[0] for row in rows] == ["step", "0", "2", "4"]
    similarity = [float(row[rows[0].index("similarity")]) for row in rows[1:]]
    best = 2 * similarity.index(max(similarity))
    assert read_checkpoint(tmp_path / "ended", "best").step == best
