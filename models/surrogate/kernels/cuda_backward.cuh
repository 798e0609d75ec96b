// The backward kernels: the adjoint of a step of all neurons; the gather over all connections.
#pragma once
#include "cuda_rollout.cuh"

// dL/d(inbox) of one neuron in the only trial: its receptors follow one another, so they leave in 16 bytes at once.
__device__ inline void give_together(const Receptors<Real>& to_inbox, Reduced* delta) {
  constexpr int bytes = N_RECEPTORS * sizeof(Reduced), n_vectors = bytes / sizeof(uint4);
  static_assert(bytes % sizeof(uint4) == 0, "receptors do not fill vectors");
  Reduced row[N_RECEPTORS];
  uint4 vectors[n_vectors];
  give(to_inbox, row, 1);
  memcpy(vectors, row, bytes);
  for (int k = 0; k < n_vectors; ++k) reinterpret_cast<uint4*>(delta)[k] = vectors[k];
}

__device__ inline void give_delta(const Receptors<Real>& to_inbox, Reduced* delta, const Arrays& of, int64_t e,
                                  uint32_t used) {
  Reduced* first = delta + of.neuron(e) * N_RECEPTORS * of.batch + of.trial(e);
  if constexpr (N_RECEPTORS * sizeof(Reduced) % sizeof(uint4) == 0)
    if (of.batch == 1) return give_together(to_inbox, first);
  give(to_inbox, first, of.batch, used);
}

// One thread per neuron and trial.
__global__ void __launch_bounds__(STATE_BLOCK, STATE_BLOCKS) retreat(Scratch* scratch, int32_t offset) {
  const Rollout& rollout = scratch->context.rollout;
  const Arrays of(rollout);
  const int64_t step = scratch->progress.step - offset, e = int64_t(blockIdx.x) * STATE_BLOCK + threadIdx.x;
  if (e >= of.elements) return;
  const int32_t type = global(rollout.type_index)[of.neuron(e)];
  const uint32_t used = rollout.used_receptors ? global(rollout.used_receptors)[type] : ~0u;
  const Real* p = of.numbers(type);
  const int64_t now = step * of.elements + e;
  const Real *z_gradient = global<const Real>(rollout.z_gradient),
             *v_gradient = global<const Real>(rollout.v_gradient);
  Real *gradient = of.spike_gradient(step) + e, *adjoint = global<Real>(rollout.adjoint) + e;
  const uint8_t flag = of.flags(step)[e];
  const Real spike_gradient = *gradient * Real(rollout.recurrent_factor) + (z_gradient ? z_gradient[now] : Real(0));
  const Real slope = potential_gradient(p, rollout, flag, global<const Real>(rollout.v)[now], spike_gradient,
                                        v_gradient ? v_gradient[now] : Real(0));
  States<Real> state = load(adjoint, of.elements, used);
  Receptors<Real> to_inbox;
  step_adjoint(p, flag, slope, Real(rollout.voltage_factor), state, to_inbox);
  store(state, adjoint, forgotten(of.elements), used);
  *gradient = 0;
  give_delta(to_inbox, global<Reduced>(rollout.delta), of, e, used);
}

// Some trials of a gather: a lane sums Width neighbouring trials, Lanes lanes share a connection, and the 32/Lanes groups
// of a warp take one connection each. So 16 bytes of delta are read at once where the batch allows.
template <int Width, int Lanes>
struct Gather {
  static constexpr int TRIALS = Width * Lanes, GROUPS = WARP / Lanes, AT_ONCE = Lanes <= 2 ? 4 : Lanes <= 8 ? 2 : 1;

  struct alignas(Width * sizeof(Reduced)) Vector {
    Reduced values[Width];
  };

  // sums += weight * delta over a row, for the trials from `trial` on; the sums of all groups end in every group.
  __device__ static void sum_row(const int32_t* target, const Reduced* weight, int32_t n_edges, const Reduced* delta,
                                 int64_t batch, bool inside, Real (&sums)[Width]) {
    const int lane = lane_of_thread();
    for (int32_t base = 0; base < n_edges; base += AT_ONCE * WARP) {
      int32_t targets[AT_ONCE];
      Real weights[AT_ONCE];
#pragma unroll
      for (int k = 0; k < AT_ONCE; ++k) {
        const int32_t edge = base + k * WARP + lane;
        targets[k] = edge < n_edges ? __ldcs(target + edge) : -1;  // read once per step: should not displace delta
        weights[k] = edge < n_edges ? load_once(weight + edge) : Real(0);
      }
#pragma unroll
      for (int k = 0; k < AT_ONCE; ++k) {
        if (base + k * WARP >= n_edges) break;
#pragma unroll 8
        for (int turn = 0; turn < Lanes; ++turn) {
          const int from = turn * GROUPS + lane / Lanes;
          const int32_t slot = Lanes == 1 ? targets[k] : __shfl_sync(ALL_LANES, targets[k], from);
          const Real w = Lanes == 1 ? weights[k] : __shfl_sync(ALL_LANES, weights[k], from);
          if (slot < 0 || !inside) continue;
          const Vector vector = *reinterpret_cast<const Vector*>(delta + slot * batch);
          for (int i = 0; i < Width; ++i) sums[i] += w * Real(vector.values[i]);
        }
      }
    }
    for (int other = Lanes; other < WARP; other *= 2)
      for (int i = 0; i < Width; ++i) sums[i] += __shfl_xor_sync(ALL_LANES, sums[i], other);
  }

