"""Subcommands that run circuits: stimulate, simulate, compare, validate. Engines are imported when they run."""

import dataclasses
import hashlib
import math
import shlex
from pathlib import Path

import numpy as np

from twincortex.models.atomic_output import refuse_existing
from twincortex.models.command_line import add_output_options, command_parser, print_json
from twincortex.models.equivalence import (
    DEFAULT_EQUATIONS,
    ENGINES,
    V_TOLERANCE_MV,
    check_engine,
    check_inputs,
    compare,
    run_engine,
)
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.inputs import MARKER as INPUTS_MARKER
from twincortex.models.inputs import check_lasts, check_stimulable, read_inputs, write_inputs
from twincortex.models.memory_checks import add_override, check_simulation
from twincortex.models.observables import rates_of
from twincortex.models.progress import Progress
from twincortex.models.recording import AFTER_SPIKE_CURRENTS, Run, read_recording, write_recording
from twincortex.models.recording import MARKER as RECORDING_MARKER
from twincortex.models.sonata import read_circuit
from twincortex.models.stimuli import STIMULI, ImageSequence, make_stimulus, stimulus_options

# Not 1, with which Python ends a program that failed.
NOT_EQUAL = 5
_RECORDED_BY_VALIDATE = 200
_IMAGES, _DURATION = "images", 1000.0


def stimulate(arguments):
    """Show a movie to the LGN and write its spikes and those of the background as SONATA."""
    parser = command_parser(stimulate)
    parser.add_argument("circuit", help="folder of a SONATA circuit")
    _add_stimulus_options(parser)
    add_output_options(parser)
    options = parser.parse_args(arguments)
    refuse_existing(options.out, INPUTS_MARKER, options.overwrite)
    inputs, facts = make_inputs(read_circuit(options.circuit), options)
    write_inputs(options.out, inputs, facts, options.overwrite)
    spikes = {source: trains.n_spikes for source, trains in inputs.items()}
    print_json({"inputs": options.out, "spikes": spikes, **facts})


def _add_stimulus_options(parser):
    parser.add_argument("--stimulus", default="grating", help=f"{', '.join(STIMULI)} or {_IMAGES}")
    for name, (default, text) in stimulus_options().items():
        help_text = f"{text} (default {default:g})"
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=None, help=help_text)
    parser.add_argument(
        "--images", metavar="FOLDER", help="png, jpg or tif files, shown once each in the order of their names"
    )
    parser.add_argument(
        "--frame-ms", type=float, help=f"how long each image stays [ms] (default {ImageSequence.frame_ms:g})"
    )
    parser.add_argument("--duration", type=float, help=f"ms (default {_DURATION:g}; of images, until the last is over)")
    parser.add_argument("--dt", type=float, default=1.0, help="ms; step of the simulation that the input is for")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same spikes")


def make_inputs(circuit, options):
    """Draw the spikes of LGN and background for a stimulus.

    Parameters
    ----------
    circuit : Circuit
    options : argparse.Namespace
        Of the stimulus options.

    Returns
    -------
    inputs : dict of source -> SpikeTrains
    facts : dict
        What the spikes are a response to.
    """
    from twincortex.models.background import background_spikes
    from twincortex.models.lgn import lgn_rates, lgn_spikes

    check_stimulable(circuit)
    movie, facts = _make_movie(options)
    check_inputs(circuit, {}, Run(movie.duration, options.dt))
    inputs = {
        "lgn": lgn_spikes(lgn_rates(circuit.lgn_units, movie), seed=options.seed),
        "bkg": background_spikes(movie.duration, seed=options.seed, n_units=circuit.projections["bkg_to_v1"].n_sources),
    }
    facts = {"stimulus": options.stimulus, **facts, "dt": options.dt, "seed": options.seed}
    return inputs, {**facts, "topology_hash": circuit.topology_hash}


def _make_movie(options):
    """Make the movie that the options ask for, and the facts that tell it from others."""
    names = (*stimulus_options(), "images", "frame_ms")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.stimulus == _IMAGES:
        return _make_sequence(options.duration, given)
    if options.stimulus not in STIMULI:
        hint = near_name_hint(options.stimulus, [*STIMULI, _IMAGES])
        raise InputError(f"stimulus {options.stimulus!r} does not exist; {hint}.")
    movie = make_stimulus(options.stimulus, _DURATION if options.duration is None else options.duration, **given)
    return movie, dataclasses.asdict(movie)


