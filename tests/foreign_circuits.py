"""A small circuit as someone else would write it in SONATA, with h5py and plain text only, and what it means.

Two populations of point neurons of four models, two virtual populations, types with NULL, several groups of edges, one
row per synapse, variables in the manifest, no indices.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

GLIF3 = json.loads("""{
  "V_m": -75.0, "E_L": -75.0, "V_th": -45.0, "V_reset": -74.0, "g": 5.0, "C_m": 100.0, "t_ref": 3.0,
  "asc_init": [0.0, 0.0], "asc_decay": [0.003, 0.1], "asc_amps": [-9.0, -50.0], "asc_r": [1.0, 0.5],
  "tau_syn_fast": [2.0, 3.0], "tau_syn_slow": [5.0, 6.0], "amp_slow": [0.5, 0.25],
  "spike_dependent_threshold": false, "after_spike_currents": true, "adapting_threshold": false
}""")
# Receptors 1 and 3 have the same kinetics.
GLIF1 = json.loads("""{
  "V_m": -70.0, "E_L": -70.0, "V_th": -50.0, "V_reset": -70.0, "g": 8.0, "C_m": 80.0, "t_ref": 2.0,
  "tau_syn": [5.5, 8.5, 5.5], "after_spike_currents": false, "tau_minus": 20.0
}""")
IAF = json.loads("""{
  "V_m": -65.0, "E_L": -65.0, "V_th": -50.0, "V_reset": -65.0, "C_m": 200.0, "tau_m": 20.0, "t_ref": 2.5,
  "I_e": 0.0, "tau_syn_ex": 1.5, "tau_syn_in": 4.0
}""")
NEURON_CONFIG = json.loads("""{
  "type": "GLIF", "El_reference": -0.07, "El": 0.0, "th_inf": 0.025, "C": 8e-11, "R_input": 1e8, "dt": 5e-05,
  "spike_cut_length": 60, "init_voltage": 0.0, "init_threshold": 0.025, "init_AScurrents": [0.0, 0.0],
  "asc_amp_array": [-4e-12, -2e-10], "asc_tau_array": [0.25, 0.01], "th_adapt": null, "dt_multiplier": 10,
  "coeffs": {"a": 1, "b": 1, "C": 1.0, "G": 0.5, "th_inf": 1.2, "asc_amp_array": [1.0, 0.5]},
  "threshold_dynamics_method": {"name": "inf", "params": {}},
  "voltage_reset_method": {"name": "zero", "params": {}},
  "AScurrent_dynamics_method": {"name": "exp", "params": {}},
  "AScurrent_reset_method": {"name": "sum", "params": {"r": [1.0, 1.0]}}
}""")
CELL_MODELS = {"glif3.json": GLIF3, "glif1.json": GLIF1, "iaf.json": IAF, "313.json": NEURON_CONFIG}
SYNAPSES = {
    "first.json": {"receptor_type": 1},
    "second.json": {"receptor_type": 2},
    "third.json": {"receptor_type": 3},
    "by_sign.json": {},
}

CIRCUIT_CONFIG = {
    "manifest": {"$BASE": "${configdir}", "$NET": "$BASE/net", "$PARTS": "${BASE}/parts"},
    "components": {
        "point_neuron_models_dir": "$PARTS/cells",
        "synaptic_models_dir": "$PARTS/synapses",
        "mechanisms_dir": "$PARTS/mechanisms",
    },
    "networks": {
        "nodes": [
            {"nodes_file": "$NET/l4_nodes.h5", "node_types_file": "$NET/l4_node_types.csv"},
            {"nodes_file": "$NET/l5_nodes.h5", "node_types_file": "$NET/l5_node_types.csv"},
            {"nodes_file": "$NET/thalamus_nodes.h5", "node_types_file": "$NET/thalamus_node_types.csv"},
            {
                "nodes_file": "$NET/noise_nodes.h5",
                "node_types_file": None,
                "populations": {"noise": {"type": "virtual"}},
            },
        ],
        "edges": [
            {"edges_file": "$NET/l4_l4_edges.h5", "edge_types_file": "$NET/l4_l4_edge_types.csv"},
            {"edges_file": "$NET/l4_l5_edges.h5", "edge_types_file": "$NET/l4_l5_edge_types.csv"},
            {"edges_file": "$NET/thalamus_l4_edges.h5", "edge_types_file": "$NET/thalamus_l4_edge_types.csv"},
            {"edges_file": "$NET/noise_l5_edges.h5", "edge_types_file": None},
        ],
    },
}
TABLES = {
    "l4_node_types.csv": """\
node_type_id pop_name ei model_type model_template dynamics_params location
100 e4 e point_process nest:glif_psc_double_alpha glif3.json "layer 4"
101 i4 i point_process nest:glif_psc glif1.json NULL
102 unused NULL biophysical ctdb:Biophys1.hoc x.json NULL
""",
    "l5_node_types.csv": """\
node_type_id model_name ei model_type model_template dynamics_params
100 LIF e point_neuron nest:iaf_psc_alpha iaf.json
7 NULL NULL point_neuron nest:glif_lif_asc_psc 313.json
""",
    "thalamus_node_types.csv": "node_type_id pop_name model_type\n100 relay virtual\n",
    "l4_l4_edge_types.csv": """\
