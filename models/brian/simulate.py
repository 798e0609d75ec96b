"""The Brian2 engine's answer to ``simulate``, on any of its targets."""

from twincortex.models.brian.cuda import cuda_toolchain
from twincortex.models.brian.outcome import ENGINES, as_recording
from twincortex.models.brian.plan import plan_network
from twincortex.models.brian.runtime import run_in_process
from twincortex.models.brian.standalone import run_standalone
from twincortex.models.brian.targets import cpp_toolchain
from twincortex.models.errors import InputError, near_name_hint

TOOLCHAINS = {"cpp": cpp_toolchain, "cuda": cuda_toolchain}


def simulate(circuit, inputs, run, target="cpp", equation_set=None, root=None, strict=True):
    """Simulate a circuit in Brian2.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
        A source that is left out is silent.
    run : Run
    target : str
        ``"numpy"`` and ``"cython"`` run inside this process; ``"cpp"`` and ``"cuda"`` compile a standalone project once
        and run it again with other weights and spikes.
    equation_set : EquationSet, optional
        Default: GLIF3.
    root : str or Path, optional
        Folder of the standalone projects. Default: the environment variable TWINCORTEX_STANDALONE, or
        ``standalone_out`` in the current folder.
    strict : bool
        Round as every other target does; False compiles for speed.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        Inputs or options that do not fit, weights that are not finite, a damaged project, a compiler or GPU that is
        missing.
    TwinCortexError
        A generated program that does not compile or fails.
    """
    if target not in ENGINES:
        raise InputError(f"target {target!r} is unknown; {near_name_hint(target, ENGINES)}.")
    plan = plan_network(circuit, inputs, run, equation_set, one_delay_each=True if target == "cuda" else None)
    settings = {"strict": strict}
    if target in TOOLCHAINS:
        outcome, project = run_standalone(plan, TOOLCHAINS[target](strict), root)
        settings["project"] = project.folder.name
    else:
        outcome = run_in_process(plan, target, strict)
    return as_recording(outcome, plan, target, settings)
