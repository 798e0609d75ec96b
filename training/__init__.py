"""How the weights of a circuit are found."""
