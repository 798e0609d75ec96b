import dataclasses
import shutil

import h5py
import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.packed_weights import (
    pack_weights,
    read_packed,
    unpack_weights,
    with_packed_weights,
    write_packed,
)
from twincortex.models.trained_columns import read_trained_circuit, read_trained_weights, shipped_columns

from circuits import small_random_circuit

NAMES = ("v1_to_v1", "bkg_to_v1")
TRAINING = {"config": ["tiny"], "seed": 7, "weights_from": "the end of training"}


def trained_from(circuit, seed=1, spread=0.6):
    """Factors as training leaves them; some weights come near zero, one becomes zero."""
    rng, weights = np.random.default_rng(seed), {}
    for name in NAMES:
        weight = circuit.projections[name].weight
        log_factor = rng.normal(0, spread, len(weight))
        log_factor[:3] = 1e-6, -8.0, -np.inf
        weights[name] = weight * np.exp(log_factor)
    return circuit.with_weights(weights)


@pytest.fixture(scope="module")
def built():
    """With a weight of zero in each projection."""
    circuit = small_random_circuit(seed=3)
    weights = {name: circuit.projections[name].weight.copy() for name in NAMES}
    for weight in weights.values():
        weight[5] = 0.0
    return circuit.with_weights(weights)


@pytest.fixture(scope="module")
def trained(built):
    return trained_from(built)


@pytest.fixture(scope="module")
def packed_file(built, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "column.h5"
    write_packed(path, pack_weights(built, trained, TRAINING))
    return path


def test_weights_come_back_within_half_precision(built, trained, packed_file):
    weights = unpack_weights(built, read_packed(packed_file))
    assert sorted(weights) == sorted(NAMES)
    for name, weight in weights.items():
        before, after = (circuit.projections[name].weight.astype(np.float64) for circuit in (built, trained))
        nonzero = after != 0
        log_ratio = np.abs(np.log(after[nonzero] / before[nonzero]))
        # Half precision has 11 binary digits, below 2**-14 a fixed step of 2**-24; rounding is wrong by half of the
        # last at most. Factor and product are rounded to float32, each by 2**-24 at most.
        bound = np.expm1(np.maximum(log_ratio * 2.0**-11, 2.0**-25)) + 2.1 * 2.0**-24
        assert np.all(np.abs(weight[nonzero] / after[nonzero] - 1) <= bound)
        assert weight.dtype == np.float32


def test_zeros_and_signs_stay(built, trained, packed_file):
    for name, weight in unpack_weights(built, read_packed(packed_file)).items():
        assert np.array_equal(np.sign(weight), np.sign(trained.projections[name].weight))
        assert weight[5] == weight[2] == 0.0


def test_facts_name_circuit_training_and_rounding(built, trained, packed_file):
    facts = read_packed(packed_file).facts
    assert (facts["topology_hash"], facts["weights_hash"]) == (built.topology_hash, built.weights_hash)
    assert (facts["circuit"], facts["training"]) == (built.provenance, TRAINING)
    again = with_packed_weights(built, read_packed(packed_file))
    assert again.weights_hash == facts["trained_weights_hash"]
    assert again.topology_hash == trained.topology_hash
    assert again.provenance["trained"]["seed"] == 7
    for name in NAMES:
        rounding = facts["projections"][name]
        nonzero = trained.projections[name].weight != 0
        error = np.abs(again.projections[name].weight[nonzero] / trained.projections[name].weight[nonzero] - 1.0)
        # Both in float32 here: its last digit.
        assert rounding["largest_relative_error"] == pytest.approx(error.max(), abs=2.0**-23)
        assert 0 < rounding["median_relative_error"] < rounding["largest_relative_error"]


def test_a_part_of_the_circuit_gets_its_part_of_the_weights(built, packed_file):
    part = dataclasses.replace(built, projections={"v1_to_v1": built.projections["v1_to_v1"]})
    packed = read_packed(packed_file)
    weights = unpack_weights(part, packed)
    assert list(weights) == ["v1_to_v1"]
    assert np.array_equal(weights["v1_to_v1"], unpack_weights(built, packed)["v1_to_v1"])


def test_the_exponential_of_half_precision_is_the_same_float32_on_every_machine():
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)
    exact = np.exp(numbers[np.abs(numbers) < 88])  # beyond, it leaves the range of float32
    # Libraries err by less than 4 units in the last place of float64 (numpy's bound for its own).
    for direction in (0.0, np.inf):
        moved = exact
        for _ in range(4):
            moved = np.nextafter(moved, direction)
        assert np.array_equal(moved.astype(np.float32), exact.astype(np.float32))


def test_a_circuit_that_differs_by_the_rounding_of_another_processor_is_the_same(built, packed_file):
    weight = built.projections["v1_to_v1"].weight.copy()
    weight[100] = np.nextafter(weight[100], np.float32(0))
    nodes = dataclasses.replace(built.nodes, x=np.nextafter(built.nodes.x, 0))
    moved = dataclasses.replace(built.with_weights({"v1_to_v1": weight}), nodes=nodes)
    assert moved.topology_hash != built.topology_hash
    unpacked = unpack_weights(moved, read_packed(packed_file))["v1_to_v1"]
    expected = unpack_weights(built, read_packed(packed_file))["v1_to_v1"]
    np.testing.assert_allclose(unpacked, expected, rtol=2.0**-22)  # two units of float32


