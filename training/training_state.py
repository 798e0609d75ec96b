"""What a training run carries from step to step, and the same as named tensors and plain facts, for checkpoints."""

import hashlib
from dataclasses import dataclass, fields
from itertools import accumulate

import torch

from twincortex.models.surrogate import State
from twincortex.models.surrogate.column import Column
from twincortex.models.surrogate.inputs import Arrivals

_SETTLED = "settled/"


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
    scheduler : torch.optim.lr_scheduler.LRScheduler or None
        Of the learning rate; None: constant.
    step : int
        Steps done.
    settled : State or None
        Where the last settling in gray ended; depends on the weights of that step, so it cannot be made again later.
    settled_step : int or None
        Updates done before that settling.
    """

    column: Column
    optimizer: torch.optim.Optimizer
    rate_average: torch.Tensor
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
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
        On the CPU; of the trained projections ``weights/<projection>`` and ``optimizer/<projection>/<name>``;
        ``rate_average``, ``settled/...``.
    facts : dict
        What is no tensor, ready for JSON.
    """
    tensors = {"rate_average": state.rate_average}
    facts = {"step": state.step, "settled_step": state.settled_step, "optimizer": {}}
    facts["groups"] = [_options(group) for group in state.optimizer.param_groups]
    facts["scheduler"] = None if state.scheduler is None else state.scheduler.state_dict()
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
        From `state_to_tensors`; the tensors are copied.
    """
    tensors = {name: _to_device(tensor, state.column.device) for name, tensor in tensors.items()}
    for projection, weight in _trained(state.column):
        with torch.no_grad():
            weight.copy_(tensors[f"weights/{projection}"])
        moments = _below(tensors, f"optimizer/{projection}/") | facts["optimizer"][projection]
        if moments:
            state.optimizer.state[weight] = moments
    for group, options in zip(state.optimizer.param_groups, facts["groups"], strict=True):
        group.update(_as_before_json(options, _options(group)))
    if state.scheduler is not None:
        state.scheduler.load_state_dict(_as_before_json(facts["scheduler"], state.scheduler.state_dict()))
    state.rate_average, state.step = tensors["rate_average"], facts["step"]
    state.settled_step = facts["settled_step"]
    state.settled = None if state.settled_step is None else _settled_from_tensors(_below(tensors, _SETTLED))


def settled_part(tensors):
    """Choose the settled state from what `state_to_tensors` made; it is of the trials of one process."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(_SETTLED)}


def count_trials(tensors):
    """Trials of the settled state among what `state_to_tensors` made; None where nothing has settled yet."""
    x = tensors.get(f"{_SETTLED}x")
    return None if x is None else x.shape[-1]


def join_trials(parts):
    """Join the settled states of several processes to that of one process with all their trials.

    Parameters
    ----------
    parts : list of dict of str -> tensor
        From `settled_part`, in the order of ranks; all may be empty.

    Returns
    -------
    dict of str -> tensor
    """
    firsts = [0, *accumulate(count_trials(part) or 0 for part in parts)]
    joined = {}
    for name in parts[0]:
        of_all = [part[name] for part in parts]
        if name.endswith("/trial"):
            of_all = [trial + first for trial, first in zip(of_all, firsts, strict=False)]
        joined[name] = torch.cat(of_all, dim=-1)
    for arrivals in _arrivals(joined):
        # Stable: what is on its way to one trial stays in its order, which is that of sums.
        order = torch.argsort(joined[f"{arrivals}/step"], stable=True)
        joined |= {name: joined[name][order] for name in joined if name.startswith(f"{arrivals}/")}
    return joined


def take_trials(tensors, trials):
    """Choose some trials of the settled state, as those of one of several processes; all else stays.

    Parameters
    ----------
    tensors : dict of str -> tensor
        From `state_to_tensors`, or with the settled state of `join_trials`.
    trials : slice
        With a start and a stop.

    Returns
    -------
    dict of str -> tensor
    """
    pending = f"{_SETTLED}pending/"
    states = [name for name in settled_part(tensors) if not name.startswith(pending)]
    taken = {name: tensors[name][..., trials].contiguous() for name in states}
    for arrivals in _arrivals(tensors):
        trial = tensors[f"{arrivals}/trial"]
        own = (trial >= trials.start) & (trial < trials.stop)
        taken |= {name: tensor[own] for name, tensor in tensors.items() if name.startswith(f"{arrivals}/")}
        taken[f"{arrivals}/trial"] -= trials.start
    return tensors | taken


def weights_digest(column):
    """Digest of all trained weights.

    Parameters
    ----------
    column : Column

    Returns
    -------
    str
        sha256 of the bytes of the projections in the order of their names, connections in canonical order.
    """
    digest = hashlib.sha256()
    for _, weight in sorted(_trained(column)):
        digest.update(weight.detach().cpu().numpy())
    return digest.hexdigest()


def _options(group):
    return {name: value for name, value in group.items() if name != "params"}


def _to_device(tensor, device):
    # torch's optimizers count their steps in scalars on the CPU, wherever the weights are. What safetensors hands out
    # may lie in the file itself, which is going to be removed.
    return tensor.to("cpu" if tensor.ndim == 0 else device, copy=True)


def _as_before_json(value, like):
    """Undo what JSON does to tuples and to keys that are numbers; ``like`` is a value of the right types."""
    if isinstance(like, dict):
        keys = {str(key): key for key in like}
        return type(like)({keys.get(k, k): _as_before_json(v, like.get(keys.get(k, k))) for k, v in value.items()})
    if isinstance(like, list) and len(like) == len(value):
        return [_as_before_json(*pair) for pair in zip(value, like, strict=True)]
    return tuple(value) if isinstance(like, tuple) else value


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


def _arrivals(tensors):
    """Names below which `Arrivals` lie, one per source."""
    return [name.removesuffix("/trial") for name in tensors if name.startswith(_SETTLED) and name.endswith("/trial")]


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
