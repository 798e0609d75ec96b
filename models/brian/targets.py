"""What turns a generated project into a program: the Brian2 device, its preferences, compiler and surroundings."""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from brian2 import __version__ as brian2_version
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

from twincortex.models.brian.private_state import base_preferences, compiler_flags
from twincortex.models.errors import InputError
from twincortex.models.toolchain import missing_tools

# Halve the time of compiling: the headers are read once, and reading and writing files gains nothing from optimization.
_CPP_RULES = """
objects.o: CXXFLAGS += -O0
CXXFLAGS += -include objects.h
$(OBJS): objects.h.gch
objects.h.gch: $(H_SRCS) makefile
\t$(CXX) $(filter-out -include objects.h,$(CXXFLAGS)) -x c++-header objects.h -o objects.h.gch
"""


@dataclass(frozen=True)
class Toolchain:
    """How to generate, compile and run the projects of one target.

    Attributes
    ----------
    target : str
    make_device : callable
        Returns a new Brian2 device.
    preferences : dict of str -> value
    identity : dict
        What decides the generated program and the compiled binary; part of the name of a project.
    makefile_rules : str
        Appended to the generated makefile.
    missing : str
        Why nothing can be compiled here; empty where it can.
    missing_device : str
        Why nothing can be run here, even if it can be compiled; empty where it can.
    prepare : callable
        Called with the folder of a project before it is compiled.
    environment : dict of str -> str
        Added to the environment of the program.
    """

    target: str
    make_device: Callable
    preferences: dict
    identity: dict
    makefile_rules: str = ""
    missing: str = ""
    missing_device: str = ""
    prepare: Callable[[Path], None] = lambda folder: None
    environment: dict = field(default_factory=dict)

    def require_device(self):
        """Raise InputError where a program could not be run, before minutes are spent on compiling it."""
        if self.missing_device:
            self.require_compiler()
            raise InputError(self.missing_device)

    def require_compiler(self):
        """Raise InputError where a compiler or make is missing, saying what to install."""
        if self.missing:
            raise InputError(self.missing)


def cpp_toolchain(strict):
    """C++ standalone projects, compiled with g++ (or the compiler that the environment variable CXX names).

    Parameters
    ----------
    strict : bool

    Returns
    -------
    Toolchain
    """
    identity = {"flags": compiler_flags(strict), "brian2": brian2_version, "machine": platform.machine()}
    if not strict:
        identity["processor"] = _processor()
    return Toolchain(
        target="cpp",
        make_device=CPPStandaloneDevice,
        preferences=base_preferences(strict),
        identity=identity,
        makefile_rules=_CPP_RULES,
        missing=missing_programs(),
    )


def missing_programs(cuda=False):
    """Say which of the programs that compile a project are not there; empty if all are.

    Parameters
    ----------
    cuda : bool
        For a GPU, not only for the processor.
    """
    missing = missing_tools(cuda)
    if not missing:
        return ""
    other = "brian-cpp" if cuda and not missing_tools() else "brian"
    return f"Brian2's projects are compiled; missing here: {', '.join(missing)}. Install them, or use --engine {other}."


def _processor():
    """Fingerprint of the instruction set: a program made with -march=native may not start on another processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    return hashlib.sha256(flags.encode()).hexdigest()[:16]
