// Matrix products on row-major activations and weights in column panels. All float32.
//
//   kernel    computes                      buf[0]    buf[1]    buf[2]        buf[3]            work unit
//   gemm_nn   C[M,N]  = A[M,K] B[K,N]       A         B         C             bias[N] or side   rows of one panel of N
//   gemm_nt   C[M,K]  = A[M,N] B[K,N]^T     A (dY)    B (W)     C (dX)        side              rows of one panel of K
//   gemm_tn   C[K,N]  = A[M,K]^T B[M,N]     A         B (dY)    C (dW)        side              rows (of K) of one panel of N
//
//   dim[0..2] M, N, K as above
//   dim[3]    leading dimension of A; 0: column panels
//   dim[4]    leading dimension of B; 0: column panels
//   dim[5]    leading dimension of C; 0: column panels
//   dim[6]    epilogue flags: 1 add bias[column] (nn), 2 then relu, 4 keep where side > 0 else zero, 8 add side;
//             16 (with 1 or 32): the side operand of 4 or 8 is in buf[4], as buf[3] is the bias
//             32 add bias[row] (nn and tn: a product of transposes, its columns the batch)
//   dim[7]    rows per unit, >= 1. A "row" is a row of C.
//   dim[8]    units per panel = ceil(rows of C / dim[7])
//   dim[9]    leading dimension of side (ignored without 4 or 8); 0: column panels; side may be C itself: C += product
//   dim[10]   0, or the number of panels: then units = dim[8], and unit u is rows [u * dim[7], + dim[7]) of every panel
//   dim[11]   (tn) 0, or parts of the contraction, each with a C of its own: units are then these
//   dim[12]   floats from one of these to the next
//   units     = panels of C's columns (64 each) * dim[8]; unit u is rows [u % dim[8] * dim[7], + dim[7]) of panel u / dim[8]
//   program   if present, C is not written: instead the program runs on each finished block (operand buffer -2, iteration
//             space [rows of C, columns of C]). Flags in dim[6] are applied before it. buf[2] may then be null.
//
// Who owns what, for eliding barriers. With dim[8] == 1 worker w owns the same panels in every product with that many
// panels: the forward product of a layer and its weight gradient (with the fused update) touch the same columns of the
// weight; gemm_nt's panels of K are the columns of the previous layer's gemm_tn. For N <= 64 use row units: gemm_nn with
// dim[7] = 1, units = M shares rows as any row-wise step of M units does, and gemm_tn with dim[7] = 64 shares the rows of
// the weight as gemm_nt shares its panels of K.
//
// Every element is one sequential sum over the contraction (over a part of it), so all three give the same bits for any
// units and workers.
// Scratch: the first kGemmScratch bytes of the worker's; the program gets what follows; a tall A^T from kTurnedAt on.
// The arithmetic of a finished sum s: s + bias, then max(0, .), then where(side > 0, ., 0) or side + s.
#pragma once
#include "gemm_block.h"
#include "gemm_turned.h"
#include "gemv.h"

