// The float32 instructions of elementwise programs: each runs over n elements of its registers.
//
// Multiplications and additions are never fused here: a program gives the same bits however it is cut.
//
// Superinstruction adam (registers in a row): a, a+1, a+2, a+3 = w, m, v, g; b .. b+3 = alpha, 1-beta1, 1-beta2, epsilon,
// of which element 0 is read; dst .. dst+2 = new w, m, v. Body: m += (g-m)*(1-b1); v += (g*g-v)*(1-b2); w -= m*alpha/(sqrt(v)+eps).
#pragma once
#include "../registry.h"
#include "../step.h"
#include "math.h"

namespace rv::RV_ISA {

template <class F>
struct Unary {
  static void run(const EwInstr& c, uint8_t* const* reg, int64_t n) {
    const float* a = reinterpret_cast<const float*>(reg[c.a]);
    float* d = reinterpret_cast<float*>(reg[c.dst]);
    if (n == 1) {  // a whole vector of it: masked moves would wait for the store of the instruction before
      *d = F::f(splat(*a))[0];
      return;
    }
    int64_t i = 0;
    for (; i + W <= n; i += W) store(d + i, F::f(load(a + i)));
    if (i < n) store_part(d + i, F::f(load_part(a + i, n - i)), n - i);
  }
};

template <class F>
struct Binary {
  static void run(const EwInstr& c, uint8_t* const* reg, int64_t n) {
    const float* a = reinterpret_cast<const float*>(reg[c.a]);
    const float* b = reinterpret_cast<const float*>(reg[c.b]);
    float* d = reinterpret_cast<float*>(reg[c.dst]);
    if (n == 1) {
      *d = F::f(splat(*a), splat(*b))[0];
      return;
    }
    int64_t i = 0;
    for (; i + W <= n; i += W) store(d + i, F::f(load(a + i), load(b + i)));
    if (i < n) store_part(d + i, F::f(load_part(a + i, n - i), load_part(b + i, n - i)), n - i);
  }
};

template <class F>
struct Ternary {
  static void run(const EwInstr& c, uint8_t* const* reg, int64_t n) {
    const float* a = reinterpret_cast<const float*>(reg[c.a]);
    const float* b = reinterpret_cast<const float*>(reg[c.b]);
    const float* x = reinterpret_cast<const float*>(reg[c.c]);
    float* d = reinterpret_cast<float*>(reg[c.dst]);
    int64_t i = 0;
    for (; i + W <= n; i += W) store(d + i, F::f(load(a + i), load(b + i), load(x + i)));
    if (i < n)
      store_part(d + i, F::f(load_part(a + i, n - i), load_part(b + i, n - i), load_part(x + i, n - i)), n - i);
  }
};

typedef int8_t vb __attribute__((vector_size(RV_WIDTH)));
typedef int8_t vb_any __attribute__((vector_size(RV_WIDTH), aligned(1), may_alias));

// Masks to bytes 0 and 1, and back. The compiler takes such narrowing apart lane by lane, so it is said in instructions.
RV_INLINE void store_mask(uint8_t* to, vi mask) {
#if RV_WIDTH == 16
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_maskz_set1_epi8(_mm512_movepi32_mask((__m512i)mask), 1));
#elif RV_WIDTH == 8
  const __m256i m = (__m256i)mask;
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1)));
#else
  *reinterpret_cast<vb_any*>(to) = __builtin_convertvector(mask & 1, vb);
#endif
}
RV_INLINE vi load_mask(const uint8_t* from) {
#if RV_WIDTH == 16
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return (vi)_mm512_movm_epi32(_mm_test_epi8_mask(b, b));
#elif RV_WIDTH == 8
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return (vi)_mm256_cvtepi8_epi32(b) != 0;
#else
  return __builtin_convertvector(*reinterpret_cast<const vb_any*>(from), vi) != 0;
#endif
}

template <class F>
struct Compare {
  static void run(const EwInstr& c, uint8_t* const* reg, int64_t n) {
    const float* a = reinterpret_cast<const float*>(reg[c.a]);
    const float* b = reinterpret_cast<const float*>(reg[c.b]);
    uint8_t* d = reg[c.dst];
    int64_t i = 0;
    for (; i + W <= n; i += W) store_mask(d + i, F::f(load(a + i), load(b + i)));
    if (i < n) {
      const vi m = F::f(load_part(a + i, n - i), load_part(b + i, n - i)) & 1;
      alignas(64) int32_t t[W];
      *reinterpret_cast<vi_any*>(t) = m;
      for (int64_t k = 0; i + k < n; ++k) d[i + k] = static_cast<uint8_t>(t[k]);
    }
  }
};

