// The register tile of every matrix product, and the small moves around it (transposing, packing).
//
// A tile is MR rows by NV native vectors, held in registers over the whole contraction:
//     acc[i][j] = sum over k, in order, of A(i, k) * B(k, j)
// Each element is one sequential chain of madd, started from zero (or from a partial sum of lower k). So its bits depend
// neither on the tile's size, nor on the blocking of k, the number of workers, or the width of a vector.
#pragma once
#include "../step.h"
#include "simd.h"

namespace rv::RV_ISA {

// Tiles by vectors per row. 32 registers (AVX-512, NEON) hold 24 accumulators, 16 registers hold 12.
#if RV_WIDTH == 16 || defined(__aarch64__)
constexpr int kRows[5] = {0, 12, 12, 8, 6};
constexpr int kMaxVectors = 4;
#else
constexpr int kRows[5] = {0, 8, 6, 4, 3};
constexpr int kMaxVectors = 2;  // 6 x 2 and a row of B fit the registers, 3 x 4 and a row do not
#endif
constexpr int kMaxRows = 12;
constexpr int64_t kChunk = kMaxVectors * W;  // columns of the widest tile: 64 (AVX-512), 16 (AVX2, NEON), 8

// What all tiles of one block share.
struct TileContext {
  int64_t lda;  // A(i, k) = a[i * lda + k], or a[k * lda + i] for a transposed A
  int64_t ldb;  // B(k, j) = b[k * ldb + j]
  int64_t ldc;
  int64_t ldi;        // leading dimension of init, the partial sums continued from
  int64_t lds;        // of side
  int64_t tail;       // lanes of the last vector that are stored, 1..W
  int64_t epilogue;   // flags below, applied to finished sums
  const float* bias;  // at the tile's first column; with kRowBias at its first row
  int64_t blocks;     // the contraction is this many runs of k; A's next run is `jump` floats further on
  int64_t jump;
  int64_t free;         // the tile's first rows whose last vector may be stored whole (see tiles)
  bool padded = false;  // C's rows are padded to whole vectors with room for anything
  Ahead* ahead = nullptr;
};
enum : int64_t { kBias = 1, kRelu = 2, kMask = 4, kAdd = 8, kRowBias = 32 };
constexpr int64_t kEpilogue = kBias | kRelu | kMask | kAdd | kRowBias;

using TileFn = void (*)(const float* a, const float* b, float* c, const float* init, const float* side, int64_t k,
                        const TileContext& x);

template <int MR, int NV, bool Transposed>
RV_NOINLINE void tile(const float* a, const float* b, float* c, const float* init, const float* side, int64_t k,
                      const TileContext& x) {
  vf acc[MR][NV];
  const int64_t tail = x.tail;
  if (init) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = load(init + i * x.ldi + j * W);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = vf{};
  }
  const int64_t lda = x.lda, ldb = x.ldb;
  int64_t blocks = x.blocks;
  do {
    if (!Transposed && blocks > 1) {  // the next run is too far away for the hardware to foresee
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i)
        for (int64_t j = 0; j < kPanel; j += 16) __builtin_prefetch(a + k + x.jump + i * lda + j);
    }
    for (int64_t n = k; n > 0; --n) {
      vf row[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) row[j] = load(b + j * W);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const vf s = splat(Transposed ? a[i] : a[i * lda]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = madd(s, row[j], acc[i][j]);
      }
      a += Transposed ? lda : 1;
      b += ldb;
    }
    a += x.jump;
  } while (--blocks > 0);
  if (x.epilogue) {
    if (x.epilogue & kBias) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        const vf v = j == NV - 1 ? load_part(x.bias + j * W, tail) : load(x.bias + j * W);
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) acc[i][j] = acc[i][j] + v;
      }
    }
    if (x.epilogue & kRowBias) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const vf v = splat(x.bias[i]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = acc[i][j] + v;
      }
    }
    if (x.epilogue & kRelu) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = fast_max(vf{}, acc[i][j]);
    }
    if (x.epilogue & (kMask | kAdd)) {
      const bool mask = x.epilogue & kMask;
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
          const float* p = side + i * x.lds + j * W;
          const vf v = j == NV - 1 ? load_part(p, tail) : load(p);
          acc[i][j] = mask ? select(v > 0, acc[i][j], vf{}) : v + acc[i][j];
        }
    }
  }
  if (tail == W) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) store(c + i * x.ldc + j * W, acc[i][j]);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < NV - 1; ++j) store(c + i * x.ldc + j * W, acc[i][j]);
      float* last = c + i * x.ldc + (NV - 1) * W;
      if constexpr (MR == 1) store_pieces(last, acc[i][NV - 1], tail);
      else if (i < x.free) store(last, acc[i][NV - 1]);
      else if (tail == 1) *last = acc[i][NV - 1][0];
      else store_part(last, acc[i][NV - 1], tail);
    }
  }
}

