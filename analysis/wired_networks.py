"""Networks whose wiring is compared with their own responses: before training, after it, and trained unconstrained."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twincortex.analysis.responses import GratingResponses, read_grating_responses
from twincortex.analysis.runs import read_run
from twincortex.analysis.wiring_rules import core_connections
from twincortex.models.circuit import Circuit


@dataclass(frozen=True)
class WiredNetwork:
    """One set of weights with the responses that were measured with it.

    Attributes
    ----------
    circuit : Circuit
    edges : pandas.DataFrame
        Connections of the core, from `wiring_rules.core_connections`, with the assigned directions.
    responses : GratingResponses
    core_radius_um : float [um]
    """

    circuit: Circuit
    edges: pd.DataFrame
    responses: GratingResponses
    core_radius_um: float

    @property
    def curve(self):
        """Mean response of every neuron to every grating, (N, D) array [Hz]."""
        return self.responses.curve

    @property
    def description(self):
        """Connections, neurons and responses, as captions state them."""
        core = np.hypot(self.circuit.nodes.x, self.circuit.nodes.z) < self.core_radius_um
        silent = int((self.curve[core].max(axis=1) == 0).sum())
        return (
            f"{len(self.edges):,} connections within {self.core_radius_um:g} um, {core.sum():,} neurons, {silent:,} of "
            f"them silent; {self.responses.description}"
        )

    def edges_by_responses(self):
        """The same connections with directions from responses; those of neurons below 1 Hz are left out."""
        return core_connections(self.circuit, self.core_radius_um, self.responses.preferred_directions())


def read_wired_networks(run, unconstrained=None, core_radius_um=200.0):
    """Read the networks of a run, and those of an unconstrained one beside it.

    Parameters
    ----------
    run : str or Path
        Folder of a training run that was evaluated.
    unconstrained : str or Path, optional
        Folder of an evaluated run that trained without the constraint on weights.
    core_radius_um : float [um]

    Returns
    -------
    dict of str -> WiredNetwork
        ``"before"``, ``"after"`` and, if there is one, ``"unconstrained"``.

    Raises
    ------
    InputError
        A run is not finished, was not evaluated, or was evaluated with other weights.
    """
    trained = read_run(run)
    circuits = {"before": (trained.before, run, "untrained"), "after": (trained.after, run, "trained")}
    if unconstrained:
        circuits["unconstrained"] = (read_run(unconstrained).after, unconstrained, "trained")
    networks = {}
    for name, (circuit, folder, network) in circuits.items():
        responses = read_grating_responses(folder, network, circuit)
        networks[name] = WiredNetwork(circuit, core_connections(circuit, core_radius_um), responses, core_radius_um)
    return networks
