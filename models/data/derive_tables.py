"""Derive the tables of this folder from the public ones: ``python derive_tables.py SOURCE``.

SOURCE is a folder that holds ``circuit/*.csv``.

Kept so that every number here can be traced: the source tables are those of biorealistic-v1-model (BSD-3-Clause, commit
330276625b95462710bc57791b6e8b077d2f0ff6) and of the Allen Cell Types Database; README.md beside this file says which.
"""

import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent

# Over-active cell models whose LGN weights the source scales down (make_lgn_weights.py).
LGN_DAMPING = {
    479179020: 0.9, 484679812: 0.9, 517647182: 0.9, 480169202: 0.8, 488689403: 0.8, 535728342: 0.5,
    478793814: 0.7, 478958894: 0.9, 569997187: 0.7, 572375809: 0.8, 579414994: 0.6,
}  # fmt: skip

# Unit PSP recomputed from today's kinetics / published unit PSP, where they differ by more than 1 %.
UNIT_PSP_RATIO = {
    ("vip", "e23"): 1.22, ("vip", "e4"): 0.946, ("vip", "e5et"): 1.70, ("vip", "e5it"): 1.096, ("vip", "pv"): 1.033,
    ("sst", "e4"): 0.81, ("sst", "e5et"): 0.88, ("sst", "e5it"): 0.747, ("sst", "e5np"): 0.813, ("sst", "e6"): 0.811,
    ("pv", "e5et"): 1.126, ("pv", "e6"): 1.015, ("e23", "sst"): 0.936,
}  # fmt: skip


def derive_cell_models(source):
    """GLIF3 parameters, counts and external weights of the 201 cell models, in the order of the node ids."""
    types = pd.read_csv(source / "circuit/node_types.csv").set_index("node_type_id")
    glif = pd.read_csv(source / "circuit/glif3_models.csv").set_index("node_type_id").loc[types.index]
    table = pd.DataFrame(index=types.index)
    table["pop_name"] = types.pop_name
    for column, from_column in {
        "V_th_mV": "V_th", "E_L_mV": "E_L", "V_reset_mV": "V_reset", "g_nS": "g_nS", "C_m_pF": "C_m_pF",
        "t_ref_ms": "t_ref_ms", "asc_decay_0_per_ms": "asc_decay_0_per_ms", "asc_decay_1_per_ms": "asc_decay_1_per_ms",
        "asc_amp_0_pA": "asc_amp_0_pA", "asc_amp_1_pA": "asc_amp_1_pA",
    }.items():  # fmt: skip
        table[column] = glif[from_column]
    table["asc_r_0"] = 1.0
    table["asc_r_1"] = 1.0
    table["n_full"] = types.N_full
    table["unit_psp_exc_mV_per_pA_published"] = types.unit_psp_exc_mV_per_pA
    table["lgn_damping"] = [LGN_DAMPING.get(node_type, 1.0) for node_type in types.index]
    table["bkg_weight_pA"] = types.bkg_weight_pA_tuned
    return table


def derive_populations(source):
    """The 22 populations: names, layers, depths, synapse counts, the LGN rule, targets and colours."""
    types = pd.read_csv(source / "circuit/node_types.csv").drop_duplicates("pop_name").set_index("pop_name")
    names = pd.read_csv(source / "circuit/cell_type_naming_scheme.csv", sep=r"\s+").set_index("pop_name")
    lgn = pd.read_csv(source / "circuit/lgn_to_v1.csv", sep=r"\s+").set_index("pop_name")
    table = pd.DataFrame(index=types.index)
    table["cell_type"] = types.cell_type
    table["layer"] = names.layer
    table["ei"] = types.ei
    table["synapse_class"] = types.syn_type
    table["depth_upper_um"] = types.upper
    table["depth_lower_um"] = types.lower
    table["n_synapses_shape"] = types.nsyn_shape
    table["n_synapses_scale"] = types.nsyn_scale
    table["lgn_poisson_parameter"] = lgn.poisson_parameter
    table["lgn_on_ratio"] = lgn.sON_ratio
    table["lgn_synapse_ratio"] = lgn.synapse_ratio_against_e4
    table["lgn_yule_parameter"] = lgn.yule_parameter
    table["target_spontaneous_Hz"] = types.target_median_spont_hz
    merged = names.cell_type_old.where(names.index != "i1Htr3a", "L1_Htr3a")
    table["neuropixels_type"] = merged.str.replace("_", " ")
    table["color"] = names.hex
    table["color_bright"] = names.hex_bright
    return table


