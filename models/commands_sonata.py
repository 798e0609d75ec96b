"""Subcommands for circuits and spikes made by others: import, check, import-spikes."""

import dataclasses
import json
import math
from pathlib import Path

from twincortex.models.command_line import add_output_options, command_parser, print_json
from twincortex.models.errors import InputError, near_name_hint

REPORT = "import_report.json"


def import_(arguments):
    """Read a SONATA circuit made by others and write it as ours, with a report of what became of it."""
    parser = command_parser(import_, "import")
    _add_circuit_arguments(parser)
    parser.add_argument(
        "--dt", type=float, metavar="MS", help="also report what rounding delays to steps of dt changes"
    )
    add_output_options(parser)
    options = parser.parse_args(arguments)
    if options.dt is not None and not 0 < options.dt < math.inf:
        raise InputError(f"--dt {options.dt} ms: expected a positive number.")

    from twincortex.models.progress import Progress
    from twincortex.models.sonata import import_circuit, new_circuit_folder

    with Progress("connections") as writing, new_circuit_folder(options.out, options.overwrite, writing) as writer:
        circuit, report = import_circuit(options.circuit, options.root, _reading_options(options), options.dt)
        writer.finish(circuit, {REPORT: json.dumps(report.as_dict(), indent=2) + "\n"})
    print_json({"circuit": options.out, **report.as_dict()})


def _add_circuit_arguments(parser):
    parser.add_argument("circuit", help="folder of a SONATA circuit, or its circuit or simulation configuration")
    parser.add_argument(
        "--root", metavar="FOLDER", help="folder that no file may lie outside of (default: that of the configuration)"
    )
    parser.add_argument(
        "--delay-resolution-ms", type=float, metavar="MS", help="round delays to multiples (default: they stay)"
    )
    parser.add_argument(
        "--weights-as-written",
        action="store_true",
        help="take syn_weight times nsyns although types of edges name a function that computes other weights",
    )


def _reading_options(options):
    from twincortex.models.sonata.import_report import ReadingOptions

    return ReadingOptions(options.delay_resolution_ms, options.weights_as_written)


def check(arguments):
    """List everything that is wrong with the files of a SONATA circuit; exit code 2 if it cannot be read (JSON)."""
    parser = command_parser(check)
    _add_circuit_arguments(parser)
    options = parser.parse_args(arguments)

    from twincortex.models.sonata import validate_folder
    from twincortex.models.sonata.import_report import FATAL

    findings = validate_folder(options.circuit, options.root, _reading_options(options))
    n_fatal = sum(finding.severity == FATAL for finding in findings)
    print_json({"fatal": n_fatal, "findings": [dataclasses.asdict(finding) for finding in findings]})
    return InputError.exit_code if n_fatal else 0


def import_spikes(arguments):
    """Make an input folder of SONATA spike files made by others."""
    parser = command_parser(import_spikes, "import-spikes")
    parser.add_argument("circuit", help="folder of a SONATA circuit")
    parser.add_argument(
        "--spikes", nargs="+", default=[], metavar="SOURCE=FILE", help="spikes of a source; others stay silent"
    )
    parser.add_argument("--duration", type=float, required=True, help="ms; no spike may come later")
    parser.add_argument("--dt", type=float, default=1.0, help="ms; step of the simulation that the input is for")
    add_output_options(parser)
    options = parser.parse_args(arguments)

    from twincortex.models.atomic_output import refuse_existing
    from twincortex.models.equivalence import check_inputs
    from twincortex.models.inputs import MARKER, SILENT, external_sources, write_inputs
    from twincortex.models.recording import Run
    from twincortex.models.sonata import import_spikes as read
    from twincortex.models.sonata import read_circuit

    refuse_existing(options.out, MARKER, options.overwrite)
    circuit = read_circuit(options.circuit)
    sources, names = external_sources(circuit), _original_names(circuit)
    files = dict(_split(text, sources) for text in options.spikes)
    inputs = {name: read(path, name, sources[name], names.get(name, ())) for name, path in files.items()}
    check_inputs(circuit, inputs, Run(options.duration, options.dt))
    facts = {
        "stimulus": "imported spikes",
        "files": {name: Path(path).name for name, path in files.items()},
        "duration": options.duration,
        "dt": options.dt,
        SILENT: [name for name in sources if name not in inputs],
        "topology_hash": circuit.topology_hash,
    }
    write_inputs(options.out, inputs, facts, options.overwrite)
    spikes = {source: trains.n_spikes for source, trains in inputs.items()}
    print_json({"inputs": options.out, "spikes": spikes, **facts})


def _split(text, sources):
    name, is_there, path = text.partition("=")
    if not is_there or name not in sources:
        raise InputError(f"--spikes {text!r}: expected SOURCE=FILE; {near_name_hint(name, sources)}.")
    return name, path


def _original_names(circuit):
    """What the populations were called in the files that a circuit was imported from."""
    populations = circuit.provenance.get("populations")
    names = {}
    for name, facts in populations.items() if isinstance(populations, dict) else ():
        if isinstance(facts, dict) and isinstance(facts.get("source"), str):
            names.setdefault(facts["source"], []).append(name)
    return names
