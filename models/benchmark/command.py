"""``twincortex benchmark``."""

import json
import sys
import tempfile
from datetime import date
from pathlib import Path

import psutil

from twincortex.models.atomic_output import new_file
from twincortex.models.benchmark.comparison import agreement_of, rates_of, ratios_of
from twincortex.models.benchmark.processes import run_task
from twincortex.models.benchmark.settings import ENGINES, PRECISIONS, Settings, write_settings
from twincortex.models.benchmark.worker import SETTINGS
from twincortex.models.command_line import command_parser, print_json
from twincortex.models.doctor import examine_machine
from twincortex.models.errors import InputError, OutOfMemoryError, TwinCortexError
from twincortex.models.toolchain import count_processors, name_processor

_RANDOM = {"neurons": 5000, "synapses": 2_500_000, "rate_Hz": 5.0}


def benchmark(arguments):
    """Time engines in turn on the same circuit and input: forward, backward, memory, ratios (JSON)."""
    options = _parser().parse_args(arguments)
    settings = _settings(options)
    if options.out and not Path(options.out).absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: there is no such folder. Make it first.")
    with tempfile.TemporaryDirectory(prefix="twincortex-benchmark-") as name:
        folder = Path(name)
        write_settings(folder / SETTINGS, settings)
        result = _measure(settings, folder)
    if options.out:
        with new_file(options.out) as partial:
            partial.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print_json(result)
    return 0 if any("error" not in engine for engine in result["engines"].values()) else TwinCortexError.exit_code


def _parser():
    parser = command_parser(benchmark)
    parser.add_argument("--engines", nargs="+", default=["fused", "reference"], help=", ".join(ENGINES))
    parser.add_argument("--neurons", type=int, help=f"of a random circuit (default {_RANDOM['neurons']:,})")
    parser.add_argument("--synapses", type=int, help=f"of a random circuit (default {_RANDOM['synapses']:,})")
    parser.add_argument("--rate-Hz", type=float, help=f"of a random circuit (default {_RANDOM['rate_Hz']:g})")
    parser.add_argument("--circuit", metavar="FOLDER", help="SONATA circuit of a column, instead of a random one")
    parser.add_argument("--batch", type=int, default=4, help="trials at once; NEST runs the first (default 4)")
    parser.add_argument("--duration", type=float, default=500.0, help="ms (default 500)")
    parser.add_argument("--dt", type=float, default=1.0, help="ms (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="after a warm-up (default 3)")
    parser.add_argument("--threads", type=int, help="of each engine (default: all processors)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="NEST computes in float64")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the engine fused")
    parser.add_argument("--forward-only", action="store_true", help="no gradients")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same circuit and input")
    parser.add_argument("--out", metavar="FILE", help="write the JSON there, too")
    return parser


def _settings(options):
    values = {name: value for name, value in vars(options).items() if name != "out"}
    given = [name for name in _RANDOM if values[name] is not None]
    if options.circuit and given:
        raise InputError(f"--{given[0].replace('_', '-')} is of random circuits; --circuit names one. Leave one out.")
    values |= {name: default for name, default in _RANDOM.items() if values[name] is None}
    values |= {"engines": tuple(options.engines), "threads": options.threads or count_processors()}
    return Settings(**values | {"circuit": options.circuit and str(Path(options.circuit).absolute())})


def _measure(settings, folder):
    machine = examine_machine()
    _tell("circuit and input")
    facts = run_task("prepare", folder)
    _tell("bandwidth")
    bandwidth = run_task("bandwidth", folder)
    engines = {name: _run_engine(name, facts, settings, folder) for name in settings.engines}
    ran = {name: engine for name, engine in engines.items() if "error" not in engine}
    return {
        "date": date.today().isoformat(),
        "machine": {
            **machine["machine"],
            "cpu": name_processor(),
            "memory_GB": round(psutil.virtual_memory().total / 1e9, 1),
            "gpu": machine["tools"]["gpu"],
        },
        "versions": machine["versions"],
        "settings": vars(settings) | {"after_spike_current": settings.after_spike_current},
        "circuit": facts,
        "bandwidth": bandwidth,
        "engines": engines,
        "agreement": agreement_of(ran, facts, settings, folder),
        "ratios": ratios_of(ran, settings, bandwidth),
    }


def _run_engine(name, facts, settings, folder):
    """Times and rates of an engine, or why there are none."""
    _tell(name)
    try:
        engine = run_task(name, folder)
    except TwinCortexError as error:
        _tell(f"{name}: {error}")
        return {"error": str(error), "out_of_memory": isinstance(error, OutOfMemoryError)}
    passes = ", ".join(f"{part} {engine[part]['median']:.3g} s" for part in ("forward", "backward") if engine[part])
    _tell(f"{name}: {passes}; {engine['spikes']:,} spikes")
    return engine | rates_of(engine, facts, settings)


def _tell(text):
    sys.stderr.write(f"benchmark: {text}\n")
    sys.stderr.flush()
