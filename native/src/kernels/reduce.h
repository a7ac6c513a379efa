// Reductions of float32 with a fixed order of additions: the same bits for any number of workers and any vector width.
//
// Along the contiguous axis element i goes to virtual lane i % 64; lanes are joined 64 -> 16 -> 1 by a fixed tree. Down the
// columns, row r goes to lane r % 4; the four are joined as (0 + 1) + (2 + 3).
//
//   reduce        buf: 0 x [outer, n, inner], 1 out [outer, inner]
//                 dim: 0 outer, 1 n, 2 inner, 3 dtype of x, 4 dtype of out,
//                      5 operation: 0 sum, 1 mean, 2 max, 3 min, 4 product, 5 any, 6 all;  6: 1 = join with what out holds;
//                      7 (float32, outer 1, inner 1): 1 + the number of a check; what is not finite is fault 301
//                 program (float32 only): x is not read; its value is what the program writes to operand -2, over the space
//                 [outer * n, inner], or [outer, n] where inner == 1.
//                 Unit: equal shares of outer (inner == 1), of outer * 64-column panels (else). Types other than float32 to
//                 float32 are summed in the type of out, in order.
//   column_sums   buf: 0 x [M, N], 1 out [N] (or nothing)
//                 dim: 0 M, 1 N, 2 leading dimension of x; 0: column panels
//                 program: runs on the finished sums, space [1, N], operand -2 (the update of a bias). Unit: equal shares of
//                 the 64-column panels, the owners of a weight's columns.
//   argmax        buf: 0 x [outer, n, inner], 1 out; dim: 0 outer, 1 n, 2 inner, 3 dtype of x, 4 dtype of out, 5: 1 = argmin.
//                 The first of equals; the first NaN before all. Unit: equal shares of outer * inner.
#pragma once
#include "../reduce_types.h"
#include "elementwise.h"

namespace rv::RV_ISA {

typedef float v4 __attribute__((vector_size(16), may_alias));
typedef int32_t v4i __attribute__((vector_size(16), may_alias));

struct SumOf {
  static constexpr float none = 0.0f;
  RV_INLINE vf join(vf a, vf b) { return a + b; }
  RV_INLINE float join1(float a, float b) { return a + b; }
  RV_INLINE v4 join4(v4 a, v4 b) { return a + b; }
};
struct ProductOf {
  static constexpr float none = 1.0f;
  RV_INLINE vf join(vf a, vf b) { return a * b; }
  RV_INLINE float join1(float a, float b) { return a * b; }
  RV_INLINE v4 join4(v4 a, v4 b) { return a * b; }
};
struct MaxOf {
  static constexpr float none = -__builtin_inff();
  RV_INLINE vf join(vf a, vf b) { return vmax(a, b); }
  RV_INLINE float join1(float a, float b) { return a != a ? a : a > b ? a : b; }
  RV_INLINE v4 join4(v4 a, v4 b) {
    const v4 m = a > b ? a : b;
    return a != a ? a : m;
  }
};
struct MinOf {
  static constexpr float none = __builtin_inff();
  RV_INLINE vf join(vf a, vf b) { return vmin(a, b); }
  RV_INLINE float join1(float a, float b) { return a != a ? a : a < b ? a : b; }
  RV_INLINE v4 join4(v4 a, v4 b) {
    const v4 m = a < b ? a : b;
    return a != a ? a : m;
  }
};

template <class Op>
RV_INLINE vf load_or_none(const float* p, int64_t n) {
  if (n >= W) return load(p);
  if constexpr (Op::none == 0.0f) return load_part(p, n);
  return select(lane_index() < splati(static_cast<int32_t>(n)), load_part(p, n), splat(Op::none));
}

// Sixteen lanes to one: i with i + 8, then + 4, + 2, + 1.
template <class Op>
RV_INLINE float join_lanes(const float* lanes) {
  const v4* q = reinterpret_cast<const v4*>(lanes);
  const v4 s = Op::join4(Op::join4(q[0], q[2]), Op::join4(q[1], q[3]));
  return Op::join1(Op::join1(s[0], s[2]), Op::join1(s[1], s[3]));
}

// A contiguous run, fed in pieces of whole 64s except the last.
template <class Op>
struct Row {
  vf lane[4 * kParts];

