"""Circuit to SONATA folder and back, bit by bit.

Layout: ``circuit_config.json``, ``network/`` (nodes and edges in HDF5, their types in CSV), ``components/`` (cell
models and synapses in NEST's words) and ``checksums.json``.
"""

from twincortex.models.progress import no_progress
from twincortex.models.sonata_import import import_circuit, read_circuit
from twincortex.models.sonata_writing import new_circuit_folder

__all__ = ["import_circuit", "read_circuit", "write_circuit"]


def write_circuit(circuit, folder, overwrite=False, progress=no_progress):
    """Write a circuit as a SONATA folder, whole or not at all.

    Parameters
    ----------
    circuit : Circuit
    folder : str or Path
    overwrite : bool
        Replace a circuit that is there.
    progress : callable
        Called with (stage, done, total), from another thread.

    Raises
    ------
    InputError
        The folder exists or cannot be written, or the circuit is not valid.

    Source
    ------
    Dai et al. (2020) The SONATA data format for efficient description of large-scale network models.
    """
    with new_circuit_folder(folder, overwrite, progress) as writer:
        writer.finish(circuit)
