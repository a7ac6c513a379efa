#include <cstring>

#include "rng.h"

namespace rv {
namespace {

constexpr int kRounds = 8;
constexpr int kBlock = 2048;

inline uint32_t mix(uint32_t h, uint32_t key) {
  h = (h + key) * 0x9E3779B1u;
  h ^= h >> 15;
  h *= 0x85EBCA77u;
  h ^= h >> 13;
  h *= 0xC2B2AE3Du;
  return h >> 16;
}

// Images of first .. first + kBlock. The loops over i become vector code; integers give the same bits on every machine.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void images(uint32_t first, const uint32_t* keys, int low, int high, uint32_t* to) {
  uint32_t left[kBlock], right[kBlock];
  const uint32_t low_mask = (uint32_t{1} << low) - 1, high_mask = high >= 32 ? ~0u : (uint32_t{1} << high) - 1;
  for (int i = 0; i < kBlock; ++i) {
    const uint32_t x = first + static_cast<uint32_t>(i);
    left[i] = x >> low;
    right[i] = x & low_mask;
  }
  for (int r = 0; r < kRounds; r += 2) {
    const uint32_t even = keys[r], odd = keys[r + 1];
    for (int i = 0; i < kBlock; ++i) left[i] ^= mix(right[i], even) & high_mask;
    for (int i = 0; i < kBlock; ++i) right[i] ^= mix(left[i], odd) & low_mask;
  }
  for (int i = 0; i < kBlock; ++i) to[i] = left[i] << low | right[i];
}

}  // namespace

void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t* to) {
  if (n <= 0) return;
  if (n > int64_t{0x80000000}) {
    for (int64_t i = 0; i < n; ++i) to[i] = i;  // beyond two billion rows: as they lie
    return;
  }
  uint32_t keys[kRounds];
  for (uint32_t block = 0; block < kRounds / 4; ++block) {
    const Words4 w = philox(static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), block, 0,
                            static_cast<uint32_t>(epoch), kShuffleStream);
    std::memcpy(keys + 4 * block, w.v, sizeof w.v);
  }
  int bits = 8;
  while ((int64_t{1} << bits) < n) ++bits;
  const int low = bits / 2, high = bits - low;
  const int64_t domain = int64_t{1} << bits;
  uint32_t image[kBlock];
  int64_t done = 0;
  for (int64_t first = 0; first < domain; first += kBlock) {
    images(static_cast<uint32_t>(first), keys, low, high, image);
    const int64_t count = domain - first < kBlock ? domain - first : kBlock;
    if (n - done >= count) {
      // Room for all: written without a branch, kept if it is a row.
      for (int64_t i = 0; i < count; ++i) {
        to[done] = image[i];
        done += image[i] < static_cast<uint64_t>(n);
      }
    } else {
      for (int64_t i = 0; i < count; ++i)
        if (image[i] < static_cast<uint64_t>(n)) to[done++] = image[i];
    }
  }
}

}  // namespace rv