  RV_INLINE Row make() {
    Row r;
#pragma GCC unroll 16
    for (int i = 0; i < 4 * kParts; ++i) r.lane[i] = splat(Op::none);
    return r;
  }
  inline __attribute__((always_inline)) void add(const float* x, int64_t n) {
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
#pragma GCC unroll 16
      for (int k = 0; k < 4 * kParts; ++k) lane[k] = Op::join(lane[k], load(x + i + k * W));
    }
#pragma GCC unroll 16
    for (int k = 0; k < 4 * kParts; ++k) {
      const int64_t left = n - i - k * W;
      if (left > 0) lane[k] = Op::join(lane[k], load_or_none<Op>(x + i + k * W, left));
    }
  }
  inline __attribute__((always_inline)) float result() const {
    alignas(64) float t[kLanes];
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i)
      store_aligned(t + i * W, Op::join(Op::join(lane[i], lane[kParts + i]),
                                        Op::join(lane[2 * kParts + i], lane[3 * kParts + i])));
    return join_lanes<Op>(t);
  }
};

template <class Op>
RV_INLINE float reduce_row(const float* x, int64_t n) {
  if (n <= 16) {
    // The other lanes hold nothing; the tree is the same.
    alignas(64) float t[kLanes];
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i) {
      const int64_t left = n - i * W;
      store_aligned(t + i * W, left > 0 ? load_or_none<Op>(x + i * W, left) : splat(Op::none));
    }
    return join_lanes<Op>(t);
  }
  Row<Op> r = Row<Op>::make();
  r.add(x, n);
  return r.result();
}

// Columns c .. c+V*W of rows: four lanes each, kept in `state` [4][64] between pieces of a multiple of four rows.
template <class Op, int V>
RV_INLINE void columns_step(const float* x, int64_t ld, int64_t rows, float* state, int64_t columns) {
  vf acc[4][V];
  const bool whole = columns >= V * W;
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) acc[r][v] = load(state + r * 64 + v * W);
  int64_t i = 0;
  if (whole) {
    for (; i + 4 <= rows; i += 4) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] = Op::join(acc[r][v], load(x + (i + r) * ld + v * W));
    }
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r)
      if (i + r < rows) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] = Op::join(acc[r][v], load(x + (i + r) * ld + v * W));
      }
  } else {
    for (; i + 4 <= rows; i += 4) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          if (columns > v * W)
            acc[r][v] = Op::join(acc[r][v], load_or_none<Op>(x + (i + r) * ld + v * W, columns - v * W));
    }
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r)
      if (i + r < rows) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          if (columns > v * W)
            acc[r][v] = Op::join(acc[r][v], load_or_none<Op>(x + (i + r) * ld + v * W, columns - v * W));
      }
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(state + r * 64 + v * W, acc[r][v]);
}

// The same for at most W columns of a whole matrix: nothing waits in memory.
RV_INLINE vf narrow_columns(const float* x, int64_t ld, int64_t rows, int64_t columns) {
  vf a{}, b{}, c{}, d{};
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4, x += 4 * ld) {
    a += load_part(x, columns);
    b += load_part(x + ld, columns);
    c += load_part(x + 2 * ld, columns);
    d += load_part(x + 3 * ld, columns);
  }
  if (i < rows) a += load_part(x, columns);
  if (i + 1 < rows) b += load_part(x + ld, columns);
  if (i + 2 < rows) c += load_part(x + 2 * ld, columns);
  return (a + b) + (c + d);
}

template <class Op>
struct Columns {
  alignas(64) float state[4 * 64];
  int64_t columns;

  explicit Columns(int64_t c) : columns(c) {
    const int64_t used = (c + 15) / 16 * 16;
    for (int r = 0; r < 4; ++r)
      for (int64_t j = 0; j < used; j += W) store(state + r * 64 + j, splat(Op::none));
  }
  inline __attribute__((always_inline)) void add(const float* x, int64_t ld, int64_t rows) {
    constexpr int kWide = W == 16 ? 4 : 2;
    int64_t c = 0;
    for (; columns - c >= kWide * W; c += kWide * W) columns_step<Op, kWide>(x + c, ld, rows, state + c, kWide * W);
    for (; c < columns; c += W) columns_step<Op, 1>(x + c, ld, rows, state + c, columns - c);
  }
  inline __attribute__((always_inline)) void result(float* out) const {
    for (int64_t j = 0; j < columns; j += W) {
      const vf v = Op::join(Op::join(load(state + j), load(state + 64 + j)),
                            Op::join(load(state + 128 + j), load(state + 192 + j)));
      if (columns - j >= W) store(out + j, v);
      else store_part(out + j, v, columns - j);
    }
  }
};

