// Products of a few rows with a few rows, along long contiguous axes: the weight gradient of narrow layers, whose
// activations lie feature by feature.
//
//   dots   C[M,N] = A[M,K] B[N,K]^T, and S[N] = the sums of B's rows (the gradient of the bias)
//          buf: 0 A, 1 B, 2 C (rows adjoin), 3 S or nothing
//          dim: 0 M, 1 N, 2 K, 3 leading dimension of A, 4 of B
//          units: the rows of C, then S
//
// The contraction runs along the vector: element k goes to virtual lane k % 16, a chain of madd each, and the sixteen are
// joined i with i + 8, then + 4, + 2, + 1. So the bits depend neither on the width of a vector nor on the workers. S is
// the product with a row of ones.
#pragma once
#include "gemm_block.h"
#include "reduce.h"

namespace rv::RV_ISA {

#if RV_WIDTH == 16
// Lanes of a, then of b, each added to the one S further on in its group of 2 S.
template <int S>
RV_INLINE vf fold(vf a, vf b) {
  vi lo, hi;
  for (int l = 0; l < W; ++l) {
    const int half = l & (W / 2 - 1), from = half / S * 2 * S + half % S + (l >= W / 2 ? W : 0);
    lo[l] = from;
    hi[l] = from + S;
  }
  return __builtin_shuffle(a, b, lo) + __builtin_shuffle(a, b, hi);
}
// The sums of sixteen vectors, in order.
RV_INLINE vf fold_all(const vf (&x)[16]) {
  vf a[8], b[4], c[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) a[i] = fold<8>(x[2 * i], x[2 * i + 1]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) b[i] = fold<4>(a[2 * i], a[2 * i + 1]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) c[i] = fold<2>(b[2 * i], b[2 * i + 1]);
  return fold<1>(c[0], c[1]);
}
#endif

constexpr int kMostDots = 15;  // columns
constexpr int dot_rows(int columns) { return columns == 1 ? 8 : columns > 16 ? 1 : 16 / columns; }

// R rows of A with the N rows of B; R * N <= 16 sums, row by row.
template <int R, int N>
RV_NOINLINE void dot_block(const float* const* a, const float* b, int64_t ldb, int64_t depth, float* sums) {
#if RV_WIDTH == 16
  vf acc[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < N; ++j) acc[i][j] = vf{};
  for (int64_t k = 0; k < depth; k += W) {
    const int64_t left = depth - k;
    vf y[N];
#pragma GCC unroll 16
    for (int j = 0; j < N; ++j) y[j] = left >= W ? load(b + j * ldb + k) : load_part(b + j * ldb + k, left);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const vf x = left >= W ? load(a[i] + k) : load_part(a[i] + k, left);
#pragma GCC unroll 16
      for (int j = 0; j < N; ++j) acc[i][j] = madd(x, y[j], acc[i][j]);
    }
  }
  vf all[16];
#pragma GCC unroll 16
  for (int t = 0; t < 16; ++t) all[t] = t < R * N ? acc[t / N][t % N] : vf{};
  store(sums, fold_all(all));
#else
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < N; ++j) {
      vf acc[kParts];
      for (int p = 0; p < kParts; ++p) acc[p] = vf{};
      const float *x = a[i], *y = b + j * ldb;
      for (int64_t k = 0; k < depth; k += kLanes)
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) {
          const int64_t at = k + p * W, left = depth - at;
          if (left >= W) acc[p] = madd(load(x + at), load(y + at), acc[p]);
          else if (left > 0) acc[p] = madd(load_part(x + at, left), load_part(y + at, left), acc[p]);
        }
      alignas(64) float lanes[kLanes];
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) store_aligned(lanes + p * W, acc[p]);
      sums[i * N + j] = join_lanes<SumOf>(lanes);
    }
#endif
}
using DotBlock = void (*)(const float* const*, const float*, int64_t, int64_t, float*);
template <int N>
constexpr DotBlock dot_block_of = dot_block<dot_rows(N), N>;
constexpr DotBlock kDotBlocks[kMostDots + 1] = {nullptr,          dot_block_of<1>,  dot_block_of<2>,  dot_block_of<3>,
                                                dot_block_of<4>,  dot_block_of<5>,  dot_block_of<6>,  dot_block_of<7>,
                                                dot_block_of<8>,  dot_block_of<9>,  dot_block_of<10>, dot_block_of<11>,
                                                dot_block_of<12>, dot_block_of<13>, dot_block_of<14>, dot_block_of<15>};

static void dots(const Step& s, Frame& f, int worker, int workers) {
  const int64_t M = s.dim[0], N = s.dim[1], K = s.dim[2], lda = s.dim[3], ldb = s.dim[4];
  const float* a = static_cast<const float*>(s.buf[0]);
  const float* b = static_cast<const float*>(s.buf[1]);
  float* c = static_cast<float*>(s.buf[2]);
  float* bias = static_cast<float*>(s.buf[3]);
  float* ones = reinterpret_cast<float*>(f.scratch[worker]);
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (last > M)
    for (int64_t k = 0; k < K; k += W) store_aligned(ones + k, splat(1.0f));
  const DotBlock block = kDotBlocks[N];
  const int most = dot_rows(static_cast<int>(N));
  for (int64_t i = first; i < last; i += most) {
    const float* row[16];
    const int64_t rows = last - i < most ? last - i : most;
    for (int r = 0; r < most; ++r) row[r] = r >= rows ? row[0] : i + r < M ? a + (i + r) * lda : ones;
    alignas(64) float sums[16];
    block(row, b, ldb, K, sums);
    const int64_t inside = i + rows <= M ? rows : M - i;
    float* to = c + i * N;
    for (int64_t t = 0; t < inside * N; t += W) store_part(to + t, load_aligned(sums + t), least(W, inside * N - t));
    if (inside < rows)
      for (int64_t j = 0; j < N; ++j) bias[j] = sums[inside * N + j];
  }
}

}  // namespace rv::RV_ISA
