// Philox4x32-10 (Salmon et al. 2011), counter-based: any word can be computed from its position alone.
//
// Layout, the same for every engine:
//   key     = (seed low 32, seed high 32)
//   counter = (block low 32, block high 32, step, stream)     block = index / 4, word = index % 4
// so word i of stream s at step t under a seed is philox(key, (i/4 low, i/4 high, t, s))[i % 4]. A uniform float32 is
// (word >> 8) * 2^-24. The epoch's shuffle takes its keys from stream 0 and step = epoch.
#pragma once
#include <cstdint>

namespace rv {

constexpr uint32_t kShuffleStream = 0;

struct Words4 {
  uint32_t v[4];
};

inline Words4 philox(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Row order of an epoch: a Feistel permutation of 0 .. 2^k - 1, less the numbers that are no rows. Said plainly in
// graph/ops/random.py; no sorting, about a nanosecond a row.
void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t* to);

}  // namespace rv