template <class Op>
static void reduce_f32(const Step& s, Frame& f, int w, int workers) {
  const int64_t outer = s.dim[0], n = s.dim[1], inner = s.dim[2];
  const bool mean = s.dim[5] == 1, join = s.dim[6] != 0;
  const float* x = static_cast<const float*>(s.buf[0]);
  float* out = static_cast<float*>(s.buf[1]);
  const float length = static_cast<float>(n);
  float* tile = reinterpret_cast<float*>(f.scratch[w]);
  uint8_t* rest = f.scratch[w] + 8192;
  int64_t u, v;
  share(s.units, w, workers, u, v);
  if (u >= v) return;
  auto finish = [&](float value, float& to) {
    if (mean) value /= length;
    to = join ? Op::join1(to, value) : value;
    if (s.dim[7] && !(std::fabs(to) <= __FLT_MAX__)) [[unlikely]]
      report(f, 301, static_cast<int32_t>(s.dim[7]) - 1, f.step_index, 0, to);
  };
  if (inner == 1) {
    const int64_t first = outer * u / s.units, last = outer * v / s.units;
    if (!s.program) {
      for (int64_t o = first; o < last; ++o) finish(reduce_row<Op>(x + o * n, n), out[o]);
      return;
    }
    if (n <= kTile && n > 0) {
      const int64_t most = kTile / n;
      for (int64_t o = first; o < last; o += most) {
        const int64_t rows = last - o < most ? last - o : most;
        ew_run_tile(*s.program, s, o, rows, 0, n, tile, n, rest);
        for (int64_t r = 0; r < rows; ++r) finish(reduce_row<Op>(tile + r * n, n), out[o + r]);
      }
      return;
    }
    for (int64_t o = first; o < last; ++o) {
      Row<Op> row = Row<Op>::make();
      for (int64_t i = 0; i < n; i += kTile) {
        const int64_t k = n - i < kTile ? n - i : kTile;
        ew_run_tile(*s.program, s, o, 1, i, k, tile, k, rest);
        row.add(tile, k);
      }
      finish(row.result(), out[o]);
    }
    return;
  }
  const int64_t panels = (inner + kPanel - 1) / kPanel, all = outer * panels;
  alignas(64) float done[kPanel];
  for (int64_t b = all * u / s.units; b < all * v / s.units; ++b) {
    const int64_t o = b / panels, c = (b - o * panels) * kPanel;
    const int64_t columns = inner - c < kPanel ? inner - c : kPanel;
    Columns<Op> sums(columns);
    if (!s.program) {
      sums.add(x + o * n * inner + c, inner, n);
    } else {
      for (int64_t r = 0; r < n; r += 8) {
        const int64_t rows = n - r < 8 ? n - r : 8;
        ew_run_tile(*s.program, s, o * n + r, rows, c, columns, tile, columns, rest);
        sums.add(tile, columns, rows);
      }
    }
    sums.result(done);
    for (int64_t j = 0; j < columns; ++j) finish(done[j], out[o * inner + c + j]);
  }
}

static void reduce(const Step& s, Frame& f, int w, int n) {
  if (static_cast<Dtype>(s.dim[3]) != Dtype::f32 || static_cast<Dtype>(s.dim[4]) != Dtype::f32)
    return reduce_types(s, f, w, n);
  switch (s.dim[5]) {
    case 0:
    case 1: return reduce_f32<SumOf>(s, f, w, n);
    case 2: return reduce_f32<MaxOf>(s, f, w, n);
    case 3: return reduce_f32<MinOf>(s, f, w, n);
    case 4: return reduce_f32<ProductOf>(s, f, w, n);
    default: return;
  }
}

static void column_sums(const Step& s, Frame& f, int w, int n) {
  const int64_t rows = s.dim[0], N = s.dim[1], panels = (N + kPanel - 1) / kPanel;
  int64_t u, v;
  share(s.units, w, n, u, v);
  const float* x = static_cast<const float*>(s.buf[0]);
  float* out = static_cast<float*>(s.buf[1]);
  alignas(64) float done[kPanel];
  const int64_t last = u < v ? panels * v / s.units : 0;
  for (int64_t p = u < v ? panels * u / s.units : 0; p < last; ++p) {
    const int64_t c = p * kPanel, columns = N - c < kPanel ? N - c : kPanel;
    const int64_t ld = s.dim[2] ? s.dim[2] : (columns + 15) / 16 * 16;
    const float* panel = x + (s.dim[2] ? c : c * rows);
    if (columns <= W && out && !s.program) {
      store_part(out + c, narrow_columns(panel, ld, rows, columns), columns);
      continue;
    }
    Columns<SumOf> sums(columns);
    sums.add(panel, ld, rows);
    if (out && !s.program) {
      sums.result(out + c);
      continue;
    }
    sums.result(done);
    if (out) std::memcpy(out + c, done, static_cast<size_t>(columns) * 4);
    if (s.program) ew_run_tile(*s.program, s, 0, 1, c, columns, done, kPanel, f.scratch[w]);
  }
}

}  // namespace rv::RV_ISA
