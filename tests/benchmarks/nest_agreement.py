"""Run one SONATA folder of size tiny in NEST with 1 and 2 threads and in our engines; compare, print and store.

``python tests/benchmarks/nest_agreement.py [--duration 500]``

Where NEST was built with MPI and mpirun is at hand, two processes run, too. Ends with 1 where a spike differs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

from twincortex.models.toolchain import find_mpi_launcher, find_nest

RESULTS = Path(__file__).resolve().parent / "results" / "nest_agreement.json"
PACKAGES = ("twincortex", "torch", "brian2", "numpy")
TWINCORTEX = (sys.executable, "-c", "import sys; from twincortex.models.command_line import main; sys.exit(main())")
FIRST = "torch"
# Both are exact; what is left are roundings of exponentials in float64 (as in tests/oracles).
V_TOLERANCE_MV = 1e-8


def main():
    """Run every engine on the same folder, print a row each, write results/nest_agreement.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, default=500.0, metavar="MS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ["TWINCORTEX_STANDALONE"] = f"{root}/standalone"
        rows = _run_all(root, options)
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {**{package: version(package) for package in PACKAGES}, "nest": find_nest()},
        "case": f"tiny, seed {options.seed}, grating, {options.duration:g} ms, after-spike current as step mean, all V",
        f"against_{FIRST}": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(row["mismatched"] == 0 and row["max_dv_mV"] <= V_TOLERANCE_MV for row in rows.values()) else 1


def _run_all(root, options):
    circuit, inputs, seed = f"{root}/circuit", f"{root}/inputs", ("--seed", str(options.seed))
    _twincortex("build", "--size", "tiny", *seed, "--out", circuit)
    _twincortex("stimulate", circuit, *seed, "--duration", str(options.duration), "--out", inputs)
    rows = {}
    for name, engine in {FIRST: ("torch",), **_others()}.items():
        model = ("--after-spike-current", "step_mean", "--record-v", "all")
        out = f"{root}/{name.replace(' ', '_')}"
        _twincortex("simulate", circuit, "--inputs", inputs, *model, "--engine", *engine, "--out", out)
        if name != FIRST:
            row = rows[name] = _twincortex("compare", f"{root}/{FIRST}", out)
            del row["recordings"]
            print(f"{name:<24} {row['spikes'][0]:>6} {row['spikes'][1]:>6} spikes, {row['mismatched']} mismatched, "
                  f"max dV {row['max_dv_mV']:.1e} mV", flush=True)  # fmt: skip
    return rows


def _others():
    engines = {"brian-cpp": ("brian-cpp",)}
    engines |= {f"nest, {n} thread{'s' * (n > 1)}": ("nest", "--threads", str(n)) for n in (1, 2)}
    if (find_nest() or {}).get("mpi") and find_mpi_launcher():
        engines["nest, 2 MPI processes"] = ("nest", "--launcher", f"{find_mpi_launcher()} -n 2")
    return engines


def _twincortex(*arguments):
    return json.loads(subprocess.run([*TWINCORTEX, *arguments], stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
