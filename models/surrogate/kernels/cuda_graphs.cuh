// Steps as CUDA graphs: launched one by one, small kernels would wait for the host.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

constexpr int GRAPH_STEPS = 25;
constexpr size_t MAX_GRAPHS = 32;

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that is reported must not turn up again elsewhere
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// All that the launches of a graph depend on.
using GraphKey = std::vector<int64_t>;

class Graphs {
 public:
  // Enqueue GRAPH_STEPS steps: enqueue(stream) launches them. The first time they are launched as they are, because a
  // kernel must not be loaded while a stream is captured.
  template <typename Enqueue>
  void launch(const GraphKey& key, cudaStream_t stream, const Enqueue& enqueue) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(graphs_.begin(), graphs_.end(), [&](const Entry& entry) { return entry.key == key; });
    if (found != graphs_.end()) {
      graphs_.splice(graphs_.begin(), graphs_, found);
      check(cudaGraphLaunch(graphs_.front().graph, stream), "cudaGraphLaunch");
      return;
    }
    enqueue(stream);
    graphs_.push_front({key, capture(enqueue)});
    if (graphs_.size() > MAX_GRAPHS) forget_oldest();
  }

 private:
  struct Entry {
    GraphKey key;
    cudaGraphExec_t graph;
  };

  // Ends and leaves nothing behind also where launching fails.
  struct Capture {
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    Capture() {
      check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    }
    void end() { check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture"); }
    ~Capture() {
      if (!graph) cudaStreamEndCapture(stream, &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaStreamDestroy(stream);
    }
  };

  template <typename Enqueue>
  static cudaGraphExec_t capture(const Enqueue& enqueue) {
    Capture capture;
    cudaGraphExec_t executable = nullptr;
    enqueue(capture.stream);
    capture.end();
    check(cudaGraphInstantiateWithFlags(&executable, capture.graph, 0), "cudaGraphInstantiate");
    return executable;
  }

  void forget_oldest() {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");  // it may still be running
    check(cudaGraphExecDestroy(graphs_.back().graph), "cudaGraphExecDestroy");
    graphs_.pop_back();
  }

  std::mutex mutex_;
  std::list<Entry> graphs_;  // latest first
};
