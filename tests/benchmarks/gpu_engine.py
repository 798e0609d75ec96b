"""Judge the fused engine on an NVIDIA GPU: the same numbers as the reference engine, then times, memory and bandwidth.

``PYTHONPATH=tests python tests/benchmarks/gpu_engine.py`` needs a GPU, nvcc and 60 GB of memory, takes less than nine
minutes and asks nothing. Each finding is written to results/gpu_engine.json at once: a run that is cut short leaves
what it found. ``--device cpu --scale 0.01`` tries the script without a GPU; its numbers then mean nothing.

Circuits are random, as large as the core and the whole column, with the column's delays and receptors per cell model.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from twincortex.models import before_torch  # noqa: F401

# isort: split
import torch
from large_random_circuit import large_random_circuit

from twincortex.models.surrogate import GradientShaping, ReferenceColumn
from twincortex.models.surrogate.column import State
from twincortex.models.surrogate.fused import FusedColumn
from twincortex.models.surrogate.inputs import schedule_arrivals

from circuits import small_random_circuit, small_random_inputs

RESULTS = Path(__file__).resolve().parent / "results" / "gpu_engine.json"
SECONDS = 520  # after which nothing new is begun
SIZES = {
    "66k": {"n": 66_658, "n_recurrent": 23_500_000, "n_lgn_edges": 30_000_000},
    "204k": {"n": 203_816, "n_recurrent": 84_145_692, "n_lgn_edges": 68_000_000},
}
RUNS = ((1, 1000), (32, 500))  # trials, steps of 1 ms
TARGETS = {  # seconds of a training step on an H200
    ("66k", 1): 0.2, ("66k", 32): 0.4, ("204k", 1): 0.65, ("204k", 32): 1.2,
}  # fmt: skip
FORWARD_TARGET = 0.03  # seconds per second of biological time, 204k, one trial
RATE_Hz = 4.0
REPEATS = 3
TRAINED = ("v1_to_v1", "bkg_to_v1")


class Findings:
    """What was found so far, in a file."""

    def __init__(self, path):
        self._path, self._started = path, time.perf_counter()
        self._found = {}

    def add(self, name, find, *arguments):
        """Find something out, unless time is up; note it, or why it could not be found out."""
        elapsed = time.perf_counter() - self._started
        if elapsed > SECONDS:
            self._found[name] = f"left out after {elapsed:.0f} s"
        else:
            try:
                self._found[name] = find(*arguments)
            except Exception as error:  # the next finding may still succeed
                traceback.print_exc()
                self._found[name] = {"error": f"{type(error).__name__}: {error}"}
        print(f"{time.perf_counter() - self._started:6.1f} s  {name}: {json.dumps(self._found[name])}", flush=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._found, indent=1) + "\n")


def main():
    """Find everything out in the order of importance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--scale", type=float, default=1.0, help="of neurons, connections and steps")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    options = parser.parse_args()
    findings = Findings(options.results)
    findings.add("machine", describe_machine, options.device)
    findings.add("copy_bytes_per_s", measure_copy, options.device)
    for dtype, reduced in ((torch.float64, False), (torch.float32, False), (torch.float32, True)):
        name = f"agreement_{'reduced' if reduced else str(dtype).removeprefix('torch.')}"
        findings.add(name, compare_engines, options.device, dtype, reduced)
    findings.add("repeats_to_the_bit", check_determinism, options.device)
    for size in SIZES:
        measure_size(findings, size, options)


# --- the machine ------------------------------------------------------------------------------------------------------


def describe_machine(device):
    """What the numbers belong to."""
    found = {"date": date.today().isoformat(), "python": platform.python_version(), "torch": torch.__version__}
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip()
        found["nvcc"] = subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout.splitlines()[-1]
        found["l2_bytes"] = torch.cuda.get_device_properties(0).L2_cache_size
    return found


def measure_copy(device):
    """Bytes read and written per second by a large copy."""
    source = torch.ones(2**28 if device == "cuda" else 2**24, device=device)
    target = torch.empty_like(source)
    seconds, _ = measured(lambda: target.copy_(source), device, repeats=10)
    return 2 * source.nbytes / seconds


def measured(work, device, repeats=REPEATS):
    """Median seconds of some work, after a run that is not counted, and the spread (largest less smallest)."""
    times = []
    for _ in range(repeats + 1):
        wait_for(device)
        started = time.perf_counter()
        work()
        wait_for(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]), max(times[1:]) - min(times[1:])


def wait_for(device):
    """Wait until the GPU has done what it was asked to."""
    if device == "cuda":
        torch.cuda.synchronize()


