// Enough of CUDA to compile cuda.cu with g++ and to run its kernels on one processor.
//
// The threads of a block are fibers. They run one at a time, in an order drawn from a seed, until they end or wait for the
// other lanes of their warp. So results that depend on an order that CUDA does not promise change with the seed, and lanes
// that wait for lanes which have ended stop the program. "Device memory" is memory; streams run at once.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x;
  dim3(unsigned n = 1) : x(n) {}
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

// --- threads ----------------------------------------------------------------------------------------------------------

namespace emulation {

constexpr int LANES = 32, STACK_BYTES = 1 << 16;
static std::mt19937_64 order(0);
static int64_t n_launches = 0, n_captures = 0;

struct Warp {
  int waiting = 0, generation = 0;
  int64_t values[2][LANES];  // of this generation and the last
};

struct Fiber {
  jmp_buf point;
  ucontext_t start;
  std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
  bool is_done;
};

static std::vector<std::unique_ptr<Fiber>> fibers;
static std::vector<Warp> warps;
static std::function<void()> kernel;
static jmp_buf scheduler;
static ucontext_t scheduler_start;

inline void leave() {
  if (!_setjmp(fibers[threadIdx.x]->point)) _longjmp(scheduler, 1);
}

inline void run_forever() {
  for (;;) {
    kernel();
    fibers[threadIdx.x]->is_done = true;
    leave();
  }
}

inline void add_fiber() {
  fibers.push_back(std::make_unique<Fiber>());
  Fiber& fiber = *fibers.back();
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = STACK_BYTES;
  fiber.start.uc_link = nullptr;
  threadIdx.x = unsigned(fibers.size() - 1);
  makecontext(&fiber.start, [] { leave(), run_forever(); }, 0);
  if (!_setjmp(scheduler)) swapcontext(&scheduler_start, &fiber.start);
}

inline void resume(int thread) {
  threadIdx.x = unsigned(thread);
  if (!_setjmp(scheduler)) _longjmp(fibers[thread]->point, 1);
}

inline void run_block(int n_threads) {
  while (int(fibers.size()) < n_threads) add_fiber();
  warps.assign((n_threads + LANES - 1) / LANES, Warp());
  std::vector<int> ready, seen(n_threads, 0);
  for (int thread = 0; thread < n_threads; ++thread) ready.push_back(thread), fibers[thread]->is_done = false;
  for (int n_done = 0; n_done < n_threads;) {
    if (ready.empty()) {
      std::fprintf(stderr, "a warp waits for lanes that have ended\n");
      std::abort();
    }
    std::swap(ready[order() % ready.size()], ready.back());
    const int thread = ready.back(), warp = thread / LANES;
    ready.pop_back();
    resume(thread);
    n_done += fibers[thread]->is_done;
    if (warps[warp].generation == seen[warp]) continue;
    seen[warp] = warps[warp].generation;  // the last lane came: all who waited may go on
    for (int lane = warp * LANES; lane < (warp + 1) * LANES; ++lane)
      if (lane != thread || !fibers[lane]->is_done) ready.push_back(lane);
  }
}

inline void run_grid(unsigned n_blocks, unsigned n_threads, const std::function<void()>& work) {
  std::vector<unsigned> blocks(n_blocks);
  for (unsigned block = 0; block < n_blocks; ++block) blocks[block] = block;
  std::shuffle(blocks.begin(), blocks.end(), order);
  gridDim.x = n_blocks, blockDim.x = n_threads, kernel = work, ++n_launches;
  for (unsigned block : blocks) blockIdx.x = block, run_block(int(n_threads));
}

// Wait for all lanes of the warp; return what each of them brought.
template <typename T>
const int64_t* exchange(T mine) {
  Warp& warp = warps[threadIdx.x / LANES];
  int64_t* values = warp.values[warp.generation & 1];
  std::memcpy(values + threadIdx.x % LANES, &mine, sizeof(mine));
  if (++warp.waiting == LANES) warp.waiting = 0, ++warp.generation;
  leave();
  return values;
}

}  // namespace emulation

template <typename T>
T __shfl_sync(unsigned, T mine, int lane) {
  T value;
  std::memcpy(&value, emulation::exchange(mine) + lane % emulation::LANES, sizeof(value));
  return value;
}
template <typename T>
T __shfl_xor_sync(unsigned lanes, T mine, int bits) {
  return __shfl_sync(lanes, mine, int(threadIdx.x) % emulation::LANES ^ bits);
}
inline unsigned __ballot_sync(unsigned, bool mine) {
  unsigned bits = 0;
  const int64_t* values = emulation::exchange(int64_t(mine));
  for (int lane = 0; lane < emulation::LANES; ++lane) bits |= unsigned(values[lane]) << lane;
  return bits;
}
template <typename T>
T atomicAdd(T* place, T value) {
  const T before = *place;
  *place = before + value;
  return before;
}
template <typename T>
T __ldg(const T* place) { return *place; }
template <typename T>
T __ldcs(const T* place) { return *place; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(int(bits)); }

// --- host -------------------------------------------------------------------------------------------------------------

enum cudaError_t { cudaSuccess };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
constexpr unsigned cudaStreamNonBlocking = 1;

using Work = std::vector<std::function<void()>>;
struct Stream {
  Work captured;
  bool is_capturing = false;
};
using cudaStream_t = Stream*;
using cudaGraph_t = Work*;
using cudaGraphExec_t = Work*;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  cudaStream_t stream;
};

inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) { return *value = 1, cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream && stream->is_capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return ++emulation::n_captures, stream->is_capturing = true, cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return stream->is_capturing = false, *graph = new Work(stream->captured), cudaSuccess;
}
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return *executable = new Work(*graph), cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  for (const auto& work : *graph) work();
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments... arguments) {
  const unsigned n_blocks = config->gridDim.x, n_threads = config->blockDim.x;
  const std::function<void()> work = [=] {
    emulation::run_grid(n_blocks, n_threads, [=] { kernel(arguments...); });
  };
  if (config->stream && config->stream->is_capturing)
    config->stream->captured.push_back(work);
  else
    work();
  return cudaSuccess;
}

// --- for the tests ----------------------------------------------------------------------------------------------------

extern "C" {
inline __attribute__((used)) void shuffle_threads(int64_t seed) { emulation::order.seed(uint64_t(seed)); }
inline __attribute__((used)) int64_t count_captures() { return emulation::n_captures; }
}
