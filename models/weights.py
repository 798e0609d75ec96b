"""The only place where weights cross between torch, Circuit (hence Brian2 and NEST) and SONATA files.

Every engine keeps weights in pA in the canonical order of Projection, so crossing is a copy; float32 is what a
Circuit and its files hold, and every float32 is also a float64.
"""


def circuit_with_trained_weights(circuit, column):
    """Put the weights of a torch column into a circuit.

    Parameters
    ----------
    circuit : Circuit
        The one the column was made of.
    column : ReferenceColumn

    Returns
    -------
    Circuit
        Same topology, weights rounded to float32.
    """
    return circuit.with_weights({name: weight.detach().cpu().numpy() for name, weight in column.weights.items()})
