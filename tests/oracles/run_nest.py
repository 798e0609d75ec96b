"""Run one network of glif_psc_double_alpha neurons in NEST: ``python run_nest.py description.npz result.npz``.

A process of its own, because NEST's OpenMP threads and torch's get in each other's way, and because NEST prints.
`nest_network.py` writes the description and reads the result.
"""

import sys

import nest
import numpy as np

# Multimeters hand over their samples one communication interval late: simulate on for longer than any delay.
BEYOND_THE_END_MS = 30.0


def create_neurons(network):
    """Create one glif_psc_double_alpha per row; in NEST's terms GLIF3, without adapting thresholds."""
    scalars = ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")
    vectors = ("asc_decay", "asc_amps", "asc_r", "tau_syn_fast", "tau_syn_slow", "amp_slow")
    parameters = [
        {
            "spike_dependent_threshold": False,
            "adapting_threshold": False,
            "after_spike_currents": True,
            **{name: float(network[name][row]) for name in scalars},
            **{name: network[name][row].tolist() for name in vectors},
            "asc_init": [0.0] * network["asc_decay"].shape[1],
            "V_m": float(network["E_L"][row]),
        }
        for row in range(len(network["V_th"]))
    ]
    return nest.Create("glif_psc_double_alpha", len(parameters), parameters)


def create_spike_generators(network):
    """Create one generator per external unit; several spikes of a unit in one step are one time with a multiplicity."""
    order = np.argsort(network["input_units"], kind="stable")
    ends = np.cumsum(np.bincount(network["input_units"], minlength=int(network["n_units"])))
    spikes = [np.unique(times, return_counts=True) for times in np.split(network["input_times"][order], ends[:-1])]
    parameters = [{"spike_times": times, "spike_multiplicities": n} if len(n) else {} for times, n in spikes]
    return nest.Create("spike_generator", len(parameters), parameters)


def connect(sources, neurons, network, prefix):
    """Connect edge by edge: weight [pA], delay [ms], receptor port counted from 1."""
    if len(network[f"{prefix}_pre"]) == 0:
        return
    nest.Connect(
        np.array(sources.tolist())[network[f"{prefix}_pre"]],
        np.array(neurons.tolist())[network[f"{prefix}_post"]],
        "one_to_one",
        {
            "synapse_model": "static_synapse",
            "weight": network[f"{prefix}_weight"],
            "delay": network[f"{prefix}_delay"],
            "receptor_type": network[f"{prefix}_receptor"] + 1,
        },
    )


def inject_currents(neurons, network):
    """Give each neuron its own step currents.

    An amplitude set at time t reaches the neuron after the delay and drives it from the step that starts then.
    """
    delay = float(network["dt"])
    for current, neuron in zip(network["current"], neurons, strict=True):
        amplitudes = {"amplitude_times": network["current_from"] - delay, "amplitude_values": current}
        nest.Connect(nest.Create("step_current_generator", amplitudes), neuron, syn_spec={"delay": delay})


def simulate(network):
    """Return spikes (neuron, stamp) and V_m (step, neuron) of the network."""
    nest.ResetKernel()
    nest.resolution = float(network["dt"])
    neurons = create_neurons(network)
    generators = create_spike_generators(network)
    connect(neurons, neurons, network, "recurrent")
    connect(generators, neurons, network, "external")
    inject_currents(neurons, network)
    recorder = nest.Create("spike_recorder")
    multimeter = nest.Create("multimeter", {"interval": float(network["dt"]), "record_from": ["V_m"]})
    nest.Connect(neurons, recorder)
    nest.Connect(multimeter, neurons)
    nest.Simulate(float(network["duration"]) + BEYOND_THE_END_MS)
    return collect(recorder, multimeter, neurons, network)


def collect(recorder, multimeter, neurons, network):
    """Bring NEST's events into arrays, without what happened after the end."""
    first = neurons.tolist()[0]
    n_steps = round(float(network["duration"]) / float(network["dt"]))
    spikes = recorder.get("events")
    sampled = multimeter.get("events")
    step = np.rint(sampled["times"] / float(network["dt"])).astype(int) - 1
    inside = step < n_steps
    v = np.full((n_steps, len(neurons)), np.nan)
    v[step[inside], sampled["senders"][inside] - first] = sampled["V_m"][inside]
    kept = spikes["times"] <= float(network["duration"]) + 1e-9
    return {"spike_times": spikes["times"][kept], "spike_ids": spikes["senders"][kept] - first, "v": v}


if __name__ == "__main__":
    nest.verbosity = nest.VerbosityLevel.ERROR
    with np.load(sys.argv[1]) as description:
        np.savez(sys.argv[2], **simulate(dict(description)))
