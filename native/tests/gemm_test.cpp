// Checks the matrix products of one ISA, bit for bit, against one scalar chain of madd per element; built once per ISA:
//   g++ -std=c++20 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -DRV_ISA=avx2 -DRV_WIDTH=8 -mavx2 -mfma gemm_test.cpp
// As every ISA with FMA must equal the same chain, they equal each other. Units and workers vary; nothing outside C may change.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "gemm_setup.h"

static int failures = 0;
static long checks = 0;
static uint32_t state = 1;
static float draw() {
  state = state * 1664525u + 1013904223u;
  return float(int32_t(state >> 8) % 2001 - 1000) / 512.0f;
}
using Array = std::vector<float>;
constexpr float kGuard = 12345.0f;
static Array drawn(int64_t n) {
  Array a(size_t(n + 64));
  for (auto& x : a) x = draw();
  return a;
}
static Array guarded(int64_t n) { return Array(size_t(n + 64), kGuard); }

// The element (row, column) of a [rows, columns] weight in panels.
static int64_t at(int64_t rows, int64_t columns, int64_t r, int64_t c) {
  const int64_t p = c / 64, width = columns - 64 * p < 64 ? (columns - 64 * p + 15) / 16 * 16 : 64;
  return 64 * p * rows + r * width + c % 64;
}
static int64_t panel_size(int64_t rows, int64_t columns) { return rows * ((columns + 15) / 16 * 16); }
static Array to_panels(const Array& w, int64_t rows, int64_t columns) {
  Array p(size_t(panel_size(rows, columns) + 64), 0.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) p[at(rows, columns, r, c)] = w[r * columns + c];
  return p;
}

static Frame* frame() {
  static Frame* f = [] {
    static Frame made = {};
    give_scratch(made, 8);
    return &made;
  }();
  return f;
}

// Runs a step with several divisions into units and workers, from the same starting C, and compares all of C.
static void check(const char* name, Step s, KernelFn fn, int64_t panels, int64_t rows, Array& c, const Array& start,
                  const Array& expected) {
  const int64_t sizes[] = {rows, 1, 7, 64};
  for (int64_t size : sizes) {
    for (int workers : {1, 2, 3, 8}) {
      if (size != rows && workers == 1) continue;
      divide(s, panels, rows, size);
      c = start;
      for (int w = 0; w < workers; ++w) std::memset(frame()->scratch[w], 0xff, kGemmScratch);
      for (int w = 0; w < workers; ++w) fn(s, *frame(), w, workers);
      ++checks;
      for (size_t i = 0; i < c.size(); ++i)
        if (std::memcmp(&c[i], &expected[i], 4) != 0 && !(c[i] == 0 && expected[i] == 0)) {
          std::printf("%s M=%ld N=%ld K=%ld flags=%ld rows/unit=%ld workers=%d: [%zu] %.9g, expected %.9g\n", name,
                      long(s.dim[0]), long(s.dim[1]), long(s.dim[2]), long(s.dim[6]), long(size), workers, i,
                      double(c[i]), double(expected[i]));
          if (++failures > 20) std::exit(1);
          break;
        }
    }
  }
}

static float finish(float sum, int64_t flags, float bias, float side) {
  if (flags & 1) sum = sum + bias;
  if (flags & 2) sum = 0.0f > sum ? 0.0f : sum;
  if (flags & 4) sum = side > 0 ? sum : 0.0f;
  if (flags & 8) sum = side + sum;
  return sum;
}

