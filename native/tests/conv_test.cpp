// Checks convolution, its gradients (also through windows) and the largest of windows, bit for bit, against one scalar chain of madd per
// element; built once per ISA, as gemm_test.cpp. Workers vary; nothing outside the result may change.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../src/kernels/conv.h"
#include "../src/kernels/conv_windows.h"
#include "../src/kernels/pool.h"
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
static Frame* frame() {
  static Frame* f = [] {
    static Frame made = {};
    give_scratch(made, 8);
    return &made;
  }();
  return f;
}
static float* ptr(const Array& a) { return const_cast<float*>(a.data()); }

// Runs a step for several numbers of workers and compares all of its result, guards included.
static void check(const char* name, Step s, KernelFn fn, int result, const Array& expected, const char* what) {
  for (int workers : {1, 2, 3, 8}) {
    Array c(expected.size(), kGuard);
    s.buf[result] = c.data();
    for (int w = 0; w < workers; ++w) std::memset(frame()->scratch[w], 0xff, size_t(kScratchBytes));
    for (int w = 0; w < workers; ++w) fn(s, *frame(), w, workers);
    ++checks;
    for (size_t i = 0; i < c.size(); ++i)
      if (std::memcmp(&c[i], &expected[i], 4) != 0 && !(c[i] == 0 && expected[i] == 0)) {
        std::printf("%s %s workers=%d: [%zu] %.9g, expected %.9g\n", name, what, workers, i, double(c[i]),
                    double(expected[i]));
        ++failures;
        break;
      }
  }
}

struct Shape {
  int64_t n, h, w, c, f, kh, kw, stride, pad;
};

static void shape(const Shape& g, bool framed) {
  char what[160];
  std::snprintf(what, sizeof what, "%ldx%ldx%ldx%ld, %ld filters of %ldx%ld, stride %ld, padding %ld, framed %d",
                long(g.n), long(g.h), long(g.w), long(g.c), long(g.f), long(g.kh), long(g.kw), long(g.stride),
                long(g.pad), framed);
  const int64_t oh = (g.h + 2 * g.pad - g.kh) / g.stride + 1, ow = (g.w + 2 * g.pad - g.kw) / g.stride + 1;
  const int64_t taps = g.kh * g.kw, wide = (ow - 1) * g.stride + g.kw, band = oh > 3 ? 3 : oh;
  const Array x = drawn(g.n * g.h * g.w * g.c), w = drawn(taps * g.c * g.f), y = drawn(g.n * oh * ow * g.f),
              bias = drawn(g.f);
  Step s = {};
  s.buf[0] = ptr(x), s.buf[1] = ptr(w), s.buf[3] = ptr(bias), s.buf[4] = ptr(y);
  const int64_t lines = framed ? (band - 1) * g.stride + g.kh : g.h, row = (framed ? wide : g.w) * g.c;
  std::vector<int32_t> table;
  for (int64_t t = 0; t < taps; ++t) table.push_back(int32_t(t / g.kw * row + t % g.kw * g.c));
  std::vector<int32_t> pieces;
  const int64_t run = g.kw * g.c, parts = (run + kPieceRows - 1) / kPieceRows, per = (run + parts - 1) / parts;
  for (int64_t k = 0; k < g.kh; ++k)
    for (int64_t i = 0; i < run; i += per) {
      pieces.push_back(int32_t(k * row + i));
      pieces.push_back(int32_t(k * run + i));
      pieces.push_back(int32_t(least(per, run - i)));
    }
  for (int64_t t = 0; t < taps; ++t) table.push_back(int32_t(t * g.c * g.f));
  const int64_t d[] = {g.n,
                       g.c,
                       taps,
                       g.f,
                       1,
                       1,
                       oh,
                       ow,
                       1,
                       g.stride,
                       g.stride,
                       1,
                       g.h,
                       g.w,
                       g.c,
                       0,
                       g.pad,
                       g.pad,
                       wide,
                       lines,
                       1,
                       framed ? kConvFramed : 0,
                       g.f,
                       g.f,
                       ow * g.f,
                       oh * ow * g.f,
                       oh * ow * g.f,
                       band,
                       1,
                       g.kw,
                       taps * g.c * g.f,
                       run};
  std::memcpy(s.dim, d, sizeof d);
  s.buf[5] = table.data();
  s.units = int32_t(g.n * oh);
  auto input = [&](int64_t n, int64_t o, int64_t p, int64_t t, int64_t c, bool& inside) {
    const int64_t r = o * g.stride + t / g.kw - g.pad, q = p * g.stride + t % g.kw - g.pad;
    inside = r >= 0 && r < g.h && q >= 0 && q < g.w;
    return inside ? x[size_t(((n * g.h + r) * g.w + q) * g.c + c)] : 0.0f;
  };
  for (int64_t flags : {0, 1, 3, 8 | 1 | 16}) {
    Array expected(size_t(g.n * oh * ow * g.f + 64), kGuard);
    for (int64_t n = 0, at = 0; n < g.n; ++n)
      for (int64_t o = 0; o < oh; ++o)
        for (int64_t p = 0; p < ow; ++p)
          for (int64_t f = 0; f < g.f; ++f, ++at) {
            float sum = 0;
            bool inside;
            for (int64_t t = 0; t < taps; ++t)
              for (int64_t c = 0; c < g.c; ++c) {
                const float v = input(n, o, p, t, c, inside);
                if (inside) sum = madd1(v, w[size_t((t * g.c + c) * g.f + f)], sum);
              }
            if (flags & 1) sum = sum + bias[size_t(f)];
            if (flags & 2) sum = 0.0f > sum ? 0.0f : sum;
            if (flags & 8) sum = y[size_t(at)] + sum;
            expected[size_t(at)] = sum;
          }
    s.dim[21] = (framed ? kConvFramed : 0) | flags;
    check("conv", s, conv, 2, expected, what);
  }
  s.dim[21] = framed ? kConvFramed : 0;
  s.buf[1] = ptr(y), s.buf[5] = pieces.data();
  s.dim[2] = int64_t(pieces.size() / 3), s.dim[30] = 1;
  s.dim[26] = taps * g.c * g.f;
  for (int64_t of_batch = 1; of_batch <= least(g.n, 2); ++of_batch) {
    Array expected(size_t(of_batch * s.dim[26] + 64), kGuard);
    for (int64_t part = 0, at = 0; part < of_batch; ++part)
      for (int64_t t = 0; t < taps; ++t)
        for (int64_t c = 0; c < g.c; ++c)
          for (int64_t f = 0; f < g.f; ++f, ++at) {
            float sum = 0;
            bool inside;
            for (int64_t n = g.n * part / of_batch; n < g.n * (part + 1) / of_batch; ++n)
              for (int64_t o = 0; o < oh; ++o)
                for (int64_t p = 0; p < ow; ++p) {
                  const float v = input(n, o, p, t, c, inside);
                  if (inside) sum = madd1(v, y[size_t(((n * oh + o) * ow + p) * g.f + f)], sum);
                }
            expected[size_t(at)] = sum;
          }
    s.dim[25] = of_batch;
    s.units = int32_t(s.dim[2] * ((g.f + 63) / 64) * of_batch);
    check("conv_kernel", s, conv_kernel, 2, expected, what);
  }
}