#define RV_UNARY(name, expr)              \
  struct F_##name {                       \
    RV_INLINE vf f(vf x) { return expr; } \
  };
#define RV_BINARY(name, expr)                   \
  struct F_##name {                             \
    RV_INLINE vf f(vf x, vf y) { return expr; } \
  };
#define RV_COMPARE(name, expr)                  \
  struct F_##name {                             \
    RV_INLINE vi f(vf x, vf y) { return expr; } \
  };

RV_UNARY(copy, x)
RV_UNARY(neg, -x)
RV_UNARY(abs, vabs(x))
RV_UNARY(sign, select(x != x, x, select(x > vf{}, splat(1.0f), select(x < vf{}, splat(-1.0f), x))))
RV_UNARY(square, x* x)
RV_UNARY(reciprocal, splat(1.0f) / x)
RV_UNARY(sqrt, vsqrt(x))
RV_UNARY(rsqrt, splat(1.0f) / vsqrt(x))
RV_UNARY(exp, vexp(x))
RV_UNARY(expm1, vexpm1(x))
RV_UNARY(log, vlog(x))
RV_UNARY(log1p, vlog1p(x))
RV_UNARY(sin, vsin(x))
RV_UNARY(cos, vcos(x))
RV_UNARY(tanh, vtanh(x))
RV_UNARY(sigmoid, vsigmoid(x))
RV_UNARY(erf, verf(x))
RV_UNARY(gelu, vgelu(x))
RV_UNARY(floor, vfloor(x))
RV_UNARY(ceil, vceil(x))
RV_UNARY(round, vrint(x))
RV_UNARY(trunc, vtrunc(x))
RV_UNARY(relu, select(x != x, x, fast_max(x, vf{})))
RV_BINARY(add, x + y)
RV_BINARY(sub, x - y)
RV_BINARY(mul, x* y)
RV_BINARY(div, x / y)
RV_BINARY(gelu_grad, vgelu_grad(x, y))
RV_BINARY(max, vmax(x, y))
RV_BINARY(min, vmin(x, y))
RV_COMPARE(eq, x == y)
RV_COMPARE(ne, x != y)
RV_COMPARE(lt, x < y)
RV_COMPARE(le, x <= y)
RV_COMPARE(gt, x > y)
RV_COMPARE(ge, x >= y)
struct F_clip {
  RV_INLINE vf f(vf x, vf lo, vf hi) { return select(x != x, x, fast_min(fast_max(x, lo), hi)); }
};
#undef RV_UNARY
#undef RV_BINARY
#undef RV_COMPARE

static void where_f32(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const uint8_t* m = reg[c.a];
  const float* a = reinterpret_cast<const float*>(reg[c.b]);
  const float* b = reinterpret_cast<const float*>(reg[c.c]);
  float* d = reinterpret_cast<float*>(reg[c.dst]);
  int64_t i = 0;
  for (; i + W <= n; i += W) { store(d + i, select(load_mask(m + i), load(a + i), load(b + i))); }
  for (; i < n; ++i) d[i] = m[i] ? a[i] : b[i];
}

template <class From>
static void to_f32(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const From* a = reinterpret_cast<const From*>(reg[c.a]);
  float* d = reinterpret_cast<float*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) d[i] = static_cast<float>(a[i]);
}

RV_INLINE void adam_lanes(vf& w, vf& m, vf& v, vf g, vf alpha, vf c1, vf c2, vf eps) {
  m = m + (g - m) * c1;
  v = v + (g * g - v) * c2;
  w = w - (m * alpha) / (vsqrt(v) + eps);
}
struct AdamRates {
  vf alpha, c1, c2, eps;
  bool calm;  // adam_group's short cut gives the same bits
};
RV_INLINE AdamRates adam_rates(float alpha, float c1, float c2, float eps) {
#if RV_WIDTH == 16
  const bool calm = kSoftRoot && eps >= 0x1p-25f && c2 >= 0.0f && c2 <= 1.0f;
#else
  const bool calm = false;
#endif
  return {splat(alpha), splat(c1), splat(c2), splat(eps), calm};
}
// Four vectors in place. Where sqrt is found beside the divider (soft_root), its range is not tested vector by vector:
// below 2^-100 a root cannot be seen next to eps, so any root as small will do, and what else is out of range (infinity,
// a negative) comes out as NaN and is done again. So units that are dead, whose v fades to zero, cost no more than others.
// One root of four goes through the divider, which otherwise idles while the multipliers are the limit.
template <class Gradient>
RV_INLINE void adam_group(float* w, float* m, float* v, const AdamRates& u, Gradient&& g) {
#if RV_WIDTH == 16
  if (u.calm) {
    vf a[4], b[4], d[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const vf x = g(k), old_m = load(m + k * W), old_v = load(v + k * W);
      b[k] = old_m + (x - old_m) * u.c1;
      d[k] = old_v + (x * x - old_v) * u.c2;
      vf root;
      if (k == 0) root = (vf)_mm512_maskz_sqrt_ps(0xffff, (__m512)d[k]);
      else root = soft_root((vf)_mm512_maskz_max_epu32(0xffff, (__m512i)d[k], _mm512_set1_epi32(0x0d800000)));
      a[k] = load(w + k * W) - (b[k] * u.alpha) / (root + u.eps);
    }
    const __mmask16 nan = _mm512_cmp_ps_mask((__m512)a[1], (__m512)a[2], _CMP_UNORD_Q) |
                          _mm512_cmp_ps_mask((__m512)a[3], (__m512)a[3], _CMP_UNORD_Q);
    if (!nan) [[likely]] {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        store(w + k * W, a[k]);
        store(m + k * W, b[k]);
        store(v + k * W, d[k]);
      }
      return;
    }
  }
