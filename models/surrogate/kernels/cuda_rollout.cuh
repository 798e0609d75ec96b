// What every CUDA kernel knows of a rollout, and how warps share work.
#pragma once
#include <cuda_runtime.h>

#include "precision.h"

constexpr int WARP = 32;
// Threads of a block: of the kernels that have a thread per neuron and trial, and of those that have a warp per row.
constexpr int STATE_BLOCK = 128, BLOCK = 256, WARPS_PER_BLOCK = BLOCK / WARP;
// Blocks of each kernel that a multiprocessor holds at the same time; they bound the registers of a thread.
constexpr int STATE_BLOCKS = sizeof(Real) == 4 ? 5 : 3, GATHER_BLOCKS = sizeof(Real) == 4 ? 3 : 2, DELIVERY_BLOCKS = 4;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int MAX_EXTERNAL = 8;  // projections; the arguments of a kernel have to hold them

// Lies in device memory, so that a CUDA graph serves rollouts whose arrays lie elsewhere.
struct Context {
  Rollout rollout;
  Connections external[MAX_EXTERNAL];
  Events events[MAX_EXTERNAL];
  int32_t first, last;  // the steps of this call
};

struct Progress {
  int32_t step;         // where the next steps of a graph begin
  int32_t n_spikes[2];  // of even and of odd steps: one is filled while the other is cleared
};

// The working memory of a rollout.
struct Scratch {
  Context context;
  Progress progress;
  int32_t spiked[1];  // (N * B,) elements that spiked in this step, in any order
};

// Deterministic inboxes: whole multiples of 2^-40 pA, whose sums do not depend on the order. A spike is rounded to
// 9e-13 pA, which is the last bit of a double of 4,000 pA and far below that of a float of .001 pA. Beyond +-4.2e6 pA the
// sum becomes NaN, long before the integer would overflow.
struct FixedPoint {
  int64_t units;
  FixedPoint() = default;
  HOST_DEVICE FixedPoint(int cleared) : units(cleared) {}
  HOST_DEVICE operator Real() const {
    constexpr int64_t limit = int64_t(1) << 62;
    return units < limit && units > -limit ? Real(units) * Real(1.0 / (int64_t(1) << 40)) : Real(NAN);
  }
};

__device__ inline void add_to_inbox(Real* slot, Real value) { atomicAdd(slot, value); }

__device__ inline void add_to_inbox(FixedPoint* slot, Real value) {
  const int64_t units = llrint(double(value) * double(int64_t(1) << 40));
  atomicAdd(reinterpret_cast<unsigned long long*>(slot), static_cast<unsigned long long>(units));
}

// An array of the arguments: in global memory, which the compiler cannot know of addresses that it reads from memory.
template <typename T, typename Pointer>
__device__ T* global(Pointer* array) {
#ifdef __CUDA_ARCH__
  __builtin_assume(__isGlobal(array));
#endif
  return static_cast<T*>(array);
}
template <typename T>
__device__ T* global(T* array) {
  return global<T, T>(array);
}

struct Arrays {  // typed views of a rollout
  const Rollout& rollout;
  const int64_t n, batch, elements, delays;
  __device__ explicit Arrays(const Rollout& r)
      : rollout(r), n(r.n_neurons), batch(r.batch), elements(n * batch), delays(r.recurrent.max_delay) {}
  __device__ const Real* numbers(int64_t type) const {
    return global<const Real>(rollout.numbers) + type * N_NUMBERS;
  }
  __device__ uint8_t* flags(int64_t step) const { return global(rollout.flags) + (delays + step) * elements; }
  template <typename Inbox>
  __device__ Inbox* inbox(int64_t step) const {
    return global<Inbox>(rollout.inbox) + slot(step) * elements * N_RECEPTORS;
  }
  __device__ Real* spike_gradient(int64_t step) const {
    return global<Real>(rollout.spike_gradient) + slot(step + delays) * elements;
  }
  // 32 bits, because GPUs divide 64 bits in a hundred instructions.
  __device__ int64_t slot(int64_t step) const { return uint32_t(step) % uint32_t(delays); }
  __device__ int64_t neuron(int64_t element) const { return uint32_t(element) / uint32_t(batch); }
  __device__ int64_t trial(int64_t element) const { return uint32_t(element) % uint32_t(batch); }
};

// The work of a grid, warp by warp: visit(item) for every warp's share of each list, one list after the other, so that
// short lists do not all fall to the same warps.
struct WarpShare {
  int64_t item;
  const int64_t n_warps;
  __device__ WarpShare()
      : item(int64_t(blockIdx.x) * WARPS_PER_BLOCK + threadIdx.x / WARP),
        n_warps(int64_t(gridDim.x) * WARPS_PER_BLOCK) {}
  template <typename Visit>
  __device__ void visit(int64_t n_items, const Visit& visit) {
    for (; item < n_items; item += n_warps) visit(item);
    item -= n_items;
  }
};

// Rows are cut in as many pieces each: long ones occupy more than one warp. Targets ascend within a row, so the same piece
// of all rows goes to the same part of the inboxes: taken one piece after the other, they find that part in the cache.
constexpr int PIECE = 512;  // connections, of the longest row
struct Piece {
  int32_t first, last;
};

__device__ inline int32_t pieces_of_row(const Connections& connections) {
  return connections.longest_row > PIECE ? (connections.longest_row - 1) / PIECE + 1 : 1;
}

__device__ inline Piece piece_of_row(const Connections& connections, int64_t row, int32_t piece, int32_t n_pieces) {
  const int32_t* indptr = global(connections.indptr);
  const int32_t begin = indptr[row], n_edges = indptr[row + 1] - begin;
  const int32_t size = (n_edges + n_pieces - 1) / n_pieces, first = piece * size, last = first + size;
  return {begin + (first < n_edges ? first : n_edges), begin + (last < n_edges ? last : n_edges)};
}

// The same number, which the compiler cannot know to be the same: else it keeps the addresses of all loads for the stores,
// and that takes half of the registers.
__device__ inline int64_t forgotten(int64_t stride) {
#ifdef __CUDA_ARCH__
  asm volatile("" : "+l"(stride));
#endif
  return stride;
}

__device__ inline int lane_of_thread() { return threadIdx.x % WARP; }
