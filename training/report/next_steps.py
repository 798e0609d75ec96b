"""What a run still lacks, and the commands that go on from it."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class NextStep:
    """Something to do.

    Attributes
    ----------
    what : str
    command : str
    """

    what: str
    command: str


def find_missing(contents):
    """What the folder does not hold yet.

    Parameters
    ----------
    contents : RunContents

    Returns
    -------
    list of NextStep
    """
    commands = _commands(contents)
    missing = [NextStep(f"{reason}: it cannot be read", commands["report"]) for reason in contents.unreadable]
    if contents.state == "unfinished":
        missing.append(NextStep("The last steps, the trained weights and the test in two engines.", commands["resume"]))
    elif contents.state == "diverged":
        missing.append(NextStep("The steps from where it diverged on, in a new run.", commands["start again"]))
    elif not contents.held_out:
        missing.append(NextStep("The test of the trained weights in two engines.", commands["resume"]))
    if contents.validation.empty:
        missing.append(NextStep("Similarity to the recordings on the way.", commands["validate on the way"]))
    if not contents.evaluation:
        missing.append(NextStep("The evaluation: similarity to the recordings, type by type.", commands["evaluate"]))
    return missing


def find_next_steps(contents):
    """Commands that go on from here.

    Parameters
    ----------
    contents : RunContents

    Returns
    -------
    list of NextStep
    """
    commands = _commands(contents)
    steps = [NextStep("Train on", commands["train on"]), NextStep("Evaluate", commands["evaluate"])]
    steps += [NextStep("Make this page again", commands["report"]), NextStep("See it live", commands["tensorboard"])]
    if (contents.folder / "weights").is_dir():
        steps.append(NextStep("Simulate the trained column", commands["simulate"]))
    return steps


def _commands(contents):
    run = shlex.quote(str(contents.folder))
    resume = f"python training/train.py --resume {run}"
    steps = contents.config.get("steps", 0)
    lower_rate = contents.config.get("optimization", {}).get("learning_rate", 0.02) / 4
    return {
        "resume": resume,
        "start again": f"python training/train.py --config {run}/config.yaml --out NEW_RUN "
        f"--set optimization.learning_rate={lower_rate:g}",
        "train on": f"{resume} --steps {steps if contents.state == 'unfinished' else 2 * steps}",
        "validate on the way": f"{resume} --steps {2 * steps} --set validation.every={max(1, steps // 20)}",
        "evaluate": f"twincortex evaluate {run}",
        "report": f"twincortex report {run} --overwrite",
        "tensorboard": f"tensorboard --logdir {run}/tensorboard",
        "simulate": f"twincortex simulate {run}/circuit --weights trained --weights-from {run}/weights --engine torch "
        "--inputs INPUTS --duration 1000 --out OUT",
    }
