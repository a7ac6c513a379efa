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

// Rows first .. last of C; row M is S. A few rows at a time, up to sixteen sums.
template <int N>
RV_NOINLINE void dots_of(const Step& s, const float* ones, int64_t first, int64_t last) {
  constexpr int R = N == 1 ? 8 : 16 / N;
  const int64_t M = s.dim[0], depth = s.dim[2], lda = s.dim[3], ldb = s.dim[4];
  const float* a = static_cast<const float*>(s.buf[0]);
  const float* b = static_cast<const float*>(s.buf[1]);
  float* c = static_cast<float*>(s.buf[2]);
  for (int64_t i = first; i < last; i += R) {
    const float* x[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
      x[r] = i + r < M ? a + (i + r) * lda : ones;  // rows behind the last: nobody stores them
    const int64_t rows = last - i < R ? last - i : R, inside = i + rows <= M ? rows : M - i;
    alignas(64) float sums[16];
#if RV_WIDTH == 16
    vf acc[16];
#pragma GCC unroll 16
    for (int t = 0; t < 16; ++t) acc[t] = vf{};
    for (int64_t k = 0; k < depth; k += W) {
      const __mmask16 lanes = depth - k >= W ? 0xffff : static_cast<__mmask16>((1u << (depth - k)) - 1u);
      vf y[N];
#pragma GCC unroll 16
      for (int j = 0; j < N; ++j) y[j] = (vf)_mm512_maskz_loadu_ps(lanes, b + j * ldb + k);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const vf v = (vf)_mm512_maskz_loadu_ps(lanes, x[r] + k);
#pragma GCC unroll 16
        for (int j = 0; j < N; ++j) acc[r * N + j] = madd(v, y[j], acc[r * N + j]);
      }
    }
    const vf all = fold_all(acc);
    store_part(c + i * N, all, inside * N);
    if (inside == rows) continue;
    store_aligned(sums, all);
#else
    for (int64_t r = 0; r < rows; ++r)
      for (int j = 0; j < N; ++j) {
        vf acc[kParts];
        for (int p = 0; p < kParts; ++p) acc[p] = vf{};
        const float* y = b + j * ldb;
        for (int64_t k = 0; k < depth; k += kLanes)
#pragma GCC unroll 4
          for (int p = 0; p < kParts; ++p) {
            const int64_t at = k + p * W, left = depth - at;
            if (left >= W) acc[p] = madd(load(x[r] + at), load(y + at), acc[p]);
            else if (left > 0) acc[p] = madd(load_part(x[r] + at, left), load_part(y + at, left), acc[p]);
          }
        alignas(64) float lanes[kLanes];
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) store_aligned(lanes + p * W, acc[p]);
        sums[r * N + j] = join_lanes<SumOf>(lanes);
      }
    for (int64_t t = 0; t < inside * N; ++t) c[i * N + t] = sums[t];
    if (inside == rows) continue;
#endif
    float* bias = static_cast<float*>(s.buf[3]);
    for (int j = 0; j < N; ++j) bias[j] = sums[inside * N + j];
  }
}
using Dots = void (*)(const Step&, const float*, int64_t, int64_t);
constexpr Dots kDots[16] = {nullptr,     dots_of<1>,  dots_of<2>,  dots_of<3>, dots_of<4>,  dots_of<5>,
                            dots_of<6>,  dots_of<7>,  dots_of<8>,  dots_of<9>, dots_of<10>, dots_of<11>,
                            dots_of<12>, dots_of<13>, dots_of<14>, dots_of<15>};

static void dots(const Step& s, Frame& f, int worker, int workers) {
  const int64_t M = s.dim[0], K = s.dim[2];
  float* ones = reinterpret_cast<float*>(f.scratch[worker]);
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (last > M)
    for (int64_t k = 0; k < K; k += W) store_aligned(ones + k, splat(1.0f));
  kDots[s.dim[1]](s, ones, first, last);
}

}  // namespace rv::RV_ISA
