// Softmax and its losses, row by row of dense [M, N]. Each gives the same bits as its body run op by op: maximum, subtract,
// exp, sum (in reduce.h's order), divide.
//
//   softmax            buf: 0 x, 1 y                       dim: 0 M, 1 N, 2: 0 softmax, 1 log_softmax
//   softmax_grad       buf: 0 y, 1 g, 2 dx                 dim: 0 M, 1 N       dx = y * (g - sum(g * y))
//   log_softmax_grad   buf: 0 y, 1 g, 2 dx                 dim: 0 M, 1 N       dx = g - exp(y) * sum(g)
//   sparse_softmax_ce  buf: 0 logits, 1 labels, 2 loss [M] or nothing, 3 probabilities or nothing
//                      dim: 0 M, 1 N, 2 dtype of labels. A label outside 0 .. N-1 gives NaN (a guard has told of it before).
//   sparse_softmax_ce_grad  buf: 0 probabilities, 1 labels, 2 g, 3 dx (may be buf 0)
//                      dim: 0 M, 1 N, 2 dtype of labels, 3 stride of g (0: one for all rows)   dx = (p - onehot) * g
//   softmax_ce         buf: 0 logits, 1 targets, 2 loss [M] or nothing, 3 probabilities or nothing      dim: 0 M, 1 N
// A unit is an equal share of the rows.
#pragma once
#include "gemm_tile.h"
#include "reduce.h"