static void largest(int64_t n, int64_t h, int64_t w, int64_t c, int64_t k, int64_t stride, int64_t pad) {
  char what[120];
  std::snprintf(what, sizeof what, "%ldx%ldx%ldx%ld, window %ld, stride %ld, padding %ld", long(n), long(h), long(w),
                long(c), long(k), long(stride), long(pad));
  const int64_t oh = (h + 2 * pad - k) / stride + 1, ow = (w + 2 * pad - k) / stride + 1;
  Array x = drawn(n * h * w * c);
  for (size_t i = 0; i < x.size(); ++i)
    if (i % 5 == 0) x[i] = x[i / 2];  // equals
  x[3] = NAN;
  Array best(size_t(n * oh * ow * c + 64), kGuard), spread(size_t(n * h * w * c + 64), kGuard);
  std::vector<uint8_t> taps(size_t(n * oh * ow * c + 64), 0);
  for (int64_t i = 0; i < n * h * w * c; ++i) spread[size_t(i)] = 0;
  const Array g = drawn(n * oh * ow * c);
  for (int64_t b = 0, at = 0; b < n; ++b)
    for (int64_t o = 0; o < oh; ++o)
      for (int64_t p = 0; p < ow; ++p)
        for (int64_t j = 0; j < c; ++j, ++at) {
          bool any = false;
          for (int64_t t = 0; t < k * k; ++t) {
            const int64_t r = o * stride + t / k - pad, q = p * stride + t % k - pad;
            if (r < 0 || r >= h || q < 0 || q >= w) continue;
            const float v = x[size_t(((b * h + r) * w + q) * c + j)], m = best[size_t(at)];
            if (!any || v > m || (v != v && m == m)) {
              best[size_t(at)] = v;
              taps[size_t(at)] = uint8_t(t);
            }
            any = true;
          }
        }
  // Sums run from the last window to the first.
  for (int64_t b = n - 1; b >= 0; --b)
    for (int64_t o = oh - 1; o >= 0; --o)
      for (int64_t p = ow - 1; p >= 0; --p)
        for (int64_t j = 0; j < c; ++j) {
          const int64_t at = ((b * oh + o) * ow + p) * c + j, t = taps[size_t(at)];
          const int64_t r = o * stride + t / k - pad, q = p * stride + t % k - pad;
          spread[size_t(((b * h + r) * w + q) * c + j)] += g[size_t(at)];
        }
  Step s = {};
  const int64_t d[] = {n, 1, h, w, c, 1, oh, ow, 1, k, k, 1, stride, stride, 0, pad, pad, 1};
  std::memcpy(s.dim, d, sizeof d);
  s.buf[0] = ptr(x);
  s.units = int32_t(n * oh);
  std::vector<uint8_t> found(taps.size(), 0);
  s.buf[2] = found.data();
  check("window_max", s, window_max, 1, best, what);
  if (found != taps) {
    std::printf("window_max %s: taps differ\n", what);
    ++failures;
  }
  s.buf[1] = taps.data();
  check("window_pick", s, window_pick, 2, best, what);
  s.buf[0] = ptr(g);
  s.units = int32_t(n * h);
  check("window_spread", s, window_spread, 2, spread, what);
}