static void shape(int64_t M, int64_t N, int64_t K) {
  const Array x = drawn(M * K), w = drawn(K * N), y = drawn(M * N), bias = drawn(N), side_n = drawn(M * N),
              side_k = drawn(M * K), side_w = drawn(K * N);
  const Array wp = to_panels(w, K, N), xp = to_panels(x, M, K), yp = to_panels(y, M, N);
  const Array side_np = to_panels(side_n, M, N), side_kp = to_panels(side_k, M, K), side_wp = to_panels(side_w, K, N);
  auto ptr = [](const Array& a) { return const_cast<float*>(a.data()); };
  for (int64_t flags : {0, 1, 3, 8, 21}) {
    for (int panels = 0; panels < 3; ++panels) {  // 1: the weight, 2: all matrices
      const bool all = panels == 2;
      Array start = guarded(all ? panel_size(M, N) : M * N), c, expected = start;
      for (int64_t i = 0; i < M; ++i)
        for (int64_t j = 0; j < N; ++j) {
          float sum = 0;
          for (int64_t k = 0; k < K; ++k) sum = madd1(x[i * K + k], w[k * N + j], sum);
          expected[all ? at(M, N, i, j) : i * N + j] = finish(sum, flags, bias[j], side_n[i * N + j]);
        }
      c = start;
      const Array& side = all ? side_np : side_n;
      Step s = {};
      s.buf[0] = ptr(all ? xp : x), s.buf[1] = panels ? ptr(wp) : ptr(w), s.buf[2] = c.data();
      s.buf[3] = flags & 1 ? ptr(bias) : ptr(side), s.buf[4] = ptr(side);
      const int64_t d[] = {M, N, K, all ? 0 : K, panels ? 0 : N, all ? 0 : N, flags, 0, 0, all ? 0 : N};
      for (int i = 0; i < 10; ++i) s.dim[i] = d[i];
      check("gemm_nn", s, gemm_nn, (N + 63) / 64, M, c, start, expected);
    }
  }
  for (int64_t flags : {0, 4, 8}) {
    for (int panels = 0; panels < 3; ++panels) {
      const bool all = panels == 2;
      Array start = guarded(all ? panel_size(M, K) : M * K), c, expected = start;
      for (int64_t i = 0; i < M; ++i)
        for (int64_t k = 0; k < K; ++k) {
          float sum = 0;
          for (int64_t j = 0; j < N; ++j) sum = madd1(y[i * N + j], w[k * N + j], sum);
          expected[all ? at(M, K, i, k) : i * K + k] = finish(sum, flags, 0, side_k[i * K + k]);
        }
      c = start;
      Step s = {};
      s.buf[0] = ptr(all ? yp : y), s.buf[1] = panels ? ptr(wp) : ptr(w), s.buf[2] = c.data();
      s.buf[3] = ptr(all ? side_kp : side_k);
      const int64_t d[] = {M, N, K, all ? 0 : N, panels ? 0 : N, all ? 0 : K, flags, 0, 0, all ? 0 : K};
      for (int i = 0; i < 10; ++i) s.dim[i] = d[i];
      check("gemm_nt", s, gemm_nt, (K + 63) / 64, M, c, start, expected);
    }
  }
  for (int64_t flags : {0, 8}) {
    for (int panels = 0; panels < 4; ++panels) {  // 1: the weight, 2: all matrices, 3: the weight and x
      if (panels % 2 && flags) continue;
      const bool all = panels == 2, of_x = panels >= 2;
      const int64_t size = panels ? panel_size(K, N) : K * N;
      Array start = guarded(size), c, expected = start;
      for (int64_t k = 0; k < K; ++k)
        for (int64_t j = 0; j < N; ++j) {
          float sum = 0;
          for (int64_t i = 0; i < M; ++i) sum = madd1(x[i * K + k], y[i * N + j], sum);
          expected[panels ? at(K, N, k, j) : k * N + j] = finish(sum, flags, 0, side_w[k * N + j]);
        }
      c = start;
      Step s = {};
      s.buf[0] = ptr(of_x ? xp : x), s.buf[1] = ptr(all ? yp : y), s.buf[2] = c.data();
      s.buf[3] = ptr(all ? side_wp : side_w);
      const int64_t d[] = {M, N, K, of_x ? 0 : K, all ? 0 : N, panels ? 0 : N, flags, 0, 0, all ? 0 : N};
      for (int i = 0; i < 10; ++i) s.dim[i] = d[i];
      check("gemm_tn", s, gemm_tn, (N + 63) / 64, K, c, start, expected);
    }
  }
}

