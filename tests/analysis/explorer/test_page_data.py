"""The data behind the page, without a browser: what is counted, summed, sampled and fitted."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from twincortex.analysis.correlation_sums import correlations, response_vectors
from twincortex.analysis.direction_rule import fit_direction_rule
from twincortex.analysis.explorer.column_view import sample_by_type
from twincortex.analysis.explorer.page_data import PageData
from twincortex.analysis.explorer.subject import read_subject
from twincortex.analysis.wiring_rules import pair_table
from twincortex.models.errors import InputError
from twincortex.models.neuropixels import per_type_quantiles
from twincortex.models.sonata import write_circuit, write_weights

from circuits import small_random_circuit

ASKED = [
    ("/overview", {}),
    ("/neurons", {}),
    ("/neuron", {"id": "0"}),
    ("/raster", {"network": "before"}),
    ("/wiring", {"measure": "orientation", "stage": "after"}),
    ("/pair", {"pre": "L4_Exc", "post": "L4_Exc", "against": "response"}),
]


def edges_of(circuit):
    projection = circuit.projections["v1_to_v1"]
    return projection.sources(), projection.posts(circuit.n_receptors), projection.weight


@pytest.mark.parametrize(("path", "query"), ASKED, ids=[path for path, _ in ASKED])
def test_every_answer_is_json_without_nan(page_data, path, query):
    json.dumps(page_data.answer(path, query), allow_nan=False)


def test_a_neuron_hears_and_tells_what_its_connections_weigh(page_data, before, after):
    neuron = page_data.answer("/neuron", {"id": "7"})
    pre, post, weight = edges_of(before)
    trained = edges_of(after)[2]
    for side, own, partner in (("incoming", post, pre), ("outgoing", pre, post)):
        of_l4 = (own == 7) & (before.cell_type[partner] == "L4_Exc")
        row = next(row for row in neuron[side] if row["partner"] == "L4_Exc")
        assert row["n"] == of_l4.sum() > 0
        assert row["before"] == pytest.approx(weight[of_l4].sum(), rel=1e-3)  # four digits are sent
        assert row["after"] == pytest.approx(trained[of_l4].sum(), rel=1e-3)
    lgn = next(row for row in neuron["incoming"] if row["partner"] == "LGN")
    assert lgn["n"] == (before.projections["lgn_to_v1"].posts(before.n_receptors) == 7).sum()


def test_a_tuning_curve_has_the_standard_error_of_its_trials(page_data, run_folder):
    with np.load(run_folder / "evaluation" / "responses.npz") as file:
        rates = file["trained/grating_counts"][9] / 2.0  # spikes of 2 s
    tuning = page_data.answer("/neuron", {"id": "9"})["tuning"]
    np.testing.assert_allclose(tuning["networks"]["after"]["curve"], rates.mean(axis=1), atol=1e-3)
    error = rates.std(axis=1, ddof=1) / np.sqrt(4)
    np.testing.assert_allclose(tuning["networks"]["after"]["standard_error"], error, atol=1e-3)


def test_the_recorded_type_stands_beside_the_neuron(page_data, before):
    node = int(np.flatnonzero(before.cell_type == "L5_ET")[0])
    recorded = page_data.answer("/neuron", {"id": str(node)})["tuning"]["recorded"]
    assert recorded["type"] == "L5 Exc"
    assert recorded["quantities"]["OSI"]["median"] == pytest.approx(
        per_type_quantiles("OSI").loc["L5 Exc", 0.5], rel=1e-3
    )


def test_a_silent_neuron_has_no_selectivity(page_data):
    assert page_data.answer("/neurons", {})["measured"]["after"]["OSI"][0] is None


def test_a_sample_keeps_the_shares_of_the_types_and_all_of_a_rare_one():
    types = np.repeat([0, 1, 2], [9000, 990, 10])
    sample = sample_by_type(types, n_most=1000, n_least=50)
    assert np.bincount(types[sample]).tolist() == [900, 99, 10]
    assert (np.diff(sample) > 0).all()
    np.testing.assert_array_equal(sample, sample_by_type(types, n_most=1000, n_least=50))
    assert len(sample_by_type(types, n_most=10_000)) == 10_000


def test_a_raster_is_sorted_by_type_and_tuning_angle(page_data, before, run_folder):
    raster = page_data.answer("/raster", {"network": "after"})
    rows = np.array(raster["rows"])
    assert (np.diff(raster["row_type"]) >= 0).all()
    same = np.diff(raster["row_type"]) == 0
    assert (np.diff(before.nodes.tuning_angle[rows])[same] >= 0).all()
    with np.load(run_folder / "evaluation" / "responses.npz") as file:
        np.testing.assert_array_equal(rows[raster["row"]], file["trained/raster_ids"])


def test_the_heat_map_and_the_pair_say_the_same_of_the_direction_rule(page_data, before, after):
    pairs = pair_table(before, after, 200.0)
    chosen = pairs[(pairs.pre_type == "L4_Exc") & (pairs.post_type == "L6_Exc")]
    fit = fit_direction_rule(chosen.delta_deg, chosen.weight_after_pA.abs()).iloc[0]
    pair = page_data.answer("/pair", {"pre": "L4_Exc", "post": "L6_Exc", "against": "direction"})
    assert pair["n"] == pair["stages"]["after"]["n"] == len(chosen)
    assert pair["stages"]["after"]["fit"]["b"] == pytest.approx(fit.b, rel=1e-5)
    effect = pair["stages"]["after"]["effects"]["orientation"]
    assert effect["value"] == pytest.approx(fit.b_over_c, rel=1e-3)
    matrix = page_data.answer("/wiring", {"measure": "orientation", "stage": "after"})
    types = page_data.subject.types
    row, column = types.index("L4_Exc"), types.index("L6_Exc")
    assert matrix["n"][row][column] == len(chosen)
    assert [matrix[name][row][column] for name in ("value", "low", "high")] == pytest.approx(
        [effect[name] for name in ("value", "low", "high")], rel=1e-3, abs=1e-5
    )
    change = page_data.answer("/wiring", {"measure": "orientation", "stage": "change"})
    assert change["value"][row][column] == pytest.approx(0.3, abs=0.01)  # as the weights were made


def test_dots_against_the_response_correlation_are_those_of_the_curves(page_data, run_folder, before):
    pair = page_data.answer("/pair", {"pre": "L4_Exc", "post": "L4_Exc", "against": "response"})
    with np.load(run_folder / "evaluation" / "responses.npz") as file:
        curve = file["untrained/curve"]
    pre, post, weight = edges_of(before)
    chosen = (before.cell_type[pre] == "L4_Exc") & (before.cell_type[post] == "L4_Exc")
    r = correlations(pre[chosen], post[chosen], response_vectors(curve))
    stage = pair["stages"]["before"]
    assert stage["n"] == (~np.isnan(r)).sum()
    if stage["n"] <= 2000:
        np.testing.assert_allclose(stage["x"], r[~np.isnan(r)], atol=1e-3)
    center = (stage["fit"]["low"] + stage["fit"]["high"]) / 2
    middle = np.abs(weight[chosen])[(r >= stage["fit"]["low"]) & (r <= stage["fit"]["high"])].mean()
    assert stage["fit"]["slope"] * center + stage["fit"]["intercept"] == pytest.approx(middle, rel=0.1)  # r is not even


def test_mean_weights_and_counts_are_those_of_the_connections(page_data, before):
    pre, post, weight = edges_of(before)
    chosen = (before.cell_type[pre] == "L4_PV") & (before.cell_type[post] == "L4_Exc")
    types = page_data.subject.types
    row, column = types.index("L4_PV"), types.index("L4_Exc")
    mean = page_data.answer("/wiring", {"measure": "weight", "stage": "before"})["value"][row][column]
    assert mean == pytest.approx(np.abs(weight[chosen]).mean(), rel=1e-4)
    assert page_data.answer("/wiring", {"measure": "number", "stage": "before"})["value"][row][column] == chosen.sum()


def test_connections_outside_the_radius_do_not_count(run_folder, before):
    near = np.hypot(before.nodes.x, before.nodes.z) < 30
    pre, post, _ = edges_of(before)
    data = PageData(read_subject(run_folder, core_radius_um=30.0))
    answer = data.answer("/wiring", {"measure": "number", "stage": "before"})
    assert answer["n_connections"] == (near[pre] & near[post]).sum()


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        ("/neuron", {"id": "300"}, "neuron 300: expected 0 to 299"),
        ("/neuron", {"id": "x"}, "Expected a whole number"),
        ("/neuron", {}, "expected id, got none"),
        ("/neurons", {"id": "1"}, "expected no query, got id"),
        ("/raster", {"network": "trained"}, "expected one of before, after"),
        ("/wiring", {"measure": "orientaton", "stage": "after"}, "did you mean 'orientation'"),
        ("/wiring", {"measure": "response", "stage": "change"}, "stage 'change' is not shown"),
        ("/pair", {"pre": "L4", "post": "L4_Exc", "against": "direction"}, "cell type 'L4' is not shown"),
        ("/pair", {"pre": "L4_Exc", "post": "L4_Exc", "against": "rate"}, "quantity 'rate' is not shown"),
    ],
)
def test_what_there_is_not_is_refused(page_data, path, query, text):
    with pytest.raises(InputError, match=text):
        page_data.answer(path, query)


def test_a_run_without_an_evaluation_says_what_adds_it(bare_run):
    data = PageData(read_subject(bare_run))
    overview = data.answer("/overview", {})
    assert overview["networks"] == []
    assert f"twincortex evaluate {bare_run}" in overview["missing"][0]["command"]
    assert data.answer("/neuron", {"id": "1"})["tuning"] is None
    assert "response" not in [measure["name"] for measure in overview["measures"]]
    with pytest.raises(InputError, match="twincortex evaluate"):
        data.answer("/raster", {"network": "before"})


def test_a_circuit_has_no_after(bare_run):
    data = PageData(read_subject(bare_run / "circuit"))
    overview = data.answer("/overview", {})
    assert (overview["kind"], overview["stages"]) == ("circuit", ["before"])
    assert all("after" not in measure["stages"] for measure in overview["measures"])
    assert "after" not in data.answer("/neuron", {"id": "1"})["outgoing"][0]


def test_populations_that_are_not_of_the_column_are_shown_without_a_rule(before, tmp_path):
    names = before.node_types.pop_name.copy()
    names[names == "i1Htr3a"] = "mine"
    ei = np.where(
        names == "mine", "i", before.ei[[np.flatnonzero(before.nodes.type_index == m)[0] for m in range(len(names))]]
    )
    types = dataclasses.replace(before.node_types, pop_name=names, ei=ei)
    write_circuit(dataclasses.replace(before, node_types=types), tmp_path / "circuit")
    data = PageData(read_subject(tmp_path / "circuit"))
    assert data.subject.types[-1] == "mine"
    node = int(np.flatnonzero(data.subject.type_number == len(data.subject.types) - 1)[0])
    assert data.answer("/neuron", {"id": str(node)})["population"] == "mine"
    assert data.answer("/wiring", {"measure": "number", "stage": "before"})["n"][-1][0] is None


def test_an_evaluation_of_another_column_is_refused(run_folder, tmp_path):
    write_circuit(small_random_circuit(seed=2, n=50), tmp_path / "circuit")
    shutil.copytree(run_folder / "evaluation", tmp_path / "evaluation")
    with pytest.raises(InputError, match="measured in another column"):
        read_subject(tmp_path / "circuit", tmp_path / "evaluation")


def test_an_evaluation_of_other_weights_is_remarked(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "weights")
    before = read_subject(run_folder).circuits["before"]
    write_weights(before, tmp_path / "run" / "weights", "trained")
    assert "after training are those of other weights" in read_subject(tmp_path / "run").evaluation.remarks[0]


def test_a_damaged_evaluation_is_refused(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "evaluation" / "responses.npz").write_bytes(b"PK broken")
    with pytest.raises(InputError, match="no evaluation that can be read"):
        read_subject(tmp_path / "run")


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(InputError, match="nor a circuit"):
        read_subject(tmp_path)
