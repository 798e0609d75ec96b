"""What a training run carries from step to step, and the same as named tensors and plain facts, for checkpoints."""

from dataclasses import dataclass, fields

import torch

from twincortex.models.surrogate import State
from twincortex.models.surrogate.column import Column
from twincortex.models.surrogate.inputs import Arrivals


@dataclass
class TrainingState:
    """Everything that changes from step to step; randomness is counter-based and needs no state.

    Attributes
    ----------
    column : Column
        Holds the weights.
    optimizer : torch.optim.Optimizer
    rate_average : (N,) tensor [Hz]
        Running average of evoked rates.
    step : int
        Updates done.
    settled : State or None
        Where the last settling in gray ended; depends on the weights of that step, so it cannot be made again later.
    settled_step : int or None
        Updates done before that settling.
    """

    column: Column
    optimizer: torch.optim.Optimizer
    rate_average: torch.Tensor
    step: int = 0
    settled: State | None = None
    settled_step: int | None = None


def state_to_tensors(state):
    """Take a training state apart.

    Parameters
    ----------
    state : TrainingState

    Returns
    -------
    tensors : dict of str -> tensor
        Of the trained projections ``weights/<projection>`` and ``optimizer/<projection>/<name>``; ``rate_average``,
        ``settled/...``.
    facts : dict
        What is no tensor, ready for JSON.
    """
    tensors = {"rate_average": state.rate_average}
    facts = {"step": state.step, "settled_step": state.settled_step, "optimizer": {}}
    for projection, weight in _trained(state.column):
        tensors[f"weights/{projection}"] = weight.detach()
        facts["optimizer"][projection] = {}
        for name, value in state.optimizer.state.get(weight, {}).items():
            if torch.is_tensor(value):
                tensors[f"optimizer/{projection}/{name}"] = value
            else:
                facts["optimizer"][projection][name] = value
    if state.settled is not None:
        tensors |= _settled_to_tensors(state.settled)
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, facts


def restore_state(state, tensors, facts):
    """Put a training state together again, in place.

    Parameters
    ----------
    state : TrainingState
        Of the same circuit and configuration.
    tensors, facts : dict
        From `state_to_tensors`.
    """
    tensors = {name: tensor.to(state.column.device) for name, tensor in tensors.items()}
    for projection, weight in _trained(state.column):
        with torch.no_grad():
            weight.copy_(tensors[f"weights/{projection}"])
        moments = _below(tensors, f"optimizer/{projection}/") | facts["optimizer"][projection]
        if moments:
            state.optimizer.state[weight] = moments
    state.rate_average, state.step = tensors["rate_average"], facts["step"]
    state.settled_step = facts["settled_step"]
    state.settled = None if state.settled_step is None else _settled_from_tensors(_below(tensors, "settled/"))


def _trained(column):
    # The others are those of the circuit, in its memory.
    return [(projection, weight) for projection, weight in column.weights.items() if weight.requires_grad]


def _settled_to_tensors(settled):
    tensors = {
        "settled/x": settled.x,
        "settled/refractory": settled.refractory,
        "settled/history": torch.stack(settled.history),
    }
    for source, arrivals in settled.pending.items():
        tensors |= {f"settled/pending/{source}/{item.name}": getattr(arrivals, item.name) for item in fields(arrivals)}
    return tensors


def _settled_from_tensors(tensors):
    pending = _below(tensors, "pending/")
    sources = dict.fromkeys(name.split("/")[0] for name in pending)
    return State(
        x=tensors["x"],
        refractory=tensors["refractory"],
        history=tensors["history"].unbind(),
        pending={source: Arrivals(**_below(pending, f"{source}/")) for source in sources},
    )


def _below(tensors, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
