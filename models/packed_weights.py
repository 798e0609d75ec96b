"""Trained weights as what training did to the weights of a built circuit: the logarithm of a factor in half precision.

Two bytes a connection, and less once compressed; whoever builds the same circuit gets the trained one without training.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from twincortex.models.atomic_output import new_file
from twincortex.models.circuit import validate
from twincortex.models.errors import FileError, InputError, first_offenders
from twincortex.models.hdf5.access import CUT, names_in
from twincortex.models.hdf5.reading import open_hdf5, read_attribute, read_dataset, read_group
from twincortex.models.hdf5.structure import refuse_dangerous
from twincortex.models.hdf5.writing import hdf5_to_write

_CHUNK = 2**18
_GROUP = "log_ratio"


@dataclass(frozen=True)
class PackedWeights:
    """What training did to a circuit.

    Attributes
    ----------
    log_ratio : dict of projection name -> (E,) float16 array
        ln(trained / built) in canonical order, of the projections that training changed.
    facts : dict
        Which circuit (``circuit``: its provenance; ``topology_hash``; ``weights_hash`` of the built one,
        ``trained_weights_hash`` of the unpacked one), which training, ``version``; and per projection ``n_edges``,
        ``largest_`` and ``median_relative_error`` of the rounding, and the fingerprints by which it is known again.
    """

    log_ratio: dict
    facts: dict


def pack_weights(built, trained, training):
    """Pack what training did to a circuit.

    Parameters
    ----------
    built, trained : Circuit
        The same circuit with its first and with its last weights.
    training : dict
        How it was trained, ready for JSON.

    Returns
    -------
    PackedWeights
        A factor exp(x) becomes wrong by at most ``|x| 2**-11`` of itself (2**-25 for \\|x\\| < 2**-14): half a unit in
        the last of the 11 binary digits of x. Weights that training has brought to zero stay zero.

    Raises
    ------
    InputError
        Two different circuits, weights of the wrong sign, a weight that was zero and is not any more, or no weight has
        changed.
    """
    if trained.topology_hash != built.topology_hash:
        raise InputError(
            f"the trained circuit ({trained.topology_hash[:12]}...) is not the built one "
            f"({built.topology_hash[:12]}...). Name the circuit that was trained."
        )
    validate(trained)
    weights = {name: (built.projections[name].weight, trained.projections[name].weight) for name in built.projections}
    log_ratio = {
        name: _log_ratio(name, before, after)
        for name, (before, after) in weights.items()
        if not np.array_equal(before, after)
    }
    if not log_ratio:
        raise InputError(
            "trained and built circuit have the same weights: there is nothing to pack. Name a run that has trained."
        )
    unpacked = {name: _multiply(weights[name][0], ratio) for name, ratio in log_ratio.items()}
    return PackedWeights(
        log_ratio,
        {
            "circuit": built.provenance,
            "topology_hash": built.topology_hash,
            "weights_hash": built.weights_hash,
            "trained_weights_hash": built.with_weights(unpacked).weights_hash,
            "training": training,
            "version": version("twincortex"),
            "projections": {
                name: {
                    "n_edges": len(weight),
                    **_rounding(weights[name][1], weight),
                    **_fingerprints(built, name),
                }
                for name, weight in unpacked.items()
            },
        },
    )


def _log_ratio(name, before, after):
    is_zero = before == 0
    wrong = np.flatnonzero((np.sign(after) != np.sign(before)) & ((after != 0) | is_zero))
    if len(wrong):
        raise InputError(
            f"{name}: training has moved weights off zero or to the other sign, at connections "
            f"{first_offenders(wrong)}; no factor does that. Train with an optimizer that keeps signs and zeros."
        )
    ratio = np.ones(len(before))
    np.divide(after, before, out=ratio, where=~is_zero, dtype=np.float64)
    with np.errstate(divide="ignore"):  # of a weight that has become zero, -inf
        return np.log(ratio).astype(np.float16)


def _multiply(weight, log_ratio):
    """Multiply by the exponential, with the same result on every machine.

    The exponential in float64 may differ in its last bit between processors. Rounded to float32 it does not: for no
    half-precision number lies it so near the middle between two of them (a test says so). The product of two float32 is
    the same everywhere.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # among all the numbers there are
        factors = np.exp(np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)).astype(np.float32)
    return weight * factors[log_ratio.view(np.uint16)]


def _rounding(trained, unpacked):
    nonzero = trained != 0
    error = np.abs(unpacked[nonzero] / trained[nonzero].astype(np.float64) - 1)
    return {
        "largest_relative_error": float(error.max(initial=0.0)),
        "median_relative_error": float(np.median(error)) if len(error) else 0.0,
    }


