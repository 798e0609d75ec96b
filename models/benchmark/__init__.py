"""``twincortex benchmark``: engines timed in turn, in processes of their own, on the same circuit and input."""