// The weight gradient of parts of a long batch, one after the other.
static void in_parts(int64_t M, int64_t N, int64_t K) {
  const Array x = drawn(M * K), y = drawn(M * N), panels = to_panels(x, M, K), yp = to_panels(y, M, N);
  for (int64_t parts : {2, 3, 8}) {
    Array expected = guarded(parts * K * N);
    for (int64_t p = 0; p < parts; ++p)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t j = 0; j < N; ++j) {
          float sum = 0;
          for (int64_t i = M * p / parts; i < M * (p + 1) / parts; ++i) sum = madd1(x[i * K + k], y[i * N + j], sum);
          expected[size_t((p * K + k) * N + j)] = sum;
        }
    for (int workers : {1, 2, 3, 8, -1, -2}) {  // below zero: x and y in panels
      const bool in_panels = workers < 0;
      workers = in_panels ? -workers : workers;
      Array c = guarded(parts * K * N);
      Step s = {};
      s.buf[0] = const_cast<float*>(in_panels ? panels.data() : x.data()), s.buf[2] = c.data();
      s.buf[1] = const_cast<float*>(in_panels ? yp.data() : y.data());
      const int64_t d[] = {M, N, K, in_panels ? 0 : K, in_panels ? 0 : N, N, 0, K, 1, N, 0, parts, K * N};
      std::memcpy(s.dim, d, sizeof d);
      s.units = int32_t(parts);
      for (int w = 0; w < workers; ++w) std::memset(frame()->scratch[w], 0xff, kGemmScratch);
      for (int w = 0; w < workers; ++w) gemm_tn(s, *frame(), w, workers);
      ++checks;
      if (std::memcmp(c.data(), expected.data(), c.size() * 4) != 0) {
        std::printf("gemm_tn M=%ld N=%ld K=%ld in %ld parts, %d workers\n", long(M), long(N), long(K), long(parts),
                    workers);
        if (++failures > 20) std::exit(1);
      }
    }
  }
}

// The weight gradient with the optimizer in its epilogue: the weight and its slots in panels, the padding still zero after.
static void fused(int64_t M, int64_t N, int64_t K) {
  const Array x = drawn(M * K), y = drawn(M * N);
  Array state[3], expected[3];
  for (int i = 0; i < 3; ++i) state[i] = to_panels(drawn(K * N), K, N);
  for (float& v : state[2]) v = v < 0 ? -v : v;
  float hyper[4] = {0.01f, 0.1f, 0.001f, 1e-7f};
  for (int i = 0; i < 3; ++i) expected[i] = state[i];
  for (int64_t k = 0; k < K; ++k)
    for (int64_t j = 0; j < N; ++j) {
      float g = 0;
      for (int64_t i = 0; i < M; ++i) g = madd1(x[i * K + k], y[i * N + j], g);
      const int64_t at_kj = at(K, N, k, j);
      float &w = expected[0][at_kj], &m = expected[1][at_kj], &v = expected[2][at_kj];
      m = m + (g - m) * hyper[1];
      v = v + (g * g - v) * hyper[2];
      w = w - (m * hyper[0]) / (__builtin_sqrtf(v) + hyper[3]);
    }
  AdamProgram adam(K, N);
  // All three in one array, so that one comparison sees them.
  const size_t size = state[0].size();
  Array start, c, all;
  for (int i = 0; i < 3; ++i) {
    start.insert(start.end(), state[i].begin(), state[i].end());
    all.insert(all.end(), expected[i].begin(), expected[i].end());
  }
  c = start;
  Step s = {};
  s.buf[0] = const_cast<float*>(x.data()), s.buf[1] = const_cast<float*>(y.data());
  adam.attach(s, c.data(), c.data() + size, c.data() + 2 * size, hyper);
  const int64_t d[] = {M, N, K, K, N, 0, 0, 0, 0, 0};
  for (int i = 0; i < 10; ++i) s.dim[i] = d[i];
  check("gemm_tn+adam", s, gemm_tn, (N + 63) / 64, K, c, start, all);
}

