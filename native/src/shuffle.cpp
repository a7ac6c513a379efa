#include <algorithm>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "rng.h"

namespace rv {
namespace {

constexpr int kRounds = 6, kWords = 8;  // of keys: two blocks of random words
constexpr int64_t kShared = 20000;      // rows from which a second worker is worth waking
constexpr int kBlock = 2048, kRunBits = 5, kRun = 1 << kRunBits;

// Halves of a row number have at most 16 bits, and so has all arithmetic on them: a vector holds twice as many of them.
inline uint16_t mix(uint16_t h, uint32_t key) {
  h = static_cast<uint16_t>((h + (key & 0xFFFFu)) * 0x9E37u);
  h ^= h >> 7;
  h = static_cast<uint16_t>((h + (key >> 16)) * 0xCA6Bu);
  return h ^ (h >> 9);
}

// Images of first .. first + kBlock. The inner loop becomes vector code; integers give the same bits on every machine.
__attribute__((always_inline)) inline void permute(uint32_t first, const uint32_t* __restrict keys, int low, int high,
                                                   uint32_t* __restrict to) {
  const auto mask = [](int bits) { return static_cast<uint16_t>((uint32_t{1} << bits) - 1); };
  const uint16_t low_mask = mask(low), high_mask = mask(high);
  const int run = low < kRunBits ? 1 << low : kRun;  // numbers with the same left half
  for (int i = 0; i < kBlock; i += run) {
    const uint32_t x = first + static_cast<uint32_t>(i);
    const uint16_t same = static_cast<uint16_t>(x >> low), start = static_cast<uint16_t>(x) & low_mask;
    for (int j = 0; j < kRun; ++j) {
      uint16_t left = same, right = static_cast<uint16_t>(start + j);
      for (int r = 0; r < kRounds; r += 2) {
        left ^= mix(right, keys[r]) & high_mask;
        right ^= mix(left, keys[r + 1]) & low_mask;
      }
      to[i + j] = uint32_t{left} << low | right;
    }
  }
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("avx2", "default")))
#endif
void images(uint32_t first, const uint32_t* keys, int low, int high, uint32_t* to) {
  permute(first, keys, low, high, to);
}

// Those of so many images that are rows, in order; returns how many. `to` has room for all, and a vector more.
int64_t keep(const uint32_t* image, int images, uint32_t n, int64_t* to) {
  int64_t kept = 0;
  for (int i = 0; i < images; ++i) {
    to[kept] = image[i];  // written without a branch, kept if it is a row
    kept += image[i] < n;
  }
  return kept;
}

#if defined(__x86_64__)
// Both with AVX-512; compilers do not find the instruction that packs what is kept by themselves.
__attribute__((target("avx512f,avx512bw,prefer-vector-width=512"))) void images_wide(uint32_t first,
                                                                                     const uint32_t* keys, int low,
                                                                                     int high, uint32_t* to) {
  permute(first, keys, low, high, to);
}
__attribute__((target("avx512f"))) int64_t keep_wide(const uint32_t* image, int images, uint32_t n, int64_t* to) {
  const int64_t* start = to;
  for (int i = 0; i < images; i += 16) {
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
  static const bool can = __builtin_cpu_supports("avx512bw");
  return can;
}
#else
constexpr auto images_wide = images;
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
  uint32_t image[kBlock + kRun];  // a run may be shorter than a vector: the next one overwrites what is too much
  int64_t rows[kBlock + 16];      // as above
  for (int64_t done = 0, first = 0; first < domain; first += kBlock) {
    (wide() ? images_wide : images)(static_cast<uint32_t>(first), keys, low, high, image);
    const int size = static_cast<int>(std::min<int64_t>(domain - first, kBlock));
    const bool room = n - done >= kBlock + 16;
    const int64_t kept = (wide() ? keep_wide : keep)(image, size, static_cast<uint32_t>(n), room ? to + done : rows);
    if (!room) std::memcpy(to + done, rows, static_cast<size_t>(kept) * sizeof *rows);
    done += kept;
  }
}

}  // namespace rv
