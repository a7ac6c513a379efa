// Random words by position (rng.h says which).
//
//   random_bits   buf: 0 key: four uint32 (key low, key high, step, stream), 1 out: uint32, or float32 uniform in [0, 1)
//                 dim: 0 elements, 1: 0 words, 1 uniform float32; 2: 1 = the frame's step counter is added to the key's step
//                 Unit: equal shares of the blocks of 64 elements.
#pragma once
#include "../rng.h"
#include "../step.h"
#include "simd.h"

namespace rv::RV_ISA {

static void random_bits(const Step& s, Frame& f, int w, int n) {
  constexpr int kBlocks = 16;  // counters side by side: the loops over b become vector code
  int64_t u, v;
  share(s.units, w, n, u, v);
  if (u >= v) return;
  const int64_t count = s.dim[0], groups = (count + 63) / 64;
  uint32_t key[4];
  std::memcpy(key, s.buf[0], sizeof key);
  if (s.dim[2]) key[2] += static_cast<uint32_t>(f.step_index);
  for (int64_t g = groups * u / s.units; g < groups * v / s.units; ++g) {
    alignas(64) uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
    const uint64_t block = static_cast<uint64_t>(g) * kBlocks;
    for (int b = 0; b < kBlocks; ++b) {
      c0[b] = static_cast<uint32_t>(block + static_cast<uint64_t>(b));
      c1[b] = static_cast<uint32_t>((block + static_cast<uint64_t>(b)) >> 32);
      c2[b] = key[2];
      c3[b] = key[3];
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      for (int b = 0; b < kBlocks; ++b) {
        const uint64_t x = uint64_t{0xD2511F53u} * c0[b], y = uint64_t{0xCD9E8D57u} * c2[b];
        c0[b] = static_cast<uint32_t>(y >> 32) ^ c1[b] ^ k0;
        c1[b] = static_cast<uint32_t>(y);
        c2[b] = static_cast<uint32_t>(x >> 32) ^ c3[b] ^ k1;
        c3[b] = static_cast<uint32_t>(x);
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    alignas(64) uint32_t words[64];
    for (int b = 0; b < kBlocks; ++b) {
      words[4 * b] = c0[b];
      words[4 * b + 1] = c1[b];
      words[4 * b + 2] = c2[b];
      words[4 * b + 3] = c3[b];
    }
    const int64_t left = count - g * 64 < 64 ? count - g * 64 : 64;
    if (s.dim[1] == 0) {
      std::memcpy(static_cast<uint32_t*>(s.buf[1]) + g * 64, words, static_cast<size_t>(left) * 4);
    } else {
      float* to = static_cast<float*>(s.buf[1]) + g * 64;
      for (int64_t i = 0; i < left; ++i) to[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f;
    }
  }
}

}  // namespace rv::RV_ISA
