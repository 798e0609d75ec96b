"""Circuits written as SONATA folders, the projections in the background and as soon as they are there."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from twincortex.models.atomic_output import flush_to_disk, new_folder
from twincortex.models.circuit import validate
from twincortex.models.errors import TwinCortexError
from twincortex.models.progress import no_progress
from twincortex.models.sonata.checksums import write_checksums
from twincortex.models.sonata.configuration import write_configuration
from twincortex.models.sonata.edge_types import EdgeTypes, write_edge_types
from twincortex.models.sonata.edges import stamp_edges, write_edges
from twincortex.models.sonata.nodes import write_external_nodes, write_v1_nodes
from twincortex.models.sonata.tables import CONFIG, layer_folders


class _CalledOffError(TwinCortexError):
    """The circuit will not be finished: stop writing."""


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


@contextmanager
def new_circuit_folder(folder, overwrite=False, progress=no_progress):
    """Open a folder for a circuit that is to be written there, whole or not at all.

    Parameters
    ----------
    folder : str or Path
    overwrite : bool
        Replace a circuit that is there.
    progress : callable
        Called with (stage, done, total), from another thread.

    Yields
    ------
    CircuitWriter
        The folder appears when the block ends without an error.

    Raises
    ------
    InputError
        The folder exists or cannot be written, or a circuit is not valid.
    """
    called_off = threading.Event()

    def report(stage, done, total):
        if called_off.is_set():
            raise _CalledOffError(stage)
        progress(stage, done, total)

    with new_folder(folder, CONFIG, overwrite) as root, ThreadPoolExecutor(1) as background:
        try:
            yield CircuitWriter(root, background, report)
        except BaseException:
            called_off.set()
            background.shutdown(wait=False, cancel_futures=True)
            raise


class CircuitWriter:
    """Write a circuit that may still grow; see `new_circuit_folder`."""

    def __init__(self, root, background, progress):
        self._root, self._background, self._progress = root, background, progress
        self._written = {}
        for path in layer_folders(root):
            path.mkdir(parents=True)

    def write_projections(self, circuit):
        """Begin to write the projections of a circuit that are not being written yet; return at once.

        Parameters
        ----------
        circuit : Circuit
            Perhaps not whole, but its nodes are final.
        """
        for name in circuit.projections:
            if name not in self._written:
                self._written[name] = self._background.submit(self._write_projection, circuit, name)

    def finish(self, circuit, texts=None):
        """Write what is missing and wait until all is on the disk.

        Parameters
        ----------
        circuit : Circuit
            Whole.
        texts : dict of file name -> str, optional
            What else belongs into the folder.

        Raises
        ------
        InputError
            The circuit is not valid.
        """
        self.write_projections(circuit)
        network, cell_models, _ = layer_folders(self._root)
        write_v1_nodes(network, cell_models, circuit)
        write_external_nodes(network, circuit)
        for name in circuit.projections:
            stamp_edges(self._written[name].result(), circuit)
        write_configuration(self._root, circuit)
        for name, text in (texts or {}).items():
            (self._root / name).write_text(text)
        write_checksums(self._root, circuit)

    def _write_projection(self, circuit, name):
        validate(circuit, [name])
        network, _, synapses = layer_folders(self._root)
        projection = circuit.projections[name]
        edge_types = EdgeTypes(circuit, projection)
        write_edge_types(network / f"{projection.source}_v1_edge_types.csv", synapses, edge_types)
        path = network / f"{projection.source}_v1_edges.h5"
        write_edges(path, edge_types, self._progress)
        flush_to_disk(path)
        return path