def _make_sequence(duration, given):
    """Show each image of a folder once; the facts tell the pixels by their hash."""
    from twincortex.models.stimuli.image_files import RMS_CONTRAST, find_images, read_pictures, scale_contrast

    if "images" not in given:
        raise InputError("stimulus images: no images. Name their folder with --images.")
    odd = set(given) - {"images", "frame_ms", "onset"}
    if odd:
        raise InputError(f"stimulus {_IMAGES!r} has no parameter {min(odd)!r}; it has images, frame_ms and onset.")
    paths = find_images(given["images"])
    pictures, cut = scale_contrast(read_pictures(paths))
    timing = {
        "onset": given.get("onset", ImageSequence.onset),
        "frame_ms": given.get("frame_ms", ImageSequence.frame_ms),
    }
    if duration is None:
        duration = timing["onset"] + len(paths) * timing["frame_ms"]
    movie = ImageSequence(duration, pictures, np.arange(len(paths)), **timing)
    facts = {
        "images": [path.name for path in paths],
        "pixels_sha256": hashlib.sha256(pictures.tobytes()).hexdigest(),
        "rms_contrast": RMS_CONTRAST,
        "share_of_pixels_cut": float(cut.mean()),
    }
    return movie, {"duration": duration, **timing, **facts}


def simulate(arguments):
    """Run a circuit with one engine on given input spikes; write its spikes and membrane potentials."""
    parser = command_parser(simulate)
    parser.add_argument("circuit", help="folder of a SONATA circuit")
    parser.add_argument("--engine", required=True, help=", ".join(ENGINES))
    parser.add_argument("--inputs", required=True, metavar="FOLDER", help="the --out of `twincortex stimulate`")
    parser.add_argument("--duration", type=float, help="ms (default: that of the inputs)")
    parser.add_argument("--dt", type=float, help="ms (default: that of the inputs)")
    parser.add_argument("--record-v", default="", metavar="IDS", help="neurons whose V is recorded: 0,1,2 or all")
    _add_model_options(parser)
    _add_process_options(parser)
    parser.add_argument(
        "--weights", metavar="TAG", help="run with the trained weights *_edges_TAG.h5 of --weights-from"
    )
    parser.add_argument("--weights-from", metavar="FOLDER", help="folder of trained weights (default: of the circuit)")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    check_engine(options.engine, options.equations, options.after_spike_current)
    processes = _processes(options, [options.engine], scratch=Path(options.out).absolute().parent)
    refuse_existing(options.out, RECORDING_MARKER, options.overwrite)
    circuit = _circuit_with_weights(options)
    inputs, facts = read_inputs(options.inputs, circuit)
    run = Run(
        duration=facts["duration"] if options.duration is None else options.duration,
        dt=facts["dt"] if options.dt is None else options.dt,
        record_v=_neurons(options.record_v, circuit.n_neurons),
        after_spike_current=options.after_spike_current,
    )
    check_lasts(facts, run)
    _check_memory(options, [options.engine], circuit, run, inputs)
    with Progress("steps") as progress:
        recording = run_engine(options.engine, circuit, inputs, run, progress, options.equations, processes)
    recording.settings["stimulus"] = facts
    write_recording(recording, options.out, options.overwrite)
    rate = float(rates_of(recording.spikes, 0.0, run.duration).mean())
    print_json(
        {"recording": options.out, "engine": options.engine, "spikes": recording.spikes.n_spikes, "mean_rate_Hz": rate}
    )


def _add_model_options(parser):
    parser.add_argument(
        "--equations", default=DEFAULT_EQUATIONS, metavar="NAME", help="a set of models/equations.py (default glif3)"
    )
    parser.add_argument(
        "--after-spike-current", choices=AFTER_SPIKE_CURRENTS, default="exact", help="step_mean is NEST's"
    )


def _add_process_options(parser):
    parser.add_argument("--threads", type=int, metavar="N", help="of each NEST process (default: all processors)")
    parser.add_argument(
        "--launcher", metavar="COMMAND", help='starts NEST under MPI, such as "mpirun -n 4" (threads then default to 1)'
    )
    add_override(parser)


