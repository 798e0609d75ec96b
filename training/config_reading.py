"""The command line of train.py: YAML files, then overrides; for a resumed run, its own configuration first."""

import dataclasses
import re
import sys
from argparse import ArgumentError
from pathlib import Path

import yaml
from jsonargparse import ArgumentParser

from twincortex.models.errors import InputError, near_name_hint
from twincortex.training.config import TrainingConfig

# All other keys decide the path of the weights, so a run keeps them from its first step to its last. It also keeps the
# trials of a step, protocol.batch times processes: Checkpoint.restore sees to that.
FREE_ON_RESUME = ("steps", "threads", "ignore_memory_forecast", "checkpoints", "validation", "protocol.batch")


def read_config(arguments=None):
    """Read the command line of train.py.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process. ``--set path.to.key=value`` is short for ``--path.to.key value``.

    Returns
    -------
    config : TrainingConfig
    out : str or None
        Run folder to write; None leaves the choice to RunRecord.
    resume : str or None
        Run folder to continue; its config.yaml stands before all arguments.
    text : str
        The whole configuration as YAML.

    Raises
    ------
    InputError
        Unknown keys, values of the wrong type, or a resumed run that would no longer be the same.
    """
    parser = _make_parser()
    arguments = _expand_set(sys.argv[1:] if arguments is None else arguments)
    parsed = _parse(parser, arguments)
    out, resume = parsed.out, parsed.resume
    if resume:
        if out:
            raise InputError(f"--resume {resume} continues in that folder. Leave out --out {out}.")
        before = ["--config", str(_kept_config(resume))]
        parsed = _parse(parser, before + arguments)
        _refuse_changes(_parse(parser, before), parsed, resume)
    made = parser.instantiate(parsed)
    names = [item.name for item in dataclasses.fields(TrainingConfig)]
    config = TrainingConfig(**{name: made[name] for name in names})
    return config, out, resume, yaml.safe_dump(dataclasses.asdict(config), sort_keys=False)


def _make_parser():
    description = "Train a V1 column with backpropagation through time."
    parser = ArgumentParser(prog="train.py", description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file with the keys below; a later one wins.")
    parser.add_argument("--out", type=str, default=None, help="Run folder to write (default: runs/<date and time>).")
    parser.add_argument("--resume", type=str, default=None, help="Run folder whose last checkpoint to continue.")
    parser.add_class_arguments(TrainingConfig)
    return parser


def _parse(parser, arguments):
    try:
        return parser.parse_args(arguments)
    except ArgumentError as error:
        keys = [action.dest for action in parser._actions if action.dest not in ("help", "print_config", "print_shtab")]
        raise InputError(f"{error}{_hint(str(error), keys)}. `train.py --help` says what is known.") from error


def _hint(complaint, keys):
    """Suggest the key nearest to the unknown one that jsonargparse complains about, if that is the complaint."""
    in_group = re.search(r"Group '(.+?)' does not accept option '(.+?)'", complaint)
    alone = re.search(r"Option '(.+?)' is not accepted|unrecognized arguments: --([\w.]+)", complaint)
    if in_group:
        unknown = ".".join(in_group.groups())
    elif alone:
        unknown = alone[1] or alone[2]
    else:
        return ""
    group = unknown.rpartition(".")[0]
    return f"; {near_name_hint(unknown, [key for key in keys if key.rpartition('.')[0] == group] or keys)}"


def _kept_config(run_folder):
    path = Path(run_folder) / "config.yaml"
    if not path.is_file():
        raise InputError(f"{run_folder} is not a run folder of train.py: it holds no config.yaml.")
    return path


def _refuse_changes(kept, asked, run_folder):
    kept, asked = vars(kept.as_flat()), vars(asked.as_flat())
    free = (*FREE_ON_RESUME, "config", "out", "resume")
    same = [name for name in kept if name not in free and name.split(".")[0] not in free]
    changed = [f"{name} ({kept[name]} before, {asked[name]} now)" for name in same if kept[name] != asked[name]]
    if changed:
        raise InputError(
            f"--resume {run_folder}: a run keeps its configuration but for {', '.join(FREE_ON_RESUME)}; changed: "
            f"{', '.join(changed)}. Leave that out, or start a new run with --out."
        )


def _expand_set(arguments):
    expanded = []
    following = iter(arguments)
    for argument in following:
        if argument == "--set":
            expanded.append(f"--{next(following, '')}")
        else:
            expanded.append(argument)
    return expanded