namespace rv::RV_ISA {

struct Rows {
  int64_t first, last;
};
RV_INLINE Rows row_share(const Step& s, int w, int n) {
  int64_t u, v;
  share(s.units, w, n, u, v);
  if (u >= v) return {0, 0};
  return {s.dim[0] * u / s.units, s.dim[0] * v / s.units};
}

template <class F>
RV_INLINE void map_row(float* to, const float* x, int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(to + i, f(load(x + i)));
  if (i < n) store_part(to + i, f(load_part(x + i, n - i)), n - i);
}
template <class F>
RV_INLINE void map_rows(float* to, const float* x, const float* y, int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(to + i, f(load(x + i), load(y + i)));
  if (i < n) store_part(to + i, f(load_part(x + i, n - i), load_part(y + i, n - i)), n - i);
}

// Labels first .. first+rows as classes: what is outside 0 .. N-1 becomes -1.
template <class T>
RV_INLINE void classes_as(const void* p, int64_t first, int64_t rows, int64_t N, int64_t* to) {
  const T* x = static_cast<const T*>(p) + first;
  for (int64_t k = 0; k < rows; ++k) {
    const int64_t label = static_cast<int64_t>(x[k]);
    to[k] = label >= 0 && label < N ? label : -1;
  }
}
RV_INLINE void classes(const void* p, Dtype d, int64_t first, int64_t rows, int64_t N, int64_t* to) {
  switch (d) {
    case Dtype::i64: return classes_as<int64_t>(p, first, rows, N, to);
    case Dtype::i32: return classes_as<int32_t>(p, first, rows, N, to);
    case Dtype::u64: return classes_as<uint64_t>(p, first, rows, N, to);
    case Dtype::u32: return classes_as<uint32_t>(p, first, rows, N, to);
    case Dtype::i16: return classes_as<int16_t>(p, first, rows, N, to);
    case Dtype::u16: return classes_as<uint16_t>(p, first, rows, N, to);
    case Dtype::i8: return classes_as<int8_t>(p, first, rows, N, to);
    case Dtype::f32: return classes_as<float>(p, first, rows, N, to);
    default: return classes_as<uint8_t>(p, first, rows, N, to);
  }
}
constexpr int64_t kGroup = 64;  // rows whose labels are read, and logarithms taken, together

// e = exp(x - max) and the sum of e.
RV_INLINE float exponentials(float* e, const float* x, int64_t n, float& top) {
  top = reduce_row<MaxOf>(x, n);
  const vf m = splat(top);
  map_row(e, x, n, [&](vf v) { return vexp(v - m); });
  return reduce_row<SumOf>(e, n);
}
RV_INLINE float log_of(float x) { return vlog(splat(x))[0]; }

// A row's exponentials where no output row can hold them.
RV_INLINE float* row_room(Frame& f, int w, int64_t n, float* out) {
  return n * 4 <= f.scratch_bytes ? reinterpret_cast<float*>(f.scratch[w]) : out;
}

static void softmax(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  const float* x = static_cast<const float*>(s.buf[0]);
  float* y = static_cast<float*>(s.buf[1]);
  if (N == 0) return;
  for (int64_t i = r.first; i < r.last; ++i) {
    const float* a = x + i * N;
    float* b = y + i * N;
    if (s.dim[2] == 0) {
      float top;
      const vf sum = splat(exponentials(b, a, N, top));
      map_row(b, b, N, [&](vf v) { return v / sum; });
    } else {
      // The exponentials are needed only for their sum, which is taken in the same order.
      const vf m = splat(reduce_row<MaxOf>(a, N));
      Row<SumOf> row = Row<SumOf>::make();
      alignas(64) float piece[kTile];
      for (int64_t c = 0; c < N; c += kTile) {
        const int64_t k = N - c < kTile ? N - c : kTile;
        map_row(piece, a + c, k, [&](vf v) { return vexp(v - m); });
        row.add(piece, k);
      }
      const vf log_sum = splat(log_of(row.result()));
      map_row(b, a, N, [&](vf v) { return (v - m) - log_sum; });
    }
  }
}

static void softmax_grad(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  for (int64_t i = r.first; i < r.last; ++i) {
    const float* y = static_cast<const float*>(s.buf[0]) + i * N;
    const float* g = static_cast<const float*>(s.buf[1]) + i * N;
    float* d = static_cast<float*>(s.buf[2]) + i * N;
    Row<SumOf> row = Row<SumOf>::make();
    alignas(64) float piece[kTile];
    for (int64_t c = 0; c < N; c += kTile) {
      const int64_t k = N - c < kTile ? N - c : kTile;
      map_rows(piece, g + c, y + c, k, [](vf a, vf b) { return a * b; });
      row.add(piece, k);
    }
    const vf sum = splat(row.result());
    map_rows(d, y, g, N, [&](vf a, vf b) { return a * (b - sum); });
  }
}

static void log_softmax_grad(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  for (int64_t i = r.first; i < r.last; ++i) {
    const float* y = static_cast<const float*>(s.buf[0]) + i * N;
    const float* g = static_cast<const float*>(s.buf[1]) + i * N;
    float* d = static_cast<float*>(s.buf[2]) + i * N;
    const vf sum = splat(reduce_row<SumOf>(g, N));
    map_rows(d, y, g, N, [&](vf a, vf b) { return b - vexp(a) * sum; });
  }
}

// Up to W short rows side by side, one per lane: class j of all of them is x[j]. Sums are in reduce.h's order of one row.
RV_INLINE void short_rows(const float* x, int64_t rows, int64_t N, const int64_t* label, float* loss, float* probs) {
  alignas(64) float turned[kLanes * W], classes_of[W];
  const float* in = x;
  if (N == 1 && rows < W) {
    store_aligned(turned, load_part(x, rows));
    in = turned;
  } else if (N > 1) {
    if (rows < W)
      for (int64_t j = 0; j < N; ++j) store_aligned(turned + j * W, vf{});
    transpose(x, N, turned, W, rows, N);
    in = turned;
  }
  for (int64_t k = 0; k < W; ++k) classes_of[k] = k < rows ? static_cast<float>(label[k]) : -1.0f;
  vf top = load(in);
  for (int64_t j = 1; j < N; ++j) top = vmax(top, load(in + j * W));
  const vf wanted = load_aligned(classes_of);
  vf picked = vnan(), e[kLanes];
  for (int64_t j = 0; j < N; ++j) {
    const vf v = load(in + j * W) - top;
    picked = select(wanted == splat(static_cast<float>(j)), v, picked);
    e[j] = vexp(v);
  }
  vf lane[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    if (j >= N) lane[j] = vf{};
    else if (j + 4 >= N) lane[j] = e[j];
    else if (j + 8 >= N) lane[j] = e[j] + e[j + 4];
    else if (j + 12 >= N) lane[j] = (e[j] + e[j + 8]) + e[j + 4];
    else lane[j] = (e[j] + e[j + 8]) + (e[j + 4] + e[j + 12]);
  }
  const vf sum = (lane[0] + lane[2]) + (lane[1] + lane[3]);
  if (loss) store_pieces(loss, -(picked - vlog(sum)), rows);
  if (!probs) return;
  if (N == 1) {
    store_pieces(probs, e[0] / sum, rows);
    return;
  }
  if (N <= 3) {
    for (int64_t j = 0; j < N; ++j) store_aligned(turned + j * W, e[j] / sum);
    for (int64_t k = 0; k < rows; ++k)
      for (int64_t j = 0; j < N; ++j) probs[k * N + j] = turned[j * W + k];
    return;
  }
  for (int64_t c = 0; c < N; c += W) {
    vf square[W];
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) square[j] = c + j < N ? e[c + j] / sum : vf{};
    transpose_lanes(square);
    const int64_t left = N - c < W ? N - c : W;
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k)
      if (k < rows) store_part(probs + k * N + c, square[k], left);
  }
}

