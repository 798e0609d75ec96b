"""Print what a trained column shows of each claim of Ito et al. (2025), as the table of README; store it.

``python tests/benchmarks/claims.py RUN EXPERIMENTS [--write]``: RUN was evaluated with ``twincortex evaluate``; in
EXPERIMENTS are ``contrast``, ``contrast_without_PV`` (``--silence PV``) and ``images`` of ``twincortex experiment``.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import pandas as pd

from twincortex.analysis.captions import describe_experiment
from twincortex.analysis.claims import contrast_claims, stability_claims, wiring_claims
from twincortex.analysis.experiments.results import read_experiment
from twincortex.analysis.layer_rules import excitation_by_layer, inhibition_by_layer
from twincortex.analysis.runs import read_run
from twincortex.analysis.wired_networks import read_wired_networks

RESULTS = Path(__file__).resolve().parent / "results" / "claims.json"
EXPERIMENTS = ("contrast", "contrast_without_PV", "images")
CORE_RADIUS_UM = 200.0


def main():
    """Measure every claim, print a Markdown table, write results/claims.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("experiments", type=Path, help=f"folder of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    contrast, without_pv, images = (read_experiment(options.experiments / name) for name in EXPERIMENTS)
    trained = read_wired_networks(options.run, core_radius_um=CORE_RADIUS_UM)["after"]
    rules = (by_layer(trained.edges, trained.curve) for by_layer in (excitation_by_layer, inhibition_by_layer))
    table = pd.concat(
        [contrast_claims(contrast, without_pv), stability_claims(contrast, images), wiring_claims(*rules)],
        ignore_index=True,
    )
    described = {
        "run": read_run(options.run).description,
        "responses of the wiring rules": trained.responses.description,
        **{name: describe_experiment(read_experiment(options.experiments / name)) for name in EXPERIMENTS},
    }
    print("\n".join(f"{name}: {text}" for name, text in described.items()))
    print("| claim | here | measured, 95 % intervals | n |\n|---|---|---|---|")
    for row in table.itertuples():
        print(f"| {row.claim} | {row.verdict} | {row.measured} | {row.n} |")
    if options.write:
        result = {"date": date.today().isoformat()} | described | {"claims": table.to_dict("records")}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
