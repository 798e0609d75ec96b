"""The circuit in NEST, built from SONATA files. Imports NEST: only the processes that simulate import this."""

import nest
import numpy as np

from twincortex.models.circuit import delay_steps
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.hdf5.reading import open_hdf5, read_dataset, read_group
from twincortex.models.nest.edge_slices import read_edge_slices, read_edge_types
from twincortex.models.sonata.cell_parameters import OURS
from twincortex.models.sonata.tables import inside, read_json
from twincortex.models.sonata.type_tables import read_type_table
from twincortex.models.spikes import read_spikes

MODEL = "glif_psc_double_alpha"
_AFTER_SPIKE_LISTS = ("asc_decay", "asc_amps", "asc_r", "asc_init")
_NEEDED = ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref", "tau_syn_fast", "tau_syn_slow", "amp_slow")


def create_neurons(job):
    """Create the neurons, one block per cell model.

    Parameters
    ----------
    job : Job

    Returns
    -------
    neurons : nest.NodeCollection
    gid : (n_neurons,) int64 array
        NEST's id of every neuron.
    """
    path, types_path = job.nodes
    with open_hdf5(path) as file:
        type_ids = read_dataset(read_group(file, "nodes/v1"), "node_type_id", integer=True)
    types = read_type_table(types_path, "node_type_id")
    templates, files = types.text("model_template"), types.text("dynamics_params")
    neurons = nest.NodeCollection()
    for type_id, n_neurons in zip(*np.unique(type_ids, return_counts=True), strict=True):
        row = types.rows_of(type_id[None])[0]
        if row < 0 or templates[row] != f"nest:{MODEL}" or files[row] is None:
            raise InputError(
                f"{types_path}: node type {type_id}: expected model_template nest:{MODEL}, and dynamics_params."
            )
        name = f"{MODEL}_{type_id}"
        nest.CopyModel(MODEL, name, _read_cell_model(job, files[row]))
        neurons += nest.Create(name, int(n_neurons))
    gid = np.empty(len(type_ids), dtype=np.int64)
    gid[np.argsort(type_ids, kind="stable")] = neurons.tolist()
    return neurons, gid


def _read_cell_model(job, name):
    path = inside(job.cell_models, name, job.nodes[1])
    model = {word: value for word, value in read_json(path).items() if word != OURS}
    known = nest.GetDefaults(MODEL)
    lists = _AFTER_SPIKE_LISTS if model.get("after_spike_currents", True) else ()
    for word in [*_NEEDED, *lists]:
        if word not in model:
            raise InputError(f"{path}: {word} is missing; {near_name_hint(word, model)}.")
    for word in model:
        if word not in known:
            raise InputError(f"{path}: NEST's {MODEL} has no parameter {word!r}; {near_name_hint(word, known)}.")
    n = job.n_after_spike_currents
    for word in lists:
        if len(model[word]) < n:
            raise InputError(f"{path}: {word} holds {len(model[word])} values; the equations have {n}.")
        model[word] = model[word][:n]
    # NEST runs as many after-spike currents as its default model has, unless it is given their state too.
    return model | ({"ASCurrents": model["asc_init"]} if lists else {})


def create_external_units(path, source):
    """Create a NEST node for every external unit that spikes.

    Parameters
    ----------
    path : Path
        SONATA spike file.
    source : str
        Its population.

    Returns
    -------
    (n_units,) int64 array
        NEST's id of every unit; 0 for silent ones.
    """
    trains = read_spikes(path, source)
    gid = np.zeros(trains.n_units, dtype=np.int64)
    order = np.argsort(trains.node_ids, kind="stable")
    units, first = np.unique(trains.node_ids[order], return_index=True)
    if len(units):
        # Of one process and thread each and connected like neurons, unlike spike_generators, which take twice the
        # memory and are there once per thread and process.
        nodes = nest.Create("spike_train_injector", len(units))
        times = [np.unique(part, return_counts=True) for part in np.split(trains.times[order], first[1:])]
        nodes.set([{"spike_times": at, "spike_multiplicities": n_spikes} for at, n_spikes in times])
        gid[units] = nodes.tolist()
    return gid


def connect(job, source, gid_of_unit, gid_of_neuron):
    """Connect a projection edge by edge; under MPI NEST keeps those onto neurons of its own process.

    Parameters
    ----------
    job : Job
    source : str
        ``"v1"``, ``"lgn"`` or ``"bkg"``.
    gid_of_unit : (n_sources,) int64 array
        0 for units whose edges are left out.
    gid_of_neuron : (n_neurons,) int64 array
    """
    path, types_path = job.edges[source]
    types, delay_ms = read_edge_types(types_path)
    synapses = types.text("dynamics_params")
    receptors = {name: _read_receptor(inside(job.synaptic_models, name, types_path)) for name in set(synapses)}
    receptor = np.array([receptors[name] for name in synapses])
    delay = delay_steps(delay_ms, job.dt) * job.dt
    for edges in read_edge_slices(path, source, types, gid_of_unit > 0):
        nest.Connect(
            gid_of_unit[edges.source],
            gid_of_neuron[edges.target],
            "one_to_one",
            {
                "synapse_model": "static_synapse",
                "weight": edges.weight.astype(np.float64),
                "delay": delay[edges.type_row],
                "receptor_type": receptor[edges.type_row],
            },
        )


def _read_receptor(path):
    receptor = read_json(path).get("receptor_type")
    if not isinstance(receptor, int):
        raise InputError(f"{path}: receptor_type {receptor!r}; expected a whole number, counted from 1.")
    return receptor


def inject_currents(path, dt, gid_of_neuron):
    """Give neurons step currents of their own.

    Parameters
    ----------
    path : Path
        See `Job.current`.
    dt : float [ms]
    gid_of_neuron : (n_neurons,) int64 array
    """
    with np.load(path) as current:
        times, amplitudes = current["times"], current["amplitudes"]
    for neuron in np.flatnonzero(amplitudes.any(axis=0)):
        # An amplitude set at time t reaches the neuron after the delay and drives it from the step that starts then.
        steps = {"amplitude_times": times - dt, "amplitude_values": amplitudes[:, neuron]}
        generator = nest.Create("step_current_generator", params=steps)
        nest.Connect(generator, nest.NodeCollection([gid_of_neuron[neuron]]), syn_spec={"delay": dt})
