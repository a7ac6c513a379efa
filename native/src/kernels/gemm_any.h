// The product of any two strided matrices, in batches: what the three kernels of gemm.h do not cover.
//
//   gemm_any  C[.., M, N] = A[.., M, K] B[.., K, N]      buf[0] A, buf[1] B, buf[2] C; strides in elements
//   dim[0..2]   M, N, K
//   dim[3], [4] A's row and column stride      dim[5], [6] B's      dim[7], [8] C's
//   dim[9]      number of batch dimensions, 0..4
//   dim[10..13] their extents      dim[14..17] A's batch strides      dim[18..21] B's      dim[22..25] C's (0: broadcast)
//   dim[26]     rows per unit, >= 1      dim[27] units per panel = ceil(M / dim[26])
//   units       batches * panels of N * dim[27], in this order, the last fastest
//   program     not supported. The elements of C must be distinct.
// Strides of one on either axis of A, B and C cost nothing or a transposition in scratch; others are copied one by one.
#pragma once
#include "gemm_tile.h"

namespace rv::RV_ISA {

static void gemm_any(const Step& s, Frame& f, int worker, int workers) {
  Product p = product(s, f, worker);
  p.epilogue = 0;
  p.lds = 0;
  p.rows = s.dim[0];
  p.columns = s.dim[1];
  p.depth = s.dim[2];
  p.ldc = s.dim[7] ? s.dim[7] : 1;
  p.c_column = s.dim[8];
  p.a_row = s.dim[3];
  p.a_k = s.dim[4];
  const bool turned = s.dim[4] != 1 && s.dim[3] == 1;
  p.lda = turned ? s.dim[4] : s.dim[3];
  p.a_panels = false;
  p.copy_a = s.dim[4] != 1 && s.dim[3] != 1;
  if (s.dim[6] == 1) {
    p.ldb = s.dim[5];
    p.supply = p.ldb > 0 ? rows_supply(p.ldb, p.rows, p.depth) : Supply::rows;
  } else if (s.dim[5] == 1) {
    p.ldb = s.dim[6];
    p.supply = Supply::turned_rows;
  } else {
    p.ldb = s.dim[5];
    p.b_column = s.dim[6];
    p.supply = Supply::strided;
  }
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  const int64_t per = s.dim[27], panels = (p.columns + kPanel - 1) / kPanel;
  for (int64_t u = first; u < last;) {
    const int64_t group = u / per, from = u - group * per, to = least(per, last - group * per);
    int64_t batch = group / panels;
    const int64_t panel = group - batch * panels;
    int64_t oa = 0, ob = 0, oc = 0;
    for (int64_t d = s.dim[9] - 1; d >= 0; --d) {
      const int64_t i = batch % s.dim[10 + d];
      batch /= s.dim[10 + d];
      oa += i * s.dim[14 + d];
      ob += i * s.dim[18 + d];
      oc += i * s.dim[22 + d];
    }
    p.a = static_cast<const float*>(s.buf[0]) + oa;
    p.b = static_cast<const float*>(s.buf[1]) + ob;
    p.c = static_cast<float*>(s.buf[2]) + oc;
    const int64_t r0 = from * s.dim[26], r1 = least(p.rows, to * s.dim[26]);
    if (turned) panel_product<true>(p, panel, r0, r1);
    else panel_product<false>(p, panel, r0, r1);
    u = (group + 1) * per;
  }
}

}  // namespace rv::RV_ISA
