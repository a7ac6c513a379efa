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

RV_INLINE int64_t label_at(const void* p, Dtype d, int64_t i) {
  switch (d) {
    case Dtype::i32: return static_cast<const int32_t*>(p)[i];
    case Dtype::i64: return static_cast<const int64_t*>(p)[i];
    case Dtype::u64: return static_cast<int64_t>(static_cast<const uint64_t*>(p)[i]);
    case Dtype::u32: return static_cast<const uint32_t*>(p)[i];
    case Dtype::i16: return static_cast<const int16_t*>(p)[i];
    case Dtype::u16: return static_cast<const uint16_t*>(p)[i];
    case Dtype::i8: return static_cast<const int8_t*>(p)[i];
    case Dtype::f32: return static_cast<int64_t>(static_cast<const float*>(p)[i]);
    default: return static_cast<const uint8_t*>(p)[i];
  }
}

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

static void sparse_softmax_ce(const Step& s, Frame& f, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  const Dtype d = static_cast<Dtype>(s.dim[2]);
  const float* x = static_cast<const float*>(s.buf[0]);
  float* loss = static_cast<float*>(s.buf[2]);
  float* probs = static_cast<float*>(s.buf[3]);
  constexpr int64_t kGroup = 64;  // rows whose logarithms are taken together
  alignas(64) float picked[kGroup], sums[kGroup];
  for (int64_t g = r.first; g < r.last; g += kGroup) {
    const int64_t rows = r.last - g < kGroup ? r.last - g : kGroup;
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t i = g + k;
      const float* a = x + i * N;
      float* e = probs ? probs + i * N : row_room(f, w, N, nullptr);
      float top;
      const float total = exponentials(e, a, N, top);
      const int64_t label = label_at(s.buf[1], d, i);
      picked[k] = label >= 0 && label < N ? a[label] - top : __builtin_nanf("");
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
  for (int64_t i = r.first; i < r.last; ++i) {
    const float scale = g[i * step];
    const int64_t label = label_at(s.buf[1], d, i);
    const bool inside = label >= 0 && label < N;
    const float at = inside ? (p[i * N + label] - 1.0f) * scale : 0.0f;
    const vf v = splat(scale);
    map_row(out + i * N, p + i * N, N, [&](vf a) { return a * v; });
    if (inside) out[i * N + label] = at;
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