// Side and C the same buffer: C += product, also where the contraction is cut into several passes.
static void accumulate(int64_t M, int64_t N, int64_t K) {
  const Array x = drawn(M * K), w = drawn(K * N), start = drawn(M * N);
  Array c = start, expected = start;
  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < K; ++k) sum = madd1(x[i * K + k], w[k * N + j], sum);
      expected[i * N + j] = start[i * N + j] + sum;
    }
  Step s = {};
  s.buf[0] = const_cast<float*>(x.data()), s.buf[1] = const_cast<float*>(w.data()), s.buf[2] = s.buf[3] = c.data();
  const int64_t d[] = {M, N, K, K, N, N, 8, 0, 0, N};
  for (int i = 0; i < 10; ++i) s.dim[i] = d[i];
  check("accumulate", s, gemm_nn, (N + 63) / 64, M, c, start, expected);
}

// All eight transpositions, two batch dimensions one of which broadcasts A, then strides that are nowhere one.
static void any(int64_t M, int64_t N, int64_t K) {
  for (int form = 0; form < 9; ++form) {
    const bool spread = form == 8;
    const int64_t gap = spread ? 3 : 1, outer = 2, inner = 3;
    const int64_t ar = form & 1 ? gap : K * gap, ak = form & 1 ? M * gap : gap;
    const int64_t br = form & 2 ? gap : N * gap, bk = form & 2 ? K * gap : gap;
    const int64_t cr = form & 4 ? gap : N * gap, ck = form & 4 ? M * gap : gap;
    const Array a = drawn(outer * M * K * gap), b = drawn(outer * inner * K * N * gap);
    Array start = guarded(outer * inner * M * N * gap), c = start, expected = start;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t n = 0; n < inner; ++n)
        for (int64_t i = 0; i < M; ++i)
          for (int64_t j = 0; j < N; ++j) {
            float sum = 0;
            for (int64_t k = 0; k < K; ++k)
              sum =
                  madd1(a[o * M * K * gap + i * ar + k * ak], b[(o * inner + n) * K * N * gap + k * br + j * bk], sum);
            expected[(o * inner + n) * M * N * gap + i * cr + j * ck] = sum;
          }
    Step s = {};
    s.buf[0] = const_cast<float*>(a.data()), s.buf[1] = const_cast<float*>(b.data()), s.buf[2] = c.data();
    int64_t d[32] = {M, N, K, ar, ak, br, bk, cr, ck, 2, outer, inner};
    d[14] = M * K * gap, d[15] = 0;
    d[18] = inner * K * N * gap, d[19] = K * N * gap;
    d[22] = inner * M * N * gap, d[23] = M * N * gap;
    for (int i = 0; i < 26; ++i) s.dim[i] = d[i];
    const int64_t panels = (N + 63) / 64;
    for (int64_t size : {M, int64_t(5)})
      for (int workers : {1, 2, 3}) {
        s.dim[26] = size;
        s.dim[27] = (M + size - 1) / size;
        s.units = int32_t(outer * inner * panels * s.dim[27]);
        c = start;
        for (int w = 0; w < workers; ++w) gemm_any(s, *frame(), w, workers);
        ++checks;
        if (std::memcmp(c.data(), expected.data(), c.size() * 4) != 0) {
          std::printf("gemm_any form=%d M=%ld N=%ld K=%ld workers=%d differs\n", form, long(M), long(N), long(K),
                      workers);
          ++failures;
        }
      }
  }
}

