"""Silence: hold cohorts of neurons down by an injected current, and compare with the same trials without it."""

from dataclasses import dataclass

import numpy as np

from twincortex.analysis.experiments.cohorts import find_cohort, held_down
from twincortex.analysis.experiments.protocols.gratings import Gratings, for_every_variant
from twincortex.analysis.experiments.protocols.options import option
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_populations

BASELINE = "baseline"
EVERY_TYPE = "every-type"
_HIGH_AND_LOW = tuple(f"{group}:{third}" for group in ("Exc", "Inh", "PV", "SST", "VIP") for third in ("top", "bottom"))


@dataclass(frozen=True)
class Silence(Gratings):
    """Gratings shown with each cohort silenced, and with none (``baseline``): the same movies, noise and program.

    Source
    ------
    biorealistic-v1-model, generate_fig5_outgoing_silencing_configs.py (current clamp of -1,000 pA).
    """

    trials: int = option(2, "of each direction", at_least=1)
    gray_ms: float = option(500.0, "gray that is measured [ms]", at_least=1)
    cohorts: tuple = option(
        _HIGH_AND_LOW,
        "cell type or class, of which GROUP:top or GROUP:bottom take a third by outgoing weight (:incoming by "
        f"incoming); {EVERY_TYPE} for all cell types; a CSV with a column node_id; FILE.json#NAME of SONATA node sets",
    )
    current_pA: float = option(-1000.0, "injected into the neurons of a cohort [pA]")

    def declare(self, circuit, is_core):
        """Declare the experiment; ``silenced`` (condition, neuron) says who is held down."""
        cohorts = {name: find_cohort(circuit, is_core, name) for name in self._names(circuit, is_core)}
        cohorts = {BASELINE: np.zeros(circuit.n_neurons, dtype=bool)} | cohorts
        # A current of zeros, too: so all of them run in one compiled project.
        variants = {name: held_down(chosen, self.current_pA) for name, chosen in cohorts.items()}
        experiment = for_every_variant(
            self, variants, "silence", {"cohort": str, "n_silenced": lambda name: int(cohorts[name].sum())}
        )
        silenced = np.stack([cohorts[name] for name in experiment.conditions.cohort])
        experiment.columns["silenced"] = (("condition", "neuron"), silenced)
        experiment.units["n_silenced"] = "1"
        return experiment

    def _names(self, circuit, is_core):
        names = []
        for name in self.cohorts:
            if name == EVERY_TYPE:
                there = set(circuit.cell_type[is_core])
                names += [one for one in read_populations().cell_type.unique() if one in there]
            else:
                names.append(name)
        if BASELINE in names or len(set(names)) < len(names):
            raise InputError(f"cohorts {', '.join(names)}: expected each once, and none called {BASELINE}.")
        return names
