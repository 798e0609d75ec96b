"""The structs of kernels/rollout.h as ctypes; field by field the same, so that a change there is a change here."""

import ctypes
from ctypes import c_double, c_int32, c_void_p


class ConnectionArguments(ctypes.Structure):
    """Connections of one projection."""

    _fields_ = (
        ("n_sources", c_int32),
        ("max_delay", c_int32),
        ("weight_is_real", c_int32),
        ("rows_ascend", c_int32),
        ("longest_row", c_int32),
        ("indptr", c_void_p),
        ("target", c_void_p),
        ("weight", c_void_p),
        ("reduced", c_void_p),
        ("weight_gradient", c_void_p),
    )


class EventArguments(ctypes.Structure):
    """Spikes of an external source."""

    _fields_ = tuple((name, c_void_p) for name in ("bounds", "row", "trial", "count"))


class RolloutArguments(ctypes.Structure):
    """What a rollout reads and writes."""

    _fields_ = (
        *((name, c_int32) for name in ("n_neurons", "batch", "n_steps", "n_external", "n_type_runs")),
        *((name, c_int32) for name in ("n_recorded", "n_threads", "deterministic")),
        *((name, c_void_p) for name in ("run_start", "run_type", "type_index", "numbers", "refractory_steps")),
        ("used_receptors", c_void_p),
        ("recorded", c_void_p),
        ("recurrent", ConnectionArguments),
        ("external", ctypes.POINTER(ConnectionArguments)),
        ("events", ctypes.POINTER(EventArguments)),
        *((name, c_void_p) for name in ("current", "x", "refractory", "inbox")),
        *((name, c_void_p) for name in ("flags", "v", "z", "v_recorded")),
        *((name, c_void_p) for name in ("z_gradient", "v_gradient", "adjoint", "delta", "spike_gradient")),
        ("surrogate", c_int32),
        *((name, c_double) for name in ("width", "gain", "recurrent_factor", "voltage_factor")),
        ("gather_seconds", c_void_p),
        ("scratch", c_void_p),
    )
