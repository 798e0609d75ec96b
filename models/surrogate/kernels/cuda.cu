// The rollout on NVIDIA GPUs, the same algorithm as cpu.cpp. Two kernels per step and direction, on the caller's stream.
//
// Results repeat to the bit but for the order in which spikes are added to the inboxes; where deterministic is asked for,
// that order does not matter either (FixedPoint).
#include "cuda_backward.cuh"
#include "cuda_forward.cuh"
#include "cuda_graphs.cuh"

namespace {

using GatherKernel = void (*)(const Scratch*, int32_t);

__global__ void begin(Scratch* scratch, Context context, int32_t step) {
  scratch->context = context;
  scratch->progress = Progress{step, {0, 0}};
}

__global__ void move_on(Scratch* scratch, int32_t n_steps) { scratch->progress.step += n_steps; }

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), int64_t n_blocks, int n_threads, cudaStream_t stream, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(unsigned(n_blocks));
  config.blockDim = dim3(unsigned(n_threads));
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), "kernel launch");
}

int64_t blocks_for(int64_t n, int64_t per_block) { return std::max<int64_t>(1, (n + per_block - 1) / per_block); }

int device_number() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

// As many blocks of a delivery as run at the same time.
int64_t delivery_grid() {
  int processors = 0;
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device_number()), "cudaDeviceGetAttribute");
  return int64_t(processors) * DELIVERY_BLOCKS;
}

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

// What the host has to know to launch the kernels of a rollout.
struct Launches {
  Scratch* scratch;
  cudaStream_t stream;
  bool deterministic;
  int64_t batch, elements, element_blocks, source_blocks, delivery_blocks;

  Launches(const Rollout& rollout, cudaStream_t s)
      : scratch(static_cast<Scratch*>(rollout.scratch)),
        stream(s),
        deterministic(rollout.deterministic),
        batch(rollout.batch),
        elements(int64_t(rollout.n_neurons) * batch),
        element_blocks(blocks_for(elements, STATE_BLOCK)),
        source_blocks(blocks_for(rollout.n_neurons, WARPS_PER_BLOCK)),
        delivery_blocks(delivery_grid()) {}

  GraphKey key(int direction) const {
    return {direction, device_number(), int64_t(scratch), deterministic, batch, elements, source_blocks};
  }
};

void begin_call(const Launches& launches, const Rollout& rollout, int32_t first, int32_t last, int32_t step) {
  Context context{};
  context.rollout = rollout;
  std::copy_n(rollout.external, rollout.n_external, context.external);
  std::copy_n(rollout.events, rollout.n_external, context.events);
  context.first = first, context.last = last;
  launch(begin, 1, 1, launches.stream, launches.scratch, context, step);
}

// Take n_steps steps; step(stream, k) launches the k-th of a graph, after which progress moves on by sign.
template <typename Step>
void take_steps(const Launches& launches, int32_t n_steps, int sign, const Step& step) {
  const auto enqueue = [&](int32_t n, cudaStream_t stream) {
    for (int32_t k = 0; k < n; ++k) step(stream, k);
    launch(move_on, 1, 1, stream, launches.scratch, sign * n);
  };
  const bool direct = is_capturing(launches.stream);  // into a graph of the caller, which cannot hold others
  static Graphs graphs;
  for (; n_steps >= GRAPH_STEPS && !direct; n_steps -= GRAPH_STEPS)
    graphs.launch(launches.key(sign), launches.stream, [&](cudaStream_t stream) { enqueue(GRAPH_STEPS, stream); });
  if (n_steps) enqueue(n_steps, launches.stream);
}

template <typename Inbox>
void run_forward(const Launches& launches, const Rollout& rollout, int32_t first, int32_t last) {
  begin_call(launches, rollout, first, last, first);
  launch(deliver<Inbox>, launches.delivery_blocks, BLOCK, launches.stream, launches.scratch, -1);
  take_steps(launches, last - first, 1, [&](cudaStream_t stream, int32_t k) {
    launch(advance<Inbox>, launches.element_blocks, STATE_BLOCK, stream, launches.scratch, k);
    launch(deliver<Inbox>, launches.delivery_blocks, BLOCK, stream, launches.scratch, k);
  });
}

template <typename Inbox>
void run_history(const Launches& launches, const Rollout& rollout, int32_t step) {
  begin_call(launches, rollout, step, step, step);
  for (int32_t before = step - rollout.recurrent.max_delay; before < step; ++before) {
    launch(list_history, launches.element_blocks, STATE_BLOCK, launches.stream, launches.scratch, before);
    launch(deliver_listed<Inbox>, launches.delivery_blocks, BLOCK, launches.stream, launches.scratch, before, step);
  }
}

// The gather that fits a batch: whole vectors of 16 bytes where trials fill them, at most 32 trials at once.
template <int Width, int Lanes = 1>
GatherKernel gather_for(int64_t batch) {
  if constexpr (Width * Lanes < WARP)
    if (Width * Lanes < batch) return gather_for<Width, Lanes * 2>(batch);
  return gather<Width, Lanes>;
}

void run_backward(const Launches& launches, const Rollout& rollout, int32_t first, int32_t last) {
  constexpr int width = 16 / sizeof(Reduced);
  const GatherKernel gather = rollout.batch % width ? gather_for<1>(rollout.batch) : gather_for<width>(rollout.batch);
  begin_call(launches, rollout, first, last, last - 1);
  take_steps(launches, last - first, -1, [&](cudaStream_t stream, int32_t k) {
    launch(retreat, launches.element_blocks, STATE_BLOCK, stream, launches.scratch, k);
    launch(gather, launches.source_blocks, BLOCK, stream, launches.scratch, k);
  });
}

void check_sizes(const Rollout& rollout) {
  if (int64_t(rollout.n_neurons) * rollout.batch > INT32_MAX)
    throw std::runtime_error("neurons times trials exceed 2^31; use fewer trials at once");
  if (rollout.n_external > MAX_EXTERNAL) throw std::runtime_error("more than 8 external projections");
}

thread_local std::string failure;

template <typename Run>
int32_t guarded(const Rollout& rollout, void* stream, const Run& run) {
  try {
    check_sizes(rollout);
    run(Launches(rollout, static_cast<cudaStream_t>(stream)));
    return 0;
  } catch (const std::exception& error) {
    failure = error.what();
    return 1;
  }
}

}  // namespace

extern "C" {

int64_t rollout_bytes() { return sizeof(Rollout); }

int64_t scratch_bytes(const Rollout* rollout) {
  return int64_t(sizeof(Scratch)) + int64_t(rollout->n_neurons) * rollout->batch * int64_t(sizeof(int32_t));
}

const char* error_text() { return failure.c_str(); }

int32_t deliver_history(const Rollout* rollout, int32_t step, void* stream) {
  return guarded(*rollout, stream, [&](const Launches& launches) {
    (rollout->deterministic ? run_history<FixedPoint> : run_history<Real>)(launches, *rollout, step);
  });
}

int32_t forward(const Rollout* rollout, int32_t first, int32_t last, void* stream) {
  return guarded(*rollout, stream, [&](const Launches& launches) {
    (rollout->deterministic ? run_forward<FixedPoint> : run_forward<Real>)(launches, *rollout, first, last);
  });
}

int32_t backward(const Rollout* rollout, int32_t first, int32_t last, void* stream) {
  return guarded(*rollout, stream, [&](const Launches& launches) { run_backward(launches, *rollout, first, last); });
}
}
