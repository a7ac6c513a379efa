// Native vectors for one instruction set. Included once per ISA unit, which defines
//   RV_ISA    the namespace of the unit (base, avx2, avx512, neon): nothing here may be shared between units, or the
//             linker could keep the AVX-512 copy of a function for a machine without it;
//   RV_WIDTH  floats per native vector (4, 8, 16, 4).
// A vector wider than the ISA's own makes GCC spill, so everything is written on the native width; where a result must
// not depend on the width (sums over a contiguous axis) sixteen *virtual* lanes are used: v16.
// Arithmetic intrinsics appear only in this file: fused multiply-add, square root, rounding and masked moves.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define RV_INLINE static inline __attribute__((always_inline))
#define RV_NOINLINE static __attribute__((noinline))
#define RV_RESTRICT __restrict__

namespace rv::RV_ISA {

constexpr int W = RV_WIDTH;
constexpr int kLanes = 16;          // virtual lanes of a sum
constexpr int kParts = kLanes / W;  // native vectors in sixteen lanes

typedef float vf __attribute__((vector_size(4 * RV_WIDTH)));
typedef int32_t vi __attribute__((vector_size(4 * RV_WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * RV_WIDTH)));
typedef uint64_t vq __attribute__((vector_size(4 * RV_WIDTH)));
// The same at any float address.
typedef float vf_any __attribute__((vector_size(4 * RV_WIDTH), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(4 * RV_WIDTH), aligned(4), may_alias));
typedef float vf_al __attribute__((vector_size(4 * RV_WIDTH), may_alias));

// ---- moves
RV_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_any*>(p); }
RV_INLINE vf load_aligned(const float* p) { return *reinterpret_cast<const vf_al*>(p); }
RV_INLINE void store(float* p, vf v) { *reinterpret_cast<vf_any*>(p) = v; }
RV_INLINE void store_aligned(float* p, vf v) { *reinterpret_cast<vf_al*>(p) = v; }
RV_INLINE vi loadi(const int32_t* p) { return *reinterpret_cast<const vi_any*>(p); }
RV_INLINE void storei(int32_t* p, vi v) { *reinterpret_cast<vi_any*>(p) = v; }
// A byte for each lane, and back (0..255). GCC 12 takes a general conversion apart byte by byte.
RV_INLINE vi load_bytes(const uint8_t* p) {
#if RV_WIDTH == 16
  return (vi)_mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif RV_WIDTH == 8
  return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#else
  return vi{p[0], p[1], p[2], p[3]};
#endif
}
RV_INLINE void store_bytes(uint8_t* p, vi v) {
#if RV_WIDTH == 16
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v));
#else
  for (int i = 0; i < W; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}
RV_INLINE vf splat(float x) { return x - vf{}; }  // minus keeps -0.0f, so this is one broadcast
RV_INLINE vi splati(int32_t x) { return vi{} + x; }
RV_INLINE vf as_float(vi v) { return reinterpret_cast<vf>(v); }
RV_INLINE vi as_int(vf v) { return reinterpret_cast<vi>(v); }
RV_INLINE vi lane_index() {
  vi v;
  for (int i = 0; i < W; ++i) v[i] = i;
  return v;
}

// The first n (0..W) lanes; the others read as zero, are not written, and their addresses are not touched.
RV_INLINE vf load_part(const float* p, int64_t n) {
#if RV_WIDTH == 16
  return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
#elif RV_WIDTH == 8
  return (vf)_mm256_maskload_ps(p, (__m256i)(splati((int32_t)n) > lane_index()));
#else
  vf v{};
  if (n > 0) v[0] = p[0];
  if (n > 1) v[1] = p[1];
  if (n > 2) v[2] = p[2];
  if (n > 3) v[3] = p[3];
  return v;
#endif
}
RV_INLINE void store_part(float* p, vf v, int64_t n) {
#if RV_WIDTH == 16
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#elif RV_WIDTH == 8
  _mm256_maskstore_ps(p, (__m256i)(splati((int32_t)n) > lane_index()), (__m256)v);
#else
  if (n > 0) p[0] = v[0];
  if (n > 1) p[1] = v[1];
  if (n > 2) p[2] = v[2];
  if (n > 3) p[3] = v[3];
#endif
}

// store_part as plain stores of 8, 4, 2 and 1: what is read back at once, number by number, comes straight from the store
// buffer. A masked store does not forward: its readers wait for the cache, 13 cycles more.
RV_INLINE void store_pieces(float* p, vf v, int64_t n) {
#if RV_WIDTH >= 8
#if RV_WIDTH == 16
  if (n == W) return store(p, v);
  __m256 y = __builtin_shufflevector((__m512)v, (__m512)v, 0, 1, 2, 3, 4, 5, 6, 7);
  if (n & 8) {
    _mm256_storeu_ps(p, y);
    y = __builtin_shufflevector((__m512)v, (__m512)v, 8, 9, 10, 11, 12, 13, 14, 15);
    p += 8;
  }
#else
  if (n == W) return store(p, v);
  const __m256 y = (__m256)v;
#endif
  __m128 x = _mm256_castps256_ps128(y);
  if (n & 4) {
    _mm_storeu_ps(p, x);
    x = _mm256_extractf128_ps(y, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), x);
    x = _mm_movehl_ps(x, x);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, x);
#else
  store_part(p, v, n);
#endif
}

// The lanes of the mask, moved up to each other, from `at` on; room for a whole vector. Returns how many.
RV_INLINE int64_t keep_lanes(vi mask, vi index, vf value, int32_t* at, float* values) {
#if RV_WIDTH == 16
  const __mmask16 m = _mm512_movepi32_mask((__m512i)mask);
  _mm512_storeu_si512(at, _mm512_maskz_compress_epi32(m, (__m512i)index));
  _mm512_storeu_ps(values, _mm512_maskz_compress_ps(m, (__m512)value));
  return __builtin_popcount(m);
#else
  int64_t n = 0;
  for (int l = 0; l < W; ++l) {
    at[n] = index[l];
    values[n] = value[l];
    n -= mask[l];
  }
  return n;
#endif
}

