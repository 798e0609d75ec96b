"""The tables are what their sources say, whole, and give every cell the receptors of its inputs."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twincortex.models import parameters
from twincortex.models.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = Path(os.environ.get("TWINCORTEX_SOURCE_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.mark.skipif(
    not (SOURCE / "circuit").is_dir(),
    reason="the source tables are not part of the project: set TWINCORTEX_SOURCE_DATA to a folder with circuit/",
)
def test_deriving_the_tables_again_gives_the_shipped_files(tmp_path):
    folder = REPOSITORY / "models/data"
    spec = importlib.util.spec_from_file_location("derive_tables", folder / "derive_tables.py")
    derive_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(derive_tables)
    derive_tables.write_tables(SOURCE, tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 8
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_tables_are_complete():
    models, populations = parameters.read_cell_models(), parameters.read_populations()
    assert (len(models), models.n_full.sum()) == (201, 203_816)
    assert (len(populations), populations.cell_type.nunique()) == (22, 19)
    assert set(models.pop_name) == set(populations.index)
    assert len(parameters.read_class_pairs()) == 81
    assert len(parameters.read_connection_probability()) == 361
    assert len(parameters.read_synapse_kinetics()) == 90
    for table in (models, populations, parameters.read_class_pairs(), parameters.read_synapse_kinetics()):
        assert not table.isna().any().any()


def test_cell_models_lie_in_the_published_ranges():
    models = parameters.read_cell_models()
    assert (models.E_L_mV == models.V_reset_mV).all()
    assert (models.V_th_mV - models.E_L_mV).between(15.0, 41.1).all()
    assert (models.C_m_pF / models.g_nS).between(5.4, 52.0).all()
    assert models.t_ref_ms.between(1.04, 9.96).all()
    assert models.asc_decay_0_per_ms.round(6).isin([0.003, 0.01, 0.03, 0.1, 0.3]).all()


def test_every_column_about_the_neuron_is_a_parameter_without_its_unit():
    models = parameters.read_cell_models()
    found = parameters.model_parameters(models.assign(asc_decay_2_per_ms=0.02, asc_amp_2_pA=-15, tau_nmda_ms=80))
    expected = "V_th E_L V_reset g C_m t_ref asc_decay_0 asc_decay_1 asc_amp_0 asc_amp_1 asc_r_0 asc_r_1"
    assert [*found] == [*expected.split(), "asc_decay_2", "asc_amp_2", "tau_nmda"]
    assert np.array_equal(found["asc_decay_1"], models.asc_decay_1_per_ms)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("asc_r_2", "much", r"asc_r_2 of 475585413, .* \(201 in all\): expected finite numbers"),
        ("asc_r_2", np.nan, "asc_r_2 of 475585413"),
        ("E_L", -70.0, "two columns for E_L"),
    ],
)
def test_a_column_that_is_no_parameter_is_refused(column, value, message):
    with pytest.raises(InputError, match=message):
        parameters.model_parameters(parameters.read_cell_models().assign(**{column: value}))


def test_classes_that_share_kinetics_share_a_receptor_and_no_others_do():
    layout, kinetics = parameters.receptor_layout(), parameters.read_synapse_kinetics()
    assert layout.n_receptors == 8
    for post in parameters.POSTSYNAPTIC_CLASSES:
        by_receptor = {}
        for pre in parameters.PRESYNAPTIC_CLASSES:
            row = tuple(kinetics.loc[(pre, post)])
            receptor = layout.index[pre, post]
            found = (layout.tau_fast[post][receptor], layout.tau_slow[post][receptor], layout.amp_slow[post][receptor])
            assert found == row
            by_receptor.setdefault(receptor, set()).add(row)
        assert all(len(rows) == 1 for rows in by_receptor.values())
        assert len(by_receptor) == len({row for rows in by_receptor.values() for row in rows})


def test_there_are_43_kinetics_in_all():
    assert len(parameters.read_synapse_kinetics().drop_duplicates()) == 43


def test_a_table_without_a_column_is_refused_by_name(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    pd.DataFrame({"source": ["lgn"], "delay_ms": [1.7]}).to_csv(folder / "external_inputs.csv", index=False)
    monkeypatch.setattr(parameters.resources, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match="synapse_class"):
        parameters.read_table("external_inputs", ["source"])
