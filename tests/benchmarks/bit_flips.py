"""Flip 1,000 single bits in a checkpoint of a real training, one at a time; none may go unnoticed.

``PYTHONPATH=tests python tests/benchmarks/bit_flips.py``
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

from flipped_bits import flip_newest
from killed_training import TRAINING, train

HERE = Path(__file__).resolve().parent


def main():
    """Train ``tiny`` for some steps, flip bits of its newest checkpoint, print what was hit, write results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run_folder = Path(scratch) / "run"
        train(*TRAINING, "--out", run_folder)
        started = time.perf_counter()
        outcomes = list(flip_newest(run_folder, options.flips, options.seed))
        seconds = time.perf_counter() - started
        newest = max((run_folder / "checkpoints").glob("step_*"))
        sizes = {path.name: path.stat().st_size for path in sorted(newest.iterdir())}
    unnoticed = [what for what, noticed in outcomes if not noticed]
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in ("twincortex", "torch", "safetensors")},
        "seed": options.seed,
        "bytes": sizes,
        "flips": len(outcomes),
        "seconds": round(seconds, 1),
        "where": dict(sorted(Counter(what.split(":")[0] for what, _ in outcomes).items())),
        "noticed": len(outcomes) - len(unnoticed),
        "unnoticed": unnoticed,
    }
    print(json.dumps(result))
    (HERE / "results" / "bit_flips.json").write_text(json.dumps(result, indent=1) + "\n")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    raise SystemExit(main())
