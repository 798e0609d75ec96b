// The types of numbers: Real, and Reduced for weights and delta in the backward gather.
#pragma once
#include <cstring>

#include "column_step.h"

// A float without its lower 16 bits.
struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  HOST_DEVICE BFloat16(float value) {
    uint32_t all;
    memcpy(&all, &value, 4);
    bits = uint16_t((all + 0x7fff + ((all >> 16) & 1)) >> 16);  // to nearest, ties to even
  }
  HOST_DEVICE operator float() const {
    const uint32_t all = uint32_t(bits) << 16;
    float value;
    memcpy(&value, &all, 4);
    return value;
  }
};

using Real = REAL;
#ifdef REDUCED_PRECISION
using Reduced = BFloat16;
#else
using Reduced = Real;
#endif
