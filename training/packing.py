"""``twincortex pack``: what a training did to its circuit, in one small file."""

import argparse
import shlex
from pathlib import Path

from twincortex.models.command_line import command_parser, print_json
from twincortex.models.errors import FileError, InputError


def pack(arguments):
    """Pack the trained weights of a run into one small file (half-precision factors to the built weights)."""
    parser = command_parser(pack)
    parser.add_argument("folder", help="run folder, or a folder of trained weights such as RUN/weights")
    parser.add_argument("--circuit", metavar="FOLDER", help="with a folder of weights: the circuit they belong to")
    parser.add_argument("--checkpoint", choices=("last", "best"), help="of a run (default: its end, or its last one)")
    parser.add_argument("--out", required=True, metavar="FILE.h5", help="file to write; whole or not at all")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file of this command")
    options = parser.parse_args(arguments)

    from twincortex.models.packed_weights import pack_weights, write_packed

    out = Path(options.out)
    _refuse_to_replace(out, options.overwrite)
    packed = pack_weights(*_read(options))
    write_packed(out, packed)
    print_json({"packed": str(out), "bytes": out.stat().st_size, **packed.facts})


def _read(options):
    """Built circuit, trained circuit, and how it was trained."""
    from twincortex.models.sonata import read_circuit, read_weights
    from twincortex.training.evaluation.networks import TRAINED, UNTRAINED, read_networks

    folder = Path(options.folder)
    if options.circuit:
        if options.checkpoint:
            raise InputError(
                f"{folder} is taken for a folder of weights, which has no checkpoints. Leave out --circuit."
            )
        built = read_circuit(options.circuit)
        return built, built.with_weights(read_weights(built, folder, "trained")), {"weights_from": folder.name}
    networks = read_networks(folder, options.checkpoint)
    if not networks.is_run:
        raise InputError(f"{folder} is a circuit. Expected the --out folder of training/train.py.")
    circuits = networks.circuits
    return circuits[UNTRAINED], circuits[TRAINED], describe_training(folder, networks.weights_from)


def describe_training(run_folder, weights_from):
    """How a run was trained, for whoever meets its weights alone.

    Parameters
    ----------
    run_folder : Path
    weights_from : str
        See `read_networks`.

    Returns
    -------
    dict
        ``weights_from``; and as far as the folder says it ``config`` (names of configuration files), ``seed`` and
        ``updates_of_run``.
    """
    import json

    import pandas as pd
    import yaml

    facts = {"weights_from": weights_from}
    if (run_folder / "environment.json").is_file():
        command = json.loads((run_folder / "environment.json").read_text())["command"]
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--config", action="append", default=[])
        known, _ = parser.parse_known_args(shlex.split(command))
        facts["config"] = [Path(name).stem for name in known.config]
    if (run_folder / "config.yaml").is_file():
        facts["seed"] = yaml.safe_load((run_folder / "config.yaml").read_text())["seed"]
    if (run_folder / "metrics.csv").is_file():
        facts["updates_of_run"] = len(pd.read_csv(run_folder / "metrics.csv"))
    return facts


def _refuse_to_replace(out, overwrite):
    if not out.exists():
        return
    if not overwrite:
        raise InputError(f"{out} exists already. Choose another --out, or pass --overwrite to replace it.")
    from twincortex.models.packed_weights import read_packed

    try:
        read_packed(out)
    except FileError as error:
        raise InputError(
            f"{out} holds no packed weights, so it stays untouched. Choose another --out, or remove it yourself."
        ) from error
