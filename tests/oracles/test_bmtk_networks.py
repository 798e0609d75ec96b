"""A network that BMTK built and saved itself: BMTK's PointNet in NEST and our engine, after import, spike alike."""

import importlib.util
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from twincortex.models import surrogate
from twincortex.models.recording import Run
from twincortex.models.sonata import import_circuit, import_spikes
from twincortex.models.spikes import read_spikes

from foreign_circuits import GLIF1, GLIF3, IAF, NEURON_CONFIG

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("nest") and importlib.util.find_spec("bmtk")), reason="needs NEST and BMTK"
)

BUILD = '''
import sys
import numpy as np
from bmtk.builder import NetworkBuilder

out, rng = sys.argv[1], np.random.default_rng(5)
l4, l5, thalamus = NetworkBuilder("l4"), NetworkBuilder("l5"), NetworkBuilder("thalamus")
point = {"model_type": "point_process"}
l4.add_nodes(N=12, pop_name="e4", ei="e", model_template="nest:glif_psc_double_alpha", dynamics_params="glif3.json",
             x=rng.uniform(0, 9, 12), **point)
l4.add_nodes(N=6, pop_name="i4", ei="i", model_template="nest:glif_psc", dynamics_params="glif1.json", **point)
l5.add_nodes(N=8, pop_name="LIF", ei="e", model_template="nest:iaf_psc_alpha", dynamics_params="iaf.json", **point)
l5.add_nodes(N=8, pop_name="e5", ei="e", model_template="nest:glif_lif_asc_psc", dynamics_params="313.json", **point)
thalamus.add_nodes(N=10, pop_name="relay", model_type="virtual")

def draw(source, target, p, most):
    return int(rng.integers(1, most + 1)) if rng.random() < p else None

def connect(net, source, target, weight, delay, synapse, most=1, p=0.4, **how):
    """Types with one weight and numbers of synapses; or a weight of its own for every connection."""
    edges = net.add_edges(source=source, target=target, connection_rule=draw, connection_params={"p": p, "most": most},
                          delay=delay, dynamics_params=synapse, model_template="static_synapse",
                          **({} if how else {"syn_weight": weight}))
    if how:
        edges.add_properties("syn_weight", rule=lambda source, target: weight * rng.uniform(0.5, 2), dtypes=float)

connect(l4, {"ei": "e"}, {"pop_name": "e4"}, 30.0, 2.0, "second.json", most=4)
connect(l4, {"ei": "e"}, {"pop_name": "i4"}, 20.0, 1.5, "third.json", most=3)
connect(l4, {"ei": "i"}, {"pop_name": "e4"}, -40.0, 1.0, "first.json", most=3)
connect(l5, l4.nodes(ei="e"), l5.nodes(pop_name="LIF"), 120.0, 1.0, "by_sign.json", own=True)
connect(l5, l4.nodes(ei="i"), l5.nodes(pop_name="LIF"), -80.0, 2.0, "by_sign.json", most=2)
connect(l5, l4.nodes(ei="e"), l5.nodes(pop_name="e5"), 60.0, 3.0, "second.json", own=True)
connect(thalamus, thalamus.nodes(), l4.nodes(pop_name="e4"), 150.0, 1.7, "first.json", most=3)
connect(thalamus, thalamus.nodes(), l4.nodes(pop_name="i4"), 200.0, 1.7, "first.json", own=True)
connect(thalamus, thalamus.nodes(), l5.nodes(pop_name="e5"), 150.0, 1.7, "first.json", most=2)
for net in (l4, l5, thalamus):
    net.build()
    net.save(output_dir=out)
'''
RUN_POINTNET = """
import sys
from bmtk.simulator import pointnet

configuration = pointnet.Config.from_json(sys.argv[1])
configuration.build_env()
network = pointnet.PointNetwork.from_config(configuration)
pointnet.PointSimulator.from_config(configuration, network).run()
"""
CELL_MODELS = {"glif3.json": GLIF3, "glif1.json": GLIF1, "iaf.json": IAF, "313.json": NEURON_CONFIG}
RECEPTORS = {
    "first": {"receptor_type": 1},
    "second": {"receptor_type": 2},
    "third": {"receptor_type": 3},
    "by_sign": {},
}
FILES = {
    "nodes": ("l4", "l5", "thalamus"),
    "edges": ("l4_l4", "l4_l5", "thalamus_l4", "thalamus_l5"),
}
DURATION, DT = 300.0, 0.5


def run_python(code, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Folder with the network of BUILD, its components, spikes of the thalamus and a simulation configuration."""
    folder = tmp_path_factory.mktemp("bmtk")
    for kind, files in (("cells", CELL_MODELS), ("synapses", {f"{k}.json": v for k, v in RECEPTORS.items()})):
        (folder / kind).mkdir()
        for name, content in files.items():
            (folder / kind / name).write_text(json.dumps(content))
    run_python(BUILD, folder / "network", cwd=folder)
    rng = np.random.default_rng(1)
    with h5py.File(folder / "thalamus_spikes.h5", "w") as file:
        steps = np.sort(rng.choice(int((DURATION - 10) / DT), 900))
        file["spikes/thalamus/timestamps"] = (steps + 1) * DT
        file["spikes/thalamus/node_ids"] = rng.integers(0, 10, len(steps))
    networks = {
        kind: [
            {
                f"{kind}_file": f"$NETWORK/{name}_{kind}.h5",
                f"{kind[:-1]}_types_file": f"$NETWORK/{name}_{kind[:-1]}_types.csv",
            }
            for name in names
        ]
        for kind, names in FILES.items()
    }
    content = {
        "manifest": {"$NETWORK": "${configdir}/network"},
        "components": {"point_neuron_models_dir": "cells", "synaptic_models_dir": "synapses"},
        "networks": networks,
        "run": {"tstop": DURATION, "dt": DT},
        "target_simulator": "NEST",
        "inputs": {
            "spikes": {
                "input_type": "spikes",
                "module": "sonata",
                "input_file": "thalamus_spikes.h5",
                "node_set": {"population": "thalamus"},
            }
        },
        "output": {"output_dir": "output", "spikes_file": "spikes.h5", "log_file": "log.txt"},
    }
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def test_a_network_of_bmtk_spikes_as_in_pointnet(network):
    circuit, report = import_circuit(network / "config.json", dt=DT)
    run_python(RUN_POINTNET, network / "config.json", cwd=network)
    trains = import_spikes(network / "thalamus_spikes.h5", "thalamus", 10)

    ours = surrogate.simulate(circuit, {"thalamus": trains}, Run(DURATION, DT, after_spike_current="step_mean")).spikes

    first = {name: facts.first_id for name, facts in report.populations.items()}
    theirs = [read_spikes(network / "output" / "spikes.h5", name) for name in ("l4", "l5")]
    expected = np.concatenate(
        [np.stack([spikes.steps(DT), spikes.node_ids + first[spikes.population]]) for spikes in theirs], axis=1
    )
    actual = np.stack([ours.steps(DT), ours.node_ids])
    assert min(np.bincount(circuit.nodes.type_index[ours.node_ids], minlength=4)) > 20, "every model has to fire"
    assert np.array_equal(actual.T[np.lexsort(actual)], expected.T[np.lexsort(expected)])