// Gradients through windows of kh x kw, against the sums over all positions with their zeros.
static void through(const Shape& g, int64_t kh, int64_t kw) {
  char what[160];
  std::snprintf(what, sizeof what, "%ldx%ldx%ldx%ld, %ld filters of %ldx%ld, stride %ld, padding %ld, window %ldx%ld",
                long(g.n), long(g.h), long(g.w), long(g.c), long(g.f), long(g.kh), long(g.kw), long(g.stride),
                long(g.pad), long(kh), long(kw));
  const int64_t oh = ((g.h + 2 * g.pad - g.kh) / g.stride + 1) / kh,
                ow = ((g.w + 2 * g.pad - g.kw) / g.stride + 1) / kw;
  const int64_t high = oh * kh, wide = ow * kw, taps = g.kh * g.kw, windows = oh * ow;
  const Array x = drawn(g.n * g.h * g.w * g.c), w = drawn(taps * g.c * g.f), bias = drawn(g.c);
  Array values = drawn(g.n * windows * g.f), y(size_t(g.n * high * wide * g.f), 0.0f);
  std::vector<uint8_t> kept(values.size());
  for (int64_t n = 0, at = 0; n < g.n; ++n)
    for (int64_t o = 0; o < windows; ++o)
      for (int64_t j = 0; j < g.f; ++j, ++at) {
        const int64_t tap = int64_t((draw() + 2) * 1000) % (kh * kw);
        if (at % 3 == 0) values[size_t(at)] = 0;
        kept[size_t(at)] = uint8_t(tap);
        const int64_t r = o / ow * kh + tap / kw, q = o % ow * kw + tap % kw;
        y[size_t(((n * high + r) * wide + q) * g.f + j)] = values[size_t(at)];
      }
  // The gradient of the input.
  const int64_t reach_h = (high - 1) * g.stride + g.kh, reach_w = (wide - 1) * g.stride + g.kw;
  const int64_t fh = reach_h > g.h + g.pad ? reach_h : g.h + g.pad, fw = reach_w > g.w + g.pad ? reach_w : g.w + g.pad;
  std::vector<int32_t> table;
  for (int64_t t = 0; t < taps; ++t) table.push_back(int32_t((t / g.kw * fw + t % g.kw) * kStripe));
  Step s = {};
  s.buf[0] = ptr(values), s.buf[1] = ptr(w), s.buf[3] = ptr(bias), s.buf[5] = table.data(), s.buf[6] = kept.data();
  const int64_t d[] = {g.n,     g.f, taps,  g.c,   oh,  ow, kh, kw, g.stride * fw * kStripe, g.stride * kStripe,
                       fh * fw, fw,  g.pad, g.pad, g.h, g.w};
  std::memcpy(s.dim, d, sizeof d);
  s.dim[21] = 1;
  s.dim[23] = g.c;
  s.units = int32_t(g.n);
  Array expected(size_t(g.n * g.h * g.w * g.c + 64), kGuard);
  for (int64_t n = 0, at = 0; n < g.n; ++n)
    for (int64_t r = 0; r < g.h; ++r)
      for (int64_t q = 0; q < g.w; ++q)
        for (int64_t c = 0; c < g.c; ++c, ++at) {
          float sum = 0;
          for (int64_t t = 0; t < taps; ++t) {
            const int64_t p = r + g.pad - t / g.kw, v = q + g.pad - t % g.kw;
            if (p < 0 || v < 0 || p % g.stride || v % g.stride || p / g.stride >= high || v / g.stride >= wide)
              continue;
            for (int64_t j = 0; j < g.f; ++j)
              sum = madd1(y[size_t(((n * high + p / g.stride) * wide + v / g.stride) * g.f + j)],
                          w[size_t((t * g.c + c) * g.f + j)], sum);
          }
          expected[size_t(at)] = sum + bias[size_t(c)];
        }
  check("conv_input_windows", s, conv_input_windows, 2, expected, what);
  // The gradient of the kernel, of runs of whole vectors.
  const int64_t run = g.kw * g.c;
  if (run % kStripe) return;
  table.clear();
  const bool framed = g.pad > 0;
  const int64_t band = framed ? kh : high, line = (framed ? reach_w : g.w) * g.c;
  for (int64_t k = 0; k < g.kh; ++k) {
    table.push_back(int32_t(k * line));
    table.push_back(int32_t(k * run));
  }
  table.push_back(int32_t(kh));
  table.push_back(int32_t(kw));
  const int64_t groups = (g.kh + kRunsAtOnce - 1) / kRunsAtOnce, parts = (run + kRunFloats - 1) / kRunFloats;
  const int64_t size = taps * g.c * g.f, of_batch = least(g.n, 2);
  const int64_t e[] = {g.n,      g.c,
                       g.kh,     g.f,
                       1,        1,
                       high,     wide,
                       1,        g.stride,
                       g.stride, 1,
                       g.h,      g.w,
                       g.c,      0,
                       g.pad,    g.pad,
                       reach_w,  (band - 1) * g.stride + g.kh,
                       1,        framed ? kConvFramed : 0,
                       g.f,      g.f,
                       windows,  of_batch,
                       size,     band,
                       1,        (g.kh + groups - 1) / groups,
                       run,      (run / kStripe + parts - 1) / parts * kStripe};
  std::memcpy(s.dim, e, sizeof e);
  s.buf[0] = ptr(x), s.buf[1] = ptr(values), s.buf[3] = nullptr, s.buf[5] = table.data();
  s.units = int32_t(groups * parts * ((g.f + kStripe - 1) / kStripe) * of_batch);
  expected.assign(size_t(of_batch * size + 64), kGuard);
  for (int64_t part = 0, at = 0; part < of_batch; ++part)
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t c = 0; c < g.c; ++c)
        for (int64_t f = 0; f < g.f; ++f, ++at) {
          float sum = 0;
          for (int64_t n = g.n * part / of_batch; n < g.n * (part + 1) / of_batch; ++n)
            for (int64_t o = 0; o < high; ++o)
              for (int64_t p = 0; p < wide; ++p) {
                const int64_t r = o * g.stride + t / g.kw - g.pad, q = p * g.stride + t % g.kw - g.pad;
                if (r >= 0 && r < g.h && q >= 0 && q < g.w)
                  sum = madd1(x[size_t(((n * g.h + r) * g.w + q) * g.c + c)],
                              y[size_t(((n * high + o) * wide + p) * g.f + f)], sum);
              }
          expected[size_t(at)] = sum;
        }
  check("conv_kernel_windows", s, conv_kernel_windows, 2, expected, what);
}

