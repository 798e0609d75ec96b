// The forward kernels: advance all neurons by a step; deliver the spikes of a step.
#pragma once
#include "cuda_rollout.cuh"

// Lists the elements that spiked; their order is that in which warps happen to arrive.
__device__ inline void list_spike(bool spiked, int64_t element, int32_t* list, int32_t* n_listed) {
  const unsigned lanes = __ballot_sync(ALL_LANES, spiked);
  if (!lanes) return;
  int32_t place = 0;
  if (lane_of_thread() == 0) place = atomicAdd(n_listed, __popc(lanes));
  place = __shfl_sync(ALL_LANES, place, 0) + __popc(lanes & ((1u << lane_of_thread()) - 1));
  if (spiked) list[place] = int32_t(element);
}

template <typename Inbox>
__device__ Receptors<Real> take_arrivals(Inbox* inbox, int64_t stride, uint32_t used) {
  Real arrived[N_RECEPTORS];  // in registers
  give(take(inbox, stride, used), arrived, 1);
  return take(arrived, 1);
}

template <typename Inbox>
__device__ bool advance_element(const Arrays& of, int64_t step, int64_t e) {
  const Rollout& rollout = of.rollout;
  const int64_t neuron = of.neuron(e), elements = of.elements;
  const int32_t type = global(rollout.type_index)[neuron];
  const uint32_t used = rollout.used_receptors ? global(rollout.used_receptors)[type] : ~0u;
  Real* x = global<Real>(rollout.x) + e;
  if (CURRENT_STATE >= 0 && rollout.current)
    x[CURRENT_STATE * elements] = global<const Real>(rollout.current)[step * of.n + neuron];
  States<Real> state = load(x, elements, used);
  const Receptors<Real> arrived = take_arrivals(of.inbox<Inbox>(step) + e, elements, used);
  int32_t* refractory = global(rollout.refractory);
  const int32_t left = refractory[e];
  const bool held = left > 0;
  Real potential;
  const bool spiked = step_forward(of.numbers(type), held, arrived, state, potential);
  store(state, x, forgotten(elements), used);
  if (spiked || held) refractory[e] = spiked ? global(rollout.refractory_steps)[type] : left - 1;
  global<Real>(rollout.v)[step * elements + e] = potential;
  of.flags(step)[e] = uint8_t(spiked ? SPIKED : 0) | uint8_t(held ? HELD : 0);
  if (rollout.z) global<Real>(rollout.z)[step * elements + e] = Real(spiked);
  return spiked;
}

// One thread per neuron and trial.
template <typename Inbox>
__global__ void __launch_bounds__(STATE_BLOCK, STATE_BLOCKS) advance(Scratch* scratch, int32_t offset) {
  const Arrays of(scratch->context.rollout);
  const int64_t step = scratch->progress.step + offset, e = int64_t(blockIdx.x) * STATE_BLOCK + threadIdx.x;
  const bool spiked = e < of.elements && advance_element<Inbox>(of, step, e);
  list_spike(spiked, e, scratch->spiked, &scratch->progress.n_spikes[step & 1]);
}

template <typename Inbox, typename Weight>
__device__ void deliver_piece(const Connections& connections, Piece piece, Real count, const Arrays& of, int64_t trial,
                              Inbox* inbox) {
  const Weight* weight = global<const Weight>(connections.weight);
#pragma unroll 4
  for (int32_t edge = piece.first + lane_of_thread(); edge < piece.last; edge += WARP) {
    const uint32_t target = __ldg(global(connections.target) + edge);
    const int64_t post = target / N_RECEPTORS, receptor = target % N_RECEPTORS;
    add_to_inbox(inbox + (receptor * of.n + post) * of.batch + trial, Real(__ldg(weight + edge)) * count);
  }
}

template <typename Inbox>
__device__ void deliver_piece(const Connections& connections, Piece piece, Real count, const Arrays& of, int64_t trial,
                              Inbox* inbox) {
  if (connections.weight_is_real)
    deliver_piece<Inbox, Real>(connections, piece, count, of, trial, inbox);
  else
    deliver_piece<Inbox, float>(connections, piece, count, of, trial, inbox);
}

