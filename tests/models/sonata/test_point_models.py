"""What NEST's and the Allen Institute's cell models become, and which are refused."""

from pathlib import Path

import numpy as np
import pytest

from twincortex.models.errors import FileError
from twincortex.models.parameters import model_parameters, read_cell_models
from twincortex.models.sonata.cell_model_reading import unify
from twincortex.models.sonata.point_models import TEMPLATES, translate

from foreign_circuits import GLIF1, GLIF3, IAF, NEURON_CONFIG

FILE = Path("cells") / "x.json"
ALPHA, DOUBLE, GLIF_PSC = "nest:iaf_psc_alpha", "nest:glif_psc_double_alpha", "nest:glif_psc"
LIF, LIF_ASC = "nest:glif_lif_psc", "nest:glif_lif_asc_psc"


def without(content, *words):
    return {word: value for word, value in content.items() if word not in words}


def test_a_model_without_after_spike_currents_has_none():
    model = translate(DOUBLE, FILE, GLIF3 | {"after_spike_currents": False})
    assert not any(name.startswith("asc") for name in model.parameters)
    assert "asc_amps: no effect, the model has no after-spike currents" in model.notes


def test_the_slow_part_of_an_alpha_receptor_has_no_effect():
    receptors = translate(GLIF_PSC, FILE, GLIF1).receptors
    assert receptors["tau_fast"].tolist() == receptors["tau_slow"].tolist() == [5.5, 8.5, 5.5]
    assert (receptors["amp_slow"] > 0).all(), "NEST refuses 0"
    assert (1.0 + receptors["amp_slow"] == 1.0).all()


def test_the_membrane_of_iaf_psc_alpha_gets_its_conductance_from_the_time_constant():
    model = translate(ALPHA, FILE, IAF)
    assert (model.parameters["C_m"], model.parameters["g"]) == (200.0, 10.0)
    assert model.by_sign
    assert model.receptors["tau_fast"].tolist() == [1.5, 4.0]


def test_what_iaf_psc_alpha_leaves_out_is_as_in_nest_and_said_so():
    model = translate(ALPHA, FILE, without(IAF, "tau_syn_in", "t_ref", "V_m"))
    assert model.receptors["tau_fast"].tolist() == [1.5, 2.0]
    assert model.parameters["t_ref"] == 2.0
    assert "tau_syn_in is not given: 2, as in NEST" in model.notes
    assert any("V_m is not given: NEST would start" in note for note in model.notes)


def test_the_defaults_of_iaf_psc_alpha_are_those_of_nest():
    nest = pytest.importorskip("nest", reason="nest-simulator is not installed")
    from twincortex.models.sonata.point_models import _IAF_DEFAULTS

    defaults = nest.GetDefaults("iaf_psc_alpha")
    assert {word: defaults[word] for word in _IAF_DEFAULTS} == _IAF_DEFAULTS


def test_a_cell_of_the_allen_database_is_converted_as_by_bmtk():
    glif_utils = pytest.importorskip("bmtk.simulator.pointnet.glif_utils", reason="BMTK is not installed")
    template, expected = glif_utils.convert_aibs2nest(LIF_ASC, NEURON_CONFIG)
    ours, theirs = translate(LIF_ASC, FILE, NEURON_CONFIG), translate(template, FILE, plain(expected))
    assert ours.parameters == theirs.parameters
    assert all(np.array_equal(ours.receptors[name], theirs.receptors[name]) for name in ours.receptors)
    assert "tau_syn: [5.5, 8.5, 2.8, 5.8] ms, which BMTK gives" in ours.notes[0]


def plain(content):
    return {word: np.asarray(value).tolist() for word, value in content.items()}


def test_the_same_cell_as_glif1_loses_its_after_spike_currents_and_says_so():
    glif1, glif3 = translate(LIF, FILE, NEURON_CONFIG), translate(LIF_ASC, FILE, NEURON_CONFIG)
    assert glif1.parameters == {name: value for name, value in glif3.parameters.items() if "asc" not in name}
    assert "asc_amp_array: no effect" in glif1.notes


def test_parameters_of_the_module_of_the_allen_institute_are_understood():
    content = without(GLIF1, "after_spike_currents") | {
        "k": [0.003, 0.1],
        "asc_amps": [-1.0, -2.0],
        "asc_init": [0.0, 0.0],
    }
    model = translate(LIF_ASC, FILE, content | {"V_dynamics_method": "linear_exact"})
    assert model.parameters["asc_decay_1"] == 0.1
    assert model.parameters["asc_r_0"] == 1.0
    assert "asc_r is not given: 1, as in NEST" in model.notes


def test_the_published_models_come_back_from_their_files():
    published = model_parameters(read_cell_models().iloc[:3])
    for row in range(3):
        ours = {name: values[row] for name, values in published.items()}
        content = {name: ours[name] for name in ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")} | {
            "V_m": ours["E_L"],
            "asc_init": [0.0, 0.0],
            **{
                word: [ours[f"{stem}_{j}"] for j in (0, 1)]
                for stem, word in (("asc_decay", "asc_decay"), ("asc_amp", "asc_amps"))
            },
            "tau_syn_fast": [1.0],
            "tau_syn_slow": [2.0],
            "amp_slow": [0.5],
            "after_spike_currents": True,
        }
        assert translate(DOUBLE, FILE, content).parameters == ours


