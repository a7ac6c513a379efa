// Sums and maxima along a row, kept in registers: what kernels that go over a row several times while it is hot are made of.
//
// The order of additions is reduce.h's (element i to virtual lane i % 64, lanes joined 64 -> 16 -> 1 by one tree), so a
// fused row gives the bits of the same reduction as a step of its own. Results come as a vector of equal lanes.
#pragma once
#include "math.h"

namespace rv::RV_ISA {

// Lane l joined with lane l ^ S, in all lanes at once.
template <int S, class Join>
RV_INLINE vf join_across(vf v, Join&& join) {
  vi other;
  for (int l = 0; l < W; ++l) other[l] = l ^ S;
  return join(v, __builtin_shuffle(v, other));
}
// Sixteen lanes to one: l with l + 8, then + 4, + 2, + 1. Joining is commutative, so every lane ends with the same.
template <class Join>
RV_INLINE vf join_sixteen(vf (&t)[kParts], Join&& join) {
  vf v = t[0];
#if RV_WIDTH == 16
  v = join_across<8>(v, join);
  v = join_across<4>(v, join);
#elif RV_WIDTH == 8
  v = join(t[0], t[1]);
  v = join_across<4>(v, join);
#else
  v = join(join(t[0], t[2]), join(t[1], t[3]));
#endif
  v = join_across<2>(v, join);
  return join_across<1>(v, join);
}

// The sum of `value(i, left)` for i = 0, W, 2 W, ..; lanes from `left` on must be 0.
template <class Value>
RV_INLINE vf row_sum(int64_t n, Value&& value) {
  const auto add = [](vf a, vf b) { return a + b; };
  vf lane[4 * kParts];
#pragma GCC unroll 16
  for (int k = 0; k < 4 * kParts; ++k) lane[k] = vf{};
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
#pragma GCC unroll 16
    for (int k = 0; k < 4 * kParts; ++k) lane[k] = lane[k] + value(i + k * W, int64_t{W});
  }
#pragma GCC unroll 16
  for (int k = 0; k < 4 * kParts; ++k) {
    const int64_t left = n - i - k * W;
    if (left > 0) lane[k] = lane[k] + value(i + k * W, left);
  }
  vf t[kParts];
#pragma GCC unroll 4
  for (int k = 0; k < kParts; ++k) t[k] = (lane[k] + lane[kParts + k]) + (lane[2 * kParts + k] + lane[3 * kParts + k]);
  return join_sixteen(t, add);
}

// A vector at x + i, or what is left of a row with zeros behind it; and back.
RV_INLINE vf load_left(const float* x, int64_t left) { return left >= W ? load(x) : load_part(x, left); }
RV_INLINE void store_left(float* x, vf v, int64_t left) {
  if (left >= W) store(x, v);
  else store_part(x, v, left);
}
// `f(i, left)` for every vector of a row of n.
template <class F>
RV_INLINE void each_vector(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) f(i, int64_t{W});
  if (i < n) f(i, n - i);
}

}  // namespace rv::RV_ISA
