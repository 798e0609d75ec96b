"""The only place where weights cross between torch, Circuit (hence Brian2 and NEST) and SONATA files.

Every engine keeps weights in pA in the canonical order of Projection, so crossing is a copy; float32 is what a
Circuit and its files hold, and every float32 is also a float64. Weights that are not trained never leave the circuit.
"""

import numpy as np


def circuit_with_trained_weights(circuit, column):
    """Put the weights of a torch column into a circuit.

    Parameters
    ----------
    circuit : Circuit
        The one the column was made of.
    column : surrogate.column.Column

    Returns
    -------
    Circuit
        Same topology, weights rounded to float32.
    """
    trained = {name: weight.detach().cpu().numpy() for name, weight in column.weights.items() if weight.requires_grad}
    # A copy even of float32: training goes on, the circuit stays.
    return circuit.with_weights({name: np.array(weight, dtype=np.float32) for name, weight in trained.items()})
