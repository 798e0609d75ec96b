"""Write columns as SONATA folders, read them back, compare every bit; print and store.

``PYTHONPATH=tests python tests/benchmarks/round_trip.py [--sizes tiny core] [--folder PLACE_WITH_2_GB]``

Ends with 1 where anything differs.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

from round_trip_of_circuits import differences, n_bytes, write_and_read

from twincortex.models.column import build_column

RESULTS = Path(__file__).resolve().parent / "results" / "round_trip.json"
PACKAGES = ("twincortex", "numpy", "h5py", "pandas")
SIZES = ("tiny", "profile", "small", "core", "full")


def main():
    """Send every size out and back, print a row each, write results/round_trip.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES[:-1])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the circuits stand for a while (default: the usual place)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    options = parser.parse_args()
    rows = {size: _send(size, options) for size in options.sizes}
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "seed": options.seed,
        "sizes": rows,
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    different = [size for size, row in rows.items() if row["differences"]]
    print(f"DIFFERENT: {', '.join(different)}" if different else "every bit came back")
    return 1 if different else 0


def _send(size, options):
    circuit = build_column(size, options.seed)
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        back = write_and_read(circuit, Path(root, "circuit"))
        shutil.rmtree(Path(root, "circuit"))
    row = {
        "neurons": circuit.n_neurons,
        "connections": sum(projection.n_edges for projection in circuit.projections.values()),
        "bytes_compared": n_bytes(circuit),
        "topology_hash": circuit.topology_hash,
        "topology_hash_read": back.topology_hash,
        "weights_hash": circuit.weights_hash,
        "weights_hash_read": back.weights_hash,
        "differences": differences(circuit, back),
    }
    print(f"{size:<8} {row['neurons']:>8,} neurons {row['connections']:>11,} connections "
          f"{row['bytes_compared']:>13,} bytes: {', '.join(row['differences']) or 'the same'}", flush=True)  # fmt: skip
    return row


if __name__ == "__main__":
    sys.exit(main())
