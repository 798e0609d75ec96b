"""Fields of protocols as options of the command line."""

import dataclasses

from twincortex.models.errors import InputError


def option(default, text, at_least=None):
    """Field of a protocol with its default, what it means (unit included), and the least that it can be."""
    return dataclasses.field(default=default, metadata={"help": text, "at_least": at_least})


def check_options(protocol):
    """Refuse values that are less than they can be.

    Parameters
    ----------
    protocol : dataclass made of `option`

    Raises
    ------
    InputError
    """
    for field in dataclasses.fields(protocol):
        least, value = field.metadata["at_least"], getattr(protocol, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if least is not None and not number >= least:  # NaN is not either
                raise InputError(f"{field.name} {number}: expected {least} or more.")


def add_protocol_options(parser, protocol):
    """Add an option for every field of a protocol.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    protocol : type
    """
    for field in dataclasses.fields(protocol):
        name, default = f"--{field.name.replace('_', '-')}", field.default
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        text = (
            f"{field.metadata['help']} (default {shown})" if shown not in ("", None, False) else field.metadata["help"]
        )
        text = text.replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(name, action="store_true", help=text)
        elif isinstance(default, tuple):
            kind = type(default[0]) if default else str
            parser.add_argument(name, nargs="+", type=kind, default=list(default), help=text)
        else:
            parser.add_argument(name, type=type(default), default=default, help=text)


def protocol_of(protocol, options):
    """Make a protocol from parsed options.

    Parameters
    ----------
    protocol : type
    options : argparse.Namespace

    Returns
    -------
    protocol
    """
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(protocol)}
    return protocol(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
