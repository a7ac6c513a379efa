// Attention of several heads: scores, mask, softmax and the weighted sum for one (row of the batch, head) after the other,
// while they are in the cache. Each gives the bits of its body run op by op (graph/attention.py): every element of a product
// is one chain over the contraction, and sums along a row are reduce.h's.
//
//   attention       buf: 0 q, 1 k, 2 v, 3 mask (bytes) or nothing, 4 random key or nothing, 5 out, 6 weights [B, H, I, J]
//                   or nothing
//                   weights = softmax(where(mask, (q * scale) k^T, masked)), out = weights v. With dropout `out` takes
//                   weights * factor where random words keep them, else 0, and the other weights are stored negated.
//   attention_grad  buf: 0 q, 1 k, 2 v, 3 mask or nothing, 4 weights, 5 g (of out), 6 dq, 7 dk, 8 dv (each or nothing)
//                   d = weights * (g v^T - sum(g v^T * weights)), 0 where masked;
//                   dq = (d k) * scale, dk = d^T (q * scale), dv = weights^T g
//   dim[0..5]    B, H, I (queries), J (keys), D (width of a key), E (width of a value)
//   dim[6..17]   strides of q, k, v and out (or g): batch, position, head; along a vector it is 1
//   dim[18..21]  of the mask: batch, head, query, key (1 or, for J == 1, anything)
//   dim[22..30]  (grad) of dq, dk, dv as those above; dim[31] whether weights below zero were dropped
//   dim[22, 23]  the least random bits that are kept (random_keep), 0 without dropout; whether weights are 0 where the mask
//                lets none through
//   scalar       0 scale, 1 (grad) factor; 1 what a masked score is, 2 factor
//   units        B * H, the head fastest
// Scratch: `attention` J * D + I * (D + J) floats and `attention_grad` J * E + I * (D + J), rows rounded up to 16; with
// dropout 64 J more, or I * J.
//
// Keys behind the last one that a few queries see have weights of exactly 0 there, and are left out: of a causal mask that
// is nearly half. An element of a product is the same then, as 0 times a finite number adds nothing to a sum.
#pragma once
#include "gemm_block.h"
#include "random.h"
#include "rows.h"

