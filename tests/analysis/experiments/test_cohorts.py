"""Cohorts and perturbed weights: the right neurons, the right connections, signs kept."""

import json

import numpy as np
import pandas as pd
import pytest

from twincortex.analysis.experiments.cohorts import find_cohort, in_group, summed_weights
from twincortex.analysis.experiments.perturbations import find_pairs, scale_weights, shuffle_weights
from twincortex.models.errors import InputError

from circuits import small_random_circuit

CIRCUIT = small_random_circuit(seed=4, n=300, in_degree=30)
CORE = np.hypot(CIRCUIT.nodes.x, CIRCUIT.nodes.z) < 45


def edges(circuit=CIRCUIT):
    projection = circuit.projections["v1_to_v1"]
    return pd.DataFrame(
        {
            "pre": projection.sources(),
            "post": projection.posts(circuit.n_receptors),
            "weight": projection.weight.astype(float),
        }
    )


def test_classes_are_unions_of_cell_types():
    exc, inh = in_group(CIRCUIT, "Exc"), in_group(CIRCUIT, "Inh")
    assert (exc ^ inh).all()
    three = [in_group(CIRCUIT, name) for name in ("PV", "SST", "VIP")]
    np.testing.assert_array_equal(inh, np.any([*three, in_group(CIRCUIT, "L1_Inh")], axis=0))
    np.testing.assert_array_equal(in_group(CIRCUIT, "L4_PV"), CIRCUIT.cell_type == "L4_PV")


@pytest.mark.parametrize(("side", "end"), [("outgoing", "pre"), ("incoming", "post")])
def test_weights_are_summed_without_their_signs(side, end):
    expected = edges().assign(weight=lambda table: table.weight.abs()).groupby(end).weight.sum()
    np.testing.assert_allclose(summed_weights(CIRCUIT, side), expected.reindex(range(300), fill_value=0), rtol=1e-12)


@pytest.mark.parametrize("side", ["outgoing", "incoming"])
def test_thirds_are_ranked_within_each_type_of_the_core(side):
    top, bottom = (find_cohort(CIRCUIT, CORE, f"Inh:{third}:{side}") for third in ("top", "bottom"))
    summed, types = summed_weights(CIRCUIT, side), CIRCUIT.cell_type
    assert not (top & bottom).any()
    assert not (top & ~CORE).any()
    for name in np.unique(types[CIRCUIT.ei == "i"]):
        members = CORE & (types == name)
        assert (top & members).sum() == (bottom & members).sum() == members.sum() // 3
        if (top & members).any():
            assert summed[top & members].min() >= summed[members & ~top].max()
            assert summed[bottom & members].max() <= summed[members & ~bottom].min()
    assert top.sum() > 10
    if side == "outgoing":
        np.testing.assert_array_equal(top, find_cohort(CIRCUIT, CORE, "Inh:top"))


def test_lists_of_neurons_are_read_from_csv_and_from_sonata_node_sets(tmp_path):
    pd.DataFrame({"node_id": [5, 17, 299]}).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "sets.json").write_text(json.dumps({"mine": {"node_id": [5, 17, 299]}}))
    for text in (f"{tmp_path}/mine.csv", f"{tmp_path}/sets.json#mine"):
        assert np.flatnonzero(find_cohort(CIRCUIT, CORE, text)).tolist() == [5, 17, 299]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Exz", "did you mean 'Exc'"),
        ("Exc:upper", "expected GROUP, or GROUP:top"),
        ("Exc:top:outgoing:x", "expected GROUP"),
        ("no.csv", "cannot be read"),
        ("{folder}/far.csv", "node_id 300; expected 0 to 299"),
        ("{folder}/empty.csv", "empty or not of whole numbers"),
        ("{folder}/sets.json#yours", "cannot be read"),
    ],
)
def test_what_names_no_cohort_is_refused(tmp_path, text, complaint):
    pd.DataFrame({"node_id": [5, 300]}).to_csv(tmp_path / "far.csv", index=False)
    pd.DataFrame({"node_id": []}).to_csv(tmp_path / "empty.csv", index=False)
    (tmp_path / "sets.json").write_text(json.dumps({"mine": {"node_id": [5]}}))
    with pytest.raises(InputError, match=complaint):
        find_cohort(CIRCUIT, CORE, text.format(folder=tmp_path))


def test_only_the_chosen_pairs_are_scaled_and_a_connection_belongs_to_one_pair():
    pairs = find_pairs(CIRCUIT, ("Exc:Inh", "Exc:PV", "SST:Exc")[::2])
    chosen = np.concatenate(list(pairs.values()))
    before, after = edges(), edges(scale_weights(CIRCUIT, pairs, 0.5))
    is_chosen = np.isin(np.arange(len(before)), chosen)
    np.testing.assert_array_equal(after.weight[~is_chosen], before.weight[~is_chosen])
    np.testing.assert_array_equal(after.weight[is_chosen], 0.5 * before.weight[is_chosen])
    expected = (in_group(CIRCUIT, "Exc")[before.pre] & in_group(CIRCUIT, "Inh")[before.post]) | (
        in_group(CIRCUIT, "SST")[before.pre] & in_group(CIRCUIT, "Exc")[before.post]
    )
    np.testing.assert_array_equal(is_chosen, expected)
    with pytest.raises(InputError, match="'Exc:PV': no connection that is not of an earlier pair"):
        find_pairs(CIRCUIT, ("Exc:Inh", "Exc:PV"))


def test_shuffling_keeps_the_magnitudes_of_each_pair_and_every_sign():
    pairs = find_pairs(CIRCUIT, ("Exc:Inh", "Inh:Exc"))
    before, after = edges().weight.to_numpy(), edges(shuffle_weights(CIRCUIT, pairs, 1)).weight.to_numpy()
    for chosen in pairs.values():
        assert (before[chosen] != after[chosen]).mean() > 0.9
        np.testing.assert_array_equal(np.sort(np.abs(before[chosen])), np.sort(np.abs(after[chosen])))
    np.testing.assert_array_equal(np.sign(before), np.sign(after))
    again, other = (edges(shuffle_weights(CIRCUIT, pairs, seed)).weight.to_numpy() for seed in (1, 2))
    np.testing.assert_array_equal(again, after)
    assert (other != after).any()
