"""One rollout as an autograd function. Arrays are (..., N, B), trials contiguous, as the kernels have them."""

import torch
from torch.autograd.function import once_differentiable

from twincortex.models.errors import InputError
from twincortex.models.surrogate.column import RECURRENT
from twincortex.models.surrogate.rollout_plan import point


class RolloutFunction(torch.autograd.Function):
    """Rollout of a plan from a state, differentiable in the state and the weights.

    Takes plan, x (S, N, B), history (D, N, B) newest first, refractory (N, B) int32 and the weights of
    ``plan.projections``; returns spikes (T, N, B), potentials (T, N, B), recorded potentials (T, n, B), and x and
    refractory after the last step.
    """

    @staticmethod
    def forward(ctx, plan, x, history, refractory, *weights):
        """Run the forward kernels; keep the spikes, and potentials or the states at the start of each segment."""
        depth, n, batch = history.shape
        arguments = plan.arguments(batch, weights)
        x, refractory = x.clone(memory_format=torch.contiguous_format), refractory.clone()
        v, z = plan.empty(plan.n_steps, n, batch), plan.empty(plan.n_steps, n, batch)
        v_recorded = plan.empty(plan.n_steps, len(plan.recorded), batch)
        flags = plan.empty(depth + plan.n_steps, n, batch, dtype=torch.uint8)
        flags[:depth] = history.flip(0)
        inbox = _empty_inbox(plan, depth, n, batch)
        point(arguments, x=x, refractory=refractory, inbox=inbox, flags=flags, v=v, z=z, v_recorded=v_recorded)
        kernels = plan.column.prepare_kernels(arguments)
        kernels.deliver_history(0)
        starts = []
        for first, last in plan.calls():
            if plan.column.segment_steps and any(ctx.needs_input_grad):
                starts.append((x.clone(), refractory.clone()))
            kernels.forward(first, last)
        ctx.plan, ctx.starts = plan, starts
        ctx.save_for_backward(flags, None if starts else v, *weights)
        ctx.mark_non_differentiable(refractory)
        ctx.set_materialize_grads(False)
        return z, v, v_recorded, x, refractory

    @staticmethod
    @once_differentiable
    def backward(ctx, z_gradient, v_gradient, recorded_gradient, x_gradient, _refractory):
        """Run the backward kernels from the last step to the first."""
        if recorded_gradient is not None:
            raise InputError(
                "the loss depends on v_recorded, through which the fused engine passes no gradient. Use v, the "
                "potential before the reset, or ReferenceColumn."
            )
        flags, v, *weights = ctx.saved_tensors
        plan, column = ctx.plan, ctx.plan.column
        depth, (_, n, batch) = column.connections[RECURRENT].max_delay, flags.shape
        arguments = plan.arguments(batch, weights)
        gradients = _weight_gradients(ctx, column, arguments, weights)
        z_gradient, v_gradient = (None if g is None else g.contiguous() for g in (z_gradient, v_gradient))
        if x_gradient is None:
            adjoint = plan.empty(len(column.propagators.states), n, batch).zero_()
        else:
            adjoint = x_gradient.clone(memory_format=torch.contiguous_format)
        reduced = weights[0].to(column.reduced_dtype)
        delta = plan.empty(n, column.n_receptors, batch, dtype=column.reduced_dtype)
        spike_gradient = plan.empty(depth, n, batch).zero_()
        point(arguments, flags=flags, v=v, z_gradient=z_gradient, v_gradient=v_gradient, adjoint=adjoint, delta=delta)
        point(arguments, spike_gradient=spike_gradient, gather_seconds=column.gather_seconds)
        point(arguments.recurrent, reduced=reduced)
        if ctx.needs_input_grad[1]:
            arguments.used_receptors = None  # dL/dx of a receptor without connections is asked for too
        kernels = column.prepare_kernels(arguments)
        for number, (first, last) in reversed([*enumerate(plan.calls())]):
            if ctx.starts:
                v = _replay(plan, flags, weights, ctx.starts[number], (first, last))
                arguments.v = _address_of_step_0(v, first)
            kernels.backward(first, last)
        if plan.current is not None:  # it took the place of what was there before
            adjoint[column.propagators.states.index("i_e")] = 0
        past = [spike_gradient[-age % depth] for age in range(1, depth + 1)]
        return None, adjoint, torch.stack(past), None, *gradients


def _weight_gradients(ctx, column, arguments, weights):
    """Zeros for the kernels to add to; None for weights that are not trained."""
    needed = ctx.needs_input_grad[-len(weights) :]
    gradients = [
        torch.zeros_like(weight, dtype=column.dtype) if is_needed else None
        for weight, is_needed in zip(weights, needed, strict=True)
    ]
    point(arguments.recurrent, weight_gradient=gradients[0])
    for number, gradient in enumerate(gradients[1:]):
        point(arguments.external[number], weight_gradient=gradient)
    return gradients


def _replay(plan, flags, weights, start, steps):
    """Compute the potentials of some steps once more, from the state at their start: (last - first, N, B)."""
    first, last = steps
    x, refractory = (part.clone() for part in start)  # the graph may be gone through once more
    _, n, batch = flags.shape
    arguments = plan.arguments(batch, weights)
    v = plan.empty(last - first, n, batch)
    depth = plan.column.connections[RECURRENT].max_delay
    inbox = _empty_inbox(plan, depth, n, batch)
    point(arguments, x=x, refractory=refractory, inbox=inbox, flags=flags)
    arguments.v, arguments.n_recorded = _address_of_step_0(v, first), 0
    kernels = plan.column.prepare_kernels(arguments)
    kernels.deliver_history(first)
    kernels.forward(first, last)
    return v


def _empty_inbox(plan, depth, n, batch):
    """Zeros; in deterministic mode GPUs add arriving spikes as integers of 64 bits (kernels/cuda_rollout.cuh)."""
    dtype = torch.int64 if torch.are_deterministic_algorithms_enabled() else plan.column.dtype
    return torch.zeros(depth, plan.column.n_receptors, n, batch, dtype=dtype, device=plan.column.device)


def _address_of_step_0(array, first):
    """Where step 0 would be of an array (T, N, B) that begins with step ``first``."""
    return array.data_ptr() - first * array.stride(0) * array.element_size()
