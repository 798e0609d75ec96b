"""``twincortex experiment``: run a protocol on a circuit or a run, resume it, gather one tidy file.

What it needs is imported when it runs: `twincortex --help` asks every command for its description.
"""

import sys

from twincortex.models.command_line import command_parser, print_json, print_table
from twincortex.models.equivalence import check_engine
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.memory_checks import add_override


def experiment(arguments):
    """Run a protocol (gratings, contrast, images, silence, perturb-weights) on a circuit or a run; one tidy file."""
    options = _parse(arguments)

    from twincortex.analysis.experiments.session import prepare

    session = prepare(options, (experiment, arguments))
    if options.dry_run:
        print_table(session.description())
    else:
        session.run()
        if not options.share:
            print_json(session.summary())


def _parse(arguments):
    from twincortex.analysis.experiments.protocols import PROTOCOLS
    from twincortex.analysis.experiments.protocols.options import add_protocol_options, protocol_of
    from twincortex.analysis.experiments.running import ENGINES

    name = arguments[0] if arguments else "--help"
    known = f"NAME is one of {', '.join(PROTOCOLS)}; `twincortex experiment NAME --help` lists its options"
    if name in PROTOCOLS:
        parser = command_parser(experiment, f"experiment {name}")
        add_protocol_options(parser.add_argument_group("protocol"), PROTOCOLS[name])
    elif name in ("-h", "--help"):
        parser = command_parser(experiment)
        parser.add_argument("name", metavar="NAME", help=known)
    else:
        raise InputError(f"experiment {name!r} is unknown; {near_name_hint(name, PROTOCOLS)}.")
    _add_options(parser, ENGINES)
    options = parser.parse_args(arguments if name not in PROTOCOLS else arguments[1:])
    if options.engine not in ENGINES:
        raise InputError(f"--engine {options.engine!r} runs no experiments; {near_name_hint(options.engine, ENGINES)}.")
    check_engine(options.engine)
    if options.precision != "float64" and not options.engine.startswith("torch"):
        raise InputError(f"--precision {options.precision}: {options.engine} computes in float64. Leave it out.")
    if options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: expected 1 or more.")
    options.protocol = protocol_of(PROTOCOLS[name], options)
    return options


def _add_options(parser, engines):
    parser.add_argument("folder", metavar="CIRCUIT_OR_RUN", help="folder of a SONATA circuit, or of a training run")
    parser.add_argument("--engine", required=True, help=", ".join(engines))
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder to write, or to go on with")
    parser.add_argument("--overwrite", action="store_true", help="replace an experiment of other settings in --out")
    parser.add_argument("--weights", choices=("trained", "untrained"), help="of a run (default: trained)")
    parser.add_argument("--radius-um", type=float, default=200.0, help="of the core (default 200)")
    parser.add_argument("--dt", type=float, default=1.0, help="ms (default 1)")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64", help="float32 in torch only")
    parser.add_argument("--batch", type=int, help="rollouts at once, in torch (default: up to 10, as many as fit)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, or jobs of a cluster (default 1)")
    parser.add_argument("--cluster", metavar="NAME", help="submit the jobs to slurm (local, debug: try it out here)")
    text = "of submitit, NAME=VALUE: timeout_min, mem_gb, cpus_per_task, slurm_partition, ..."
    parser.add_argument("--cluster-options", nargs="+", default=[], metavar="NAME=VALUE", help=text)
    parser.add_argument("--share", metavar="I/N", help="run the I-th of N shares only; the same without it gathers all")
    parser.add_argument("--parent", type=int, help="end when this process has ended (used by --jobs)")
    parser.add_argument("--dry-run", action="store_true", help="show the table and what it takes; run nothing")
    add_override(parser)


def tell(text):
    """Say something on the way, on stderr."""
    sys.stderr.write(f"{text}\n")