namespace rv::RV_ISA {

// Packing rows of B pays when many rows of C use them and they lie far apart.
RV_INLINE Supply rows_supply(int64_t ld, int64_t rows, int64_t depth) {
  return ld > kPanel && rows >= 24 && depth >= 4 ? Supply::rows : Supply::direct;
}

// One worker, at most one chunk of columns, no program: straight to the tiles, as for a tiny network the set-up is the cost.
template <bool Transposed>
RV_INLINE void small_product(const Step& s, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t rows,
                             int64_t cols, int64_t depth, bool room = false) {
  const int64_t flags = s.dim[6];
  TileContext x;
  x.lda = s.dim[3];
  x.ldb = ldb;
  x.ldc = ldc;
  x.ldi = 0;
  x.epilogue = flags & kEpilogue;
  x.blocks = 1;
  x.jump = 0;
  x.lds = 0;
  x.padded = room;
  const float* side = c;
  const float* bias = flags & (kBias | kRowBias) ? static_cast<const float*>(s.buf[3]) : c;
  if (flags & (kMask | kAdd)) {
    side = static_cast<const float*>(s.buf[flags & 16 ? 4 : 3]);
    x.lds = s.dim[9];
  }
  tiles<Transposed>(static_cast<const float*>(s.buf[0]), b, c, nullptr, side, bias, rows, cols, depth, x);
}
constexpr int64_t kSmallDepth = 256, kSmallColumns = 4 * W;

static void gemm_nn(const Step& s, Frame& f, int worker, int workers) {
  const int64_t M = s.dim[0], N = s.dim[1], K = s.dim[2];
  if (workers == 1 && N <= kSmallColumns && K <= kSmallDepth && !s.program && s.dim[3]) {
    small_product<false>(s, static_cast<const float*>(s.buf[1]), s.dim[4] ? s.dim[4] : padded(N),
                         static_cast<float*>(s.buf[2]), s.dim[5], M, N, K);
    return;
  }
  Product p = product(s, f, worker);
  p.rows = M;
  p.columns = N;
  p.depth = K;
  p.supply = p.ldb ? rows_supply(p.ldb, M, K) : Supply::direct;
  for_units(
      s, worker, workers, M, [&](int64_t panel, int64_t r0, int64_t r1) { panel_product<false>(p, panel, r0, r1); },
      p.supply == Supply::direct ? kBlockRows : 0);
}

static void gemm_nt(const Step& s, Frame& f, int worker, int workers) {
  const int64_t M = s.dim[0], N = s.dim[1], K = s.dim[2];
  if (workers == 1 && K <= kSmallColumns && N <= kPanel && !s.program && s.dim[3] && (M > kFewRows || K * N <= 64)) {
    float* turn = reinterpret_cast<float*>(f.scratch[worker]);
    transpose(static_cast<const float*>(s.buf[1]), s.dim[4] ? s.dim[4] : padded(N), turn, padded(K), K, N);
    small_product<false>(s, turn, padded(K), static_cast<float*>(s.buf[2]), s.dim[5], M, K, N);
    return;
  }
  Product p = product(s, f, worker);
  p.rows = M;
  p.columns = K;
  p.depth = N;
  if (M <= kFewRows && rows_adjoin(p)) {
    for_units(s, worker, workers, M, [&](int64_t panel, int64_t r0, int64_t r1) { few_rows(p, panel, r0, r1); });
  } else if (turn_activations(M, K, N)) {
    for_units(s, worker, workers, M, [&](int64_t panel, int64_t r0, int64_t r1) { turned_product(p, panel, r0, r1); });
  } else {
    p.supply = p.ldb ? Supply::turned_rows : Supply::turned_panels;
    for_units(s, worker, workers, M,
              [&](int64_t panel, int64_t r0, int64_t r1) { panel_product<false>(p, panel, r0, r1); });
  }
}

// The share of one of so many workers, in this scratch; of a batch of `height` rows those from `from` on.
RV_INLINE void weight_gradient(const Step& s, Frame& f, int scratch, int worker, int workers, int64_t height,
                               int64_t from) {
  const int64_t M = s.dim[0], N = s.dim[1], K = s.dim[2];
  AdamUpdate adam;
  const bool is_adam = s.program && as_adam(s, adam);
  if (workers == 1 && N <= kSmallColumns && M <= kSmallDepth && s.dim[3]) {
    const float* y = static_cast<const float*>(s.buf[1]);
    if (!s.program) {
      small_product<true>(s, y, s.dim[4], static_cast<float*>(s.buf[2]), s.dim[5] ? s.dim[5] : padded(N), K, N, M);
      return;
    }
    if (is_adam && K <= kBlockRows && M > 1) {
      float* sums = reinterpret_cast<float*>(f.scratch[scratch]);
      const bool padding = !adam.dense;
      small_product<true>(s, y, s.dim[4], sums, padding ? padded(N) : N, K, N, M, padding);
      adam_block(adam, 0, K, N, sums);
      return;
    }
  }
  Product p = product(s, f, scratch);
  p.height = height;
  p.from = from;
  p.rows = K;
  p.columns = N;
  p.depth = M;
  p.adam = is_adam ? &adam : nullptr;
  p.adjoin = adjoining(s.program, N);
  if (M == 1 && !p.epilogue) {
    for_units(s, worker, workers, K, [&](int64_t panel, int64_t r0, int64_t r1) { outer_product(p, panel, r0, r1); });
    return;
  }
  p.supply = rows_supply(p.ldb, K, M);
  // A's columns are read at a stride of lda: over a long contraction its lines collide or come late. Not if all of a
  // short row is wanted: then they follow each other.
  const bool short_rows = p.lda <= kPanel && s.dim[7] >= K;
  p.copy_a = !p.a_panels && !short_rows && M >= 192 && N >= 32;
  if (p.copy_a && s.dim[8] == 1 && M * padded(K) * 4 <= kTurnedBytes) {
    int64_t first, last;
    share(s.units, worker, workers, first, last);
    if (last - first >= 3) p.turned = turn_blocks(p, f.scratch[scratch]);
  }
  for_units(
      s, worker, workers, K, [&](int64_t panel, int64_t r0, int64_t r1) { panel_product<true>(p, panel, r0, r1); },
      p.a_panels ? kPanelRows : 0, true);
}

static void gemm_tn(const Step& s, Frame& f, int worker, int workers) {
  const int64_t parts = s.dim[11];
  if (!parts) {
    weight_gradient(s, f, worker, worker, workers, s.dim[0], 0);
    return;
  }
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  for (int64_t i = first; i < last; ++i) {
    int64_t from, end;
    share(s.dim[0], i, parts, from, end);
    Step part = s;  // rows of panels are told by `from`
    part.buf[0] = static_cast<float*>(s.buf[0]) + from * s.dim[3];
    part.buf[1] = static_cast<float*>(s.buf[1]) + from * s.dim[4];
    part.buf[2] = static_cast<float*>(s.buf[2]) + i * s.dim[12];
    part.dim[0] = end - from;
    part.units = int32_t((s.dim[1] + kPanel - 1) / kPanel);
    weight_gradient(part, f, worker, 0, 1, s.dim[0], from);
  }
}

}  // namespace rv::RV_ISA

#include "gemm_any.h"
