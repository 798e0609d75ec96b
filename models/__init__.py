"""What the circuit is, and the two engines that run it."""