int main() {
  for (const Shape& g : std::initializer_list<Shape>{{2, 7, 9, 3, 5, 3, 3, 1, 1},
                                                     {1, 5, 60, 1, 33, 3, 3, 1, 1},
                                                     {2, 9, 8, 17, 70, 3, 2, 2, 1},
                                                     {1, 6, 6, 100, 130, 3, 3, 1, 1},
                                                     {3, 4, 4, 8, 16, 1, 1, 2, 0},
                                                     {1, 3, 3, 2, 4, 3, 3, 1, 2}}) {
    shape(g, true);
    if (g.pad == 0) shape(g, false);
  }
  shape({2, 9, 12, 5, 20, 3, 4, 1, 0}, false);
  shape({2, 9, 12, 5, 20, 3, 4, 1, 0}, true);
  through({3, 9, 8, 32, 40, 3, 3, 1, 0}, 2, 2);
  through({2, 9, 8, 48, 20, 5, 3, 1, 1}, 3, 2);
  through({2, 14, 9, 16, 70, 2, 1, 2, 0}, 2, 3);
  through({2, 7, 9, 3, 17, 3, 3, 1, 1}, 1, 2);
  through({1, 12, 12, 7, 130, 4, 4, 1, 2}, 4, 4);
  for (int64_t c : {1, 5, 16, 37}) {
    largest(2, 8, 9, c, 2, 2, 0);
    largest(1, 7, 6, c, 3, 2, 1);
    largest(1, 6, 5, c, 3, 1, 2);
  }
  std::printf("%ld checks, %d failures\n", checks, failures);
  return failures != 0;
}
