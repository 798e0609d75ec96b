"""The memory that a run will need, told from counts, before anything is allocated.

A forecast is the peak of a whole command and of all processes that it starts together: what programs and libraries take
by themselves, and bytes for each connection, neuron and neuron-step. All of them were measured on Linux;
``tests/benchmarks/memory_forecast.py`` runs the commands, compares, and writes ``results/memory_forecast.json``. What
could not be measured says so.
"""

from dataclasses import dataclass, replace

from twincortex.models.toolchain import count_processors

MB = 1_000_000

# 17,400 LGN units at 6.4 Hz, 100 background units at 250 Hz.
INPUT_SPIKES_PER_MS = 136
# The torch engine simulates so many before it turns spikes and potentials into lists.
NEURON_STEPS_AT_ONCE = 1_000_000
# From here on the Brian2 engine makes one Synapses object per delay (see brian/plan.py).
MANY_CONNECTIONS = 5_000_000

# Target 4, delay code 1, weight 4; the LGN has several synapses per connection, their number takes 2.
_CIRCUIT_BYTES = {"v1_to_v1": 9, "lgn_to_v1": 11, "bkg_to_v1": 9}
# Membrane potential and two after-spike currents; fast and slow part of every receptor, two variables each.
_STATES, _STATES_PER_RECEPTOR = 3, 4


@dataclass(frozen=True)
class CircuitCounts:
    """What a forecast has to know of a circuit.

    Attributes
    ----------
    n_neurons : int
    n_edges : dict of projection name -> int
    n_receptors : int
        Per neuron.
    """

    n_neurons: int
    n_edges: dict
    n_receptors: int = 8

    @property
    def n_connections(self):
        """Connections of all projections."""
        return sum(self.n_edges.values())

    @property
    def circuit_bytes(self):
        """Arrays of the connections of a Circuit."""
        return sum(_CIRCUIT_BYTES.get(name, 11) * n for name, n in self.n_edges.items())

    @property
    def n_states(self):
        """State variables of a neuron."""
        return _STATES + _STATES_PER_RECEPTOR * self.n_receptors


@dataclass(frozen=True)
class RunCounts:
    """What a forecast has to know of a simulation.

    Attributes
    ----------
    n_steps : int
    n_input_spikes : int
        Of LGN and background, all trials.
    batch : int
        Trials at once, in torch.
    n_recorded : int
        Neurons whose potential is recorded.
    """

    n_steps: int
    n_input_spikes: int
    batch: int = 1
    n_recorded: int = 0


@dataclass(frozen=True)
class EngineBytes:
    """Memory of a simulation beside the circuit [bytes].

    Attributes
    ----------
    process : float
        Programs and libraries, before there is a circuit.
    connection, neuron : float
        Of each.
    input_spike : float
        Of each spike of LGN and background, on its way from the file into the engine.
    recorded : float
        Of each recorded potential, from the engine into the file.
    """

    process: float
    connection: float
    neuron: float
    input_spike: float = 60
    recorded: float = 32


# The engines read the connections in the memory of the circuit; 1 byte to find the delays. In the reference engine a
# neuron has two sparse matrices of propagators, with 105 entries of 12 bytes each for GLIF3, and their making.
_TORCH = EngineBytes(410 * MB, connection=1, neuron=500, input_spike=50, recorded=25)
_TORCH_REFERENCE = EngineBytes(490 * MB, connection=1, neuron=5_300, input_spike=150, recorded=25)
# Endpoints 8, weight 8, delay 8 or index by delay, and Brian2's queues and lists of synapses by source.
_BRIAN = EngineBytes(275 * MB, connection=51, neuron=0)
_BRIAN_MANY = EngineBytes(275 * MB, connection=34, neuron=0)
# The Python process while a project is generated (16 bytes are written at its end, one pathway is in the making), and
# while the program runs; then the program: endpoints three times, weights twice, and queues.
_CPP_GENERATES = EngineBytes(290 * MB, connection=42, neuron=0)
_CPP_WAITS = EngineBytes(290 * MB, connection=2, neuron=0, recorded=24)
_CPP_PROGRAM = EngineBytes(35 * MB, connection=47, neuron=0, input_spike=0, recorded=0)
# As many compilers as processors, but not more than there are large files.
_COMPILER, _LARGE_FILES = 175 * MB, 24
# Not measured: read off the arrays that Brian2CUDA's programs hold on the host at the start and on the GPU during the
# run, with its context and the heap that brian/cuda.py asks for.
_CUDA_PROGRAM = EngineBytes(500 * MB, connection=100, neuron=0, input_spike=0, recorded=0)
_CUDA_DEVICE = EngineBytes(500 * MB + 2048 * 2**20, connection=48, neuron=600, input_spike=8, recorded=8)
_CUDA_COMPILER = 500 * MB
# Two processes: ours, which holds no connections of a folder that it wrote itself, and NEST's with static synapses.
_NEST = EngineBytes(380 * MB, connection=80, neuron=3_000, recorded=145)
_NEST_SLICE, _NEST_SLICE_BYTES = 8_000_000, 25  # connections handed over at once

