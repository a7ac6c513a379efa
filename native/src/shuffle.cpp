#include <cstring>
#include <memory>

#include "rng.h"

namespace rv {

void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t* to) {
  if (n <= 0) return;
  struct Item {
    uint32_t word;
    uint32_t row;
  };
  if (n > int64_t{0xffffffff}) {
    for (int64_t i = 0; i < n; ++i) to[i] = i;  // beyond four billion rows: as they lie
    return;
  }
  const uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  std::unique_ptr<Item[]> a(new Item[static_cast<size_t>(n)]), b(new Item[static_cast<size_t>(n)]);
  // All four digit counts in the pass that makes the words.
  constexpr int kBits = 11, kBins = 1 << kBits, kPasses = 3;
  auto counts = std::make_unique<uint32_t[]>(kPasses * kBins);
  for (int64_t i = 0; i < n; i += 4) {
    const uint64_t block = static_cast<uint64_t>(i) / 4;
    const Words4 words = philox(k0, k1, static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                static_cast<uint32_t>(epoch), kShuffleStream);
    for (int64_t j = 0; j < 4 && i + j < n; ++j) {
      const uint32_t w = words.v[j];
      a[static_cast<size_t>(i + j)] = {w, static_cast<uint32_t>(i + j)};
      for (int p = 0; p < kPasses; ++p) ++counts[static_cast<size_t>(p * kBins) + (w >> (p * kBits) & (kBins - 1))];
    }
  }
  for (int p = 0; p < kPasses; ++p) {
    uint32_t* c = counts.get() + p * kBins;
    uint32_t at = 0;
    for (int d = 0; d < kBins; ++d) {
      const uint32_t k = c[d];
      c[d] = at;
      at += k;
    }
    for (int64_t i = 0; i < n; ++i) {
      const Item item = a[static_cast<size_t>(i)];
      b[c[item.word >> (p * kBits) & (kBins - 1)]++] = item;
    }
    a.swap(b);
  }
  for (int64_t i = 0; i < n; ++i) to[i] = a[static_cast<size_t>(i)].row;
}

}  // namespace rv
