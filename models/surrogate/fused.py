"""The fused engine: a whole rollout as one autograd function, with compiled kernels and a hand-written adjoint.

All states but V and the spikes are linear, so backpropagation needs only V and the spikes of every step (DESIGN 6).
"""

import numpy as np
import torch
from torch import nn

from twincortex.models.errors import InputError
from twincortex.models.surrogate.column import Column
from twincortex.models.surrogate.kernel_build import KernelCalls, open_kernels
from twincortex.models.surrogate.kernel_model import generate_model
from twincortex.models.surrogate.rollout_function import RolloutFunction
from twincortex.models.surrogate.rollout_plan import RolloutPlan
from twincortex.models.surrogate.spike_functions import scale_gradient
from twincortex.models.surrogate.used_receptors import find_used_receptors

_REAL = {torch.float32: "float", torch.float64: "double"}


class FusedColumn(Column):
    """A circuit whose rollouts run in compiled kernels; parameters, spikes and gradients are those of ReferenceColumn.

    An injected current and recorded potentials take no part in gradients, and are refused where they would.

    Parameters
    ----------
    circuit, dt, equation_set, after_spike_current
        As of Column.
    device : str
        ``"cpu"`` or ``"cuda"``.
    reduced : bool
        Weights and gradients of the inboxes as bfloat16 in the backward pass (float32 only): less memory traffic, and
        an error of dL/dw of some tenths of a percent. Spikes stay as they are.
    segment_steps : int, optional
        Keep the potentials of no more than so many steps for the backward pass, which then computes them once more
        from the S states at the start of each segment. Saves memory only where T is much longer than S and nobody
        keeps ``Rollout.v``; sqrt(S T) steps need least. Default: keep all.
    **options
        shaping, dtype, trained of Column.

    Attributes
    ----------
    gather_seconds : (1,) float64 tensor or None
        Wall time of the backward gather is added to it, on the CPU.

    Raises
    ------
    KernelError
        No compiler.
    InputError
        As of Column; a dtype other than float32 and float64, reduced precision with float64, segments of no step.
    """

    def __init__(
        self,
        circuit,
        dt=1.0,
        equation_set=None,
        after_spike_current="exact",
        device="cpu",
        reduced=False,
        segment_steps=None,
        **options,
    ):
        super().__init__(circuit, dt, equation_set, after_spike_current, **options)
        _check_options(self.dtype, reduced, segment_steps)
        device, model = torch.device(device), generate_model(self.propagators)
        self._kernel_options = (model.header, _REAL[self.dtype], reduced, _architecture(device))
        self.kernels = open_kernels(*self._kernel_options)
        self.reduced_dtype = torch.bfloat16 if reduced else self.dtype
        self.segment_steps = segment_steps
        self.gather_seconds = None
        self._place_on(device)
        self.tables = self._tables(model, device)
        self._scratch = torch.empty(0, dtype=torch.uint8, device=device)

    def __getstate__(self):
        """What copies and pickles hold: all but the compiled code and its working memory."""
        return self.__dict__ | {"kernels": None, "_scratch": self._scratch[:0].clone()}

    def __setstate__(self, state):
        """Find the compiled code again, or compile it."""
        super().__setstate__(state)
        self.kernels = open_kernels(*self._kernel_options)

    def _place_on(self, device):
        self.rest = self.rest.to(device)
        self.indices = {
            name: (connections.indptr.to(device), connections.target.to(device))
            for name, connections in self.connections.items()
        }
        if device.type != "cpu":
            for name, weight in self.weights.items():
                self.weights[name] = nn.Parameter(weight.detach().to(device, self.dtype), weight.requires_grad)

    def _tables(self, model, device):
        """Arguments of the kernels that no rollout changes."""
        type_index = self.type_index.numpy()
        starts = np.flatnonzero(np.r_[True, type_index[1:] != type_index[:-1]])
        tables = {
            "run_start": torch.from_numpy(np.r_[starts, len(type_index)].astype(np.int32)),
            "run_type": self.type_index[starts].int(),
            "type_index": self.type_index.int(),
            "numbers": torch.from_numpy(model.numbers).to(self.dtype),
            "refractory_steps": torch.from_numpy(self.propagators.refractory_steps).int(),
        }
        if device.type != "cpu":  # there memory is read sparingly; a processor reads all states at once
            tables["used_receptors"] = find_used_receptors(
                self.connections.values(), self.type_index, len(model.numbers), self.n_receptors
            )
        return {name: table.to(device) for name, table in tables.items()}

    def prepare_kernels(self, arguments):
        """The kernels on these arguments, with the working memory that they ask for.

        Parameters
        ----------
        arguments : RolloutArguments

        Returns
        -------
        KernelCalls
        """
        n_bytes = self.kernels.scratch_bytes(arguments)
        if n_bytes > len(self._scratch):
            self._scratch = torch.empty(n_bytes, dtype=torch.uint8, device=self.device)
        arguments.scratch = self._scratch.data_ptr()
        return KernelCalls(self.kernels, arguments, self.device)

    def _run(self, arrivals, n_steps, state, current, record_v):
        if current is not None:
            if current.requires_grad and torch.is_grad_enabled():
                raise InputError(
                    "the injected current requires a gradient, which the fused engine does not compute. Use "
                    "ReferenceColumn, or detach the current."
                )
            current = current.detach().to(self.device, self.dtype).contiguous()
        recorded = sorted(set(record_v))
        plan = RolloutPlan(self, n_steps, arrivals, current, recorded)
        weights = [self.weights[name] for name in plan.projections]
        history = torch.stack(state.history)
        z, v, v_recorded, x, refractory = RolloutFunction.apply(
            plan, state.x, history, state.refractory.int(), *weights
        )
        recent = scale_gradient(z[-len(history) :], self.shaping.recurrent_factor).flip(0)
        asked = torch.tensor([recorded.index(neuron) for neuron in record_v], dtype=torch.long, device=self.device)
        history = (*recent, *state.history)[: len(history)]
        return x, refractory.long(), history, (z, v, v_recorded[:, asked])


def _check_options(dtype, reduced, segment_steps):
    if dtype not in _REAL:
        raise InputError(f"the fused engine computes in float32 or float64; dtype is {dtype}.")
    if reduced and dtype != torch.float32:
        raise InputError(f"reduced precision needs dtype float32; it is {dtype}.")
    if segment_steps is not None and segment_steps < 1:
        raise InputError(f"segment_steps {segment_steps}: expected at least 1, or None to keep all potentials.")


def _architecture(device):
    """Of a GPU, such as ``"sm_90"``; ``"cpu"`` of a processor."""
    return "cpu" if device.type == "cpu" else "sm_{}{}".format(*torch.cuda.get_device_capability(device))