# Filters of the LGN, their response to a grating, and the libraries that measure and draw.
_STIMULATION = 350 * MB
# Of a spike on its way from the engine to the counts; a column that fires more than this takes more.
_SPIKE_BYTES, _EXPECTED_RATE_HZ = 64, 10
_RATES_BYTES = 4 * 17_400  # of the LGN, per ms

# Training: the Python process with the LGN's filters, both engines of the held-out test and the figure.
_TRAINING_PROCESS = 1115 * MB
# Weight, gradient, two moments of Adam, initial distribution; for a moment sorting for the loss and summing gradients.
_TRAINING_CONNECTION, _TRAINING_CONNECTION_AT_WORK = 22, 38
_TRAINING_NEURON = 8_000
# Of every neuron in every step: spikes, potential and flags, their gradients, and what the losses make of them.
_TRAINING_STEP, _TORCH_STEP = 30, 25
_DELAYS = 3  # ms, the longest of our columns
# Of the reference engine, whose backpropagation keeps all states. Tensors of 2 MB and more are aligned to pages
# (before_torch.py); where the states of a step are smaller, glibc's heap keeps gaps between what is kept.
_PAGED = 2 * MB
_REFERENCE_TRAINING_STEP, _REFERENCE_TRAINING_STEP_IN_HEAP = 215, 900
_REFERENCE_STEP, _REFERENCE_STEP_IN_HEAP = 35, 150

# Building: candidates of a block, sorting by source, and one projection being written.
_BUILDING = EngineBytes(310 * MB, connection=13, neuron=0)
_FILES_CONNECTION, _FILES_NEURON = 30, 400


def counts_of(circuit):
    """Count what a forecast asks for.

    Parameters
    ----------
    circuit : Circuit or nest.CircuitFolder
        A folder does not tell the receptors; they are taken to be those of our columns.

    Returns
    -------
    CircuitCounts
    """
    n_edges = {name: projection.n_edges for name, projection in circuit.projections.items()}
    return CircuitCounts(circuit.n_neurons, n_edges, getattr(circuit, "n_receptors", CircuitCounts.n_receptors))


def run_counts(duration, dt=1.0, batch=1, n_recorded=0):
    """Count the steps of a run and the spikes to expect from LGN and background.

    Parameters
    ----------
    duration, dt : float [ms]
    batch, n_recorded
        As of RunCounts.

    Returns
    -------
    RunCounts
    """
    return RunCounts(round(duration / dt), round(INPUT_SPIKES_PER_MS * duration * batch), batch, n_recorded)


def simulation_memory(engine, circuit, run):
    """Forecast the memory of ``twincortex simulate``.

    Parameters
    ----------
    engine : str
        One of ENGINES; torch-cuda and brian-cuda without the GPU's memory.
    circuit : CircuitCounts
    run : RunCounts

    Returns
    -------
    float [bytes]
    """
    return _SIMULATIONS[engine](circuit, run)


def stimulated_memory(engine, circuit, duration, dt=1.0, batch=1):
    """Forecast the memory of a command that draws the input of trials itself and counts their spikes.

    Parameters
    ----------
    engine : str
    circuit : CircuitCounts
    duration, dt : float [ms]
        Of a trial.
    batch : int
        Trials at once.

    Returns
    -------
    float [bytes]
        Without what is kept of trials that have passed.
    """
    simulation = simulation_memory(engine, circuit, run_counts(duration, dt, batch))
    n_spikes = circuit.n_neurons * duration / 1000 * _EXPECTED_RATE_HZ * batch
    return _STIMULATION + simulation + _SPIKE_BYTES * n_spikes + _RATES_BYTES * duration


def gpu_memory(circuit, run):
    """Forecast the memory that brian-cuda needs on the GPU; not measured.

    Parameters
    ----------
    circuit : CircuitCounts
    run : RunCounts

    Returns
    -------
    float [bytes]
    """
    return _sum(_CUDA_DEVICE, circuit, run)


