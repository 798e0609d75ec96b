"""Print how torch and brian-cpp agree, case by case, and store it.

``PYTHONPATH=tests python tests/benchmarks/engine_agreement.py``
"""

import dataclasses
import json
import os
import platform
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from two_engines import CASES, grating_spikes, run_both, tiny_column, with_other_weights

HERE = Path(__file__).resolve().parent
PACKAGES = ("twincortex", "torch", "brian2", "numpy")


def main():
    """Run every case, print one row each, write results/engine_agreement.json."""
    rows = {}
    with tempfile.TemporaryDirectory() as root:
        for name, (circuit_seed, input_seed, options) in CASES.items():
            rows[name] = _run_case(name, tiny_column(circuit_seed), input_seed, root, options)
        name = "tiny, other weights, not recompiled"
        rows[name] = _run_case(name, with_other_weights(tiny_column()), 1, root, {})
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in PACKAGES},
        "cases": rows,
    }
    (HERE / "results" / "engine_agreement.json").write_text(json.dumps(result, indent=1) + "\n")


def _run_case(name, circuit, input_seed, root, options):
    started = time.perf_counter()
    comparison, _ = run_both(circuit, grating_spikes(circuit, input_seed), root, **options)
    row = dataclasses.asdict(comparison) | {"seconds": round(time.perf_counter() - started, 1)}
    print(f"{name:<38} {row['spikes'][0]:>6} {row['spikes'][1]:>6} spikes, {row['mismatched']} mismatched, "
          f"max dV {row['max_dv_mV']:.1e} mV, {row['seconds']} s")  # fmt: skip
    return row


if __name__ == "__main__":
    main()
