"""BMTK's PointNet, which knows nothing of us, loads our SONATA folder into NEST and gets our spikes."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from twincortex.models import surrogate
from twincortex.models.background import background_spikes
from twincortex.models.inputs import write_inputs
from twincortex.models.lgn import lgn_rates, lgn_spikes
from twincortex.models.recording import Run
from twincortex.models.sonata import write_circuit
from twincortex.models.spikes import read_spikes
from twincortex.models.stimuli import make_stimulus

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("nest") and importlib.util.find_spec("bmtk")), reason="needs NEST and BMTK"
)

RUN_POINTNET = """
import sys
from bmtk.simulator import pointnet

configuration = pointnet.Config.from_json(sys.argv[1])
configuration.build_env()
network = pointnet.PointNetwork.from_config(configuration)
pointnet.PointSimulator.from_config(configuration, network).run()
"""


def simulate_in_pointnet(circuit_folder, input_folder, run, out):
    """Write the simulation's part of the configuration, as a user of BMTK would, and run it."""
    inputs = {
        source: {
            "input_type": "spikes",
            "module": "sonata",
            "input_file": str(input_folder / f"{source}_spikes.h5"),
            "node_set": {"population": source},
        }
        for source in ("lgn", "bkg")
    }
    content = {
        "network": str(circuit_folder / "circuit_config.json"),
        "run": {"tstop": run.duration, "dt": run.dt},
        "target_simulator": "NEST",
        "inputs": inputs,
        "output": {"output_dir": str(out), "spikes_file": "spikes.h5", "log_file": "log.txt"},
    }
    out.mkdir()
    (out / "simulation_config.json").write_text(json.dumps(content))
    # BMTK takes "." of the manifest for the folder it is started in.
    done = subprocess.run(
        [sys.executable, "-c", RUN_POINTNET, out / "simulation_config.json"],
        capture_output=True,
        text=True,
        cwd=circuit_folder,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return read_spikes(out / "spikes.h5", "v1")


@pytest.mark.slow
@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_pointnet_loads_the_tiny_column_and_gets_our_spikes(dt, tiny, tmp_path):
    run = Run(500.0, dt, after_spike_current="step_mean")
    movie = make_stimulus("grating", run.duration, direction=45.0)
    inputs = {
        "lgn": lgn_spikes(lgn_rates(tiny.lgn_units, movie), seed=1),
        "bkg": background_spikes(run.duration, seed=1),
    }
    write_circuit(tiny, tmp_path / "circuit")
    write_inputs(tmp_path / "inputs", inputs, {"duration": run.duration})

    ours = surrogate.simulate(tiny, inputs, run).spikes
    in_pointnet = simulate_in_pointnet(tmp_path / "circuit", tmp_path / "inputs", run, tmp_path / "out")

    assert ours.n_spikes > 1000
    assert np.array_equal(ours.steps(dt), in_pointnet.steps(dt))
    assert np.array_equal(ours.node_ids, in_pointnet.node_ids)
