// Products of one or two rows, where each weight is used once and should only stream past. (The forward product needs
// nothing of its own: a tile of one row and 64 columns has enough independent sums.)
#pragma once
#include "gemm_tile.h"

namespace rv::RV_ISA {

// C[K,N] = x[K] dy[N]^T, the weight gradient of a single row: a block is made in L1 and the program runs on it.
constexpr int64_t kOuterRows = 8;  // one elementwise tile of full panel rows

RV_NOINLINE void outer_product(const Product& p, int64_t panel, int64_t r0, int64_t r1) {
  const int64_t c0 = panel * kPanel, cols = panel_width(p.columns, panel);
  const EwProgram* program = p.step->program;
  const float* y = p.b + c0;
  if (p.adam && !p.adjoin) {
    adam_outer(*p.adam, c0 * p.rows + r0 * padded(cols), r1 - r0, cols, p.a + r0, y);
    return;
  }
  float* c = p.c;
  int64_t ldc = p.ldc;
  if (ldc) {
    c += c0;
  } else {
    ldc = padded(cols);
    c += c0 * p.rows;
  }
  vf row[kPanel / W];
  const int64_t whole = cols / W * W;
  for (int64_t j = 0; j < cols; j += W) row[j / W] = j < whole ? load(y + j) : load_part(y + j, cols - j);
  if (program) {
    // Short rows: as many at once as fill the block.
    const int64_t ld = padded(cols), block = cols == kPanel ? kOuterRows : kDeepRows / 4;
    for (int64_t r = r0; r < r1; r += block) {
      const int64_t rows = least(block, r1 - r);
      float* dst = p.sums;
      for (int64_t i = 0; i < rows; ++i, dst += ld) {
        const vf s = splat(p.a[r + i]);
        for (int64_t j = 0; j < cols; j += W) store_aligned(dst + j, madd(s, row[j / W], vf{}));
      }
      run_program(p, r, rows, c0, cols, p.sums);
    }
    return;
  }
  for (int64_t r = r0; r < r1; ++r) {
    const vf s = splat(p.a[r]);
    float* dst = c + r * ldc;
    for (int64_t j = 0; j < whole; j += W) store(dst + j, madd(s, row[j / W], vf{}));
    if (whole < cols) store_part(dst + whole, madd(s, row[whole / W], vf{}), cols - whole);
  }
}

// One or two rows of C[M,K] = A[M,N] W[K,N]^T: squares of W are transposed in registers, so that the sums of W rows of K
// run side by side along the vector while each goes through n in order.
constexpr int64_t kFewRows = 2;

template <int M>
RV_INLINE void few_block(const float* a, int64_t lda, const float* w, int64_t ldw, int64_t cols, int64_t n,
                         vf (&acc)[M]) {
  vf r[W];
  const bool whole = n == W;
#pragma GCC unroll 16
  for (int t = 0; t < W; ++t) r[t] = t < cols ? (whole ? load(w + t * ldw) : load_part(w + t * ldw, n)) : vf{};
  transpose_lanes(r);
  if (whole) {
#pragma GCC unroll 16
    for (int t = 0; t < W; ++t)
#pragma GCC unroll 2
      for (int m = 0; m < M; ++m) acc[m] = madd(splat(a[m * lda + t]), r[t], acc[m]);
  } else {
#pragma GCC unroll 16
    for (int t = 0; t < W; ++t)
      if (t < n)
#pragma GCC unroll 2
        for (int m = 0; m < M; ++m) acc[m] = madd(splat(a[m * lda + t]), r[t], acc[m]);
  }
}

template <int M>
RV_NOINLINE void few_panel(const Product& p, int64_t r0, int64_t c0, int64_t cols, float* out, int64_t ldo) {
  constexpr int kGroups = kPanel / W;
  vf acc[kGroups][M];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g)
#pragma GCC unroll 2
    for (int m = 0; m < M; ++m) acc[g][m] = vf{};
  const int groups = int((cols + W - 1) / W);
  const float* a = p.a + r0 * p.lda;
  for (int64_t k = 0; k < p.depth; k += W) {
    const int64_t n = least(W, p.depth - k);
    const float* w;
    int64_t ldw;
    if (p.ldb) {
      w = p.b + c0 * p.ldb + k;
      ldw = p.ldb;
    } else {
      const int64_t q = k / kPanel;
      ldw = padded(panel_width(p.depth, q));
      w = p.b + q * kPanel * p.columns + c0 * ldw + (k - q * kPanel);
    }
    for (int g = 0; g < groups; ++g) few_block<M>(a + k, p.lda, w + g * W * ldw, ldw, cols - g * W, n, acc[g]);
  }
  for (int g = 0; g < groups; ++g)
    for (int m = 0; m < M; ++m) {
      const int64_t j = g * W, n = least(W, cols - j);
      vf v = acc[g][m];
      const float* side = p.side + (r0 + m) * p.lds + c0 + j;
      if (p.epilogue & kRelu) v = fast_max(vf{}, v);
      if (p.epilogue & kMask) v = select(load_part(side, n) > 0, v, vf{});
      if (p.epilogue & kAdd) v = load_part(side, n) + v;
      store_pieces(out + m * ldo + j, v, n);
    }
}

RV_NOINLINE void few_rows(const Product& p, int64_t panel, int64_t r0, int64_t r1) {
  const int64_t c0 = panel * kPanel, cols = panel_width(p.columns, panel);
  const EwProgram* program = p.step->program;
  float* out = program ? p.sums : p.c + r0 * p.ldc + c0;
  const int64_t ldo = program ? padded(cols) : p.ldc;
  if (r1 - r0 == 2) few_panel<2>(p, r0, c0, cols, out, ldo);
  else few_panel<1>(p, r0, c0, cols, out, ldo);
  if (program) run_program(p, r0, r1 - r0, c0, cols, p.sums);
}

}  // namespace rv::RV_ISA
