// Statistics of channels: sums down the columns of rows of positions by channels. float32.
//
//   channel_moments       buf: 0 x [rows, columns], 1 parts [parts, 2, columns]: means, and sums of squared deviations
//   channel_moments_join  buf: 0 parts, 1 mean [columns], 2 variance [columns]                     unit: all
//   channel_sums          buf: 0 g [rows, columns], 1 x [rows, columns], 2 parts [parts, 2, columns]: sums of g, of g * x
//
//   dim[0] rows, dim[1] columns, dim[2] parts. Unit of the first and the last: a part, rows * p / parts on.
//
// How many parts there are is told by the shape alone, so no bit depends on the number of workers. Moments:
//     block by block of rows (which the cache still holds when they are read again): m = mean, s = sum of (x - m)^2
//     joined in order (Chan, Golub, LeVeque 1979): with d = m - mean, n rows so far and k more
//         mean += d * k / (n + k);    spread += s + d^2 * n * k / (n + k)
// so that nothing cancels where a mean is large. A row r of a block goes to lane r % 4; the four are joined as
// (0 + 1) + (2 + 3).
#pragma once
#include <type_traits>

#include "../step.h"
#include "simd.h"

namespace rv::RV_ISA {

constexpr int64_t kChannelBlock = 4096;  // floats of a block of rows: they stay in L1
constexpr int64_t kChannelsAtOnce = 8192;

RV_INLINE int64_t channel_rows(int64_t columns) {
  const int64_t rows = kChannelBlock / columns;
  return rows < 16 ? 16 : rows;
}

// One more block, of `rows` rows, joined to the mean and the spread of the rows seen before.
RV_INLINE void join_moments(vf m, vf s, int64_t seen, int64_t rows, vf& mean, vf& spread) {
  if (seen == 0) {
    mean = m;
    spread = s;
    return;
  }
  const float part = static_cast<float>(rows) / static_cast<float>(seen + rows);
  const vf d = m - mean;
  mean = madd(d, splat(part), mean);
  spread = spread + madd(d * d, splat(static_cast<float>(seen) * part), s);
}

// V vectors of columns, of which the last has `tail` lanes.
template <int V>
RV_INLINE void block_moments(const float* x, int64_t ld, int64_t rows, int64_t tail, int64_t seen, float* mean,
                             float* spread) {
  const auto at = [&](int64_t r, int v) {
    const float* p = x + r * ld + v * W;
    return v == V - 1 && tail != W ? load_part(p, tail) : load(p);
  };
  vf sum[4][V] = {}, m[V], square[4][V] = {};
  const auto over = [&](auto&& add) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
#pragma GCC unroll 4
      for (int l = 0; l < 4; ++l)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) add(l, v, at(r + l, v));
#pragma GCC unroll 4
    for (int l = 0; l < 3; ++l)
      if (r + l < rows)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) add(l, v, at(r + l, v));
  };
  over([&](int l, int v, vf a) { sum[l][v] = sum[l][v] + a; });
  const vf part = splat(1.0f / static_cast<float>(rows));
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) m[v] = ((sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v])) * part;
  over([&](int l, int v, vf a) {
    const vf d = a - m[v];
    square[l][v] = madd(d, d, square[l][v]);
  });
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    vf a = load(mean + v * W), b = load(spread + v * W);
    const vf s = (square[0][v] + square[1][v]) + (square[2][v] + square[3][v]);
    join_moments(m[v], s, seen, rows, a, b);
    store(mean + v * W, a);
    store(spread + v * W, b);
  }
}

// Sums of g and of g * x, added to the four lanes of each in `state` [2][4][wide].
template <int V>
RV_INLINE void block_sums(const float* g, const float* x, int64_t ld, int64_t rows, int64_t tail, float* state,
                          int64_t wide) {
  const auto at = [&](const float* from, int64_t r, int v) {
    const float* p = from + r * ld + v * W;
    return v == V - 1 && tail != W ? load_part(p, tail) : load(p);
  };
  vf a[4][V], b[4][V];
#pragma GCC unroll 4
  for (int l = 0; l < 4; ++l)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      a[l][v] = load(state + l * wide + v * W);
      b[l][v] = load(state + (4 + l) * wide + v * W);
    }
  const auto add = [&](int64_t r, int l, int v) {
    const vf p = at(g, r, v);
    a[l][v] = a[l][v] + p;
    b[l][v] = madd(p, at(x, r, v), b[l][v]);
  };
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4)
#pragma GCC unroll 4
    for (int l = 0; l < 4; ++l)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) add(r + l, l, v);
#pragma GCC unroll 4
  for (int l = 0; l < 3; ++l)
    if (r + l < rows)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) add(r + l, l, v);
#pragma GCC unroll 4
  for (int l = 0; l < 4; ++l)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      store(state + l * wide + v * W, a[l][v]);
      store(state + (4 + l) * wide + v * W, b[l][v]);
    }
}