#endif
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    vf a = load(w + k * W), b = load(m + k * W), d = load(v + k * W);
    adam_lanes(a, b, d, g(k), u.alpha, u.c1, u.c2, u.eps);
    store(w + k * W, a);
    store(m + k * W, b);
    store(v + k * W, d);
  }
}
static void adam_f32(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const float* w = reinterpret_cast<const float*>(reg[c.a]);
  const float* m = reinterpret_cast<const float*>(reg[c.a + 1]);
  const float* v = reinterpret_cast<const float*>(reg[c.a + 2]);
  const float* g = reinterpret_cast<const float*>(reg[c.a + 3]);
  const auto rate = [&](int i) { return *reinterpret_cast<const float*>(reg[c.b + i]); };
  const AdamRates u = adam_rates(rate(0), rate(1), rate(2), rate(3));
  float* w2 = reinterpret_cast<float*>(reg[c.dst]);
  float* m2 = reinterpret_cast<float*>(reg[c.dst + 1]);
  float* v2 = reinterpret_cast<float*>(reg[c.dst + 2]);
  int64_t i = 0;
  if (w2 == w && m2 == m && v2 == v)
    for (; i + 4 * W <= n; i += 4 * W)
      adam_group(w2 + i, m2 + i, v2 + i, u, [&](int k) { return load(g + i + k * W); });
  for (; i + W <= n; i += W) {
    vf a = load(w + i), b = load(m + i), d = load(v + i);
    adam_lanes(a, b, d, load(g + i), u.alpha, u.c1, u.c2, u.eps);
    store(w2 + i, a);
    store(m2 + i, b);
    store(v2 + i, d);
  }
  if (i < n) {
    const int64_t k = n - i;
    vf a = load_part(w + i, k), b = load_part(m + i, k), d = load_part(v + i, k);
    adam_lanes(a, b, d, load_part(g + i, k), u.alpha, u.c1, u.c2, u.eps);
    store_part(w2 + i, a, k);
    store_part(m2 + i, b, k);
    store_part(v2 + i, d, k);
  }
}

// clang-format off
static EwFn elementwise_fn(int op, Dtype in, Dtype out) {
  if (op == ew_adam) return in == Dtype::f32 && out == Dtype::f32 ? adam_f32 : nullptr;
  if (op == ew_cast && out == Dtype::f32) {
    switch (in) {
      case Dtype::i32: return to_f32<int32_t>;
      case Dtype::u8: return to_f32<uint8_t>;
      case Dtype::b8: return to_f32<uint8_t>;
      default: return elementwise_plain(op, in, out);
    }
  }
  if (in == Dtype::f32 && out == Dtype::f32) {
    switch (op) {
#define U(name) case ew_##name: return Unary<F_##name>::run;
      U(copy) U(neg) U(abs) U(sign) U(square) U(reciprocal) U(sqrt) U(rsqrt) U(exp) U(expm1) U(log) U(log1p) U(sin) U(cos)
      U(tanh) U(sigmoid) U(erf) U(gelu) U(floor) U(ceil) U(round) U(trunc) U(relu)
#undef U
#define B(name) case ew_##name: return Binary<F_##name>::run;
      B(add) B(sub) B(mul) B(div) B(gelu_grad) B(max) B(min)
#undef B
      case ew_clip: return Ternary<F_clip>::run;
      case ew_where: return where_f32;
      default: break;
    }
  }
  if (in == Dtype::f32 && out == Dtype::b8) {
    switch (op) {
#define C(name) case ew_##name: return Compare<F_##name>::run;
      C(eq) C(ne) C(lt) C(le) C(gt) C(ge)
#undef C
      default: break;
    }
  }
  return elementwise_plain(op, in, out);
}
// clang-format on

}  // namespace rv::RV_ISA
