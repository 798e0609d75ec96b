"""The NEST engine: a SONATA folder run by NEST in processes of its own, with threads and under MPI."""

from twincortex.models.nest.circuit_folder import CircuitFolder, is_ours, open_circuit_folder
from twincortex.models.nest.processes import Processes
from twincortex.models.nest.simulate import refuse_what_nest_lacks, simulate, simulate_timed

__all__ = [
    "CircuitFolder",
    "Processes",
    "is_ours",
    "open_circuit_folder",
    "refuse_what_nest_lacks",
    "simulate",
    "simulate_timed",
]