def derive_pairs(source):
    """Connection rules per pair of synapse classes, and peak connection probabilities per pair of cell types."""
    pairs = pd.read_csv(source / "circuit/pair_parameters.csv")
    synapse_class = derive_populations(source).synapse_class
    pairs["pre_class"] = pairs.pre_pop.map(synapse_class)
    pairs["post_class"] = pairs.post_pop.map(synapse_class)
    by_class = pairs.drop_duplicates(["pre_class", "post_class"]).set_index(["pre_class", "post_class"])
    rules = by_class[["sigma_um", "b_ratio", "psp_lognorm_shape", "psp_lognorm_scale_mV", "delay_ms"]].rename(
        columns={
            "b_ratio": "orientation_b_ratio",
            "psp_lognorm_shape": "psp_shape",
            "psp_lognorm_scale_mV": "psp_scale_mV",
        }
    )
    rules["unit_psp_published_ratio"] = [UNIT_PSP_RATIO.get(pair, 1.0) for pair in rules.index]
    kinetics = by_class[["tau_fast_ms", "tau_slow_ms", "amp_slow"]]
    external = pd.read_csv(source / "circuit/external_kinetics.csv").rename(columns={"post": "post_class"})
    external.insert(0, "pre_class", "exc")
    kinetics = pd.concat([kinetics, external.set_index(["pre_class", "post_class"])])
    probability = pairs.drop_duplicates(["pre_type", "post_type"]).set_index(["pre_type", "post_type"])[["pmax"]]
    return rules, kinetics, probability


def derive_lgn(source):
    """The 14 LGN unit types and the temporal filters of the 12 simple ones."""
    units = pd.read_csv(source / "circuit/lgn_models.csv", sep=r"\s+").set_index("model_id")
    units.index.name = "model"
    filters = pd.read_csv(source / "circuit/lgn_temporal_filters.csv").rename(
        columns={"type": "model", "spont_hz": "spontaneous_Hz"}
    )
    filters = filters.set_index("model").loc[[model for model in units.index if model in set(filters.model)]]
    table = pd.DataFrame(index=units.index)
    table["n_per_tile"] = units.N
    table["spatial_size_min_deg"] = units.min_size.astype(float)
    table["spatial_size_mode_deg"] = [3.0 if low < high else float(low) for low, high in
                                      zip(units.min_size, units.max_size, strict=True)]  # fmt: skip
    table["spatial_size_max_deg"] = units.max_size.astype(float)
    composite = {"sONsOFF_001": ("sOFF_TF4", "sON_TF4", 6.0, 4.0), "sONtOFF_001": ("tOFF_TF8", "sON_TF4", 4.0, 5.5)}
    table["dominant"] = [composite[m][0] if m in composite else m for m in units.index]
    table["non_dominant"] = [composite[m][1] if m in composite else "" for m in units.index]
    table["separation_deg"] = [composite[m][2] if m in composite else 0.0 for m in units.index]
    table["spontaneous_Hz"] = [composite[m][3] if m in composite else filters.spontaneous_Hz[m] for m in units.index]
    return table, filters


def write_tables(source, folder=HERE):
    """Write every parameter table into a folder."""
    rules, kinetics, probability = derive_pairs(source)
    units, filters = derive_lgn(source)
    external = pd.DataFrame(
        {
            "delay_ms": [1.7, 1.0],
            "synapse_class": ["exc", "exc"],
            "n_units": [17400, 100],
            "rate_Hz": [float("nan"), 250],
        },
        index=pd.Index(["lgn", "bkg"], name="source"),
    )
    for name, table in {
        "cell_models": derive_cell_models(source), "populations": derive_populations(source), "class_pairs": rules,
        "synapse_kinetics": kinetics, "connection_probability": probability, "lgn_units": units, "lgn_filters": filters,
        "external_inputs": external,
    }.items():  # fmt: skip
        table.to_csv(Path(folder) / f"{name}.csv")


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
