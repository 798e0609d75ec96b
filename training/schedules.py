"""Learning-rate schedules: torch's own, one after the other."""

from dataclasses import dataclass, field

from torch.optim import lr_scheduler

from twincortex.models.errors import InputError, near_name_hint

# Those that need nothing but the number of updates done.
SCHEDULERS = (
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "StepLR",
)


@dataclass
class ScheduleStage:
    """One scheduler of torch.optim.lr_scheduler and how long it rules.

    Attributes
    ----------
    name : str
        For example ``CosineAnnealingLR``.
    updates : int
        After so many the next stage begins; the last one rules to the end.
    options : dict of str -> number
        Keyword arguments of the scheduler, for example ``{T_max: 950, eta_min: 0.001}``.
    """

    name: str
    updates: int
    options: dict[str, int | float | list[int]] = field(default_factory=dict)

    def __post_init__(self):
        """Refuse unknown schedulers and stages that never rule."""
        if self.name not in SCHEDULERS:
            raise InputError(
                f"optimization.schedule: {self.name!r} is unknown; {near_name_hint(self.name, SCHEDULERS)}."
            )
        if self.updates < 1:
            raise InputError(f"optimization.schedule: {self.name} for {self.updates} updates; expected 1 or more.")


def make_scheduler(optimizer, stages):
    """Chain the stages of a schedule.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        With the learning rate that the stages modify.
    stages : list of ScheduleStage

    Returns
    -------
    torch.optim.lr_scheduler.LRScheduler or None
        None for no stages: the learning rate stays what it is.

    Raises
    ------
    InputError
        A scheduler refuses its options.
    """
    if not stages:
        return None
    schedulers, milestones, end = [], [], 0
    for stage in stages:
        try:
            schedulers.append(getattr(lr_scheduler, stage.name)(optimizer, **stage.options))
        except (TypeError, ValueError) as error:
            raise InputError(f"optimization.schedule: {stage.name} refuses {stage.options}: {error}.") from error
        end += stage.updates
        milestones.append(end)
    return lr_scheduler.SequentialLR(optimizer, schedulers, milestones[:-1])
