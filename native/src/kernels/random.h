// Random words by position (rng.h says which), and what is made of them at once.
//
//   random_bits   buf: 0 key: four uint32 (key low, key high, step, stream), 1 out: uint32 words, or bytes (0 or 1)
//                 dim: 0 elements, 1: 0 words; 1 bytes that say whether word >> 8 is at least dim[2]
//                 Unit: equal shares of the blocks of 64 elements.
#pragma once
#include "../rng.h"
#include "../step.h"
#include "instructions.h"

namespace rv::RV_ISA {

constexpr int64_t kWords = 64;           // words that are made together
constexpr int kCounters = W / 2;         // counters in a vector, each in the low half of 64 bits
constexpr int kCounted = 4 * kCounters;  // words from these
static_assert(kWords % kCounted == 0);

// Words [64 g, 64 g + 64) of a key: `take(i, v)` gets W of them, the first of which is word 64 g + i.
template <class F>
RV_INLINE void random_group(const uint32_t (&key)[4], int64_t g, F&& take) {
  constexpr int kChains = kWords / kCounted;  // side by side: a multiplication waits for the one before
  vq c0[kChains], c1[kChains], c2[kChains], c3[kChains];
  vq lane;
  for (int l = 0; l < kCounters; ++l) lane[l] = static_cast<uint64_t>(l);
  for (int n = 0; n < kChains; ++n) {
    c0[n] = lane + static_cast<uint64_t>(g * 16 + n * kCounters);
    c1[n] = c0[n] >> 32;
    c2[n] = vq{} + key[2];
    c3[n] = vq{} + key[3];
  }
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    // Upper halves hold anything: multiplications and the last step read the lower ones only.
#pragma GCC unroll 8
    for (int n = 0; n < kChains; ++n) {
      const vq x = multiply_low(c0[n], 0xD2511F53u), y = multiply_low(c2[n], 0xCD9E8D57u);
      c0[n] = (y >> 32) ^ c1[n] ^ (vq{} + k0);
      c2[n] = (x >> 32) ^ c3[n] ^ (vq{} + k1);
      c1[n] = y;
      c3[n] = x;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  vq first, second;  // the order in which counters' words follow each other: (0, 1), (2, 3) of each
  for (int l = 0; l < kCounters; ++l) {
    first[l] = static_cast<uint64_t>(l / 2 + (l % 2) * kCounters);
    second[l] = static_cast<uint64_t>(kCounters / 2 + l / 2 + (l % 2) * kCounters);
  }
#pragma GCC unroll 8
  for (int n = 0; n < kChains; ++n) {
    const vq low = vq{} + 0xffffffffu;
    const vq a = (c0[n] & low) | (c1[n] << 32), b = (c2[n] & low) | (c3[n] << 32);
    take(n * kCounted, reinterpret_cast<vu>(__builtin_shuffle(a, b, first)));
    take(n * kCounted + W, reinterpret_cast<vu>(__builtin_shuffle(a, b, second)));
  }
}

// A byte for each word from `first` on: 1 where word >> 8 is at least `least`, a number below 2^24. Groups are whole: up to
// 63 bytes before, and after, the `count` asked for are written too. Returns where the first lies.
RV_NOINLINE const uint8_t* random_keep(const uint32_t (&key)[4], int64_t first, int64_t count, uint32_t least,
                                       uint8_t* to) {
  const int64_t from = first / kWords, end = (first + count + kWords - 1) / kWords;
  const vi limit = splati(static_cast<int32_t>(least));
  for (int64_t g = from; g < end; ++g)
    random_group(key, g, [&](int64_t i, vu v) {
      store_mask(to + (g - from) * kWords + i, reinterpret_cast<vi>(v >> 8) >= limit);
    });
  return to + first % kWords;
}

static void random_bits(const Step& s, Frame&, int w, int n) {
  int64_t u, v;
  share(s.units, w, n, u, v);
  if (u >= v) return;
  const int64_t count = s.dim[0], groups = (count + kWords - 1) / kWords;
  const uint32_t least = static_cast<uint32_t>(s.dim[2]);
  uint32_t key[4];
  std::memcpy(key, s.buf[0], sizeof key);
  const int64_t size = s.dim[1] ? 1 : 4;
  for (int64_t g = groups * u / s.units; g < groups * v / s.units; ++g) {
    uint8_t* to = static_cast<uint8_t*>(s.buf[1]) + g * kWords * size;
    const bool whole = (g + 1) * kWords <= count;
    alignas(64) uint8_t part[kWords * 4];
    uint8_t* made = whole ? to : part;
    if (s.dim[1]) random_keep(key, g * kWords, kWords, least, made);
    else random_group(key, g, [&](int64_t i, vu x) { std::memcpy(made + i * 4, &x, sizeof x); });
    if (!whole) std::memcpy(to, part, static_cast<size_t>((count - g * kWords) * size));
  }
}

}  // namespace rv::RV_ISA
