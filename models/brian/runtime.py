"""Brian2 inside this process: targets numpy (nothing to compile) and cython."""

import numpy as np
from brian2.devices.device import RuntimeDevice

from twincortex.models.brian.network import build_network, run_network
from twincortex.models.brian.outcome import Outcome
from twincortex.models.brian.private_state import base_preferences, private_brian


def run_in_process(plan, target, strict):
    """Build the network and run it.

    Parameters
    ----------
    plan : Plan
    target : str
        ``"numpy"`` or ``"cython"``.
    strict : bool
        Compiler flags that make every target round alike.

    Returns
    -------
    Outcome
    """
    preferences = base_preferences(strict) | {"codegen.target": target}
    with private_brian(RuntimeDevice(), preferences, plan.run.dt):
        column = build_network(plan)
        run_network(column, plan.run)
        membrane = plan.propagators.states[plan.propagators.threshold_state]
        v = np.zeros((plan.run.n_steps, 0))
        if column.voltage is not None:
            v = np.asarray(getattr(column.voltage, membrane)).T.copy()
        return Outcome(spike_times=np.array(column.spikes.t), spike_ids=np.array(column.spikes.i), v=v)
