import json
import shutil

import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.inputs import check_lasts, read_inputs
from twincortex.models.recording import Run

from circuits import small_random_circuit, small_random_inputs


@pytest.fixture
def inputs(input_folder, tmp_path):
    return shutil.copytree(input_folder, tmp_path / "inputs")


def test_reading_gives_the_spikes_that_were_written(circuit, input_folder):
    inputs, facts = read_inputs(input_folder, circuit)
    for source, trains in small_random_inputs(1, circuit, 100.0).items():
        assert np.array_equal(inputs[source].times, trains.times)
        assert np.array_equal(inputs[source].node_ids, trains.node_ids)
    assert facts["duration"] == 100.0


def test_inputs_fit_the_circuit_with_other_weights(circuit, input_folder):
    trained = circuit.with_weights({"v1_to_v1": 2 * circuit.projections["v1_to_v1"].weight})
    assert read_inputs(input_folder, trained)[1]["topology_hash"] == trained.topology_hash


def test_inputs_of_another_circuit_are_refused(inputs):
    with pytest.raises(
        InputError, match=r"stimulus.json: the input was made for the circuit \w+\.\.\., not for this one"
    ):
        read_inputs(inputs, small_random_circuit(seed=8))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"duration": 1.0}', json.dumps({"duration": "long", "dt": 1.0, "topology_hash": ""})]
)
def test_a_damaged_description_is_refused(circuit, inputs, text):
    (inputs / "stimulus.json").write_text(text)
    with pytest.raises(InputError, match=r"stimulus.json is damaged .* Make the input again"):
        read_inputs(inputs, circuit)


def test_a_run_longer_than_its_input_is_refused(circuit, input_folder):
    _, facts = read_inputs(input_folder, circuit)
    for duration in (50.0, 100.0):
        check_lasts(facts, Run(duration))
    with pytest.raises(InputError, match=r"a run of 200 ms on an input of 100 ms .*--duration 100 or less, or make"):
        check_lasts(facts, Run(200.0))


def test_missing_spikes_are_refused(circuit, inputs):
    (inputs / "bkg_spikes.h5").unlink()
    with pytest.raises(InputError, match=r"bkg_spikes.h5 does not exist"):
        read_inputs(inputs, circuit)


def test_spikes_of_a_source_that_the_circuit_lacks_are_refused(circuit, inputs):
    shutil.copy(inputs / "bkg_spikes.h5", inputs / "bgk_spikes.h5")
    with pytest.raises(InputError, match=r"bgk_spikes.h5 is of a source that the circuit lacks; did you mean 'bkg'"):
        read_inputs(inputs, circuit)


def silence(inputs, *sources):
    facts = json.loads((inputs / "stimulus.json").read_text())
    (inputs / "stimulus.json").write_text(json.dumps(facts | {"silent_sources": [*sources]}))


def test_a_source_is_silent_only_if_the_description_says_so(circuit, inputs):
    (inputs / "bkg_spikes.h5").unlink()
    silence(inputs, "bkg")
    trains = read_inputs(inputs, circuit)[0]["bkg"]
    assert (trains.n_units, trains.n_spikes) == (circuit.projections["bkg_to_v1"].n_sources, 0)


def test_a_silent_source_with_spikes_is_refused(circuit, inputs):
    silence(inputs, "bkg")
    with pytest.raises(InputError, match=r"bkg_spikes.h5 holds spikes of a source that stimulus.json calls silent"):
        read_inputs(inputs, circuit)
