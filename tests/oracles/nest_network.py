"""A circuit of ours in NEST: the same call as our engines, `simulate(circuit, inputs, run)`.

NEST stamps what happens in step n with its end, (n + 1) dt, as our spike files do. A spike_generator at that time with
delay d acts like one of our external spikes of step n with delay d.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from twincortex.models.recording import Recording
from twincortex.models.spikes import SpikeTrains

SCRIPT = Path(__file__).with_name("run_nest.py")


def simulate(circuit, inputs, run, folder):
    """Simulate in a NEST process of its own.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of str -> SpikeTrains
    run : Run
        NEST knows the ``step_mean`` convention only, and no injected current before step 2.
    folder : Path
        For the exchange of arrays.

    Returns
    -------
    Recording
    """
    assert run.after_spike_current == "step_mean", "NEST lets after-spike currents enter V as their mean over the step"
    description = {
        "dt": run.dt,
        "duration": run.duration,
        **describe_neurons(circuit),
        **describe_edges("recurrent", [circuit.projections["v1_to_v1"]], circuit.n_receptors, run.dt),
        **describe_inputs(circuit, inputs, run.dt),
        **describe_current(circuit, run),
    }
    np.savez(folder / "description.npz", **description)
    command = [sys.executable, str(SCRIPT), str(folder / "description.npz"), str(folder / "result.npz")]
    process = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=600)
    assert process.returncode == 0, process.stdout + process.stderr
    with np.load(folder / "result.npz") as result:
        spikes = SpikeTrains("v1", circuit.n_neurons, result["spike_times"], result["spike_ids"])
        v_ids = np.array(run.record_v, dtype=np.int64)
        return Recording(spikes, result["v"][:, v_ids], v_ids, run.dt, run.duration, "nest")


def describe_neurons(circuit):
    """Parameters per neuron under NEST's names."""
    of_type = circuit.nodes.type_index
    parameters = {name: values[of_type] for name, values in circuit.node_types.parameters.items()}
    receptors = {name: values[of_type] for name, values in circuit.node_types.receptor_parameters.items()}
    return {
        **{name: parameters[name] for name in ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")},
        "asc_decay": np.stack([parameters["asc_decay_0"], parameters["asc_decay_1"]], axis=1),
        "asc_amps": np.stack([parameters["asc_amp_0"], parameters["asc_amp_1"]], axis=1),
        "asc_r": np.stack([parameters["asc_r_0"], parameters["asc_r_1"]], axis=1),
        "tau_syn_fast": receptors["tau_fast"],
        "tau_syn_slow": receptors["tau_slow"],
        "amp_slow": receptors["amp_slow"],
    }


def describe_current(circuit, run):
    """Injected currents as steps: when any of them changes, and what each neuron receives from then on."""
    if run.current is None:
        return {"current_from": np.zeros(0), "current": np.zeros((circuit.n_neurons, 0))}
    assert not run.current[:2].any(), "NEST's generators act from step 2 on"
    changes = 1 + np.flatnonzero(np.any(np.diff(run.current, axis=0), axis=1))
    return {"current_from": changes * run.dt, "current": run.current[changes].T}


def describe_edges(prefix, projections, n_receptors, dt):
    """Edges of one or more projections, the units of later ones numbered after those of earlier ones."""
    first_unit = np.cumsum([0, *(projection.n_sources for projection in projections)])
    target = np.concatenate([projection.target for projection in projections])
    return {
        f"{prefix}_pre": np.concatenate([first_unit[k] + p.sources() for k, p in enumerate(projections)]),
        f"{prefix}_post": target // n_receptors,
        f"{prefix}_receptor": target % n_receptors,
        f"{prefix}_weight": np.concatenate([p.weight for p in projections]).astype(np.float64),
        f"{prefix}_delay": np.concatenate([p.delay_steps(dt) * dt for p in projections]),
    }


def describe_inputs(circuit, inputs, dt):
    """External units, their spikes at the end of the step they belong to, and their edges."""
    trains = [inputs[name] for name in ("lgn", "bkg")]
    projections = [circuit.projections[f"{name}_to_v1"] for name in ("lgn", "bkg")]
    first_unit = np.cumsum([0, *(projection.n_sources for projection in projections)])
    return {
        "n_units": first_unit[-1],
        "input_units": np.concatenate([first_unit[k] + train.node_ids for k, train in enumerate(trains)]),
        "input_times": np.concatenate([(train.steps(dt) + 1) * dt for train in trains]),
        **describe_edges("external", projections, circuit.n_receptors, dt),
    }
