// Normalisation of the rows of dense [M, N] by their own mean and variance, in one pass while a row is hot. Each gives the
// bits of its body run op by op (graph/norms.py).
//
//   layer_norm       buf: 0 x, 1 gamma [N], 2 beta [N], 3 y, 4 normal (x without mean, at variance 1), 5 factor [M]
//                    dim: 0 M, 1 N   scalar: 0 epsilon        y = normal * gamma + beta, normal = (x - mean) * factor
//   layer_norm_grad  buf: 0 normal, 1 factor, 2 gamma, 3 g, 4 dx       dim: 0 M, 1 N
//                    dx = factor * ((e - mean(e)) - normal * mean(e * normal)), e = g * gamma
//   product_sums     buf: 0 x, 1 y, 2 sums of x * y [N] or nothing, 3 sums of y [N] or nothing        dim: 0 M, 1 N
//                    down the columns, in the order of column_sums: the gradients of gamma and beta
// A unit is an equal share of the rows; of product_sums, of the 64-column panels.
#pragma once
#include "reduce.h"
#include "rows.h"
#include "softmax.h"

namespace rv::RV_ISA {

static void layer_norm(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  const float* gamma = static_cast<const float*>(s.buf[1]);
  const float* beta = static_cast<const float*>(s.buf[2]);
  float* factors = static_cast<float*>(s.buf[5]);
  const vf count = splat(static_cast<float>(N)), epsilon = splat(static_cast<float>(s.scalar[0]));
  for (int64_t row = r.first; row < r.last; ++row) {
    const float* x = static_cast<const float*>(s.buf[0]) + row * N;
    float* y = static_cast<float*>(s.buf[3]) + row * N;
    float* normal = static_cast<float*>(s.buf[4]) + row * N;
    const vf mean = row_sum(N, [&](int64_t i, int64_t left) { return load_left(x + i, left); }) / count;
    const vf squares = row_sum(N, [&](int64_t i, int64_t left) {
      const vf c = load_left(x + i, left) - mean, q = c * c;
      return left >= W ? q : select(lane_index() < splati(static_cast<int32_t>(left)), q, vf{});
    });
    const vf factor = splat(1.0f) / vsqrt(squares / count + epsilon);
    each_vector(N, [&](int64_t i, int64_t left) {
      const vf v = (load_left(x + i, left) - mean) * factor;
      store_left(normal + i, v, left);
      store_left(y + i, v * load_left(gamma + i, left) + load_left(beta + i, left), left);
    });
    factors[row] = factor[0];
  }
}

static void layer_norm_grad(const Step& s, Frame&, int w, int n) {
  const Rows r = row_share(s, w, n);
  const int64_t N = s.dim[1];
  const float* factors = static_cast<const float*>(s.buf[1]);
  const float* gamma = static_cast<const float*>(s.buf[2]);
  const vf count = splat(static_cast<float>(N));
  for (int64_t row = r.first; row < r.last; ++row) {
    const float* normal = static_cast<const float*>(s.buf[0]) + row * N;
    const float* g = static_cast<const float*>(s.buf[3]) + row * N;
    float* dx = static_cast<float*>(s.buf[4]) + row * N;
    const auto e = [&](int64_t i, int64_t left) { return load_left(g + i, left) * load_left(gamma + i, left); };
    const vf level = row_sum(N, e) / count;
    const vf slope =
        row_sum(N, [&](int64_t i, int64_t left) { return e(i, left) * load_left(normal + i, left); }) / count;
    const vf factor = splat(factors[row]);
    each_vector(N, [&](int64_t i, int64_t left) {
      store_left(dx + i, factor * ((e(i, left) - level) - load_left(normal + i, left) * slope), left);
    });
  }
}

static void product_sums(const Step& s, Frame&, int w, int n) {
  const int64_t M = s.dim[0], N = s.dim[1], panels = (N + kPanel - 1) / kPanel;
  int64_t u, v;
  share(s.units, w, n, u, v);
  constexpr int64_t kRowsAtOnce = 16;  // a multiple of four, as column sums go round four lanes
  alignas(64) float products[kRowsAtOnce * kPanel];
  for (int64_t p = panels * u / s.units; p < panels * v / s.units; ++p) {
    const int64_t c = p * kPanel, columns = N - c < kPanel ? N - c : kPanel;
    Columns<SumOf> of_products(columns), of_y(columns);
    for (int64_t r = 0; r < M; r += kRowsAtOnce) {
      const int64_t rows = M - r < kRowsAtOnce ? M - r : kRowsAtOnce;
      const float* x = static_cast<const float*>(s.buf[0]) + r * N + c;
      const float* y = static_cast<const float*>(s.buf[1]) + r * N + c;
      if (s.buf[2]) {
        for (int64_t k = 0; k < rows; ++k)
          each_vector(columns, [&](int64_t i, int64_t left) {
            store(products + k * kPanel + i, load_left(x + k * N + i, left) * load_left(y + k * N + i, left));
          });
        of_products.add(products, kPanel, rows);
      }
      if (s.buf[3]) of_y.add(y, N, rows);
    }
    if (s.buf[2]) of_products.result(static_cast<float*>(s.buf[2]) + c);
    if (s.buf[3]) of_y.result(static_cast<float*>(s.buf[3]) + c);
  }
}

}  // namespace rv::RV_ISA