def test_another_circuit_is_refused(built, trained, packed_file):
    packed = read_packed(packed_file)
    with pytest.raises(InputError, match=r"the connections of this circuit \(size random, seed 4\) are not those that"):
        unpack_weights(small_random_circuit(seed=4), packed)
    with pytest.raises(InputError, match=r"the weights of this circuit .* are not those that were trained"):
        unpack_weights(trained, packed)
    with pytest.raises(InputError, match="Name the circuit that was trained"):
        pack_weights(small_random_circuit(seed=4), trained, {})


def test_what_no_factor_does_is_refused(built):
    weight = built.projections["v1_to_v1"].weight.copy()
    weight[5] = 1e-3 * np.sign(weight[4])  # zero before
    with pytest.raises(InputError, match=r"off zero or to the other sign, at connections 5; no factor does that"):
        pack_weights(built, built.with_weights({"v1_to_v1": weight}), {})
    with pytest.raises(InputError, match="nothing to pack"):
        pack_weights(built, built, {})
    weight[5], weight[6] = 0.0, np.nan
    with pytest.raises(InputError, match="not finite at connections 6"):
        pack_weights(built, built.with_weights({"v1_to_v1": weight}), {})


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip_bits_of_a_chunk(path):
    with h5py.File(path) as file:
        info = file["log_ratio/v1_to_v1"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[info.byte_offset + info.size // 2] ^= 1
    path.write_bytes(content)


def change_a_factor(path):
    with h5py.File(path, "r+") as file:
        file["log_ratio/v1_to_v1"][7] += 0.1


def change_a_fact(path):
    with h5py.File(path, "r+") as file:
        file.attrs["facts"] = file.attrs["facts"].replace('"seed": 7', '"seed": 8')


def drop_a_projection(path):
    with h5py.File(path, "r+") as file:
        del file["log_ratio/bkg_to_v1"]


def drop_the_facts(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["facts"]


def write_text(path):
    path.write_text("weights")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "cannot be read"),
        (flip_bits_of_a_chunk, "cannot be read"),
        (change_a_factor, "do not have the checksum"),
        (change_a_fact, "do not have the checksum"),
        (drop_a_projection, "do not have the checksum"),
        (drop_the_facts, "Expected a file that `twincortex pack` wrote"),
        (write_text, "cannot be read as HDF5"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_a_damaged_file_is_refused(packed_file, tmp_path, damage, message):
    path = shutil.copy(packed_file, tmp_path / "damaged.h5")
    damage(path)
    with pytest.raises(InputError, match=message) as refused:
        read_packed(path)
    assert str(path) in str(refused.value)


@pytest.fixture
def packed_tiny(tiny, tmp_path):
    write_packed(tmp_path / "tiny.h5", pack_weights(tiny, trained_from(tiny), TRAINING))
    return tmp_path / "tiny.h5"


def test_a_column_is_built_with_trained_weights_and_says_so(command, tiny, packed_tiny, tmp_path):
    column = ["--size", "tiny", "--seed", "1", "--trained", packed_tiny]
    facts = command("build", *column, "--out", tmp_path / "c")
    described = command("info", tmp_path / "c")
    assert described["topology_hash"] == tiny.topology_hash
    assert described["weights_hash"] == facts["weights_hash"] != tiny.weights_hash
    assert facts["weights_hash"] == read_trained_circuit("tiny", 1, packed_tiny).weights_hash
    made = described["provenance"]["trained"]
    assert (made["projections"], made["seed"], made["config"]) == (sorted(NAMES), 7, ["tiny"])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"seed": 2}, "seed 2: .* holds weights of a column with seed 1. Build that"),
        ({"size": "small"}, "size 'small': .* holds weights of a column with size 'tiny'"),
        ({"unit_psp": "published"}, "unit_psp 'published': .* with unit_psp 'recomputed'"),
    ],
)
def test_another_column_is_refused_before_it_is_built(packed_tiny, wanted, message):
    with pytest.raises(InputError, match=message):
        read_trained_weights(**{"size": "tiny", "seed": 1, "path": packed_tiny, **wanted})


@pytest.mark.slow
@pytest.mark.parametrize(("size", "seed"), shipped_columns())
def test_the_trained_weights_that_come_with_the_package_fit_their_column(size, seed):
    path = shipped_columns()[size, seed]
    assert path.stat().st_size < 12e6
    circuit = read_trained_circuit(size, seed)
    facts = read_packed(path).facts
    assert circuit.provenance["trained"].items() >= facts["training"].items()
    for name in facts["projections"]:
        # Half precision of logarithms up to 8.
        assert facts["projections"][name]["largest_relative_error"] < np.expm1(2.0**-8)
        assert np.all(np.isfinite(circuit.projections[name].weight))