namespace rv::RV_ISA {

// One of the operands of a head: vectors at a stride.
struct Vectors {
  float* at;
  int64_t step;
};
RV_INLINE Vectors head_of(const Step& s, int buffer, int dims, int64_t b, int64_t h) {
  return {static_cast<float*>(s.buf[buffer]) + b * s.dim[dims] + h * s.dim[dims + 2], s.dim[dims + 1]};
}

// C = A B, or A^T B, on register tiles; every operand row-major in memory.
template <bool Transposed>
RV_INLINE void plain_product(const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                             int64_t rows, int64_t columns, int64_t depth) {
  TileContext x;
  x.lda = lda;
  x.ldb = ldb;
  x.ldc = ldc;
  x.ldi = x.lds = x.epilogue = x.jump = 0;
  x.blocks = 1;
  tiles<Transposed>(a, b, c, nullptr, c, c, rows, columns, depth, x);
}

RV_INLINE void scaled_rows(const float* x, int64_t step, float* to, int64_t rows, int64_t columns, float scale) {
  const vf k = splat(scale);
  for (int64_t i = 0; i < rows; ++i)
    each_vector(columns, [&](int64_t j, int64_t left) {
      store_left(to + i * columns + j, load_left(x + i * step + j, left) * k, left);
    });
}

RV_INLINE vi mask_left(const uint8_t* m, int64_t left) {
  if (left >= W) return load_mask(m);
  alignas(64) uint8_t t[W] = {};
  std::memcpy(t, m, static_cast<size_t>(left));
  return load_mask(t);
}

RV_INLINE vf join_lanes_max(vf v) {
  const auto most = [](vf a, vf b) { return fast_max(a, b); };
#if RV_WIDTH == 16
  v = join_across<8>(v, most);
#endif
#if RV_WIDTH >= 8
  v = join_across<4>(v, most);
#endif
  return join_across<1>(join_across<2>(v, most), most);
}

// A row of scores to weights. `mask` may be nothing; with `strict`, weights are 0 where it does not hold even if it does
// nowhere. Returns the largest score.
RV_INLINE float weigh(float* x, const uint8_t* mask, int64_t n, vf masked, bool strict) {
  // A maximum that a NaN has slipped through makes no difference: its exponential is NaN, and so is the sum.
  vf top = splat(-__builtin_inff());
  each_vector(n, [&](int64_t i, int64_t left) {
    vf v = load_left(x + i, left);
    if (mask) {
      v = select(mask_left(mask + i, left), v, masked);
      store_left(x + i, v, left);
    }
    if (left < W) v = select(lane_index() < splati(static_cast<int32_t>(left)), v, top);
    top = fast_max(v, top);
  });
  top = join_lanes_max(top);
  const vf sum = row_sum(n, [&](int64_t i, int64_t left) {
    const vf e = vexp(load_left(x + i, left) - top);
    store_left(x + i, e, left);
    return left >= W ? e : select(lane_index() < splati(static_cast<int32_t>(left)), e, vf{});
  });
  const bool empty = strict && mask && top[0] == masked[0];
  each_vector(n, [&](int64_t i, int64_t left) {
    const vf v = load_left(x + i, left) / sum;
    store_left(x + i, empty ? select(mask_left(mask + i, left), v, vf{}) : v, left);
  });
  return top[0];
}

// What is left of a row of weights after dropout, to `to`; those that go are negated.
RV_INLINE void drop_weights(float* x, const uint8_t* keep, float* to, int64_t n, vf factor) {
  each_vector(n, [&](int64_t i, int64_t left) {
    const vi kept = mask_left(keep + i, left);
    const vf w = load_left(x + i, left);
    store_left(to + i, select(kept, w * factor, vf{}), left);
    store_left(x + i, select(kept, w, -w), left);
  });
}

// Queries that are computed together: fewer where keys may be left out.
constexpr int64_t kFewQueries = 16;

// The end of the keys that some of the rows of a mask let through, rounded up; all where a row lets none.
RV_INLINE int64_t keys_seen(const uint8_t* mask, int64_t step, int64_t rows, int64_t J) {
  int64_t seen = 0;
  for (int64_t r = 0; r < rows; ++r, mask += step) {
    int64_t n = J;
    while (n >= 8) {
      uint64_t eight;
      std::memcpy(&eight, mask + n - 8, 8);
      if (eight) break;
      n -= 8;
    }
    if (n < 8)
      while (n > 0 && !mask[n - 1]) --n;
    if (n == 0) return J;
    if (n > seen) seen = n;
  }
  return least(padded(seen), J);
}
// The same for weights that are not 0.
RV_INLINE int64_t keys_weighed(const float* weights, int64_t rows, int64_t J) {
  int64_t seen = 0;
  for (int64_t r = 0; r < rows; ++r, weights += J) {
    int64_t n = J;
    while (n > seen && n >= W && !any_lane(as_int(load(weights + n - W)))) n -= W;
    if (n > seen) seen = n;
  }
  return least(padded(seen), J);
}

RV_INLINE void clear_rows(float* x, int64_t step, int64_t rows, int64_t columns) {
  if (columns > 0)
    for (int64_t r = 0; r < rows; ++r) std::memset(x + r * step, 0, static_cast<size_t>(columns) * 4);
}

static void attention(const Step& s, Frame& f, int worker, int workers) {
  const int64_t H = s.dim[1], I = s.dim[2], J = s.dim[3], D = s.dim[4], E = s.dim[5], wide = padded(J);
  float* turned = reinterpret_cast<float*>(f.scratch[worker]);
  float* scaled = turned + D * wide;
  float* scores = scaled + padded(I * D);
  const uint8_t* masks = static_cast<const uint8_t*>(s.buf[3]);
  const float low = static_cast<float>(s.scalar[1]);
  const vf masked = splat(low), factor = splat(static_cast<float>(s.scalar[2]));
  const uint32_t least_bits = static_cast<uint32_t>(s.dim[22]);
  const bool drops = least_bits > 0, strict = s.dim[23];
  // A few rows of scores at a time are made and weighed, then they meet the values.
  const int64_t block = masks ? kFewQueries : kBlockRows;
  float* kept = scores + padded(I * J);
  uint8_t* keep = reinterpret_cast<uint8_t*>(kept + padded(block * J));
  uint32_t key[4] = {};
  if (drops) std::memcpy(key, s.buf[4], sizeof key);
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  for (int64_t u = first; u < last; ++u) {
    const int64_t b = u / H, h = u % H;
    const Vectors q = head_of(s, 0, 6, b, h), k = head_of(s, 1, 9, b, h), v = head_of(s, 2, 12, b, h),
                  out = head_of(s, 5, 15, b, h);
    const uint8_t* mask = masks ? masks + b * s.dim[18] + h * s.dim[19] : nullptr;
    float* weights = s.buf[6] ? static_cast<float*>(s.buf[6]) + u * I * J : scores;
    scaled_rows(q.at, q.step, scaled, I, D, static_cast<float>(s.scalar[0]));
    transpose(k.at, k.step, turned, wide, J, D);
    for (int64_t i = 0; i < I; i += block) {
      const int64_t rows = least(I - i, block), step = s.dim[20];
      float* x = weights + i * J;
      int64_t seen = mask ? keys_seen(mask + i * step, step, rows, J) : J;
      bool alone = true;  // whether weights behind `seen` are surely 0
      do {
        if (!alone) seen = J;
        alone = true;
        plain_product<false>(scaled + i * D, D, turned, wide, x, J, rows, seen, D);
        for (int64_t r = 0; r < rows; ++r) {
          const float top = weigh(x + r * J, mask ? mask + (i + r) * step : nullptr, seen, masked, strict);
          alone = alone && (seen == J || top > 0.99f * low);
        }
      } while (!alone);
      if (drops) {
        const uint8_t* chosen = random_keep(key, (u * I + i) * J, rows * J, least_bits, keep);
        for (int64_t r = 0; r < rows; ++r) drop_weights(x + r * J, chosen + r * J, kept + r * J, seen, factor);
      }
      clear_rows(x + seen, J, rows, J - seen);
      plain_product<false>(drops ? kept : x, J, v.at, v.step, out.at + i * out.step, out.step, rows, E, seen);
    }
  }
}

static void attention_grad(const Step& s, Frame& f, int worker, int workers) {
  const int64_t H = s.dim[1], I = s.dim[2], J = s.dim[3], D = s.dim[4], E = s.dim[5], wide = padded(J);
  float* turned = reinterpret_cast<float*>(f.scratch[worker]);
  float* scaled = turned + E * wide;
  float* slopes = scaled + padded(I * D);
  const uint8_t* masks = static_cast<const uint8_t*>(s.buf[3]);
  const vf scale = splat(static_cast<float>(s.scalar[0])), factor = splat(static_cast<float>(s.scalar[1]));
  const bool drops = s.dim[31];
  float* kept = slopes + padded(I * J);
  const int64_t block = masks ? kFewQueries : I;
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  for (int64_t u = first; u < last; ++u) {
    const int64_t b = u / H, h = u % H;
    const Vectors q = head_of(s, 0, 6, b, h), k = head_of(s, 1, 9, b, h), v = head_of(s, 2, 12, b, h),
                  g = head_of(s, 5, 15, b, h), dq = head_of(s, 6, 22, b, h), dk = head_of(s, 7, 25, b, h),
                  dv = head_of(s, 8, 28, b, h);
    const float* weights = static_cast<const float*>(s.buf[4]) + u * I * J;
    const bool sloped = s.buf[6] || s.buf[7];
    if (sloped) transpose(v.at, v.step, turned, wide, J, E);
    if (s.buf[7]) scaled_rows(q.at, q.step, scaled, I, D, static_cast<float>(s.scalar[0]));
    for (int64_t i = 0; i < I; i += block) {
      const int64_t rows = least(I - i, block);
      const float* weight = weights + i * J;
      float* d = slopes + i * J;
      const int64_t seen = masks ? keys_weighed(weight, rows, J) : J;
      if (drops && s.buf[8]) {
        for (int64_t r = i; r < i + rows; ++r)
          each_vector(J, [&](int64_t j, int64_t left) {
            const vf w = load_left(weights + r * J + j, left);
            store_left(kept + r * J + j, select(w > 0, w * factor, vf{}), left);
          });
      }
      if (sloped) {
        plain_product<false>(g.at + i * g.step, g.step, turned, wide, d, J, rows, seen, E);
        for (int64_t r = 0; r < rows; ++r) {
          float* x = d + r * J;
          const float* y = weight + r * J;
          const uint8_t* mask = masks ? masks + b * s.dim[18] + h * s.dim[19] + (i + r) * s.dim[20] : nullptr;
          if (drops)
            each_vector(seen, [&](int64_t j, int64_t left) {
              store_left(x + j, select(load_left(y + j, left) > 0, load_left(x + j, left) * factor, vf{}), left);
            });
          const auto weight_at = [&](int64_t j, int64_t left) {
            const vf w = load_left(y + j, left);
            return drops ? vabs(w) : w;
          };
          const vf mean =
              row_sum(seen, [&](int64_t j, int64_t left) { return load_left(x + j, left) * weight_at(j, left); });
          each_vector(seen, [&](int64_t j, int64_t left) {
            vf t = weight_at(j, left) * (load_left(x + j, left) - mean);
            if (mask) t = select(mask_left(mask + j, left), t, vf{});
            store_left(x + j, t, left);
          });
        }
        clear_rows(d + seen, J, rows, J - seen);
      }
      if (s.buf[6]) {
        float* to = dq.at + i * dq.step;
        plain_product<false>(d, J, k.at, k.step, to, dq.step, rows, D, seen);
        for (int64_t r = 0; r < rows; ++r)
          each_vector(D, [&](int64_t j, int64_t left) {
            float* x = to + r * dq.step + j;
            store_left(x, load_left(x, left) * scale, left);
          });
      }
    }
    // Sums over the queries, piece by piece of the keys: none before the first block that sees a piece adds to it.
    int64_t done = 0;
    for (int64_t i = 0; i < I && done < J; i += block) {
      const int64_t seen = masks ? keys_weighed(weights + i * J, least(I - i, block), J) : J, keys = seen - done;
      if (keys <= 0) continue;
      if (s.buf[7])
        plain_product<true>(slopes + i * J + done, J, scaled + i * D, D, dk.at + done * dk.step, dk.step, keys, D,
                            I - i);
      if (s.buf[8])
        plain_product<true>((drops ? kept : weights) + i * J + done, J, g.at + i * g.step, g.step,
                            dv.at + done * dv.step, dv.step, keys, E, I - i);
      done = seen;
    }
    if (s.buf[7] && done < J) clear_rows(dk.at + done * dk.step, dk.step, J - done, D);
    if (s.buf[8] && done < J) clear_rows(dv.at + done * dv.step, dv.step, J - done, E);
  }
}

}  // namespace rv::RV_ISA