// tiles[vectors][rows]; entries beyond kRows[vectors] are never reached.
template <bool T>
struct Tiles {
  template <int NV, int MR>
  static constexpr TileFn pick() {
    if constexpr (MR <= kRows[NV]) return tile<MR, NV, T>;
    else return nullptr;
  }
#define RV_TILE_ROWS(NV)                                                                                      \
  {nullptr,       pick<NV, 1>(), pick<NV, 2>(), pick<NV, 3>(),  pick<NV, 4>(),  pick<NV, 5>(), pick<NV, 6>(), \
   pick<NV, 7>(), pick<NV, 8>(), pick<NV, 9>(), pick<NV, 10>(), pick<NV, 11>(), pick<NV, 12>()}
  static constexpr TileFn table[5][kMaxRows + 1] = {
      {}, RV_TILE_ROWS(1), RV_TILE_ROWS(2), RV_TILE_ROWS(3), RV_TILE_ROWS(4)};
#undef RV_TILE_ROWS
};

// ---- moves

// Lanes l of (a, b) to: l without bit S from a, the others from b shifted up; and the complement. Eklundh's step.
template <int S>
RV_INLINE void exchange(vf& a, vf& b) {
  vi lo, hi;
  for (int l = 0; l < W; ++l) {
    lo[l] = (l & S) ? W + l - S : l;
    hi[l] = (l & S) ? W + l : l + S;
  }
  const vf x = __builtin_shuffle(a, b, lo);
  b = __builtin_shuffle(a, b, hi);
  a = x;
}
template <int S>
RV_INLINE void exchange_all(vf (&r)[W]) {
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i)
    if (!(i & S)) exchange<S>(r[i], r[i + S]);
}
RV_INLINE void transpose_lanes(vf (&r)[W]) {
  exchange_all<1>(r);
  exchange_all<2>(r);
#if RV_WIDTH >= 8
  exchange_all<4>(r);
#endif
#if RV_WIDTH >= 16
  exchange_all<8>(r);
#endif
}
RV_NOINLINE void transpose_square(const float* src, int64_t lds, float* dst, int64_t ldd) {
  vf r[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) r[i] = load(src + i * lds);
  transpose_lanes(r);
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) store(dst + i * ldd, r[i]);
}
// dst[j * ldd + i] = src[i * lds + j] for i < rows, j < cols. Nothing else is read or written.
RV_NOINLINE void transpose(const float* src, int64_t lds, float* dst, int64_t ldd, int64_t rows, int64_t cols) {
  int64_t i = 0;
  if (rows * cols >= 4 * W)
    for (; i + W <= rows; i += W) {
      int64_t j = 0;
      for (; j + W <= cols; j += W) transpose_square(src + i * lds + j, lds, dst + j * ldd + i, ldd);
      if (j < cols) {
        vf r[W];
#pragma GCC unroll 16
        for (int t = 0; t < W; ++t) r[t] = load_part(src + (i + t) * lds + j, cols - j);
        transpose_lanes(r);
        alignas(64) float square[W * W];
#pragma GCC unroll 16
        for (int t = 0; t < W; ++t) store_aligned(square + t * W, r[t]);
        for (int64_t t = 0; j + t < cols; ++t) store(dst + (j + t) * ldd + i, load_aligned(square + t * W));
      }
    }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) dst[j * ldd + i] = src[i * lds + j];
}
// Copies rows of up to 64 columns; the destination's rows are whole vectors (their last lanes are then arbitrary).
RV_NOINLINE void pack_rows(const float* src, int64_t lds, float* dst, int64_t ldd, int64_t rows, int64_t cols) {
  const int64_t whole = cols / W * W;
  for (int64_t i = 0; i < rows; ++i, src += lds, dst += ldd) {
    int64_t j = 0;
    for (; j < whole; j += W) store(dst + j, load(src + j));
    if (j < cols) store(dst + j, load_part(src + j, cols - j));
  }
}

}  // namespace rv::RV_ISA
