"""Read 2,000 damaged SONATA folders, print what became of them and store it.

``PYTHONPATH=tests python tests/benchmarks/damaged_circuits.py``
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

from damaged_reading import bases, read_damaged

HERE = Path(__file__).resolve().parent
PACKAGES = ("twincortex", "h5py", "numpy", "pandas")


def main():
    """Damage each base in turn, print a table of kinds and results, write results/damaged_circuits.json."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first-seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = list(_outcomes(Path(scratch), options))
    results = {name: dict(Counter(outcome.result for base, outcome in outcomes if base.name == name)) for name in
               dict.fromkeys(base.name for base, _ in outcomes)}  # fmt: skip
    kinds = Counter((outcome.damage.kind, outcome.result) for _, outcome in outcomes)
    harmful = [(base.name, outcome) for base, outcome in outcomes if not outcome.is_harmless(base.has_checksums)]
    _print(kinds, harmful)
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in PACKAGES},
        "cases": len(outcomes),
        "seconds": round(time.perf_counter() - started, 1),
        "results": results,
        "kinds": {f"{kind}: {what}": count for (kind, what), count in sorted(kinds.items())},
        "harmful": [f"{name}, {outcome.damage.what}: {outcome.result}" for name, outcome in harmful],
    }
    print(json.dumps(results))
    (HERE / "results" / "damaged_circuits.json").write_text(json.dumps(result, indent=1) + "\n")
    return 1 if harmful else 0


def _outcomes(scratch, options):
    all_bases = bases(scratch)
    for seed in range(options.first_seed, options.first_seed + options.cases):
        base = all_bases[seed % len(all_bases)]
        yield base, read_damaged(base, seed, scratch)


def _print(kinds, harmful):
    for (kind, result), count in sorted(kinds.items()):
        print(f"{kind:<18} {result:<10} {count:>5}")
    for name, outcome in harmful:
        print(f"HARMFUL: {name}: {outcome.damage.what}: {outcome.result} {outcome.message[:300]}")


if __name__ == "__main__":
    raise SystemExit(main())
