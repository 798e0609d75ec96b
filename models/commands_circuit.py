"""Subcommands that make and describe circuits: build, info."""

import numpy as np

from twincortex.models.command_line import add_output_options, command_parser, print_json
from twincortex.models.delays import edges_per_delay, rounded_delays
from twincortex.models.errors import InputError
from twincortex.models.memory_checks import add_override, check_building, describe_memory

# As in column/sizes.py, which is not imported before it is needed.
_SIZES = "tiny (radius 50 um), profile (100 um), small (200 um), core (400 um) or full (700 um)"


def build(arguments):
    """Build a V1 column from the tables of cell models and wiring, and write it as SONATA."""
    options = _parse_build(arguments)

    from twincortex.models.column import grow_column
    from twincortex.models.column.sizes import column_size
    from twincortex.models.packed_weights import with_packed_weights
    from twincortex.models.progress import Progress
    from twincortex.models.sonata import new_circuit_folder
    from twincortex.models.trained_columns import read_trained_weights

    size = column_size(options.size or options.radius_um, options.core_radius_um)
    if not options.ignore_memory_forecast:
        check_building(size, options.out)
    rules = {
        "fluctuate": options.fluctuate,
        "weight_rule": "like_to_like" if options.like_to_like_weights else "none",
        "unit_psp": "published" if options.published_unit_psps else "recomputed",
    }
    trained = None
    if options.trained is not None:
        trained = read_trained_weights(
            size.name, options.seed, options.trained or None, radius_um=size.radius_um, **rules
        )
    with (
        Progress("neurons") as building,
        Progress("connections") as writing,
        new_circuit_folder(options.out, options.overwrite, writing) as writer,
    ):
        for circuit in grow_column(size, options.seed, progress=building, **rules):
            if trained:
                circuit = with_packed_weights(circuit, trained)
            writer.write_projections(circuit)
        writer.finish(circuit)
    print_json({"circuit": options.out, **count_and_identify(circuit)})


def _parse_build(arguments):
    parser = command_parser(build)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", help=_SIZES)
    size.add_argument(
        "--radius-um",
        type=float,
        metavar="R",
        help="radius of the column instead of a named size; below 50 denser than the tissue",
    )
    parser.add_argument(
        "--core-radius-um", type=float, metavar="R", help="with --radius-um: inner radius (default: half)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same network (default 1)")
    parser.add_argument(
        "--trained",
        nargs="?",
        const="",
        metavar="FILE.h5",
        help="give it trained weights: those that come with twincortex, or those that `twincortex pack` wrote",
    )
    parser.add_argument("--fluctuate", action="store_true", help="draw Poisson counts of neurons per cell model")
    parser.add_argument("--like-to-like-weights", action="store_true", help="stronger weights between similar tuning")
    parser.add_argument("--published-unit-psps", action="store_true", help="recurrent weights exactly as published")
    add_override(parser)
    add_output_options(parser)
    options = parser.parse_args(arguments)
    if options.size is None and options.radius_um is None:
        raise InputError("twincortex build needs a size. Pass --size tiny (or another, see --help) or --radius-um R.")
    return options


def info(arguments):
    """Describe a circuit: neurons per type, edges per projection, delays, hashes, memory of a run (JSON)."""
    parser = command_parser(info)
    parser.add_argument("circuit", help="folder of a SONATA circuit")
    parser.add_argument("--dt", type=float, metavar="MS", help="also tell what rounding delays to steps of dt changes")
    parser.add_argument("--duration", type=float, default=1000.0, metavar="MS", help="of the run (default 1000)")
    parser.add_argument("--batch", type=int, default=4, help="trials per update of a training (default 4)")
    options = parser.parse_args(arguments)
    for name in ("dt", "duration", "batch"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name} {value}: expected a positive number.")

    from twincortex.models.sonata import read_circuit

    circuit = read_circuit(options.circuit)
    memory = describe_memory(circuit, options.duration, options.dt or 1.0, options.batch)
    print_json({**describe_circuit(circuit, options.dt), "memory": memory})


def describe_circuit(circuit, dt=None):
    """Summarize a circuit.

    Parameters
    ----------
    circuit : Circuit
    dt : float [ms], optional
        Step of a simulation, for the rounding of delays.

    Returns
    -------
    dict
        Neurons per cell type; per projection connections, synapses, connections per delay [ms], weights [pA]; with dt
        what rounding changes (`delays.rounded_delays`); hashes; provenance.
    """
    types, counts = np.unique(circuit.cell_type, return_counts=True)
    rounding = {} if dt is None else {"dt": dt, "rounded_delays": rounded_delays(circuit, dt)}
    return {
        **count_and_identify(circuit),
        "neurons_per_type": dict(zip(types.tolist(), counts.tolist(), strict=True)),
        "projections": {name: _describe_projection(projection) for name, projection in circuit.projections.items()},
        **rounding,
        "provenance": circuit.provenance,
    }


def count_and_identify(circuit):
    """Neurons, connections per projection, and the hashes of a circuit.

    Parameters
    ----------
    circuit : Circuit

    Returns
    -------
    dict
    """
    return {
        "neurons": circuit.n_neurons,
        "edges": {name: projection.n_edges for name, projection in circuit.projections.items()},
        "topology_hash": circuit.topology_hash,
        "weights_hash": circuit.weights_hash,
    }


def _describe_projection(projection):
    counts = edges_per_delay(projection).tolist()
    weight = projection.weight
    n_synapses = projection.n_edges if projection.n_synapses is None else int(projection.n_synapses.sum(dtype=np.int64))
    return {
        "units": projection.n_sources,
        "edges": projection.n_edges,
        "synapses": n_synapses,
        "edges_per_delay_ms": dict(zip(map(str, projection.delay_ms.tolist()), counts, strict=True)),
        "weight_pA": {"min": float(weight.min()), "mean": float(weight.mean(dtype=float)), "max": float(weight.max())}
        if len(weight)
        else None,
    }
