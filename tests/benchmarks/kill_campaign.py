"""Kill trainings of ``tiny`` with kill -9 at 100 seeded random moments; every resume has to end with the same bits.

``PYTHONPATH=tests python tests/benchmarks/kill_campaign.py``
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

from killed_training import TRAINING, describe, kill_and_resume, outcome, train_whole

HERE = Path(__file__).resolve().parent


def main():
    """Run the campaign, print each round, write results/kill_campaign.json."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    started, rounds = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        durations = train_whole(whole)
        expected = outcome(whole)
        for seed in range(options.first_seed, options.first_seed + options.rounds):
            kills, differing = kill_and_resume(Path(scratch), expected, durations, seed)
            rounds.append({"seed": seed, "kills": describe(kills), "differing": differing})
            print(f"round {len(rounds)}: {rounds[-1]}", flush=True)
    return _conclude(rounds, expected, durations, time.perf_counter() - started)


def _conclude(rounds, expected, durations, seconds):
    kills = [kill for one in rounds for kill in one["kills"]]
    equal = sum(not one["differing"] for one in rounds)
    result = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {package: version(package) for package in ("twincortex", "torch", "safetensors")},
        "training": TRAINING,
        "compared": [*expected["files"], "metrics.csv without times", "no leftovers"],
        "seconds_of_the_uninterrupted_run": {name: round(value, 1) for name, value in durations.items()},
        "seconds": round(seconds),
        "rounds": len(rounds),
        "kills": len(kills),
        "kills_by_moment": dict(Counter(kill["moment"] for kill in kills)),
        "kills_while_something_was_half_written": sum(kill["leftovers"] > 0 for kill in kills),
        "found_after_the_kill": dict(sorted(Counter(kill["found"] for kill in kills).items())),
        "equal": equal,
        "all_rounds": rounds,
    }
    print(json.dumps({name: value for name, value in result.items() if name not in ("all_rounds", "training")}))
    (HERE / "results" / "kill_campaign.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0 if equal == len(rounds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