def training_memory(circuit, trained, batch, n_steps, held_out=0, engine="fused"):
    """Forecast the memory of ``training/train.py``.

    Parameters
    ----------
    circuit : CircuitCounts
    trained : collection of str
        Projections whose weights are trained.
    batch : int
        Trials per update.
    n_steps : int
        Of the longest rollout.
    held_out : float [bytes]
        What the test after the updates adds to what they leave (`held_out_memory`).
    engine : str
        ``"fused"`` or ``"reference"``.

    Returns
    -------
    float [bytes]
    """
    n_trained = sum(circuit.n_edges.get(name, 0) for name in trained)
    kept = _TRAINING_STEP
    if engine == "reference":
        kept = _REFERENCE_TRAINING_STEP if _is_paged(circuit, batch, 4) else _REFERENCE_TRAINING_STEP_IN_HEAP
    return (
        _TRAINING_PROCESS
        + circuit.circuit_bytes
        + _TRAINING_CONNECTION * n_trained
        + max(_TRAINING_CONNECTION_AT_WORK * n_trained + kept * circuit.n_neurons * batch * n_steps, held_out)
        + _TRAINING_NEURON * circuit.n_neurons
    )


def held_out_memory(engine, circuit, run):
    """Forecast what the held-out test of ``training/train.py`` takes in another engine than torch.

    Parameters
    ----------
    engine : str
        The second engine.
    circuit : CircuitCounts
    run : RunCounts

    Returns
    -------
    float [bytes]
        All of the engine but Python's libraries, which are in the process already, and the circuit.
    """
    if engine == "torch":
        return 0
    return max(0, _SIMULATIONS[engine](circuit, run) - circuit.circuit_bytes - _BRIAN.process)


def building_memory(circuit):
    """Forecast the memory of ``twincortex build``.

    Parameters
    ----------
    circuit : CircuitCounts

    Returns
    -------
    float [bytes]
    """
    return _BUILDING.process + _BUILDING.connection * circuit.n_connections


def files_of_circuit(circuit):
    """Forecast the size of a circuit's files.

    Parameters
    ----------
    circuit : CircuitCounts

    Returns
    -------
    float [bytes]
    """
    return 6 * MB + _FILES_CONNECTION * circuit.n_connections + _FILES_NEURON * circuit.n_neurons


def _sum(engine, circuit, run):
    return (
        engine.process
        + engine.connection * circuit.n_connections
        + engine.neuron * circuit.n_neurons
        + engine.input_spike * run.n_input_spikes
        + engine.recorded * run.n_recorded * run.n_steps * run.batch
    )


def _is_paged(circuit, batch, number_bytes):
    return circuit.n_states * circuit.n_neurons * batch * number_bytes >= _PAGED


def _steps_at_once(circuit, run):
    """Neurons times trials times steps that the torch engines simulate before they look at the spikes."""
    neurons = circuit.n_neurons * run.batch
    return min(run.n_steps * neurons, max(NEURON_STEPS_AT_ONCE, neurons))


def _torch(circuit, run):
    per_trial = 8 * (2 * circuit.n_states + _DELAYS * circuit.n_receptors)  # states before and after, inboxes
    states = per_trial * circuit.n_neurons * run.batch
    return _sum(_TORCH, circuit, run) + circuit.circuit_bytes + states + _TORCH_STEP * _steps_at_once(circuit, run)


def _torch_reference(circuit, run):
    kept = _REFERENCE_STEP if _is_paged(circuit, run.batch, 8) else _REFERENCE_STEP_IN_HEAP
    states = 4 * 8 * circuit.n_states * circuit.n_neurons * run.batch  # and after integration, and after delivery
    return _sum(_TORCH_REFERENCE, circuit, run) + circuit.circuit_bytes + states + kept * _steps_at_once(circuit, run)


def _brian(circuit, run):
    engine = _BRIAN_MANY if circuit.n_connections > MANY_CONNECTIONS else _BRIAN
    return _sum(engine, circuit, run) + circuit.circuit_bytes


def _standalone(circuit, run, program, compiler):
    waits, compilers = _sum(_CPP_WAITS, circuit, run), compiler * min(count_processors(), _LARGE_FILES)
    compiles = _sum(_CPP_WAITS, circuit, replace(run, n_recorded=0)) + compilers
    at_once = [_sum(_CPP_GENERATES, circuit, run), compiles, waits + _sum(program, circuit, run)]
    return circuit.circuit_bytes + max(at_once)


def _nest(circuit, run):
    return _sum(_NEST, circuit, run) + _NEST_SLICE_BYTES * min(circuit.n_connections, _NEST_SLICE)


# The engines of equivalence.py.
_SIMULATIONS = {
    "torch": _torch,
    "torch-cuda": _torch,
    "torch-reference": _torch_reference,
    "brian": _brian,
    "brian-cpp": lambda circuit, run: _standalone(circuit, run, _CPP_PROGRAM, _COMPILER),
    "brian-cuda": lambda circuit, run: _standalone(circuit, run, _CUDA_PROGRAM, _CUDA_COMPILER),
    "nest": _nest,
}
ENGINES = tuple(_SIMULATIONS)