// ---- arithmetic
// The one fused multiply-add of the tree: a * b + c rounded once (twice on the baseline, which has no FMA).
RV_INLINE vf madd(vf a, vf b, vf c) {
#if RV_WIDTH == 16
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif RV_WIDTH == 8
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
// The same for one number; equal bits to any lane of the vector form.
RV_INLINE float madd1(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
#if RV_WIDTH == 16
// Intel's divider takes 10 cycles for sixteen quotients and 12 for sixteen roots, one after the other, and an optimizer
// needs both. There the root is found by two Newton steps and a residual instead, next to the divider: the same bits
// (checked for every float of two neighbouring binades, which by scaling are all), 1.3 times faster in Adam.
static const bool kSoftRoot = (__builtin_cpu_init(), __builtin_cpu_is("intel"));
RV_INLINE vf soft_root(vf v) {
  const vf y = (vf)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)v), half = splat(0.5f);
  const vf s = v * y, h = half * y;
  const vf r = madd(-h, s, half);
  const vf s1 = madd(s, r, s), h1 = madd(h, r, h);
  return madd(madd(-s1, s1, v), h1, s1);
}
#endif
RV_INLINE vf vsqrt(vf v) {
#if RV_WIDTH == 16
  if (kSoftRoot) {  // 2^-100 <= v < 2^100 in all lanes: no zero, infinity, NaN, and no residual that underflows
    const __m512i above = _mm512_sub_epi32((__m512i)v, _mm512_set1_epi32(0x0d800000));
    if (!_mm512_cmpge_epu32_mask(above, _mm512_set1_epi32(0x64000000))) [[likely]]
      return soft_root(v);
  }
  return (vf)_mm512_maskz_sqrt_ps(0xffff, (__m512)v);
#elif RV_WIDTH == 8
  return (vf)_mm256_sqrt_ps((__m256)v);
#elif defined(__aarch64__)
  return (vf)vsqrtq_f32((float32x4_t)v);
#else
  return (vf)_mm_sqrt_ps((__m128)v);
#endif
}
// Whole products of the lower halves of each 64 bits; what the upper ones hold makes no difference.
RV_INLINE vq multiply_low(vq a, uint32_t b) {
  const vq m = vq{} + b;
#if RV_WIDTH == 16
  return (vq)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)m);
#elif RV_WIDTH == 8
  return (vq)_mm256_mul_epu32((__m256i)a, (__m256i)m);
#elif defined(__aarch64__)
  return (vq)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)m));
#else
  return (vq)_mm_mul_epu32((__m128i)a, (__m128i)m);
#endif
}
// Nearest integer, ties to even.
RV_INLINE vf vrint(vf v) {
#if RV_WIDTH == 16
  return (vf)_mm512_maskz_roundscale_ps(0xffff, (__m512)v, 8);
#elif RV_WIDTH == 8
  return (vf)_mm256_round_ps((__m256)v, 8);
#elif defined(__aarch64__)
  return (vf)vrndnq_f32((float32x4_t)v);
#else
  vi sign = as_int(v) & splati(INT32_MIN);
  vf big = as_float(as_int(splat(8388608.0f)) | sign);
  vf rounded = as_float((as_int((v + big) - big) & splati(INT32_MAX)) | sign);
  vf size = as_float(as_int(v) & splati(INT32_MAX));
  return size < splat(8388608.0f) ? rounded : v;
#endif
}
// Lanes of the mask (all bits set or none) choose a, else b.
RV_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
RV_INLINE vi selecti(vi mask, vi a, vi b) { return mask ? a : b; }
// One instruction each; where an operand is NaN the result is b (math.h has the NaN-propagating forms).
RV_INLINE vf fast_max(vf a, vf b) { return a > b ? a : b; }
RV_INLINE vf fast_min(vf a, vf b) { return a < b ? a : b; }
RV_INLINE vf vabs(vf v) { return as_float(as_int(v) & splati(INT32_MAX)); }
RV_INLINE vf to_float(vi v) { return __builtin_convertvector(v, vf); }
RV_INLINE vi to_int(vf v) { return __builtin_convertvector(v, vi); }  // towards zero

// ---- sixteen virtual lanes, whatever the width
struct v16 {
  vf part[kParts];
};
RV_INLINE v16 zero16() {
  v16 r;
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) r.part[i] = vf{};
  return r;
}
RV_INLINE v16 load16(const float* p) {
  v16 r;
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) r.part[i] = load(p + i * W);
  return r;
}
RV_INLINE v16 load16_part(const float* p, int64_t n) {
  v16 r;
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) {
    int64_t left = n - i * W;
    r.part[i] = left >= W ? load(p + i * W) : left > 0 ? load_part(p + i * W, left) : vf{};
  }
  return r;
}
RV_INLINE v16 add16(v16 a, v16 b) {
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) a.part[i] += b.part[i];
  return a;
}
// The lanes' sum by one fixed tree: i + (i+8), then + 4, + 2, + 1. The same bits for every width.
RV_INLINE float sum16(v16 a) {
  typedef float v4 __attribute__((vector_size(16), may_alias));
  alignas(64) float t[kLanes];
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) store_aligned(t + i * W, a.part[i]);
  const v4* q = reinterpret_cast<const v4*>(t);
  v4 s = (q[0] + q[2]) + (q[1] + q[3]);
  return (s[0] + s[2]) + (s[1] + s[3]);
}

}  // namespace rv::RV_ISA