edge_type_id target_query source_query syn_weight delay dynamics_params model_template weight_function
1 * ei=='e' 2.5 1.5 first.json static_synapse NULL
2 pop_name=='i4' ei=='i' -4.0 0.8 third.json static_synapse wmax
3 pop_name=='e4' ei=='i' -3.0 0.8 second.json nest:static_synapse NULL
""",
    "l4_l5_edge_types.csv": """\
edge_type_id syn_weight delay nsyns dynamics_params PSP_correction
20 NULL NULL NULL by_sign.json 0.1
21 -6.0 2.0 3 by_sign.json 0.2
22 7.0 2.0 NULL second.json 0.3
""",
    "thalamus_l4_edge_types.csv": """\
edge_type_id delay model_template receptor_type
5 1.7 static_synapse 1
""",
}


@dataclass
class Population:
    """Datasets of a population; ``groups`` are those of its numbered groups."""

    datasets: dict
    groups: dict = field(default_factory=lambda: {"0": {}})
    attributes: dict = field(default_factory=dict)


def nodes(type_ids, **groups):
    """A population of nodes in one group."""
    n = len(type_ids)
    return Population({"node_id": np.arange(n), "node_type_id": np.array(type_ids)}, {"0": groups})


def edges(source, target, sources, targets, types=None, group=None, **groups):
    """A population of edges; ``group`` is that of each edge."""
    datasets = {"source_node_id": np.array(sources), "target_node_id": np.array(targets)}
    if types is not None:
        datasets["edge_type_id"] = np.array(types)
    if group is not None:
        datasets["edge_group_id"] = np.array(group)
        datasets["edge_group_index"] = np.array([group[:i].count(g) for i, g in enumerate(group)])
    attributes = {"source_node_id": source, "target_node_id": target}
    return Population(datasets, {name.lstrip("g"): columns for name, columns in groups.items()}, attributes)


def foreign_files():
    """HDF5 files of the circuit: dict of file name -> (path of the population, Population)."""
    l5 = Population(
        {
            "node_id": np.arange(3),
            "node_type_id": np.array([100, 7, 100]),
            "node_group_id": np.array([1, 0, 1]),
            "node_group_index": np.array([1, 0, 0]),
        },
        {"0": {"x": [9.0]}, "1": {"x": [5.0, 6.0], "tuning_angle": [90.0, 180.0], "rotation": [0.1, 0.2]}},
    )
    return {
        "l4_nodes.h5": (
            "nodes/l4",
            nodes([100, 100, 100, 101, 101], x=np.arange(5.0), y=-np.arange(5.0), z=np.ones(5)),
        ),
        "l5_nodes.h5": ("nodes/l5", l5),
        "thalamus_nodes.h5": ("nodes/thala mus", nodes([100] * 4)),
        "noise_nodes.h5": ("nodes/noise", Population({"node_id": np.arange(2)})),
        "l4_l4_edges.h5": (
            "edges/l4_to_l4",
            edges("l4", "l4", [3, 0, 1, 4], [4, 1, 3, 0], [2, 1, 1, 3], g0={"nsyns": np.array([2, 1, 3, 1], "u2")}),
        ),
        "l4_l5_edges.h5": (
            "edges/l4_to_l5",
            edges(
                *("l4", "l5", [0, 3, 1, 2], [0, 2, 2, 1], [20, 21, 20, 22]),
                group=[0, 5, 0, 5],
                g0={"syn_weight": np.array([1.25, 0.5], "f4"), "delay": np.array([3.0, 1.5])},
                g5={"distance": np.array([10.0, 20.0])},
            ),
        ),
        "thalamus_l4_edges.h5": (
            "edges/thalamus_to_l4",
            edges(
                *("thala mus", "l4", [2, 0, 2, 2, 1], [1, 0, 1, 1, 0], [5] * 5),
                g0={"syn_weight": np.array([0.1, 0.7, 0.2, 0.4, 0.6]), "afferent_x": np.zeros(5)},
            ),
        ),
        "noise_l5_edges.h5": (
            "edges/noise_to_l5",
            edges(
                *("noise", "l5", [0, 1], [2, 2]),
                g0={"syn_weight": np.array([3.0, -2.0]), "delay": np.array([1.0, 1.0])},
            ),
        ),
    }


def write_foreign_circuit(folder):
    """Write the circuit and return the path of its configuration."""
    folder = Path(folder)
    for sub in ("net", "parts/cells", "parts/synapses"):
        (folder / sub).mkdir(parents=True)
    for name, (path, population) in foreign_files().items():
        write_population(folder / "net" / name, path, population)
    for name, text in TABLES.items():
        (folder / "net" / name).write_text(text)
    for name, model in CELL_MODELS.items():
        (folder / "parts" / "cells" / name).write_text(json.dumps(model))
    for name, synapse in SYNAPSES.items():
        (folder / "parts" / "synapses" / name).write_text(json.dumps(synapse))
    (folder / "config.circuit.json").write_text(json.dumps(CIRCUIT_CONFIG))
    (folder / "config.json").write_text(json.dumps({"run": {"tstop": 100.0}, "network": "config.circuit.json"}))
    return folder / "config.circuit.json"


def write_population(file, path, population):
    """Write one population into a new file."""
    with h5py.File(file, "w") as hdf5:
        group = hdf5.create_group(path)
        for name, values in population.datasets.items():
            group[name] = values
            if name in population.attributes:
                group[name].attrs["node_population"] = population.attributes[name]
        for number, columns in population.groups.items():
            properties = group.create_group(number)
            for name, values in columns.items():
                properties[name] = values
