#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "rng.h"

namespace rv {
namespace {

constexpr int kRounds = 6, kWords = 8;  // of keys: two blocks of random words
constexpr int kBlock = 2048;

inline uint32_t mix(uint32_t h, uint32_t key) {
  h = (h + key) * 0x9E3779B1u;
  h ^= h >> 15;
  h *= 0x85EBCA77u;
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

// Those of kBlock images that are rows, in order; returns how many. `to` has room for all.
int64_t keep(const uint32_t* image, uint32_t n, int64_t* to) {
  int64_t kept = 0;
  for (int i = 0; i < kBlock; ++i) {
    to[kept] = image[i];  // written without a branch, kept if it is a row
    kept += image[i] < n;
  }
  return kept;
}

#if defined(__x86_64__)
// The same, sixteen at a time. Compilers do not find this instruction by themselves.
__attribute__((target("avx512f"))) int64_t keep_wide(const uint32_t* image, uint32_t n, int64_t* to) {
  const int64_t* start = to;
  for (int i = 0; i < kBlock; i += 16) {
    const __m512i x = _mm512_loadu_si512(image + i);
    const __mmask16 rows = _mm512_cmplt_epu32_mask(x, _mm512_set1_epi32(static_cast<int>(n)));
    const __m512i packed = _mm512_maskz_compress_epi32(rows, x);
    _mm512_storeu_si512(to, _mm512_maskz_cvtepu32_epi64(0xff, _mm512_maskz_extracti64x4_epi64(0xff, packed, 0)));
    _mm512_storeu_si512(to + 8, _mm512_maskz_cvtepu32_epi64(0xff, _mm512_maskz_extracti64x4_epi64(0xff, packed, 1)));
    to += __builtin_popcount(rows);
  }
  return to - start;
}
bool wide() {
  static const bool can = __builtin_cpu_supports("avx512f");
  return can;
}
#else
constexpr auto keep_wide = keep;
bool wide() { return false; }
#endif

}  // namespace

void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t* to) {
  if (n <= 0) return;
  if (n > int64_t{0x80000000}) {
    for (int64_t i = 0; i < n; ++i) to[i] = i;  // beyond two billion rows: as they lie
    return;
  }
  uint32_t keys[kWords];
  for (uint32_t block = 0; block < kWords / 4; ++block) {
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
    if (count == kBlock && n - done >= kBlock) {
      done += (wide() ? keep_wide : keep)(image, static_cast<uint32_t>(n), to + done);
    } else {
      for (int64_t i = 0; i < count; ++i)
        if (image[i] < static_cast<uint64_t>(n)) to[done++] = image[i];
    }
  }
}

}  // namespace rv
