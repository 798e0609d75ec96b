"""Build circuits of all sizes with whole processes of ``twincortex build``, read them back; print, store and judge.

``python tests/benchmarks/building.py [--sizes tiny core] [--repeats 3] [--folder PLACE_WITH_10_GB]``

Times mean something on a machine that does nothing else. The first run finds no compiled kernels. Ends with 1 where a
bound of ``BOUNDS`` or ``LARGEST_GROWTH`` is missed.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "building.json"
PACKAGES = ("twincortex", "numpy", "numba", "h5py")
SIZES = ("tiny", "profile", "small", "core", "full")
REPEATS = {"full": 1}
USUAL_REPEATS = 3
BOUNDS = {"tiny": {"seconds": 4.0}, "core": {"seconds": 20.0}, "full": {"seconds": 60.0, "peak_GB": 3.0}}
READING_BOUNDS = {"core": {"seconds": 10.0}}
# CPU time per connection of full over that of core. Each target of a wider column looks at more cells of the grid: the
# prototype's time grew as connections to the power of 1.06 to 1.2, which is 1.07 to 1.27 here; the rest is for noise.
LARGEST_GROWTH = 1.5
TWINCORTEX = "import sys; from twincortex.models.command_line import main; sys.exit(main())"
READ = "import sys; from twincortex.models.sonata import read_circuit; read_circuit(sys.argv[1])"


def main():
    """Build and read all sizes, print a row each, write results/building.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--repeats", type=int, help=f"per size (default {USUAL_REPEATS}; full: once)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the circuits stand for a while (default: the usual place)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        os.environ["NUMBA_CACHE_DIR"] = str(Path(root, "kernels"))  # empty, whatever ran here before
        first = _build(options.sizes[0], options.seed, root)
        print(f"first run of all ({options.sizes[0]}, compiles the kernels): {_text(first)}")
        rows = {size: _measure(size, options, root) for size in options.sizes}
    missed = _missed(rows)
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "command": f"twincortex build --size SIZE --seed {options.seed} --out FOLDER",
        "first_run": {"size": options.sizes[0], **first},
        "sizes": rows,
        "bounds": {"build": BOUNDS, "read": READING_BOUNDS, "growth_of_cpu_per_connection": LARGEST_GROWTH},
        "missed": missed,
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(f"MISSED: {text}" for text in missed) or "all bounds are met")
    return 1 if missed else 0


def _measure(size, options, root):
    repeats = options.repeats or REPEATS.get(size, USUAL_REPEATS)
    runs = [_build(size, options.seed, root, keep=number == repeats - 1) for number in range(repeats)]
    build = _median(runs)
    millions = build["connections"] / 1e6
    row = {
        "runs": repeats,
        **build,
        "seconds_of_runs": [run["seconds"] for run in runs],
        "seconds_per_million_connections": build["seconds"] / millions,
        "cpu_seconds_per_million_connections": build["cpu_seconds"] / millions,
        "peak_bytes_per_connection": 1e9 * build["peak_GB"] / build["connections"],
        "file_bytes_per_connection": 1e9 * build["files_GB"] / build["connections"],
        "read": _median([_run([sys.executable, "-c", READ, f"{root}/circuit"])[0] for _ in range(repeats)]),
    }
    shutil.rmtree(f"{root}/circuit")
    print(f"{size:<8} build {_text(row)}; {row['connections'] / 1e6:.3g} M connections, {row['files_GB']:.3g} GB, "
          f"{row['seconds_per_million_connections']:.3g} s and {row['peak_bytes_per_connection']:.3g} bytes of memory "
          f"per million and per connection; read {_text(row['read'])}")  # fmt: skip
    return row


def _build(size, seed, root, keep=False):
    arguments = ["build", "--size", size, "--seed", str(seed), "--out", f"{root}/circuit"]
    measured, output = _run([sys.executable, "-c", TWINCORTEX, *arguments])
    files = [path.stat().st_size for path in Path(root, "circuit").rglob("*") if path.is_file()]
    if not keep:
        shutil.rmtree(f"{root}/circuit")
    return {**measured, "connections": sum(json.loads(output)["edges"].values()), "files_GB": sum(files) / 1e9}


def _run(command):
    """Run a process to its end; return its wall time, processor time and peak memory, and what it printed."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[2:])} ended with {process.returncode}")
    # A child's peak starts at the memory of this process, which therefore imports nothing large.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_GB": unit * usage.ru_maxrss / 1e9,
    }, output


def _median(runs):
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _text(measured):
    return f"{measured['seconds']:.1f} s, {measured['cpu_seconds']:.1f} CPU s, peak {measured['peak_GB']:.2f} GB"


def _missed(rows):
    missed = []
    for what, bounds in (("build", BOUNDS), ("read", READING_BOUNDS)):
        for size in bounds.keys() & rows.keys():
            measured = rows[size] if what == "build" else rows[size]["read"]
            for name, bound in bounds[size].items():
                if measured[name] > bound:
                    missed.append(f"{what} {size}: {name} {measured[name]:.3g}, at most {bound}")
    if {"core", "full"} <= rows.keys():
        core, full = (rows[size]["cpu_seconds_per_million_connections"] for size in ("core", "full"))
        if full / core > LARGEST_GROWTH:
            missed.append(f"CPU time per connection grows by {full / core:.2f} from core to full")
    return missed


if __name__ == "__main__":
    sys.exit(main())
