"""One sitting of a training run: step after step, with everything that is shown and kept on the way."""

import math

from twincortex.models.errors import DivergedError
from twincortex.training.checkpoints import save_checkpoint
from twincortex.training.failure import write_failure
from twincortex.training.interruption import Interruption
from twincortex.training.training_progress import TrainingProgress

SIMILARITY = "similarity"


class Session:
    """Trains until the last step, until the similarity to the recordings stops rising, or until it is asked to end.

    Parameters
    ----------
    trainer : Trainer
    circuit : Circuit
    record : RunRecord
    tensorboard : TensorBoardLog
    validation_set : ValidationSet or None
        None where the configuration asks for no validation on the way.
    """

    def __init__(self, trainer, circuit, record, tensorboard, validation_set=None):
        self.trainer, self.circuit, self.record, self.tensorboard = trainer, circuit, record, tensorboard
        self.validation_set = validation_set

    def run(self):
        """Train.

        Raises
        ------
        DivergedError
            After ``failure/`` was written; the last checkpoint stays.
        KeyboardInterrupt
            After a checkpoint was written.
        """
        config, state = self.trainer.config, self.trainer.state
        with TrainingProgress(state.step, config.steps) as progress, Interruption() as interruption:
            self._validate()
            while not (interruption.asked or state.step >= config.steps or self.has_stopped_rising()):
                self._step(progress)
                if state.step == config.steps or state.step % config.checkpoints.every == 0:
                    self._save()
                if not interruption.asked:
                    self._validate()
            self._save()  # unless it is there: the end may have come between two checkpoints
            if interruption.asked:  # perhaps while the last step was saved or scored
                raise KeyboardInterrupt(f"checkpoint of step {state.step} written")

    def has_stopped_rising(self):
        """Whether as many scores as the patience have brought no better one."""
        patience = self.trainer.config.validation.patience
        scores = [row[SIMILARITY] for row in self.record.validations.rows if not math.isnan(row[SIMILARITY])]
        return patience is not None and len(scores) > patience and max(scores[:-patience]) >= max(scores[-patience:])

    def _step(self, progress):
        try:
            row = self.trainer.update()
        except DivergedError as error:
            where = write_failure(self.record.folder, self.trainer, self.circuit, error)
            raise DivergedError(f"{error} {where}") from error
        self.record.metrics.add(row)
        self.tensorboard.add(row)
        progress.show(row)

    def _save(self):
        save_checkpoint(self.record.folder, self.trainer.state, self.circuit, self.trainer.config.checkpoints.keep)
        self.tensorboard.flush()

    def _validate(self):
        """Score the column where a score is due and not there yet, as after a resume; keep the best."""
        state, every = self.trainer.state, self.trainer.config.validation.every
        rows = self.record.validations.rows
        if self.validation_set is None or state.step % every or (rows and rows[-1]["step"] == state.step):
            return
        scores = self.validation_set.score(state.column)
        before = [row[SIMILARITY] for row in rows if not math.isnan(row[SIMILARITY])]
        if not before or scores[SIMILARITY] > max(before):
            save_checkpoint(self.record.folder, state, self.circuit, name="best")
        self.record.validations.add({"step": state.step} | scores)
        self.tensorboard.add_validation(state.step, scores)