// The update of four vectors at once against the instruction's own body, on numbers of every size: zeros, denormals,
// infinities, NaN, second moments below zero and fading away. A NaN equals any NaN.
static void update(int rounds) {
  const auto bits = [] {
    state = state * 1664525u + 1013904223u;
    const uint32_t high = state >> 8;
    state = state * 1664525u + 1013904223u;
    return high << 16 ^ state >> 8;
  };
  const auto number = [&](uint32_t low, uint32_t high) {  // an exponent in [low, high), any sign
    const uint32_t u = (low + bits() % (high - low)) << 23 | (bits() & 0x807fffffu);
    float x;
    std::memcpy(&x, &u, 4);
    return x;
  };
  const float odd[] = {0.0f,
                       -0.0f,
                       1e-45f,
                       1e-40f,
                       0x1p-126f,
                       0x1p-100f,
                       __builtin_inff(),
                       -__builtin_inff(),
                       __builtin_nanf(""),
                       0x1.fffffep127f,
                       0x1p-101f,
                       0x1p100f};
  const float eps[] = {1e-7f, 1e-8f, 0x1p-25f, 0x1p-26f, 1e-3f, 0.0f, 1.0f};
  for (int round = 0; round < rounds; ++round) {
    const bool wild = round % 8 == 0, tame = round % 2;
    float x[4][4 * W], y[4][4 * W];
    for (int i = 0; i < 4 * W; ++i)
      for (int k = 0; k < 4; ++k) {
        x[k][i] = wild && bits() % 16 == 0 ? odd[bits() % 12] : tame ? number(90, 140) : number(1, 254);
        if (k == 2 && !(wild && bits() % 8 == 0)) x[k][i] = std::fabs(x[k][i]);
        if (k == 3 && round % 3 == 0) x[k][i] = 0.0f;
        y[k][i] = x[k][i];
      }
    const float c2 = round % 5 == 0 ? 1.0f : round % 7 == 0 ? 0.0f : 0.001f;
    const AdamRates u = adam_rates(number(100, 126), 0.1f, c2, eps[bits() % 7]);
    adam_group(x[0], x[1], x[2], u, [&](int k) { return load(x[3] + k * W); });
    for (int i = 0; i < 4 * W; i += W) {
      vf w = load(y[0] + i), m = load(y[1] + i), v = load(y[2] + i);
      adam_lanes(w, m, v, load(y[3] + i), u.alpha, u.c1, u.c2, u.eps);
      store(y[0] + i, w), store(y[1] + i, m), store(y[2] + i, v);
    }
    ++checks;
    for (int k = 0; k < 3; ++k)
      for (int i = 0; i < 4 * W; ++i)
        if (std::memcmp(&x[k][i], &y[k][i], 4) != 0 && !(x[k][i] != x[k][i] && y[k][i] != y[k][i])) {
          std::printf("adam_group differs: %a for %a\n", double(x[k][i]), double(y[k][i]));
          ++failures;
          return;
        }
  }
}

int main() {
  update(20000);
  const int64_t sizes[] = {1, 2, 16, 37, 100};
  for (int64_t M : sizes)
    for (int64_t N : sizes)
      for (int64_t K : sizes) shape(M, N, K), fused(M, N, K);
  const int64_t others[][3] = {
      {32, 128, 784},   {7, 130, 300}, {1100, 70, 65}, {30, 1100, 66},  {65, 33, 1100},
      {2, 200, 1030},   {1, 300, 129}, {200, 67, 200}, {230, 200, 150},
#if !defined(RV_EMULATED)  // an emulator takes minutes for it
      {1050, 200, 500},
#endif
  };
  for (auto& o : others) shape(o[0], o[1], o[2]), fused(o[0], o[1], o[2]);
  for (auto& o : others) accumulate(o[0], o[1], o[2]);
  for (auto& o : {others[1], others[4]}) any(o[0] / 2, o[1], o[2]);
  any(1, 1, 1), any(5, 17, 3), any(60, 70, 140), any(1, 64, 20), any(50, 3, 7);
  in_parts(1030, 16, 8);
  in_parts(1100, 64, 70);
  in_parts(640, 48, 200);
  in_parts(1100, 144, 70);
  in_parts(600, 256, 33);
  std::printf("%ld checks, %d failures, %d-wide\n", checks, failures, W);
  return failures != 0;
}
