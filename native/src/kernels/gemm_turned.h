// gemm_nt, C[M,K] = A[M,N] W[K,N]^T, by turning the activations instead of the weight.
//
// The contraction runs along the contiguous axis of both operands. A horizontal dot would tie the order of the sum to the
// width of a vector, so one operand has to be transposed. Turning W costs K*N moves and the plain tile then does the rest;
// turning A and C costs M*(N+K) moves: 64 rows of W are multiplied by A^T in scratch, with the batch along the vector,
// and the finished 64 x 64 block is turned back. The shape alone chooses; the bits are the same.
#pragma once
#include "gemm_tile.h"

namespace rv::RV_ISA {

RV_INLINE bool turn_activations(int64_t rows, int64_t columns, int64_t depth) {
  return columns * depth > 4096 && columns * depth > rows * (columns + depth);
}

// The sums of rows r0..r0+rows of one panel of C, turned: sums[column, row].
RV_INLINE void turned_sums(const Product& p, const float* a, int64_t rows, int64_t c0, int64_t cols, int64_t k0,
                           int64_t k1, TileContext& x) {
  if (p.ldb) {
    x.lda = p.ldb;
    for (int64_t k = k0; k < k1;) {
      const int64_t n = least(kDepth, k1 - k);
      tiles<false>(p.b + c0 * p.ldb + k, a + (k - k0) * x.ldb, p.sums, k ? p.sums : nullptr, p.sums, p.sums, cols, rows,
                   n, x);
      k += n;
    }
    return;
  }
  // All whole panels at once, each a run of 64, then the narrow one.
  for (int64_t k = k0; k < k1;) {
    const int64_t q = k / kPanel, whole = (k1 - k) / kPanel;
    const int64_t n = whole > 0 ? kPanel : k1 - k;
    x.lda = padded(panel_width(p.depth, q));
    x.blocks = whole > 0 ? whole : 1;
    x.jump = kPanel * p.columns - kPanel;
    tiles<false>(p.b + q * kPanel * p.columns + c0 * x.lda, a + (k - k0) * x.ldb, p.sums, k ? p.sums : nullptr, p.sums,
                 p.sums, cols, rows, n, x);
    k += n * x.blocks;
  }
}

RV_NOINLINE void turned_product(const Product& p, int64_t panel, int64_t r0, int64_t r1) {
  const int64_t c0 = panel * kPanel, cols = panel_width(p.columns, panel);
  const EwProgram* program = p.step->program;
  float* turn = p.sums + kSumBytes / 4;
  TileContext x;
  x.ldc = x.ldi = kPanel;
  x.lds = 0;
  x.epilogue = 0;
  x.blocks = 1;
  x.jump = 0;
  float* c = p.c + c0;
  const float* sides = p.side + c0;
  int64_t ldc = p.ldc, lds = p.lds;
  if (!ldc) c = in_panel(p.c, p.rows, p.columns, c0, ldc);
  if (!lds && (p.epilogue & (kMask | kAdd))) sides = in_panel(p.side, p.rows, p.columns, c0, lds);
  for (int64_t r = r0; r < r1; r += kPanel) {
    const int64_t rows = least(kPanel, r1 - r);
    x.ldb = padded(rows);
    for (int64_t k = 0; k < p.depth; k += kPackDepth) {
      const int64_t k1 = least(p.depth, k + kPackDepth);
      if (!p.a_panels) {
        transpose(p.a + r * p.lda + k, p.lda, p.pack, x.ldb, rows, k1 - k);
      } else {
        for (int64_t q = k, ld; q < k1; q += kPanel) {
          const float* a = in_panel(p.a, p.rows, p.depth, q, ld);
          transpose(a + r * ld, ld, p.pack + (q - k) * x.ldb, x.ldb, rows, least(kPanel, k1 - q));
        }
      }
      turned_sums(p, p.pack, rows, c0, cols, k, k1, x);
    }
    const bool plain = !program && !p.epilogue;
    float* dst = plain ? c + r * ldc : turn;
    const int64_t ld = padded(cols), ldd = plain ? ldc : ld;
    transpose(p.sums, kPanel, dst, ldd, cols, rows);
    if (plain) continue;
    if (p.epilogue) {
      for (int64_t i = 0; i < rows; ++i) {
        float* out = program ? turn + i * ld : c + (r + i) * ldc;
        const float* side = sides + (r + i) * lds;
        for (int64_t j = 0; j < cols; j += W) {
          const int64_t n = least(W, cols - j);
          vf v = load(turn + i * ld + j);
          if (p.epilogue & kRelu) v = fast_max(vf{}, v);
          if (p.epilogue & kMask) v = select(load_part(side + j, n) > 0, v, vf{});
          if (p.epilogue & kAdd) v = load_part(side + j, n) + v;
          store_part(out + j, v, n);
        }
      }
    }
    if (program) run_program(p, r, rows, c0, cols, turn);
  }
}

}  // namespace rv::RV_ISA