static void sparse_softmax_ce(const Step& s, Frame& f, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  const Dtype d = static_cast<Dtype>(s.dim[2]);
  const float* x = static_cast<const float*>(s.buf[0]);
  float* loss = static_cast<float*>(s.buf[2]);
  float* probs = static_cast<float*>(s.buf[3]);
  int64_t label[kGroup];
  alignas(64) float picked[kGroup], sums[kGroup];
  for (int64_t g = r.first; g < r.last; g += kGroup) {
    const int64_t rows = r.last - g < kGroup ? r.last - g : kGroup;
    classes(s.buf[1], d, g, rows, N, label);
    if (N <= kLanes && N > 0 && rows * 4 >= N) {
      for (int64_t k = 0; k < rows; k += W)
        short_rows(x + (g + k) * N, rows - k < W ? rows - k : W, N, label + k, loss ? loss + g + k : nullptr,
                   probs ? probs + (g + k) * N : nullptr);
      continue;
    }
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t i = g + k;
      const float* a = x + i * N;
      float* e = probs ? probs + i * N : row_room(f, w, N, nullptr);
      float top;
      const float total = exponentials(e, a, N, top);
      picked[k] = label[k] >= 0 ? a[label[k]] - top : __builtin_nanf("");
      sums[k] = total;
      if (probs) {
        const vf sum = splat(total);
        map_row(e, e, N, [&](vf v) { return v / sum; });
      }
    }
    if (loss) map_rows(loss + g, picked, sums, rows, [](vf p, vf t) { return -(p - vlog(t)); });
  }
}

static void sparse_softmax_ce_grad(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1], step = s.dim[3];
  const Dtype d = static_cast<Dtype>(s.dim[2]);
  const float* p = static_cast<const float*>(s.buf[0]);
  const float* g = static_cast<const float*>(s.buf[2]);
  float* out = static_cast<float*>(s.buf[3]);
  int64_t label[kGroup];
  float at[kGroup];  // taken before the rows are written: they may lie in the same place
  for (int64_t i = r.first; i < r.last; i += kGroup) {
    const int64_t rows = r.last - i < kGroup ? r.last - i : kGroup;
    classes(s.buf[1], d, i, rows, N, label);
    for (int64_t k = 0; k < rows; ++k)
      if (label[k] >= 0) at[k] = (p[(i + k) * N + label[k]] - 1.0f) * g[(i + k) * step];
    if (step == 0) {
      const vf v = splat(*g);
      map_row(out + i * N, p + i * N, rows * N, [&](vf a) { return a * v; });
    } else if (N == 1) {
      for (int64_t k = 0; k < rows; ++k) out[i + k] = p[i + k] * g[(i + k) * step];
    } else {
      for (int64_t k = 0; k < rows; ++k) {
        const vf v = splat(g[(i + k) * step]);
        map_row(out + (i + k) * N, p + (i + k) * N, N, [&](vf a) { return a * v; });
      }
    }
    for (int64_t k = 0; k < rows; ++k)
      if (label[k] >= 0) out[(i + k) * N + label[k]] = at[k];
  }
}

static void softmax_ce(const Step& s, Frame& f, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  float* loss = static_cast<float*>(s.buf[2]);
  float* probs = static_cast<float*>(s.buf[3]);
  for (int64_t i = r.first; i < r.last; ++i) {
    const float* a = static_cast<const float*>(s.buf[0]) + i * N;
    const float* t = static_cast<const float*>(s.buf[1]) + i * N;
    float* e = probs ? probs + i * N : row_room(f, w, N, nullptr);
    float top;
    const float total = exponentials(e, a, N, top);
    if (loss) {
      const vf m = splat(top), log_sum = splat(log_of(total));
      Row<SumOf> row = Row<SumOf>::make();
      alignas(64) float piece[kTile];
      for (int64_t c = 0; c < N; c += kTile) {
        const int64_t k = N - c < kTile ? N - c : kTile;
        map_rows(piece, t + c, a + c, k, [&](vf y, vf v) { return y * ((v - m) - log_sum); });
        row.add(piece, k);
      }
      loss[i] = -row.result();
    }
    if (probs) {
      const vf sum = splat(total);
      map_row(e, e, N, [&](vf v) { return v / sum; });
    }
  }
}

}  // namespace rv::RV_ISA
