"""Processes that train one column together: each rolls out trials of its own, all take the same step.

``torchrun`` starts them; a process that was started alone is one of one.
"""

import os
from contextlib import contextmanager

import torch
from torch import distributed


class Processes:
    """The processes of a training run, as seen from one of them.

    Parameters
    ----------
    rank, count : int
        This one, and how many there are.

    Attributes
    ----------
    share : float
        1 / count.
    """

    def __init__(self, rank=0, count=1):
        self.rank, self.count = rank, count
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
        distributed.gather_object(value, values)
        return values

    def sum_gradients(self, weights):
        """Add up the gradients of all processes, in place.

        Parameters
        ----------
        weights : iterable of tensors with gradients
        """
        if self.count > 1:
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
        distributed.all_reduce(values)
        return dict(zip(metrics, (values / self.count).tolist(), strict=True))


@contextmanager
def open_processes(device):
    """Join the processes that torchrun started, or be the only one.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.

    Yields
    ------
    Processes
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
