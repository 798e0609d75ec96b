"""One sitting of a training run: step after step, with everything that is shown and kept on the way."""

import math
from contextlib import nullcontext

from twincortex.models.errors import DivergedError
from twincortex.training.checkpoint_folders import BEST, LAST
from twincortex.training.checkpoints import save_checkpoint
from twincortex.training.failure import write_failure
from twincortex.training.interruption import Interruption
from twincortex.training.training_progress import TrainingProgress
from twincortex.training.training_state import weights_digest

SIMILARITY = "similarity"


class Session:
    """Trains until the last step, until the similarity to the recordings stops rising, or until it is asked to end.

    All processes of a run go through it together; one of them writes, scores and speaks.

    Parameters
    ----------
    trainer : Trainer
    circuit : Circuit
    folder : Path
        Of the run, the same for all processes.
    record : RunRecord or None
    tensorboard : TensorBoardLog or None
        Both None in all processes but the writer.
    validation_set : ValidationSet or None
        None also where the configuration asks for no validation on the way.
    """

    def __init__(self, trainer, circuit, folder, record=None, tensorboard=None, validation_set=None):
        self.trainer, self.circuit, self.folder, self.processes = trainer, circuit, folder, trainer.processes
        self.record, self.tensorboard, self.validation_set = record, tensorboard, validation_set

    def run(self):
        """Train.

        Raises
        ------
        DivergedError
            After ``failure/`` was written; the last checkpoint stays.
        KeyboardInterrupt
            After a checkpoint was written, in all processes, whichever was asked to end.
        InputError
            The processes do not start from the same weights.
        """
        config, state = self.trainer.config, self.trainer.state
        self.processes.require_same("step and weights", f"{state.step} {weights_digest(state.column)}")
        with self._open_progress() as progress, Interruption() as interruption:
            self._validate(interruption)
            while not self._ends(interruption):
                self._step(progress)
                if state.step == config.steps or state.step % config.checkpoints.every == 0:
                    self._save()
                self._validate(interruption)
            self._save()  # unless it is there: the end may have come between two checkpoints
            if self.processes.any(interruption.asked):  # perhaps while the last step was saved or scored
                raise KeyboardInterrupt(f"checkpoint of step {state.step} written")

    def has_stopped_rising(self):
        """Whether as many scores as the patience have brought no better one."""
        patience = self.trainer.config.validation.patience
        if self.record is None:
            return False
        scores = [row[SIMILARITY] for row in self.record.validations.rows if not math.isnan(row[SIMILARITY])]
        return patience is not None and len(scores) > patience and max(scores[:-patience]) >= max(scores[-patience:])

    def _ends(self, interruption):
        if self.trainer.state.step >= self.trainer.config.steps:
            return True
        return self.processes.any(interruption.asked or self.has_stopped_rising())

    def _open_progress(self):
        is_writer, step = self.processes.is_writer, self.trainer.state.step
        return TrainingProgress(step, self.trainer.config.steps) if is_writer else nullcontext()

    def _step(self, progress):
        try:
            row = self.trainer.update()
        except DivergedError as error:
            raise DivergedError(f"{error} {self._write_failures(error)}") from error
        if self.processes.is_writer:
            self.record.metrics.add(row)
            self.tensorboard.add(row)
            progress.show(row)

    def _write_failures(self, error):
        where = write_failure(self.folder, self.trainer, self.circuit, error)
        if self.processes.count == 1:
            return where
        where = f"Process {self.processes.rank}: {where}" if where else ""
        texts = self.processes.gather(where) or [where]
        self.processes.any(False)  # none ends before all have written
        return " ".join(filter(None, texts))

    def _save(self, name=LAST):
        keep = self.trainer.config.checkpoints.keep
        save_checkpoint(self.folder, self.trainer.state, self.circuit, keep, name, self.processes)
        if self.processes.is_writer:
            self.tensorboard.flush()

    def _validate(self, interruption):
        """Score the column where a score is due; keep the best."""
        step, every = self.trainer.state.step, self.trainer.config.validation.every
        if not every or step % every:
            return
        scores = None if interruption.asked else self._score()
        if self.processes.any(scores is not None and self._is_best(scores)):
            self._save(BEST)
        if scores is not None:
            self.record.validations.add({"step": step} | scores)
            self.tensorboard.add_validation(step, scores)

    def _score(self):
        """Scores of this step; None in the processes that do not score, and if they are there, as after a resume."""
        state, rows = self.trainer.state, self.record.validations.rows if self.record else []
        if self.validation_set is None or (rows and rows[-1]["step"] == state.step):
            return None
        return self.validation_set.score(state.column)

    def _is_best(self, scores):
        before = [row[SIMILARITY] for row in self.record.validations.rows if not math.isnan(row[SIMILARITY])]
        return not before or scores[SIMILARITY] > max(before)