// Columns in pairs of vectors where registers suffice: call(V, first column, lanes of its last vector).
template <class F>
RV_INLINE void over_columns(int64_t columns, F&& call) {
  int64_t c = 0;
  if constexpr (W == 16)
    for (; c + 2 * W <= columns; c += 2 * W) call(std::integral_constant<int, 2>{}, c, W);
  for (; c < columns; c += W) call(std::integral_constant<int, 1>{}, c, columns - c < W ? columns - c : W);
}
// Columns as many as a worker holds: call(first, how many).
template <class F>
RV_INLINE void at_once(int64_t columns, F&& call) {
  for (int64_t c = 0; c < columns; c += kChannelsAtOnce)
    call(c, columns - c < kChannelsAtOnce ? columns - c : kChannelsAtOnce);
}

// Parts of the rows, block by block: each(rows' first, how many, whether the part begins with them).
template <class F>
RV_INLINE void over_part(const Step& s, int64_t part, F&& each) {
  const int64_t rows = s.dim[0], first = rows * part / s.dim[2], last = rows * (part + 1) / s.dim[2];
  const int64_t block = channel_rows(s.dim[1]);
  for (int64_t r = first; r < last; r += block) each(r, last - r < block ? last - r : block, r - first);
}

static void channel_moments(const Step& s, Frame& f, int worker, int workers) {
  const int64_t columns = s.dim[1];
  const float* x = static_cast<const float*>(s.buf[0]);
  float* out = static_cast<float*>(s.buf[1]);
  float* mean = reinterpret_cast<float*>(f.scratch[worker]);
  float* spread = mean + kChannelsAtOnce;
  int64_t part, last;
  share(s.units, worker, workers, part, last);
  for (; part < last; ++part)
    at_once(columns, [&](int64_t c0, int64_t some) {
      over_part(s, part, [&](int64_t r, int64_t rows, int64_t seen) {
        over_columns(some, [&](auto vectors, int64_t c, int64_t tail) {
          block_moments<vectors()>(x + r * columns + c0 + c, columns, rows, tail, seen, mean + c, spread + c);
        });
      });
      __builtin_memcpy(out + 2 * part * columns + c0, mean, static_cast<size_t>(some) * 4);
      __builtin_memcpy(out + (2 * part + 1) * columns + c0, spread, static_cast<size_t>(some) * 4);
    });
}

static void channel_moments_join(const Step& s, Frame&, int worker, int workers) {
  const int64_t rows = s.dim[0], columns = s.dim[1], parts = s.dim[2];
  const float* from = static_cast<const float*>(s.buf[0]);
  float* mean = static_cast<float*>(s.buf[1]);
  float* variance = static_cast<float*>(s.buf[2]);
  int64_t unit, last;
  share(s.units, worker, workers, unit, last);
  if (unit >= last) return;
  for (int64_t c = 0; c < columns; c += W) {
    const int64_t n = columns - c < W ? columns - c : W;
    vf a{}, b{};
    for (int64_t p = 0; p < parts; ++p) {
      const int64_t seen = rows * p / parts, count = rows * (p + 1) / parts - seen;
      const float* at = from + 2 * p * columns + c;
      join_moments(load_part(at, n), load_part(at + columns, n), seen, count, a, b);
    }
    store_part(mean + c, a, n);
    store_part(variance + c, b / splat(static_cast<float>(rows)), n);
  }
}

static void channel_sums(const Step& s, Frame& f, int worker, int workers) {
  const int64_t columns = s.dim[1];
  const float* g = static_cast<const float*>(s.buf[0]);
  const float* x = static_cast<const float*>(s.buf[1]);
  float* out = static_cast<float*>(s.buf[2]);
  float* state = reinterpret_cast<float*>(f.scratch[worker]);
  int64_t part, last;
  share(s.units, worker, workers, part, last);
  for (; part < last; ++part)
    at_once(columns, [&](int64_t c0, int64_t some) {
      const int64_t wide = (some + 15) / 16 * 16;
      __builtin_memset(state, 0, static_cast<size_t>(8 * wide) * 4);
      over_part(s, part, [&](int64_t r, int64_t rows, int64_t) {
        over_columns(some, [&](auto vectors, int64_t c, int64_t tail) {
          const int64_t at = r * columns + c0 + c;
          block_sums<vectors()>(g + at, x + at, columns, rows, tail, state + c, wide);
        });
      });
      for (int k = 0; k < 2; ++k)
        for (int64_t c = 0; c < some; c += W) {
          const float* l = state + 4 * k * wide + c;
          const vf v = (load(l) + load(l + wide)) + (load(l + 2 * wide) + load(l + 3 * wide));
          store_part(out + (2 * part + k) * columns + c0 + c, v, some - c < W ? some - c : W);
        }
    });
}

}  // namespace rv::RV_ISA