def _fingerprints(circuit, name):
    """Hashes of what a factor per connection relies on.

    Not of the last bits: where a processor's cosines and exponentials differ in their last bit (numpy's do, with and
    without AVX-512), a neuron is placed or a weight drawn by one unit in the last digit elsewhere, and the circuit has
    other hashes. So positions do not count, and weights with the first 16 of their 32 bits, that is to 0.8 %. Of the
    4.3 million float32 weights of small fewer than 0.05 are expected to differ at all.
    """
    projection = circuit.projections[name]
    wiring = hashlib.sha256()
    for array in (circuit.nodes.type_index, projection.indptr, projection.target, projection.delay_code):
        wiring.update(np.ascontiguousarray(array))
    first_bits = (np.ascontiguousarray(projection.weight).view(np.uint32) >> 16).astype(np.uint16)
    return {"wiring_sha256": wiring.hexdigest(), "weights_sha256": hashlib.sha256(first_bits).hexdigest()}


def unpack_weights(built, packed):
    """Trained weights for a circuit.

    Parameters
    ----------
    built : Circuit
        The one that was trained, with the weights that it was built with; perhaps not all of its projections.
    packed : PackedWeights

    Returns
    -------
    dict of projection name -> (E,) float32 array [pA]
        For `Circuit.with_weights`. From the same weights, the same on every machine, bit by bit.

    Raises
    ------
    InputError
        Another circuit, or its weights are others already.
    """
    weights = {}
    for name in packed.log_ratio.keys() & built.projections.keys():
        expected, found = packed.facts["projections"][name], _fingerprints(built, name)
        for key, what in (("wiring_sha256", "connections"), ("weights_sha256", "weights")):
            if found[key] != expected[key]:
                raise InputError(
                    f"{name}: the {what} of this circuit ({_made(built.provenance)}) are not those that were trained "
                    f"({_made(packed.facts['circuit'])}). Build that circuit, with the weights it is built with."
                )
        weights[name] = _multiply(built.projections[name].weight, packed.log_ratio[name])
    return weights


def with_packed_weights(built, packed):
    """The trained circuit.

    Parameters
    ----------
    built : Circuit
    packed : PackedWeights

    Returns
    -------
    Circuit
        Its provenance says under ``trained`` how.

    Raises
    ------
    InputError
        See `unpack_weights`.
    """
    circuit = built.with_weights(unpack_weights(built, packed))
    made = {"projections": sorted(packed.log_ratio), **packed.facts["training"], "version": packed.facts["version"]}
    return dataclasses.replace(circuit, provenance=built.provenance | {"trained": made})


def _made(provenance):
    return ", ".join(f"{name} {value}" for name, value in provenance.items() if name != "version") or "unknown"


def write_packed(path, packed):
    """Write packed weights as HDF5, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Replaced where it exists.
    packed : PackedWeights

    Raises
    ------
    InputError
        It cannot be written.
    """
    with new_file(path) as partial, hdf5_to_write(partial) as file:
        file.attrs["facts"] = json.dumps(packed.facts)
        file.attrs["sha256"] = _digest(file.attrs["facts"], packed.log_ratio)
        for name, values in packed.log_ratio.items():
            file.create_dataset(
                f"{_GROUP}/{name}",
                data=values,
                chunks=(min(len(values), _CHUNK),),
                # Of npz, safetensors and HDF5 the smallest: 7.6, 8.1 and 8.8 MB for 4.3 million connections.
                shuffle=True,
                compression="gzip",
                fletcher32=True,
            )


def read_packed(path):
    """Read what `write_packed` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    PackedWeights

    Raises
    ------
    InputError
        Missing, damaged, or something else.
    """
    refuse_dangerous([path])
    with open_hdf5(path) as file:
        facts, digest = (read_attribute(file, name) for name in ("facts", "sha256"))
        if not isinstance(facts, str) or not isinstance(digest, str):
            raise FileError(f"{path} holds no packed weights. Expected a file that `twincortex pack` wrote.", path)
        group = read_group(file, _GROUP)
        log_ratio = {name: read_dataset(group, name) for name in names_in(group)}
    if _digest(facts, log_ratio) != digest:
        raise FileError(f"{path} is damaged: its contents do not have the checksum it was written with. {CUT}", path)
    return PackedWeights(log_ratio, json.loads(facts))


def _digest(facts, log_ratio):
    digest = hashlib.sha256(facts.encode())
    for name in sorted(log_ratio):
        digest.update(f"\0{name} {log_ratio[name].dtype}\0".encode())
        digest.update(np.ascontiguousarray(log_ratio[name]))
    return digest.hexdigest()
