"""The configuration as YAML, line by line, with what differs from the defaults."""

import dataclasses
from dataclasses import dataclass

import yaml

from twincortex.training.config import TrainingConfig


@dataclass(frozen=True)
class ConfigLine:
    """A line of YAML.

    Attributes
    ----------
    indent, text : str
    differs : bool
    remark : str
        The default, where it differs.
    """

    indent: str
    text: str
    differs: bool = False
    remark: str = ""


def config_lines(config):
    """Write a configuration as lines.

    Parameters
    ----------
    config : dict
        config.yaml; keys that this version does not know are marked.

    Returns
    -------
    list of ConfigLine
    """
    return list(_lines(config, dataclasses.asdict(TrainingConfig()), 0))


def _lines(config, defaults, depth):
    for key, value in config.items():
        default = defaults.get(key)
        if isinstance(value, dict) and value and isinstance(default, dict) and default:
            yield ConfigLine("  " * depth, f"{key}:")
            yield from _lines(value, default, depth + 1)
            continue
        if key not in defaults:
            remark = "unknown to this version"
        else:
            remark = "" if value == default else f"default: {_in_one_line(default)}"
        first, *others = yaml.safe_dump({key: value}, sort_keys=False).splitlines()
        yield ConfigLine("  " * depth, first, bool(remark), remark)
        yield from (ConfigLine("  " * depth, text, bool(remark)) for text in others)


def _in_one_line(value):
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
