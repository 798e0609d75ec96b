// One neuron in one trial: a step forward and its adjoint, the same for processors and GPUs.
//
// model.h is generated from the propagators (kernel_model.py): straight-line code over the nonzero entries of P, of the
// jumps and of the resets, whose numbers p stand in one row per cell model. Nothing here knows a neuron model.
#pragma once
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ __forceinline__
#else
#define HOST_DEVICE inline __attribute__((always_inline))
#endif

#include "model.h"
#include "rollout.h"

constexpr uint8_t SPIKED = 1, HELD = 2;  // bits of a flag

enum Surrogate : int32_t { TRIANGULAR = 0, GAUSSIAN = 1, EXPONENTIAL = 2 };

// Slope of the spike at x = (V - V_th)/(V_th - E_L).
template <typename Real>
HOST_DEVICE Real surrogate_slope(int32_t surrogate, Real x, Real width, Real gain) {
  const Real distance = std::fabs(x) / width;
  if (surrogate == TRIANGULAR) return distance < 1 ? gain * (1 - distance) : Real(0);
  return gain * std::exp(surrogate == GAUSSIAN ? -distance * distance : -distance);
}

// Integrate, threshold, deliver what has arrived, reset: x becomes the state after the step, v the potential before the
// reset; held is the refractory state before, returned is whether the neuron spiked.
template <typename Real>
HOST_DEVICE bool step_forward(const Real* p, bool held, const Receptors<Real>& arrived, States<Real>& x, Real& v) {
  States<Real> y;
  propagate(p, x, held, y);
  v = MEMBRANE(y);
  const bool spiked = v > p[THRESHOLD] && !held;
  jump(p, arrived, y);
  reset(p, spiked, y);
  x = y;
  return spiked;
}

// Turns dL/dx after a step into that before it, given dL/dV of the potential before the reset; delta is dL/d(inbox).
template <typename Real>
HOST_DEVICE void step_adjoint(const Real* p, uint8_t flag, Real v_gradient, Real voltage_factor, States<Real>& adjoint,
                              Receptors<Real>& delta) {
  const bool spiked = flag & SPIKED, held = flag & HELD;
  States<Real> before;
  reset_adjoint(p, spiked, adjoint);
  jump_adjoint(p, adjoint, delta);
  MEMBRANE(adjoint) += v_gradient;
  propagate_adjoint(p, adjoint, held, before);
  MEMBRANE(before) *= voltage_factor;
  adjoint = before;
}

// dL/dV of a step, from dL/dz and what the loss says of V itself.
template <typename Real>
HOST_DEVICE Real potential_gradient(const Real* p, const Rollout& rollout, uint8_t flag, Real v, Real z_gradient,
                                    Real v_gradient) {
  if (flag & HELD) return v_gradient;  // a held neuron cannot spike
  const Real slope = surrogate_slope(rollout.surrogate, (v - p[THRESHOLD]) / p[SCALE], Real(rollout.width),
                                     Real(rollout.gain));
  return z_gradient * slope / p[SCALE] + v_gradient;
}
