from functools import cache

import pytest

from twincortex.models.circuit import validate
from twincortex.models.column import build_column
from twincortex.models.column.sizes import column_size
from twincortex.models.errors import InputError

SEED = 1


@cache
def tiny(seed=SEED, **options):
    return build_column("tiny", seed, **options)


def hashes(circuit):
    return circuit.topology_hash, circuit.weights_hash


def test_the_column_has_its_three_projections_and_passes_validation():
    circuit = tiny()
    validate(circuit)
    assert circuit.n_neurons == 1141
    assert set(circuit.projections) == {"v1_to_v1", "lgn_to_v1", "bkg_to_v1"}
    assert [circuit.projections[name].n_sources for name in ("v1_to_v1", "lgn_to_v1", "bkg_to_v1")] == [
        1141,
        17400,
        100,
    ]


def test_the_same_seed_gives_the_same_column_whatever_the_threads():
    assert hashes(tiny()) == hashes(build_column("tiny", SEED, n_threads=1)) == hashes(tiny(n_threads=3))


def test_another_seed_gives_another_column():
    assert not set(hashes(tiny())) & set(hashes(tiny(SEED + 1)))


def test_a_radius_gives_the_column_of_the_named_size():
    assert hashes(build_column(column_size(50.0, 20.0), SEED)) == hashes(tiny())


def test_weight_options_change_the_weights_only():
    for option in ({"weight_rule": "like_to_like"}, {"unit_psp": "published"}):
        other = tiny(**option)
        assert other.topology_hash == tiny().topology_hash
        assert other.weights_hash != tiny().weights_hash


def test_provenance_says_how_the_column_was_made():
    provenance = tiny(weight_rule="like_to_like").provenance
    assert provenance["version"]
    expected = {"size": "tiny", "radius_um": 50.0, "core_radius_um": 20.0, "seed": SEED, "weight_rule": "like_to_like"}
    expected |= {"unit_psp": "recomputed", "fluctuate": False}
    assert {name: provenance[name] for name in expected} == expected


def test_progress_names_the_stage():
    stages = []
    build_column(20.0, SEED, progress=lambda stage, done, total: stages.append((stage, done == total)))
    complete = {stage for stage, is_complete in stages if is_complete}
    assert complete == {"recurrent connections", "recurrent weights", "LGN connections"}


@pytest.mark.parametrize("options", [{"size": "tinny"}, {"weight_rule": "l2l"}, {"unit_psp": "new"}])
def test_unknown_options_are_refused_before_anything_is_built(options):
    with pytest.raises(InputError):
        build_column(**{"size": "full", "seed": SEED, **options})