def _check_memory(options, engines, circuit, run, inputs):
    if not (options.ignore_memory_forecast or options.launcher):  # a launcher may reach other machines
        for engine in engines:
            check_simulation(engine, circuit, run, inputs)


def _processes(options, engines, scratch=None):
    given = [name for name in ("threads", "launcher") if getattr(options, name) is not None]
    if "nest" not in engines:
        if given:
            raise InputError(
                f"--{given[0]} is an option of the engine nest, not of {', '.join(engines)}. Leave it out."
            )
        return None

    from twincortex.models.nest import Processes

    try:
        launcher = tuple(shlex.split(options.launcher or ""))
    except ValueError as error:
        raise InputError(f"--launcher {options.launcher!r}: {error}. Expected a command and its options.") from error
    return Processes(options.threads, launcher, scratch)


def _circuit_with_weights(options):
    if options.weights is None and options.weights_from is not None:
        raise InputError("--weights-from names a folder; pass --weights TAG too, to say which weights in it.")
    if options.engine == "nest":
        from twincortex.models.nest import is_ours, open_circuit_folder

        # Its edges are read by NEST alone: they may be more than this machine holds.
        if is_ours(options.circuit):
            return open_circuit_folder(options.circuit, options.weights_from, options.weights)
    circuit = read_circuit(options.circuit)
    if options.weights is None:
        return circuit

    from twincortex.models.sonata import read_weights

    return circuit.with_weights(
        read_weights(circuit, options.weights_from or f"{options.circuit}/network", options.weights)
    )


def _neurons(text, n_neurons):
    if text == "all":
        return tuple(range(n_neurons))
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InputError(
            f"--record-v {text!r}: expected neuron ids separated by commas, such as 0,1,2, or all."
        ) from None


def compare_recordings(arguments):
    """Compare two recordings: spikes in each, mismatched spikes, largest difference of V (JSON)."""
    parser = command_parser(compare_recordings, "compare")
    parser.add_argument("a", help="the --out of `twincortex simulate`")
    parser.add_argument("b", help="another one, of the same circuit and input")
    options = parser.parse_args(arguments)
    comparison = compare(read_recording(options.a), read_recording(options.b))
    print_json({"recordings": [options.a, options.b], **dataclasses.asdict(comparison)})


def validate(arguments):
    """Stimulate, simulate with several engines and compare; exit code 0 only if all agree, 5 if not (JSON)."""
    parser = command_parser(validate)
    parser.add_argument("circuit", help="folder of a SONATA circuit")
    parser.add_argument("--engines", nargs="+", default=["torch", "brian-cpp"], help="two or more engines")
    _add_stimulus_options(parser)
    _add_model_options(parser)
    _add_process_options(parser)
    parser.add_argument(
        "--tolerance-mv", type=float, default=V_TOLERANCE_MV, help="largest difference of V that is equal"
    )
    options = parser.parse_args(arguments)
    if len(options.engines) < 2:
        raise InputError(
            f"validate compares engines; got only {options.engines[0]!r}. Name two or more after --engines."
        )
    if math.isnan(options.tolerance_mv):
        raise InputError("--tolerance-mv nan: expected a number of mV.")
    for name in options.engines:
        check_engine(name, options.equations, options.after_spike_current)
    processes = _processes(options, options.engines)
    circuit = read_circuit(options.circuit)
    inputs, facts = make_inputs(circuit, options)
    spread = np.linspace(0, circuit.n_neurons - 1, min(_RECORDED_BY_VALIDATE, circuit.n_neurons)).astype(int)
    run = Run(facts["duration"], options.dt, tuple(spread.tolist()), options.after_spike_current)
    _check_memory(options, options.engines, circuit, run, inputs)
    with Progress("steps") as progress:
        recordings = [
            run_engine(name, circuit, inputs, run, progress, options.equations, processes) for name in options.engines
        ]
    comparisons = [compare(recordings[0], other) for other in recordings[1:]]
    equal = all(comparison.is_equal(options.tolerance_mv) for comparison in comparisons)
    results = [dataclasses.asdict(comparison) for comparison in comparisons]
    settings = {"equations": options.equations, "after_spike_current": options.after_spike_current}
    print_json({"circuit": options.circuit, "stimulus": facts, **settings, "comparisons": results, "equal": equal})
    return 0 if equal else NOT_EQUAL
