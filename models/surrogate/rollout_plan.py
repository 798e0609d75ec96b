"""What a rollout of the fused engine consists of, and its arguments for the kernels."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from twincortex.models.errors import InputError
from twincortex.models.surrogate.column import RECURRENT
from twincortex.models.surrogate.rollout_arguments import ConnectionArguments, EventArguments, RolloutArguments
from twincortex.models.surrogate.spike_functions import SURROGATES

# Between calls of the kernels Python can react to Ctrl-C.
_STEPS_PER_CALL = 50
_SURROGATE_NUMBERS = {name: number for number, name in enumerate(SURROGATES)}  # enum Surrogate of column_step.h


@dataclass
class RolloutPlan:
    """A rollout, beside its states and weights.

    Attributes
    ----------
    column : FusedColumn
    n_steps : int
        T.
    arrivals : dict of source -> Arrivals
    current : (T, N) tensor [pA] or None
        On the column's device, in its dtype.
    recorded : list of int
        Neurons whose potential is recorded, ascending.
    """

    column: object
    n_steps: int
    arrivals: dict
    current: torch.Tensor | None
    recorded: list
    _kept: list = field(default_factory=list)  # the kernels know only addresses

    @property
    def projections(self):
        """Names: recurrent first, then those of the sources."""
        return [RECURRENT, *(f"{source}_to_v1" for source in self.arrivals)]

    def calls(self):
        """Steps (first, last) of each call of the kernels, last not included."""
        size = self.column.segment_steps or _STEPS_PER_CALL
        return [(first, min(first + size, self.n_steps)) for first in range(0, self.n_steps, size)]

    def empty(self, *shape, dtype=None):
        """A tensor on the device of the column, by default in its dtype."""
        return torch.empty(*shape, dtype=dtype or self.column.dtype, device=self.column.device)

    def arguments(self, batch, weights):
        """Arguments for the kernels, states and tapes still missing.

        Parameters
        ----------
        batch : int
            Trials B.
        weights : sequence of (E,) tensor [pA]
            As in projections.

        Returns
        -------
        RolloutArguments
        """
        column, shaping = self.column, self.column.shaping
        connections = [self._connections(*named) for named in zip(self.projections, weights, strict=True)]
        events = self._events
        return RolloutArguments(
            n_neurons=column.n_neurons,
            batch=batch,
            n_steps=self.n_steps,
            n_external=len(events),
            n_type_runs=len(column.tables["run_type"]),
            n_recorded=len(self.recorded),
            n_threads=torch.get_num_threads(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            recorded=self._recorded,
            recurrent=connections[0],
            external=(ConnectionArguments * len(events))(*connections[1:]),
            events=(EventArguments * len(events))(*events),
            current=None if self.current is None else self.current.data_ptr(),
            surrogate=_SURROGATE_NUMBERS[shaping.surrogate],
            width=shaping.width,
            gain=shaping.gain,
            recurrent_factor=shaping.recurrent_factor,
            voltage_factor=shaping.voltage_factor,
            **{name: tensor.data_ptr() for name, tensor in column.tables.items()},
        )

    def _connections(self, name, weight):
        connections, (indptr, target) = self.column.connections[name], self.column.indices[name]
        _refuse_other_weights(name, weight, target, self.column.dtype)
        return ConnectionArguments(
            n_sources=connections.n_sources,
            max_delay=connections.max_delay,
            weight_is_real=weight.dtype == self.column.dtype,
            rows_ascend=connections.rows_ascend,
            longest_row=connections.longest_row,
            indptr=indptr.data_ptr(),
            target=target.data_ptr(),
            weight=weight.data_ptr(),
        )

    @cached_property
    def _recorded(self):
        return self._address(torch.tensor(self.recorded, dtype=torch.int32))

    @cached_property
    def _events(self):
        return [self._events_of(arrivals) for arrivals in self.arrivals.values()]

    def _events_of(self, arrivals):
        if torch.are_deterministic_algorithms_enabled():
            arrivals = arrivals.sorted_by_row()
        bounds = torch.searchsorted(arrivals.step, torch.arange(self.n_steps + 1))
        arrays = (bounds, arrivals.row.int(), arrivals.trial.int(), arrivals.count.to(self.column.dtype))
        return EventArguments(*(self._address(array) for array in arrays))

    def _address(self, tensor):
        """Address of a tensor on the device of the column, where it lives as long as the plan."""
        self._kept.append(tensor.to(self.column.device).contiguous())
        return self._kept[-1].data_ptr()


def _refuse_other_weights(name, weight, target, dtype):
    """Refuse weights that somebody replaced by what the kernels would misread."""
    is_known = weight.dtype in (dtype, torch.float32) and weight.is_contiguous()
    if not is_known or weight.shape != target.shape or weight.device != target.device:
        raise InputError(
            f"weights of {name}: {tuple(weight.shape)} {weight.dtype} on {weight.device}; expected contiguous "
            f"{tuple(target.shape)} {dtype} on {target.device}. Write new values into the weights themselves."
        )


def point(arguments, **tensors):
    """Let fields of the arguments point to tensors, or to nothing.

    Parameters
    ----------
    arguments : RolloutArguments or ConnectionArguments
    **tensors : tensor or None
        Contiguous; the caller keeps them alive.
    """
    for name, tensor in tensors.items():
        if tensor is not None and not tensor.is_contiguous():
            raise ValueError(f"{name}: the kernels need a contiguous tensor")
        setattr(arguments, name, None if tensor is None else tensor.data_ptr())
