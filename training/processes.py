"""Processes that train one column together: each rolls out trials of its own, all take the same step.

``torchrun`` starts them; a process that was started alone is one of one. A process that dies closes its connections,
which the others notice at once; the times below are for machines that vanish without a word.
"""

import os
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed

from twincortex.models.errors import InputError, TwinCortexError, is_out_of_memory
from twincortex.training.interruption import ignore_signals

# All processes do the same work in a step, so that none waits long for another.
_PATIENCE_IN_A_STEP = timedelta(minutes=10)
# The first one builds, saves, scores and tests alone.
_PATIENCE_WITH_THE_WRITER = timedelta(hours=12)


class Processes:
    """The processes of a training run, as seen from one of them.

    Parameters
    ----------
    rank, count : int
        This one, and how many there are.
    patient : torch.distributed.ProcessGroup, optional
        All of them, on the CPU, where they wait for what the writer does alone; default: the only group.

    Attributes
    ----------
    share : float
        1 / count.
    """

    def __init__(self, rank=0, count=1, patient=None):
        self.rank, self.count, self._patient = rank, count, patient
        self.share = 1 / count

    @property
    def is_writer(self):
        """Whether this process writes the run folder and speaks."""
        return self.rank == 0

    def trials(self, batch):
        """Trials of this process among those of a step.

        Parameters
        ----------
        batch : int
            Trials of each process.

        Returns
        -------
        slice
        """
        return slice(self.rank * batch, (self.rank + 1) * batch)

    def gather_trials(self, spikes):
        """Put the trials of all processes side by side; gradients reach those of this one.

        Parameters
        ----------
        spikes : (T, B, N) tensor of 0 and 1

        Returns
        -------
        (T, B * count, N) tensor
        """
        if self.count == 1:
            return spikes
        own = spikes.detach().to(torch.uint8).transpose(1, 2).contiguous()
        gathered = [torch.empty_like(own) for _ in range(self.count)]
        with _naming_what_is_lost(self.rank):
            distributed.all_gather(gathered, own)
        parts = [part.transpose(1, 2).to(spikes.dtype) for part in gathered]
        parts[self.rank] = spikes
        return torch.cat([part.transpose(1, 2) for part in parts], dim=2).transpose(1, 2)

    def gather(self, value):
        """Collect what every process has.

        Parameters
        ----------
        value : object
            Tensors on the CPU, for example; it is pickled on its way to the other process.

        Returns
        -------
        list or None
            In the order of ranks; None in all processes but the writer.
        """
        if self.count == 1:
            return [value]
        values = [None] * self.count if self.is_writer else None
        with _naming_what_is_lost(self.rank):
            distributed.gather_object(value, values, group=self._patient)
        return values

    def any(self, flag):
        """Tell all processes whether one of them says yes; each waits for the last one to get here.

        Parameters
        ----------
        flag : bool

        Returns
        -------
        bool
        """
        if self.count == 1:
            return flag
        flags = torch.tensor([flag], dtype=torch.uint8)
        with _naming_what_is_lost(self.rank):
            distributed.all_reduce(flags, distributed.ReduceOp.MAX, group=self._patient)
        return bool(flags)

    def broadcast(self, value=None):
        """Hand what the writer has to all others, which wait for it.

        Parameters
        ----------
        value : object
            Of the writer; that of the others does not matter.

        Returns
        -------
        object
        """
        values = [value]
        if self.count > 1:
            with _naming_what_is_lost(self.rank):
                distributed.broadcast_object_list(values, group=self._patient)
        return values[0]

    def require_same(self, name, value):
        """Refuse to go on where processes differ that have to be alike.

        Parameters
        ----------
        name : str
            What it is, for people.
        value : object

        Raises
        ------
        InputError
            In all processes.
        """
        if self.count == 1:
            return
        values = [None] * self.count
        with _naming_what_is_lost(self.rank):
            distributed.all_gather_object(values, value, group=self._patient)
        other = [rank for rank, one in enumerate(values) if one != values[0]]
        if other:
            raise InputError(
                f"process {other[0]} has {name} {values[other[0]]}, process 0 has {values[0]} ({len(other)} of "
                f"{self.count} processes differ). Start the same version of everything on all nodes, with one run "
                "folder that all of them see, and resume from its last checkpoint."
            )

    def sum_gradients(self, weights):
        """Add up the gradients of all processes, in place.

        Parameters
        ----------
        weights : iterable of tensors with gradients
        """
        if self.count > 1:
            with _naming_what_is_lost(self.rank):
                for weight in weights:
                    distributed.all_reduce(weight.grad)

    def average(self, metrics):
        """Mean of each metric over the processes.

        Parameters
        ----------
        metrics : dict of str -> float

        Returns
        -------
        dict of str -> float
        """
        if self.count == 1:
            return metrics
        values = torch.tensor(list(metrics.values()), dtype=torch.float64)
        with _naming_what_is_lost(self.rank):
            distributed.all_reduce(values)
        return dict(zip(metrics, (values / self.count).tolist(), strict=True))


@contextmanager
def open_processes(device):
    """Join the processes that torchrun started, or be the only one; all leave together.

    Parameters
    ----------
    device : str
        ``cpu``, where they talk over gloo, or ``cuda``: a GPU for each, over nccl.

    Yields
    ------
    Processes

    Raises
    ------
    InputError
        There is no GPU for this process.
    TwinCortexError
        Another process ends, or is out of reach.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    rank = int(os.environ["RANK"])
    if device == "cuda":
        _take_gpu(int(os.environ["LOCAL_RANK"]))
    with _naming_what_is_lost(rank):
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE_IN_A_STEP)
        patient = distributed.new_group(backend="gloo", timeout=_PATIENCE_WITH_THE_WRITER)
    processes = Processes(rank, distributed.get_world_size(), patient)
    try:
        yield processes
        processes.any(False)
    except BaseException:
        ignore_signals()  # torchrun ends the others as soon as one has ended
        raise
    # Not after an error, when others may be elsewhere, for whom nccl would wait.
    distributed.destroy_process_group()


def _take_gpu(local_rank):
    n_gpus = torch.cuda.device_count()
    if local_rank >= n_gpus:
        raise InputError(
            f"there is no GPU for process {local_rank} of this machine, which shows {n_gpus}. Start one process per "
            f"GPU: torchrun --nproc_per_node={max(n_gpus, 1)}."
        )
    torch.cuda.set_device(local_rank)


@contextmanager
def _naming_what_is_lost(rank):
    """Turn what torch raises where another process has gone into an error for people."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise TwinCortexError(
            f"process {rank} has lost the others: one has ended, or is out of reach; what ended it stands above. "
            f"Checkpoints stay; continue with --resume. ({str(error).splitlines()[0]})"
        ) from error