  __device__ static Real load_once(const float* weight) { return Real(__ldcs(weight)); }
  __device__ static Real load_once(const double* weight) { return Real(__ldcs(weight)); }
  __device__ static Real load_once(const BFloat16* weight) {
    BFloat16 value;
    value.bits = __ldcs(&weight->bits);
    return Real(float(value));
  }

  // dL/dz of a source += sum of weight * delta over one of its rows.
  __device__ static void gather_row(const Connections& connections, int32_t first, int32_t n_edges, const Reduced* delta,
                                    int64_t batch, Real* gradient) {
    const int lane = lane_of_thread();
    for (int64_t block = 0; block < batch; block += TRIALS) {
      const int64_t trial = block + lane % Lanes * Width;
      const bool inside = trial < batch;
      Real sums[Width] = {};
      sum_row(global(connections.target) + first, global<const Reduced>(connections.reduced) + first, n_edges,
              delta + trial, batch, inside, sums);
      if (lane < Lanes && inside)
        for (int i = 0; i < Width; ++i) gradient[trial + i] += sums[i];
    }
  }
};

// dL/dw += delta over a row, for the trials in which its source spiked. One warp has the row, so nobody else adds here.
__device__ inline void add_weight_gradient(const Connections& connections, int32_t first, int32_t last,
                                           const uint8_t* flags, const Reduced* delta, int64_t batch) {
  Real* gradient = global<Real>(connections.weight_gradient);
  for (int64_t block = 0; block < batch; block += WARP) {
    const int64_t trial = block + lane_of_thread();
    const unsigned spiked = __ballot_sync(ALL_LANES, trial < batch && flags[trial] & SPIKED);
    if (!spiked) continue;
    for (int32_t edge = first + lane_of_thread(); edge < last; edge += WARP) {
      const Reduced* of_trials = delta + global(connections.target)[edge] * batch + block;
      Real sum = 0;
      for (unsigned left = spiked; left; left &= left - 1) sum += Real(of_trials[__ffs(left) - 1]);
      gradient[edge] += sum;
    }
  }
}

// dL/dw += count * delta over a piece of a row of an external source, for all spikes of that row in this step that follow
// one another. Atomic, because the events need not be sorted by row; where they are, a step adds once to a weight.
__device__ inline void add_external_gradient(const Connections& connections, const Events& events, int64_t event,
                                             int64_t first, int64_t last, Piece piece, const Reduced* delta,
                                             int64_t batch) {
  const int32_t *rows = global(events.row), row = rows[event];
  if (event > first && rows[event - 1] == row) return;
  int64_t end = event + 1;
  while (end < last && rows[end] == row) ++end;
  for (int32_t edge = piece.first + lane_of_thread(); edge < piece.last; edge += WARP) {
    const Reduced* of_trials = delta + global(connections.target)[edge] * batch;
    Real sum = 0;
    for (int64_t one = event; one < end; ++one)
      sum += global<const Real>(events.count)[one] * Real(of_trials[global(events.trial)[one]]);
    atomicAdd(global<Real>(connections.weight_gradient) + edge, sum);
  }
}

__device__ inline void gather_external(const Context& context, int64_t step, const Arrays& of, WarpShare& share) {
  for (int source = 0; source < of.rollout.n_external; ++source) {
    const Connections& connections = context.external[source];
    if (!connections.weight_gradient) continue;
    const Events& events = context.events[source];
    const int64_t *bounds = global(events.bounds), first = bounds[step], last = bounds[step + 1];
    const int32_t n_pieces = pieces_of_row(connections);
    for (int32_t number = 0; number < n_pieces; ++number)
      share.visit(last - first, [&](int64_t item) {
        const int64_t event = first + item;
        add_external_gradient(connections, events, event, first, last,
                              piece_of_row(connections, global(events.row)[event], number, n_pieces),
                              global<const Reduced>(of.rollout.delta), of.batch);
      });
  }
}

// One warp per source: dL/dz of its spikes in each of the last steps, and dL/dw of the rows that carried spikes.
template <int Width, int Lanes>
__global__ void __launch_bounds__(BLOCK, GATHER_BLOCKS) gather(const Scratch* __restrict__ scratch, int32_t offset) {
  const Context& context = scratch->context;
  const Arrays of(context.rollout);
  const int64_t step = scratch->progress.step - offset;
  const Connections& connections = context.rollout.recurrent;
  const Reduced* delta = global<const Reduced>(context.rollout.delta);
  WarpShare share;
  gather_external(context, step, of, share);
  share.visit(of.n, [&](int64_t source) {
    const int32_t* indptr = global(connections.indptr);
    int32_t first = indptr[source * of.delays];
    for (int64_t delay = 1; delay <= of.delays; ++delay) {
      const int32_t last = indptr[source * of.delays + delay];
      if (last == first) continue;
      Gather<Width, Lanes>::gather_row(connections, first, last - first, delta, of.batch,
                                       of.spike_gradient(step - delay) + source * of.batch);
      if (connections.weight_gradient)
        add_weight_gradient(connections, first, last, of.flags(step - delay) + source * of.batch, delta, of.batch);
      first = last;
    }
  });
}
