"""Brian2 keeps its device, clock and preferences in the process; this lends them out and puts them back."""

import gc
import logging
import threading
from contextlib import contextmanager

import brian2
from brian2.devices.device import get_device, reset_device
from brian2.utils.logger import catch_logs

_log = logging.getLogger(__name__)
_one_at_a_time = threading.RLock()

STRICT_FLAGS = ("-O3", "-std=c++17", "-ffp-contract=off")
FAST_FLAGS = ("-O3", "-std=c++17", "-ffast-math", "-march=native")


def compiler_flags(strict):
    """Flags for g++: strict ones give every target the same rounding, the others speed."""
    return list(STRICT_FLAGS if strict else FAST_FLAGS)


def base_preferences(strict):
    """Preferences of Brian2 that every target needs; nothing of the user's own preference file shall decide a result.

    Parameters
    ----------
    strict : bool

    Returns
    -------
    dict of str -> value
    """
    return {
        "core.default_float_dtype": brian2.float64,
        "legacy.refractory_timing": False,
        "codegen.loop_invariant_optimisations": not strict,
        "codegen.cpp.extra_compile_args": compiler_flags(strict),
        "devices.cpp_standalone.openmp_threads": 0,
        # The default names folders of the Python installation, none of which the generated code needs.
        **{f"codegen.cpp.{name}": [] for name in ("include_dirs", "library_dirs", "runtime_library_dirs")},
    }


@contextmanager
def private_brian(device, preferences, dt, **device_options):
    """Run a block on a device of its own, then restore the former device, its clock and the preferences.

    Parameters
    ----------
    device : brian2 Device
        A new one.
    preferences : dict of str -> value
    dt : float [ms]
    **device_options
        For `brian2.set_device`.
    """
    with _one_at_a_time, _messages_to_our_log():
        gc.collect()  # Brian2 numbers the names of code as long as an older network with the same names is alive
        former_device = get_device()
        former_dt = former_device.defaultclock.dt
        former_preferences = {name: brian2.prefs[name] for name in preferences}
        brian2.set_device(device, **device_options)
        try:
            brian2.defaultclock.dt = dt * brian2.ms
            for name, value in preferences.items():
                brian2.prefs[name] = value
            yield device
        finally:
            for name, value in former_preferences.items():
                brian2.prefs[name] = value
            reset_device()
            # Brian2 hands the dt of one device on to the next.
            former_device.defaultclock.dt = former_dt


@contextmanager
def _messages_to_our_log():
    with catch_logs() as messages:
        try:
            yield
        finally:
            for level, name, text in messages:
                _log.log(logging.getLevelName(level), "%s: %s", name, text)
