"""The torch engines by their names."""

import warnings

import torch

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.surrogate.fused import FusedColumn
from twincortex.models.surrogate.kernel_build import has_compiler
from twincortex.models.surrogate.reference import ReferenceColumn

ENGINES = ("fused", "reference")


def make_column(circuit, engine="fused", device="cpu", fused_options=None, **options):
    """Make a torch column of a circuit.

    Parameters
    ----------
    circuit : Circuit
    engine : str
        ``"fused"`` (compiled kernels; the reference engine, with a warning, where there is no C++ compiler) or
        ``"reference"``.
    device : str
        ``"cpu"`` or, for the fused engine, ``"cuda"``.
    fused_options : dict, optional
        reduced and segment_steps of FusedColumn; the reference engine needs neither.
    **options
        Of Column.

    Returns
    -------
    Column

    Raises
    ------
    InputError
        Unknown engine or device, a GPU that is not there, a GPU for the reference engine.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}; {near_name_hint(engine, ENGINES)}.")
    if torch.device(device).type == "cuda":
        if engine == "reference":
            raise InputError("the reference engine runs on the CPU. Choose the fused engine, or the device cpu.")
        if not torch.cuda.is_available():
            raise InputError("torch finds no GPU here. Choose the device cpu, or install a torch with CUDA.")
    elif engine == "fused" and not has_compiler():
        warnings.warn(
            "no C++ compiler was found (set CXX, or install g++): the reference engine does the work, several times "
            "slower and with more memory.",
            stacklevel=2,
        )
        engine = "reference"
    if engine == "reference":
        return ReferenceColumn(circuit, **options)
    return FusedColumn(circuit, device=device, **(fused_options or {}), **options)