# --- the same numbers -------------------------------------------------------------------------------------------------


def compare_engines(device, dtype, reduced):
    """Spikes that differ, and the largest differences of V [mV] and of gradients (relative to the largest gradient)."""
    rows = {}
    for batch in (1, 3, 16, 33):
        circuit = small_random_circuit(batch, n=200, n_lgn=60, n_bkg=20, in_degree=40)
        trials = [small_random_inputs(trial, circuit, 100, lgn_rate_Hz=40.0) for trial in range(batch)]
        inputs = {name: [trial[name] for trial in trials] for name in trials[0]}
        shaping, trained = GradientShaping(gain=0.2), ("v1_to_v1", "lgn_to_v1", "bkg_to_v1")
        options = {"dtype": dtype, "shaping": shaping, "trained": trained}
        columns = ReferenceColumn(circuit, **options), FusedColumn(circuit, device=device, reduced=reduced, **options)
        (z, v, expected), (other_z, other_v, actual) = (spikes_and_gradients(column, inputs) for column in columns)
        rows[f"batch_{batch}"] = {
            "spikes": int(z.sum()),
            "spikes_that_differ": int((z != other_z).sum()),
            "v_mV": float((v - other_v).abs().max()),
            "gradient": max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(expected, actual, strict=True)),
        }
    return rows


def spikes_and_gradients(column, inputs, n_steps=100):
    """Spikes, V and the gradients of all weights of a loss in both, on the processor."""
    column.zero_grad()
    rollout = column(inputs, n_steps)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(*rollout.spikes.shape, generator=generator, dtype=torch.float64)
    weight = weight.to(column.dtype).to(column.device)
    ((weight * rollout.spikes).sum() + 0.01 * (weight.flip(0) * rollout.v).sum()).backward()
    gradients = [weight.grad.double().cpu() for weight in column.weights.values()]
    return rollout.spikes.detach().double().cpu(), rollout.v.detach().double().cpu(), gradients


def check_determinism(device):
    """Whether three rollouts with gradients are the same to the bit, with and without deterministic mode."""
    circuit = small_random_circuit(1, n=2000, n_lgn=200, n_bkg=50, in_degree=100)
    inputs = {name: [trains] * 8 for name, trains in small_random_inputs(2, circuit, 100).items()}
    column, found = FusedColumn(circuit, device=device, dtype=torch.float32), {}
    for wanted in (True, False):
        with deterministic_mode(wanted):
            first, *others = (spikes_and_gradients_of_trained(column, inputs) for _ in range(3))
        same = all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
        found["deterministic" if wanted else "usual"] = same
    return found


def spikes_and_gradients_of_trained(column, inputs):
    """Spikes, V and the gradients of the trained weights."""
    column.zero_grad()
    rollout = column(inputs, 100)
    (rollout.spikes.sum() + rollout.v.pow(2).mean()).backward()
    return [rollout.spikes.detach(), rollout.v.detach(), *(column.weights[name].grad.clone() for name in TRAINED)]


@contextmanager
def deterministic_mode(wanted):
    """torch's deterministic mode, without filling tensors that the kernels fill anyway."""
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.use_deterministic_algorithms(wanted)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# --- times ------------------------------------------------------------------------------------------------------------


def measure_size(findings, size, options):
    """Times of a circuit with all precisions and batches, the most important first."""
    made = {}
    findings.add(f"{size}_circuit", make_circuit, size, options, made)
    if "circuit" not in made:
        return
    for reduced in (False, True):
        column = None  # frees the memory of the one before
        column = FusedColumn(
            made["circuit"], device=options.device, dtype=torch.float32, reduced=reduced, trained=TRAINED
        )
        for batch, n_steps in RUNS:
            n_steps = max(50, round(n_steps * min(1, 20 * options.scale)))
            name = f"{size}_batch_{batch}{'_reduced' if reduced else ''}"
            findings.add(name, measure_training, column, size, batch, n_steps, options.device)
            if not reduced:
                findings.add(f"{name}_kernels", profile_kernels, column, batch, options.device)
                findings.add(
                    f"{name}_deterministic", measure_deterministic, column, size, batch, n_steps, options.device
                )


def make_circuit(size, options, made):
    """A circuit whose background makes it fire at 4 Hz."""
    numbers = {name: max(1000, round(value * options.scale)) for name, value in SIZES[size].items()}
    started = time.perf_counter()
    bkg_weight = calibrate(options.device)
    made["circuit"] = large_random_circuit(1, **numbers, bkg_weight=bkg_weight)
    edges = {name: projection.n_edges for name, projection in made["circuit"].projections.items()}
    return {"neurons": numbers["n"], **edges, "bkg_weight_pA": bkg_weight, "seconds": time.perf_counter() - started}


