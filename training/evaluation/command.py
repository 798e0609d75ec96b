"""``twincortex evaluate``: how like the recordings a circuit, or a run before and after training, is.

What it needs is imported when it runs: `twincortex --help` asks every command for its description.
"""

from twincortex.models.command_line import command_parser, print_json
from twincortex.models.equivalence import check_engine
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.memory_checks import add_override
from twincortex.training.evaluation.protocol import EvaluationProtocol

ENGINES = ("torch", "torch-cuda", "torch-reference", "brian-cpp", "brian-cuda", "brian")


def evaluate(arguments):
    """Show held-out gratings to a circuit or a run; compare with recordings (JSON, figures)."""
    options = _parse(arguments)
    protocol = _protocol(options)

    from twincortex.training.evaluation.folders import evaluate_folder

    print_json(_summary(*evaluate_folder(options, protocol)))


def _parse(arguments):
    parser = command_parser(evaluate)
    default = EvaluationProtocol()
    parser.add_argument("folder", help="folder of a SONATA circuit, or of a training run")
    parser.add_argument("--engine", default="torch", help=", ".join(ENGINES))
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64", help="float32 in torch only")
    parser.add_argument("--trials", type=int, default=default.n_trials, help="of each direction (default %(default)s)")
    parser.add_argument("--directions", type=int, default=default.n_directions, help="(default %(default)s)")
    for name, text in (
        ("settle", "gray before anything is measured"),
        ("gray", "gray that is measured"),
        ("grating", "grating"),
    ):
        value = getattr(default, f"{name}_ms")
        parser.add_argument(f"--{name}-ms", type=float, default=value, help=f"{text} (default {value:g} ms)")
    parser.add_argument("--dt", type=float, default=default.dt, help="ms")
    parser.add_argument("--seed", type=int, default=default.seed, help="of phases, noise, pools and bootstrap")
    parser.add_argument("--radius-um", type=float, default=200.0, help="of the core that is scored (default 200)")
    parser.add_argument("--bootstrap", type=int, default=1000, help="samples for intervals (default 1000)")
    parser.add_argument("--batch", type=int, help="trials at once, in torch (default: a direction's, if they fit)")
    parser.add_argument("--checkpoint", choices=("last", "best"), help="of a run (default: its end, or its last one)")
    parser.add_argument("--no-figures", action="store_true", help="numbers only")
    parser.add_argument("--out", metavar="FOLDER", help="folder to write (default, of a run: RUN/evaluation)")
    text = "replace an earlier evaluation; what it measured of the same network in the same way is used again"
    parser.add_argument("--overwrite", action="store_true", help=text)
    add_override(parser)
    options = parser.parse_args(arguments)
    if options.engine not in ENGINES:
        raise InputError(f"--engine {options.engine!r} cannot evaluate; {near_name_hint(options.engine, ENGINES)}.")
    check_engine(options.engine)
    if options.bootstrap < 0:
        raise InputError(f"--bootstrap {options.bootstrap}: expected 0 or more.")
    return options


def _protocol(options):
    return EvaluationProtocol(
        n_directions=options.directions,
        n_trials=options.trials,
        settle_ms=options.settle_ms,
        gray_ms=options.gray_ms,
        grating_ms=options.grating_ms,
        dt=options.dt,
        seed=options.seed,
    )


def _summary(out, facts):
    summary = {"evaluation": str(out), "engine": facts["engine"], "weights_from": facts["weights_from"]}
    for name, network in facts["networks"].items():
        means = {quantity: mean["similarity"] for quantity, mean in network["mean_similarity"].items()}
        errors = {condition: curve["mean_absolute_error"] for condition, curve in network["fano"].items()}
        summary[name] = {"mean_similarity": means, "fano_mean_absolute_error": errors}
    if "weights" in facts:
        weights = facts["weights"]
        flipped = sum(counts["sign_flipped"] for counts in weights["projections"].values())
        moved = sum(counts["moved_from_zero"] + counts["moved_to_zero"] for counts in weights["projections"].values())
        summary["weights"] = {
            "mean_similarity": weights["mean_similarity"], "signs_flipped": flipped, "zeros_moved": moved
        }  # fmt: skip
    return summary