// Deliver the listed spikes of a step, into the inboxes of steps from `first` on.
template <typename Inbox>
__device__ void deliver_spikes(const Arrays& of, int64_t step, int64_t first, const Scratch& scratch, WarpShare& share) {
  const Connections& connections = of.rollout.recurrent;
  const int32_t n_spikes = scratch.progress.n_spikes[step & 1], n_pieces = pieces_of_row(connections);
  for (int32_t number = 0; number < n_pieces; ++number)
    for (int64_t delay = first - step; delay <= of.delays; ++delay)
      share.visit(n_spikes, [&](int64_t spike) {
        const int64_t element = scratch.spiked[spike], row = of.neuron(element) * of.delays + delay - 1;
        const Piece piece = piece_of_row(connections, row, number, n_pieces);
        deliver_piece(connections, piece, Real(1), of, of.trial(element), of.inbox<Inbox>(step + delay));
      });
}

template <typename Inbox>
__device__ void deliver_external(const Context& context, const Arrays& of, int64_t step, WarpShare& share) {
  for (int source = 0; source < of.rollout.n_external; ++source) {
    const Connections& connections = context.external[source];
    const Events& events = context.events[source];
    const int64_t *bounds = global(events.bounds), first = bounds[step], n_events = bounds[step + 1] - first;
    const int32_t n_pieces = pieces_of_row(connections);
    for (int32_t number = 0; number < n_pieces; ++number)
      share.visit(n_events, [&](int64_t item) {
        const int64_t event = first + item;
        const Piece piece = piece_of_row(connections, global(events.row)[event], number, n_pieces);
        deliver_piece(connections, piece, global<const Real>(events.count)[event], of, global(events.trial)[event],
                      of.inbox<Inbox>(step));
      });
  }
}

__device__ inline void record(const Arrays& of, int64_t step) {
  const Rollout& rollout = of.rollout;
  const int64_t n_recorded = rollout.n_recorded * of.batch;  // elements
  const Real* v = global<const Real>(rollout.x) + MEMBRANE_STATE * of.elements;
  for (int64_t i = int64_t(blockIdx.x) * BLOCK + threadIdx.x; i < n_recorded; i += int64_t(gridDim.x) * BLOCK)
    global<Real>(rollout.v_recorded)[step * n_recorded + i] =
        v[global(rollout.recorded)[of.neuron(i)] * of.batch + of.trial(i)];
}

// After advance: deliver the spikes of a step and what arrives from outside in the next. (In the step before the first
// there are no spikes.) External spikes could be delivered many steps ahead, but then their inboxes would not stay in
// the cache, and the launches would be as many.
template <typename Inbox>
__global__ void __launch_bounds__(BLOCK, DELIVERY_BLOCKS) deliver(Scratch* scratch, int32_t offset) {
  const Context& context = scratch->context;
  const Arrays of(context.rollout);
  const int64_t step = scratch->progress.step + offset;
  WarpShare share;
  if (step + 1 < context.last) deliver_external<Inbox>(context, of, step + 1, share);
  deliver_spikes<Inbox>(of, step, step + 1, *scratch, share);
  if (step >= context.first) record(of, step);
  if (blockIdx.x == 0 && threadIdx.x == 0) scratch->progress.n_spikes[(step + 1) & 1] = 0;
}

// List the spikes of a step before the rollout.
__global__ void __launch_bounds__(STATE_BLOCK) list_history(Scratch* scratch, int32_t step) {
  const Arrays of(scratch->context.rollout);
  const int64_t e = int64_t(blockIdx.x) * STATE_BLOCK + threadIdx.x;
  const bool spiked = e < of.elements && of.flags(step)[e] & SPIKED;
  list_spike(spiked, e, scratch->spiked, &scratch->progress.n_spikes[step & 1]);
}

template <typename Inbox>
__global__ void __launch_bounds__(BLOCK, DELIVERY_BLOCKS) deliver_listed(Scratch* scratch, int32_t step, int32_t first) {
  const Arrays of(scratch->context.rollout);
  WarpShare share;
  deliver_spikes<Inbox>(of, step, first, *scratch, share);
  if (blockIdx.x == 0 && threadIdx.x == 0) scratch->progress.n_spikes[(step + 1) & 1] = 0;
}
