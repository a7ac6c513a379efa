// Elementary functions on native vectors: polynomials after range reduction, built from madd only, so AVX2, AVX-512 and NEON
// give the same bits. Stated errors are the largest seen against float64 over the whole range (tests/native/test_math.py).
// Where a lane needs what the polynomial cannot give (huge angles), that lane alone goes through the C library.
#pragma once
#include <cmath>

#include "simd.h"

namespace rv::RV_ISA {

RV_INLINE vf vnan() { return splat(__builtin_nanf("")); }
RV_INLINE vf vinf() { return splat(__builtin_inff()); }
RV_INLINE vf copy_sign(vf size, vf sign) {
  const vi top = splati(INT32_MIN);
  return as_float((as_int(size) & ~top) | (as_int(sign) & top));
}
RV_INLINE bool any_lane(vi mask) {
#if RV_WIDTH == 16
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif RV_WIDTH == 8
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#elif defined(__aarch64__)
  return vmaxvq_u32(vreinterpretq_u32_s32((int32x4_t)mask)) != 0;
#else
  return _mm_movemask_epi8((__m128i)(mask != 0)) != 0;
#endif
}
// NumPy's maximum and minimum: NaN in either operand is the result.
RV_INLINE vf vmax(vf a, vf b) {
  const vf m = a > b ? a : b;
  return select(a != a, a, m);
}
RV_INLINE vf vmin(vf a, vf b) {
  const vf m = a < b ? a : b;
  return select(a != a, a, m);
}
// 2^n for integers in [-126, 127].
RV_INLINE vf pow2(vi n) { return as_float((n + 127) << 23); }
// x * 2^n in two exact halves, so that results near the ends of the range come out right.
RV_INLINE vf scale(vf x, vi n) {
  const vi half = n >> 1;
  return x * pow2(half) * pow2(n - half);
}

// r = x - n ln2 with |r| <= ln2 / 2. The first product is exact (0.693359375 has nine bits), with or without FMA.
RV_INLINE vf reduce_ln2(vf x, vi& n) {
  const vf k = vrint(x * splat(1.44269504f));
  n = to_int(k);
  return madd(k, splat(2.12194440e-4f), madd(k, splat(-0.693359375f), x));
}
RV_INLINE vf exp_poly(vf r) {  // (e^r - 1 - r) / r^2
  vf p = splat(1.9875691500e-4f);
  p = madd(p, r, splat(1.3981999507e-3f));
  p = madd(p, r, splat(8.3334519073e-3f));
  p = madd(p, r, splat(4.1665795894e-2f));
  p = madd(p, r, splat(1.6666665459e-1f));
  return madd(p, r, splat(5.0000001201e-1f));
}

// e^x, 1 ulp. Denormal results are flushed with the CPU's mode.
RV_INLINE vf vexp(vf x) {
  const vf c = fast_min(fast_max(x, splat(-104.0f)), splat(89.0f));
  vi n;
  const vf r = reduce_ln2(c, n);
  vf p = exp_poly(r);
  p = madd(p, r * r, r) + splat(1.0f);
  return select(x != x, x, scale(p, n));
}

// e^x - 1 without cancellation, 2 ulp.
RV_INLINE vf vexpm1(vf x) {
  const vf c = fast_min(fast_max(x, splat(-20.0f)), splat(89.0f));
  vi n;
  const vf r = reduce_ln2(c, n);
  vf p = exp_poly(r);
  p = madd(p * r, r, r);  // e^r - 1
  const vi h = n >> 1;
  const vf s = pow2(n - h), t = pow2(h);
  vf y = madd(s, p, s - (splat(1.0f) / t)) * t;  // 2^n p + 2^n - 1; exact where n = 0
  y = select(as_int(x) == splati(INT32_MIN), x, y);
  return select(x != x, x, y);
}

// ln x, 1 ulp: x = 2^n m with m in [sqrt(1/2), sqrt(2)).
RV_INLINE vf log_core(vf x, vf& n) {
  const vu bits = reinterpret_cast<vu>(x);  // unsigned: what falls outside (x < 0) may wrap, it is replaced later
  const vi e = reinterpret_cast<vi>(bits - 0x3f3504f3u) >> 23;
  n = to_float(e);
  return as_float(reinterpret_cast<vi>(bits - (reinterpret_cast<vu>(e) << 23))) - splat(1.0f);
}
RV_INLINE vf log_poly(vf f, vf n) {
  const vf z = f * f;
  vf p = splat(7.0376836292e-2f);
  p = madd(p, f, splat(-1.1514610310e-1f));
  p = madd(p, f, splat(1.1676998740e-1f));
  p = madd(p, f, splat(-1.2420140846e-1f));
  p = madd(p, f, splat(1.4249322787e-1f));
  p = madd(p, f, splat(-1.6668057665e-1f));
  p = madd(p, f, splat(2.0000714765e-1f));
  p = madd(p, f, splat(-2.4999993993e-1f));
  p = madd(p, f, splat(3.3333331174e-1f));
  vf y = p * z * f;
  y = madd(n, splat(-2.12194440e-4f), y);
  y = madd(splat(-0.5f), z, y);
  return madd(n, splat(0.693359375f), f + y);
}
RV_INLINE vf vlog(vf x) {
  vf n;
  const vf f = log_core(x, n);
  vf y = log_poly(f, n);
  y = select(x == vinf(), x, y);
  // Zero and, as the mode is, denormals: minus infinity. Below zero: NaN.
  y = select(vabs(x) < splat(1.17549435e-38f), -vinf(), y);
  y = select(x < splat(-1.17549435e-38f), vnan(), y);
  return select(x != x, x, y);
}
// ln(1 + x), 2 ulp: the rounding error of 1 + x is put back.
RV_INLINE vf vlog1p(vf x) {
  const vf u = splat(1.0f) + x;
  const vf lost = x - (u - splat(1.0f));
  vf n;
  const vf f = log_core(u, n);
  vf y = log_poly(f, n) + select(u > splat(0.0f), lost / u, vf{});
  y = select(x == vinf(), x, y);
  y = select(u == vf{}, -vinf(), y);
  y = select(u < vf{}, vnan(), y);
  y = select(u == splat(1.0f), x, y);
  return select(x != x, x, y);
}

// 1 / (1 + e^-x), 3 ulp.
RV_INLINE vf vsigmoid(vf x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

// tanh x, 2 ulp.
RV_INLINE vf vtanh(vf x) {
  const vf a = vabs(x), z = x * x;
  vf p = splat(-5.70498872745e-3f);
  p = madd(p, z, splat(2.06390887954e-2f));
  p = madd(p, z, splat(-5.37397155531e-2f));
  p = madd(p, z, splat(1.33314422036e-1f));
  p = madd(p, z, splat(-3.33332819422e-1f));
  const vf near = madd(p * z, x, x);
  const vf far = splat(1.0f) - splat(2.0f) / (vexp(a + a) + splat(1.0f));
  return select(x != x, x, select(a < splat(0.625f), near, copy_sign(far, x)));
}

// erf x, 2 ulp: a polynomial near zero, 1 - e^q(|x|) farther out.
RV_INLINE vf verf(vf x) {
  const vf t = vabs(x), s = x * x;
  vf r = madd(splat(-1.72853470e-5f), t, splat(3.83197126e-4f));
  const vf u = madd(splat(-3.88396438e-3f), t, splat(2.42546219e-2f));
  r = madd(r, s, u);
  r = madd(r, t, splat(-1.06777877e-1f));
  r = madd(r, t, splat(-6.34846687e-1f));
  r = madd(r, t, splat(-1.28717512e-1f));
  r = madd(r, t, -t);
  const vf far = copy_sign(splat(1.0f) - vexp(r), x);
  vf q = splat(-5.96761703e-4f);
  q = madd(q, s, splat(4.99119423e-3f));
  q = madd(q, s, splat(-2.67681349e-2f));
  q = madd(q, s, splat(1.12819925e-1f));
  q = madd(q, s, splat(-3.76125336e-1f));
  q = madd(q, s, splat(1.28379166e-1f));
  const vf near = madd(q, x, x);
  // Beyond 4 the result is one to the last bit, and e^q would meet inf - inf.
  vf y = select(t > splat(0.927734375f), far, near);
  y = select(t > splat(4.0f), copy_sign(splat(1.0f), x), y);
  return select(x != x, x, y);
}

// x Phi(x) and g times its slope: the bits of the bodies of these composites (graph/composites.py).
RV_INLINE vf gelu_share(vf x) { return (verf(x * splat(0.70710678118654752f)) + splat(1.0f)) * splat(0.5f); }
RV_INLINE vf vgelu(vf x) { return x * gelu_share(x); }
RV_INLINE vf vgelu_grad(vf x, vf g) {
  const vf density = vexp(x * x * splat(-0.5f)) * splat(0.39894228040143268f);
  return g * (gelu_share(x) + x * density);
}

// x - k pi/2 with |result| <= pi/4, for |x| below kHugeAngle. Without FMA the parts of pi/2 are short, so that k times
// them is exact for a smaller range of k.
#if defined(__FMA__) || defined(__aarch64__)
constexpr float kHugeAngle = 3e4f, kHalfPi1 = 1.57079601287841797f, kHalfPi2 = 3.13916473e-7f,
                kHalfPi3 = 5.39030253e-15f;
#else
constexpr float kHugeAngle = 8e3f, kHalfPi1 = 1.5703125f, kHalfPi2 = 4.837512969970703125e-4f,
                kHalfPi3 = 7.54978995489188e-8f;
#endif
RV_INLINE vf reduce_pi2(vf x, vi& quadrant) {
  const vf k = vrint(x * splat(0.636619772f));
  quadrant = to_int(k);
  return madd(k, splat(-kHalfPi3), madd(k, splat(-kHalfPi2), madd(k, splat(-kHalfPi1), x)));
}
RV_INLINE vf sin_poly(vf r, vf z) {
  vf p = splat(2.86567956e-6f);
  p = madd(p, z, splat(-1.98559923e-4f));
  p = madd(p, z, splat(8.33338592e-3f));
  p = madd(p, z, splat(-1.66666672e-1f));
  return madd(p * z, r, r);
}
RV_INLINE vf cos_poly(vf z) {
  vf p = splat(2.44677067e-5f);
  p = madd(p, z, splat(-1.38877297e-3f));
  p = madd(p, z, splat(4.16666567e-2f));
  p = madd(p, z, splat(-0.5f));
  return madd(p, z, splat(1.0f));
}
static __attribute__((noinline)) vf sin_far(vf x, vf y) {
  for (int i = 0; i < W; ++i)
    if (!(std::fabs(x[i]) < kHugeAngle)) y[i] = std::sin(x[i]);
  return y;
}
static __attribute__((noinline)) vf cos_far(vf x, vf y) {
  for (int i = 0; i < W; ++i)
    if (!(std::fabs(x[i]) < kHugeAngle)) y[i] = std::cos(x[i]);
  return y;
}
// sin x and cos x, 2 ulp of the result's own size away from its zeros.
RV_INLINE vf vsin(vf x) {
  vi q;
  const vf r = reduce_pi2(x, q), z = r * r;
  vf y = select((q & 1) == 0, sin_poly(r, z), cos_poly(z));
  y = as_float(as_int(y) ^ ((q & 2) << 30));
  const vi far = ~(vabs(x) < splat(kHugeAngle));
  if (any_lane(far)) [[unlikely]]
    y = sin_far(x, y);
  return select(x == vf{}, x, y);
}
RV_INLINE vf vcos(vf x) {
  vi q;
  const vf r = reduce_pi2(x, q), z = r * r;
  vf y = select((q & 1) == 0, cos_poly(z), sin_poly(r, z));
  y = as_float(as_int(y) ^ (((q + 1) & 2) << 30));
  const vi far = ~(vabs(x) < splat(kHugeAngle));
  if (any_lane(far)) [[unlikely]]
    y = cos_far(x, y);
  return y;
}

// Rounding by way of the nearest integer; -0 and values beyond 2^23 keep themselves.
RV_INLINE vf vfloor(vf x) {
  const vf r = vrint(x);
  return copy_sign(r - select(r > x, splat(1.0f), vf{}), x);
}
RV_INLINE vf vceil(vf x) {
  const vf r = vrint(x);
  return copy_sign(r + select(r < x, splat(1.0f), vf{}), x);
}
RV_INLINE vf vtrunc(vf x) {
  const vf a = vabs(x), r = vrint(a);
  return copy_sign(r - select(r > a, splat(1.0f), vf{}), x);
}

}  // namespace rv::RV_ISA