REFUSED = {
    "GLIF2": (
        DOUBLE,
        GLIF3 | {"spike_dependent_threshold": True},
        "spike_dependent_threshold is true .GLIF2, GLIF4 or",
    ),
    "GLIF5": (DOUBLE, GLIF3 | {"adapting_threshold": True}, "adapting_threshold is true"),
    "a threshold that might move": (GLIF_PSC, GLIF1 | {"th_spike_add": 0.4}, "th_spike_add is given, not spike_dep"),
    "a constant current": (ALPHA, IAF | {"I_e": 5.0}, "I_e is not 0"),
    "a start elsewhere": (DOUBLE, GLIF3 | {"V_m": -70.0}, "V_m is -70.0, E_L is -75.0"),
    "currents at the start": (DOUBLE, GLIF3 | {"asc_init": [1.0, 0.0]}, "asc_init is not 0"),
    "a lower bound": (ALPHA, IAF | {"V_min": -90.0}, "no engine here bounds V"),
    "silence about currents": (DOUBLE, without(GLIF3, "after_spike_currents"), "asc_amps without after_spike_currents"),
    "lists of different lengths": (DOUBLE, GLIF3 | {"asc_amps": [1.0]}, "expected as many of each"),
    "receptors of different lengths": (DOUBLE, GLIF3 | {"amp_slow": [1.0]}, "expected one entry per receptor"),
    "a growing current": (DOUBLE, GLIF3 | {"asc_decay": [0.1, -0.1]}, "rates above 0"),
    "a word of unknown effect": (GLIF_PSC, GLIF1 | {"tau_magic": 3.0}, "tau_magic is 3.0, which is not understood"),
    "a word missing": (GLIF_PSC, without(GLIF1, "C_m"), "no number for C_m"),
    "text for a number": (GLIF_PSC, GLIF1 | {"g": "8.0"}, "no number for g"),
    "a list for a number": (GLIF_PSC, GLIF1 | {"g": [8.0, 9.0]}, "g is a list of 2; expected one number"),
    "a truth that is none": (GLIF_PSC, GLIF1 | {"after_spike_currents": "no"}, "expected true or false"),
    "a huge number": (GLIF_PSC, GLIF1 | {"g": 10**400}, "no number for g"),
    "a reset above threshold": (GLIF_PSC, GLIF1 | {"V_reset": -40.0}, "expected V_reset < V_th"),
    "no time constant": (ALPHA, IAF | {"tau_syn_in": []}, "tau_syn_in is a list of 0; expected one number"),
    "no refractory time": (ALPHA, IAF | {"t_ref": 0.0}, "t_ref > 0"),
    "a forward Euler method": (LIF, GLIF1 | {"V_dynamics_method": "linear_forward_euler"}, "expected 'linear_exact'"),
    "a model of another kind": ("nest:iaf_psc_delta", IAF, "'nest:iaf_psc_delta' is not supported; did you mean"),
    "a cell with a moving threshold": (
        LIF_ASC,
        NEURON_CONFIG | {"threshold_dynamics_method": {"name": "three_components_exact", "params": {}}},
        "threshold_dynamics_method is 'three_components_exact'; GLIF1 and GLIF3 know inf only",
    ),
    "a cell with a reset rule": (
        LIF_ASC,
        NEURON_CONFIG | {"voltage_reset_method": {"name": "v_before", "params": {"a": 0.2, "b": 1.0}}},
        "voltage_reset_method is 'v_before'",
    ),
    "a cell without currents under a template with them": (
        LIF_ASC,
        NEURON_CONFIG | {"AScurrent_reset_method": {"name": "none", "params": {}}},
        "the cell has no after-spike currents, but its model template has them",
    ),
    "a cell with other r": (
        LIF_ASC,
        NEURON_CONFIG | {"AScurrent_reset_method": {"name": "sum", "params": {"r": [0.5, 1.0]}}},
        "BMTK and NEST take 1",
    ),
    "a cell that starts elsewhere": (LIF, NEURON_CONFIG | {"init_voltage": 0.01}, "init_voltage is not 0"),
    "a cell of the database as glif_psc": (GLIF_PSC, NEURON_CONFIG, "no number for tau_syn"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_dynamics_are_refused_by_name(case):
    template, content, message = REFUSED[case]
    with pytest.raises(FileError, match=message) as caught:
        translate(template, FILE, content)
    assert caught.value.file == str(FILE)


def test_models_of_all_kinds_get_as_many_receptors_and_currents():
    models = [translate(DOUBLE, FILE, GLIF3), translate(GLIF_PSC, FILE, GLIF1), translate(ALPHA, FILE, IAF)]
    parameters, receptors, map_, notes = unify(models)
    assert parameters["asc_amp_1"].tolist() == [-50.0, 0.0, 0.0]
    assert receptors["tau_fast"].tolist() == [[2.0, 3.0], [5.5, 8.5], [1.5, 4.0]]
    assert map_.n_receptors == 2
    # receptor_type 1 to 3 of the GLIF models, whatever the sign; the sign alone for iaf_psc_alpha
    assert map_.of_type[:, 1:, 0].tolist() == [[0, 1, -1], [0, 1, 0], [-1, -1, -1]]
    assert map_.of_type[2, 0].tolist() == [0, 1]
    assert notes["merged"] == ["receptor_type 3 is merged into receptor 1: 1 cell models"]
    assert notes["padded"] == ["2 after-spike currents of amplitude 0 added: 2 cell models"]


def test_every_template_says_what_it_is():
    assert all(model.__doc__ for model in TEMPLATES.values())
