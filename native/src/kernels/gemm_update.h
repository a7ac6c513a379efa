// The epilogue that trains: a program run on finished blocks of a weight gradient. Adam on panels, the commonest, is
// recognised and applied without the interpreter: for a tiny network reading the program costs more than the update, and
// for one row the gradient need not even be stored. The arithmetic is the instruction's own (adam_lanes), so are the bits.
#pragma once
#include "elementwise.h"
#include "gemm_tile.h"

namespace rv::RV_ISA {

struct AdamUpdate {
  float *w, *m, *v;
  bool dense;  // rows adjoin, whatever their width; else panels
  AdamRates rates;
};

// True if the step's program is one adam instruction on the tile and three weights that all lie in panels, or row-major in
// no more columns than a panel has; then `u` is filled.
RV_INLINE bool as_adam(const Step& s, AdamUpdate& u) {
  const EwProgram* e = s.program;
  if (!e || e->n_code != 1 || e->n_in != 8 || e->n_out != 3) return false;
  const EwInstr& c = e->code[0];
  if (c.op != ew_adam || c.dtype != Dtype::f32) return false;
  float* panel[3] = {};
  const float* value[4] = {};
  bool tile_seen = false;
  u.dense = !e->in[0].panel;
  const auto lies = [&](const EwOperand& o) {
    if (o.panel || !u.dense) return o.panel && !u.dense;
    return e->dim[1] <= kPanel && o.stride[0] == e->dim[1] && (o.stride[1] == 1 || e->dim[1] == 1);
  };
  for (int i = 0; i < 8; ++i) {
    const EwOperand& o = e->in[i];
    const int at = o.reg - c.a, scalar = o.reg - c.b;
    if (at >= 0 && at < 3) {
      if (!lies(o) || o.mode != EwMode::memory || o.buffer < 0) return false;
      panel[at] = static_cast<float*>(s.buf[o.buffer]);
    } else if (at == 3) {
      if (o.buffer != -2) return false;
      tile_seen = true;
    } else if (scalar >= 0 && scalar < 4) {
      if (o.mode == EwMode::memory || o.dtype != Dtype::f32) return false;
      value[scalar] = o.mode == EwMode::immediate ? reinterpret_cast<const float*>(o.tile)
                                                  : static_cast<const float*>(s.buf[o.buffer]);
    }
  }
  for (int i = 0; i < 3; ++i) {
    const EwOperand& o = e->out[i];
    const int at = o.reg - c.dst;
    if (at < 0 || at >= 3 || !lies(o) || o.buffer < 0 || s.buf[o.buffer] != panel[at]) return false;
  }
  if (!tile_seen || !panel[0] || !panel[1] || !panel[2] || !value[0] || !value[1] || !value[2] || !value[3])
    return false;
  u.w = panel[0];
  u.m = panel[1];
  u.v = panel[2];
  u.rates = adam_rates(*value[0], *value[1], *value[2], *value[3]);
  return true;
}

RV_INLINE void adam_vector(const AdamUpdate& u, int64_t at, vf g) {
  vf w = load(u.w + at), m = load(u.m + at), v = load(u.v + at);
  adam_lanes(w, m, v, g, u.rates.alpha, u.rates.c1, u.rates.c2, u.rates.eps);
  store(u.w + at, w);
  store(u.m + at, m);
  store(u.v + at, v);
}
RV_INLINE void adam_part(const AdamUpdate& u, int64_t at, vf g, int64_t n) {
  vf w = load_part(u.w + at, n), m = load_part(u.m + at, n), v = load_part(u.v + at, n);
  v = select(lane_index() < splati(int32_t(n)), v, splat(1.0f));  // a root of zero would take vsqrt's slow way
  adam_lanes(w, m, v, g, u.rates.alpha, u.rates.c1, u.rates.c2, u.rates.eps);
  store_part(u.w + at, w, n);
  store_part(u.m + at, m, n);
  store_part(u.v + at, v, n);
}

// A block of gradients onto the elements from offset `at`, which lie the same way: rows adjoin if `u.dense`, else their
// leading dimension is padded(cols).
RV_NOINLINE void adam_block(const AdamUpdate& u, int64_t at, int64_t rows, int64_t cols, const float* g) {
  const int64_t ld = (cols + 15) / 16 * 16;
  if (cols == ld || u.dense) {
    const int64_t n = rows * cols;
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
      adam_group(u.w + at + i, u.m + at + i, u.v + at + i, u.rates, [&](int k) { return load(g + i + k * W); });
    for (; i + W <= n; i += W) adam_vector(u, at + i, load(g + i));
    if (i < n) adam_part(u, at + i, load_part(g + i, n - i), n - i);
    return;
  }
  const int64_t whole = cols / W * W;
  for (int64_t r = 0; r < rows; ++r, at += ld, g += ld) {
    for (int64_t j = 0; j < whole; j += W) adam_vector(u, at + j, load(g + j));
    if (whole < cols) adam_part(u, at + whole, load_part(g + whole, cols - whole), cols - whole);
  }
}

// The gradient of a single row of activations, x[k] y[j], made in registers.
RV_NOINLINE void adam_outer(const AdamUpdate& u, int64_t at, int64_t rows, int64_t cols, const float* x,
                            const float* y) {
  const int64_t ld = (cols + 15) / 16 * 16;
  const int64_t whole = cols / W * W;
  vf row[kPanel / W];
  for (int64_t j = 0; j < cols; j += W) row[j / W] = j < whole ? load(y + j) : load_part(y + j, cols - j);
  for (int64_t r = 0; r < rows; ++r, at += ld) {
    const vf s = splat(x[r]);
    if (cols == kPanel) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < kPanel; j += 4 * W)
        adam_group(u.w + at + j, u.m + at + j, u.v + at + j, u.rates,
                   [&](int k) { return madd(s, row[j / W + k], vf{}); });
      continue;
    }
    for (int64_t j = 0; j < whole; j += W) adam_vector(u, at + j, madd(s, row[j / W], vf{}));
    if (whole < cols) adam_part(u, at + whole, madd(s, row[whole / W], vf{}), cols - whole);
  }
}

}  // namespace rv::RV_ISA
