"""Circuit to SONATA folder and back, bit by bit; and SONATA circuits of others to ours.

Layout: ``circuit_config.json``, ``network/`` (nodes and edges in HDF5, their types in CSV), ``components/`` (cell
models and synapses in NEST's words) and ``checksums.json``.
"""

from importlib import import_module

# Modules are imported on demand: who needs a single one, such as a NEST process, shall not wait for all.
_MODULES = {
    "read_circuit": "reading",
    "import_circuit": "reading",
    "write_circuit": "writing",
    "new_circuit_folder": "writing",
    "read_weights": "weights",
    "write_weights": "weights",
    "validate_folder": "validation",
    "import_spikes": "spikes_import",
}
__all__ = [*_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
