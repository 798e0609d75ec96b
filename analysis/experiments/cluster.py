"""Shares of an experiment as array jobs of a cluster, through submitit."""

import time
from pathlib import Path

from twincortex.models.errors import InputError, TwinCortexError, near_name_hint

CLUSTERS = ("slurm", "local", "debug")
_SECONDS_BETWEEN_LOOKS = 2.0


def parse_parameters(texts):
    """Read ``NAME=VALUE`` pairs; whole numbers become int.

    Parameters
    ----------
    texts : sequence of str

    Returns
    -------
    dict

    Raises
    ------
    InputError
    """
    parameters = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"--cluster-options {text!r}: expected NAME=VALUE, such as timeout_min=240.")
        parameters[name] = int(value) if value.isdecimal() else value
    return parameters


def run_on_cluster(cluster, command, n_jobs, folder, parameters, tell):
    """Submit the shares of an experiment as one array of jobs, and wait for them.

    Parameters
    ----------
    cluster : str
        ``"slurm"``; ``"local"`` and ``"debug"`` try the same on this machine.
    command : callable, list of str
        `command.experiment` and its arguments, understood by the nodes: paths on a disk that they share.
    n_jobs : int
    folder : Path
        For logs and what submitit keeps.
    parameters : dict
        Of submitit, such as timeout_min, mem_gb, cpus_per_task, slurm_partition.
    tell : callable
        Called without arguments now and then.

    Raises
    ------
    InputError
        submitit is not installed, or does not know a cluster or a parameter.
    TwinCortexError
        A job failed.
    """
    if cluster not in CLUSTERS:
        raise InputError(f"--cluster {cluster!r} is unknown; {near_name_hint(cluster, CLUSTERS)}.")
    try:
        import submitit
    except ImportError as error:
        raise InputError("--cluster needs submitit. Install it: pip install 'twincortex[cluster]'.") from error
    try:
        executor = submitit.AutoExecutor(folder=str(Path(folder).absolute()), cluster=cluster)
        executor.update_parameters(name="twincortex", **parameters)
    except (NameError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"submitit refuses {cluster!r} with {parameters}: {error}") from error
    run, arguments = command
    with executor.batch():
        jobs = [executor.submit(run, [*arguments, "--share", f"{number}/{n_jobs}"]) for number in range(1, n_jobs + 1)]
    _wait(jobs, folder, tell, submitit)


def _wait(jobs, folder, tell, submitit):
    while not all(job.done() for job in jobs):
        tell()
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    for job in jobs:
        try:
            job.result()
        except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
            said = str(error).strip().splitlines()[-1]
            raise TwinCortexError(
                f"job {job.job_id} failed: {said}. Its logs are in {folder}; the same command goes on from here."
            ) from error
