// The plain C interface between Python (rollout_arguments.py) and the kernels: what a rollout reads and writes.
//
// Arrays are contiguous; N neurons, B trials, T steps, S states, R receptors, D steps of the longest recurrent delay.
// Real is float or double, Reduced the type of weights and delta in the backward gather. All pointers are to memory of
// the device, except those to other structs.
#pragma once
#include <cstdint>

struct Connections {       // rows: source * max_delay + delay - 1
  int32_t n_sources, max_delay;
  int32_t weight_is_real;  // 0: float, where Real is double
  int32_t rows_ascend;     // 1: targets ascend within every row
  int32_t longest_row;     // connections; 0 where nobody counted
  const int32_t* indptr;   // (n_sources * max_delay + 1,)
  const int32_t* target;   // (E,) post * R + receptor
  const void* weight;      // (E,) [pA]
  const void* reduced;     // (E,) Reduced: weights for the backward gather
  void* weight_gradient;   // (E,) Real, added to; null where the weights are not trained
};

struct Events {            // spikes of an external source, by the step in which they arrive; where deterministic, those
                           // of a step by row
  const int64_t* bounds;   // (T + 1,) where each step begins
  const int32_t* row;      // of Connections
  const int32_t* trial;
  const void* count;       // Real
};

struct Rollout {
  int32_t n_neurons, batch, n_steps, n_external, n_type_runs, n_recorded, n_threads;
  int32_t deterministic;            // GPUs: sums of arriving spikes do not depend on their order
  const int32_t* run_start;         // (n_type_runs + 1,) neurons of one cell model after the other
  const int32_t* run_type;          // (n_type_runs,) cell model
  const int32_t* type_index;        // (N,) cell model
  const void* numbers;              // (M, N_NUMBERS) Real: see model.h
  const int32_t* refractory_steps;  // (M,)
  const uint32_t* used_receptors;   // (M,) bit k: connections onto receptor k exist. The others' states are left as they
                                    // are (zero), and so is their adjoint. Null: all
  const int32_t* recorded;          // (n_recorded,) neurons, ascending
  Connections recurrent;            // sources are the N neurons
  const Connections* external;      // (n_external,)
  const Events* events;             // (n_external,)
  const void* current;              // (T, N) Real [pA], or null

  // The state, which forward reads and replaces.
  void* x;                  // (S, N, B) Real
  int32_t* refractory;      // (N, B) steps that a neuron is still held
  void* inbox;              // (D, R, N, B) Real, or int64 where deterministic: ring of what arrives in step n at n % D;
                            // zero before deliver_history

  // What forward writes and backward reads.
  uint8_t* flags;           // (D + T, N, B) SPIKED, HELD; the first D steps are those before the rollout
  void* v;                  // (T, N, B) Real [mV], before the reset
  void* z;                  // (T, N, B) Real, 0 or 1; null where nobody asks
  void* v_recorded;         // (T, n_recorded, B) Real [mV], after the reset

  // Backward only.
  const void* z_gradient;   // (T, N, B) Real, or null
  const void* v_gradient;   // (T, N, B) Real, or null
  void* adjoint;            // (S, N, B) Real: dL/dx after the last step, then before the first
  void* delta;              // (N, R, B) Reduced: dL/d(inbox of this step)
  void* spike_gradient;     // (D, N, B) Real: ring of dL/dz of step n at (n + D) % D; zero before the last step
  int32_t surrogate;        // a Surrogate of column_step.h
  double width, gain, recurrent_factor, voltage_factor;

  double* gather_seconds;   // wall time of the backward gather is added; null where nobody asks; not on GPUs
  void* scratch;            // scratch_bytes(rollout) bytes
};

extern "C" {
// What the compiled library was made for; Python compares with its own.
int64_t rollout_bytes();
int64_t scratch_bytes(const Rollout* rollout);
// All return 0 if all went well, else error_text() says why; `stream` is a CUDA stream, or ignored.
// Deliver the spikes of the steps before `step` that arrive in it or later, into an empty ring of inboxes.
int32_t deliver_history(const Rollout* rollout, int32_t step, void* stream);
// Steps first <= n < last.
int32_t forward(const Rollout* rollout, int32_t first, int32_t last, void* stream);
int32_t backward(const Rollout* rollout, int32_t first, int32_t last, void* stream);
const char* error_text();
}
