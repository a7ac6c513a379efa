// Checks the elementary functions, row reductions and softmax of one ISA against the C library in double precision, and
// that every ISA with fused multiply-add gives the same bits: their hash is a constant. Built once per ISA:
//   g++ -std=c++20 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -DRV_ISA=avx2 -DRV_WIDTH=8 -mavx2 -mfma math_test.cpp
#include <cmath>
#include <cstdio>
#include <vector>

#include "../src/kernels/softmax.h"

using namespace rv;
using namespace rv::RV_ISA;

rv::EwFn rv::elementwise_plain(int, Dtype, Dtype) { return nullptr; }
void rv::reduce_types(const Step&, Frame&, int, int) {}

static int g_failures = 0;
static uint64_t g_hash = 1469598103934665603u;

static void hash(const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t u;
    std::memcpy(&u, x + i, 4);
    g_hash = (g_hash ^ u) * 1099511628211u;
  }
}

template <class F>
static void check(const char* name, F f, double (*exact)(double), float low, float high, double most) {
  constexpr int64_t kCount = 40000;
  std::vector<float> x(kCount), y(kCount);
  for (int64_t i = 0; i < kCount; ++i)
    x[i] = low + (high - low) * static_cast<float>(i) / static_cast<float>(kCount - 1);
  int64_t i = 0;
  for (; i + W <= kCount; i += W) store(y.data() + i, f(load(x.data() + i)));
  if (i < kCount) store_part(y.data() + i, f(load_part(x.data() + i, kCount - i)), kCount - i);
  double worst = 0;
  for (i = 0; i < kCount; ++i) {
    const double want = exact(x[i]);
    const float size = std::fabs(static_cast<float>(want));
    const double ulp = std::nextafter(size, INFINITY) - size;
    // Near a zero of the function the error is held to 2^-24 instead of an ulp of the tiny result.
    worst = std::fmax(worst, std::fabs(y[i] - want) / std::fmax(ulp, 0x1p-24));
  }
  hash(y.data(), kCount);
  if (worst > most) {
    std::printf("FAILED %s: %.2f ulp, %.2f allowed\n", name, worst, most);
    ++g_failures;
  }
}

static double sigmoid_exact(double x) { return 1 / (1 + std::exp(-x)); }

static void check_rows() {
  for (int64_t n : {1, 10, 16, 17, 64, 100, 513}) {
    std::vector<float> x(static_cast<size_t>(n)), y(static_cast<size_t>(n));
    double sum = 0, top = -1e30;
    for (int64_t i = 0; i < n; ++i) {
      x[i] = static_cast<float>((i * 37 % 101) - 50) * 0.07f;
      sum += x[i];
      top = std::fmax(top, x[i]);
    }
    const float s = reduce_row<SumOf>(x.data(), n), m = reduce_row<MaxOf>(x.data(), n);
    Row<SumOf> pieces = Row<SumOf>::make();
    for (int64_t i = 0; i < n; i += 64) pieces.add(x.data() + i, n - i < 64 ? n - i : 64);
    if (std::fabs(s - sum) > 1e-4 || m != static_cast<float>(top) || pieces.result() != s) {
      std::printf("FAILED row of %d\n", static_cast<int>(n));
      ++g_failures;
    }
    Step step{};
    Frame frame{};
    step.buf[0] = x.data();
    step.buf[1] = y.data();
    step.dim[0] = step.units = 1;
    step.dim[1] = n;
    softmax(step, frame, 0, 1);
    double total = 0;
    for (float v : y) total += v;
    if (std::fabs(total - 1) > 1e-5) {
      std::printf("FAILED softmax of %d\n", static_cast<int>(n));
      ++g_failures;
    }
    hash(&s, 1);
    hash(y.data(), n);
  }
}

int main() {
  const double slack = sizeof(vf) > 0 && madd1(0x1.000002p0f, 0x1.000002p0f, -0x1.000004p0f) != 0 ? 0 : 1.5;
  check("exp", [](vf v) { return vexp(v); }, std::exp, -80, 80, 1.5 + slack);
  check("expm1", [](vf v) { return vexpm1(v); }, std::expm1, -20, 60, 2 + slack);
  check("log", [](vf v) { return vlog(v); }, std::log, 1e-6f, 1000, 1.5 + slack);
  check("log1p", [](vf v) { return vlog1p(v); }, std::log1p, -0.99f, 100, 2.5 + slack);
  check("tanh", [](vf v) { return vtanh(v); }, std::tanh, -10, 10, 2.5 + slack);
  check("sigmoid", [](vf v) { return vsigmoid(v); }, sigmoid_exact, -80, 80, 3 + slack);
  check("erf", [](vf v) { return verf(v); }, std::erf, -5, 5, 2 + slack);
  check("sin", [](vf v) { return vsin(v); }, std::sin, -1000, 1000, 2 + slack);
  check("cos", [](vf v) { return vcos(v); }, std::cos, -1000, 1000, 2 + slack);
  check("floor", [](vf v) { return vfloor(v); }, std::floor, -100, 100, 0);
  check("ceil", [](vf v) { return vceil(v); }, std::ceil, -100, 100, 0);
  check("trunc", [](vf v) { return vtrunc(v); }, std::trunc, -100, 100, 0);
  check("round", [](vf v) { return vrint(v); }, std::nearbyint, -100, 100, 0);
  check_rows();
  constexpr uint64_t kExpected = 0xb5f1af0c730c7ab1u;
  if (slack == 0 && g_hash != kExpected) {
    std::printf("FAILED: bits differ from the other instruction sets: hash %llx\n",
                static_cast<unsigned long long>(g_hash));
    ++g_failures;
  }
  std::printf("%d-wide functions, reductions, softmax: %d failures\n", W, g_failures);
  return g_failures != 0;
}
