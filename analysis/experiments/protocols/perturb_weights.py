"""Perturb weights: scale or shuffle the connections between chosen cell types, beside the circuit as it is."""

from dataclasses import dataclass

from twincortex.analysis.experiments.perturbations import find_pairs, scale_weights, shuffle_weights
from twincortex.analysis.experiments.protocols.gratings import Gratings, for_every_variant
from twincortex.analysis.experiments.protocols.options import check_options, option
from twincortex.analysis.experiments.table import Variant
from twincortex.models.errors import InputError

BASELINE = "baseline"
SHUFFLED = "shuffled"


@dataclass(frozen=True)
class PerturbWeights(Gratings):
    """Gratings shown to the circuit as it is (``baseline``), and with the weights of pairs scaled or shuffled."""

    trials: int = option(2, "of each direction", at_least=1)
    gray_ms: float = option(500.0, "gray that is measured [ms]", at_least=1)
    pairs: tuple = option((), "PRE:POST cell types or classes, all perturbed together, such as L4_PV:L4_Exc")
    factors: tuple = option((0.0,), "by which weights are multiplied, one perturbation each", at_least=0)
    shuffle: bool = option(False, "exchange magnitudes at random within each pair, instead of scaling")

    def __post_init__(self):
        check_options(self)
        if not self.pairs:
            raise InputError("pairs are missing. Name some, such as --pairs L4_PV:L4_Exc L4_SST:L4_PV.")

    def declare(self, circuit, is_core):
        """Declare the experiment."""
        pairs = find_pairs(circuit, self.pairs)
        variants = {BASELINE: Variant()} | self._perturbations(pairs)
        what = {name: " ".join(variant.description.get("pairs", ())) for name, variant in variants.items()}
        return for_every_variant(self, variants, "perturb-weights", {"perturbation": str, "pairs": what.get})

    def _perturbations(self, pairs):
        described = {"pairs": {name: len(edges) for name, edges in pairs.items()}}
        if self.shuffle:
            change = {SHUFFLED: lambda circuit: shuffle_weights(circuit, pairs, self.seed)}
        else:
            change = {
                f"x {factor:g}": lambda circuit, factor=factor: scale_weights(circuit, pairs, factor)
                for factor in self.factors
            }
        return {name: Variant(described | {"change": name, "seed": self.seed}, made) for name, made in change.items()}