def calibrate(device):
    """Weight of the background [pA] at which a small circuit fires at RATE_Hz."""
    circuit = large_random_circuit(1, 2000, 20_000, 20_000, bkg_weight=1.0)
    column = FusedColumn(circuit, device=device, dtype=torch.float32, trained=())
    state, low, high = arriving(column, circuit, 1, 400), 1.0, 300.0
    unit = column.weights["bkg_to_v1"].clone()
    for _ in range(8):
        weight = (low * high) ** 0.5
        with torch.no_grad():
            column.weights["bkg_to_v1"].copy_(unit * weight)
            rate = float(column({}, 400, state).spikes[100:].mean()) * 1e3
        low, high = (weight, high) if rate < RATE_Hz else (low, weight)
    return weight


def arriving(column, circuit, batch, n_steps):
    """The state at rest, with the spikes of LGN and background of a whole rollout on their way."""
    some = [small_random_inputs(seed, circuit, n_steps, lgn_rate_Hz=10.0) for seed in range(min(batch, 4))]
    state, pending = column.initial_state(batch), {}
    for name in some[0]:
        trains = [some[trial % len(some)][name] for trial in range(batch)]
        pending[name] = schedule_arrivals(trains, column.connections[f"{name}_to_v1"], column.dt, column.dtype)
    return State(state.x, state.refractory, state.history, pending)


def measure_training(column, size, batch, n_steps, device):
    """Seconds of a forward pass alone and of a training step, memory, and the rate of the gather."""
    started = time.perf_counter()
    state = arriving(column, _circuit_of(column), batch, n_steps)
    scheduling = time.perf_counter() - started
    with torch.no_grad():
        rate = float(column({}, n_steps, state).spikes.mean()) * 1e3
        forward, _ = measured(lambda: column({}, n_steps, state), device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step, spread = measured(lambda: training_step(column, state, n_steps), device)
    n_bytes = 8 * column.connections["v1_to_v1"].target.numel() * n_steps
    return {
        "steps": n_steps,
        "rate_Hz": rate,
        "input_s": scheduling,
        "forward_s": forward,
        "forward_s_per_biological_s": forward / n_steps * 1e3,
        "training_step_s": step,
        "spread_s": spread,
        "target_s": TARGETS[size, batch],
        "forward_target_s_per_biological_s": FORWARD_TARGET if (size, batch) == ("204k", 1) else None,
        "peak_GB": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
        "connection_bytes_per_s_of_backward": n_bytes / max(step - forward, 1e-9),
    }


def _circuit_of(column):
    """What small_random_inputs asks a circuit for."""
    projections = {name: _Sources(connections.n_sources) for name, connections in column.connections.items()}
    return _Sources(0, projections)


class _Sources:
    def __init__(self, n_sources, projections=None):
        self.n_sources, self.projections = n_sources, projections


def training_step(column, state, n_steps):
    """Forward, backward of a loss of the rates."""
    column.zero_grad()
    (column({}, n_steps, state).spikes.mean(dim=0) - 0.005).pow(2).sum().backward()


def measure_deterministic(column, size, batch, n_steps, device):
    """A training step in deterministic mode."""
    state = arriving(column, _circuit_of(column), batch, n_steps)
    with deterministic_mode(True):
        seconds, spread = measured(lambda: training_step(column, state, n_steps), device, repeats=2)
    return {"training_step_s": seconds, "spread_s": spread}


def profile_kernels(column, batch, device):
    """Microseconds per launch of each kernel, and the rate at which the gather reads connections (8 bytes each)."""
    if device != "cuda":
        return "only on a GPU"
    n_steps = 100
    state = arriving(column, _circuit_of(column), batch, n_steps)
    training_step(column, state, n_steps)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        training_step(column, state, n_steps)
        torch.cuda.synchronize()
    rows = {row.key: (row.device_time_total, row.count) for row in profile.key_averages() if row.device_time_total}
    largest = sorted(rows.items(), key=lambda item: -item[1][0])[:10]
    found = {name[:60]: {"us": total / count, "launches": count} for name, (total, count) in largest}
    gathers = [total / count for name, (total, count) in rows.items() if "gather<" in name and "Scratch" in name]
    if gathers:
        found["gather_bytes_per_s"] = 8 * column.connections["v1_to_v1"].target.numel() / gathers[0] * 1e6
    return found


if __name__ == "__main__":
    sys.exit(main())
