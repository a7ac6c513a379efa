// The tile interpreter of elementwise programs, and its float32 instructions. A program runs as a step of its own (ew_run),
// on the tile a matrix product has just finished, or before a reduction (ew_run_tile).
//
// Registers are tiles of up to kTile elements. A dense operand is not copied: its register *is* the memory. Splats are
// filled once per run. Multiplications and additions are never fused here: a program gives the same bits however it is cut.
//
// Superinstruction adam (registers in a row): a, a+1, a+2, a+3 = w, m, v, g; b .. b+3 = alpha, 1-beta1, 1-beta2, epsilon,
// of which element 0 is read; dst .. dst+2 = new w, m, v. Body: m += (g-m)*(1-b1); v += (g*g-v)*(1-b2); w -= m*alpha/(sqrt(v)+eps).
#pragma once
#include "../registry.h"
#include "../step.h"
#include "ew_one.h"
#include "math.h"

namespace rv::RV_ISA {

// ---- float32 instructions

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
RV_UNARY(floor, vfloor(x))
RV_UNARY(ceil, vceil(x))
RV_UNARY(round, vrint(x))
RV_UNARY(trunc, vtrunc(x))
RV_UNARY(relu, select(x != x, x, fast_max(x, vf{})))
RV_BINARY(add, x + y)
RV_BINARY(sub, x - y)
RV_BINARY(mul, x* y)
RV_BINARY(div, x / y)
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
      U(tanh) U(sigmoid) U(erf) U(floor) U(ceil) U(round) U(trunc) U(relu)
#undef U
#define B(name) case ew_##name: return Binary<F_##name>::run;
      B(add) B(sub) B(mul) B(div) B(max) B(min)
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

// ---- blocks

template <class T>
RV_INLINE void fill_value(void* to, const void* from, int64_t n) {
  T v;
  std::memcpy(&v, from, sizeof v);
  T* d = static_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) d[i] = v;
}
RV_INLINE void fill_elements(uint8_t* to, const uint8_t* from, int64_t n, int size) {
  switch (size) {
    case 4: fill_value<uint32_t>(to, from, n); break;
    case 8: fill_value<uint64_t>(to, from, n); break;
    case 1: std::memset(to, *from, static_cast<size_t>(n)); break;
    default: fill_value<uint16_t>(to, from, n);
  }
}
template <class T>
RV_INLINE void move_strided(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t n) {
  T* d = static_cast<T*>(to);
  const T* s = static_cast<const T*>(from);
  for (int64_t i = 0; i < n; ++i) d[i * to_step] = s[i * from_step];
}
RV_INLINE void copy_elements(uint8_t* to, int64_t to_step, const uint8_t* from, int64_t from_step, int64_t n,
                             int size) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<size_t>(n * size));
    return;
  }
  switch (size) {
    case 4: move_strided<uint32_t>(to, to_step, from, from_step, n); break;
    case 8: move_strided<uint64_t>(to, to_step, from, from_step, n); break;
    case 1: move_strided<uint8_t>(to, to_step, from, from_step, n); break;
    default: move_strided<uint16_t>(to, to_step, from, from_step, n);
  }
}

// State of one run of a program on one worker.
struct EwRun {
  EwRun(const EwProgram& program, uint8_t* memory) : p(program), scratch(memory) {}  // the arrays stay unset: speed

  const EwProgram& p;
  uint8_t* scratch;
  uint8_t* reg[kMaxRegs];
  const uint8_t* in[kMaxOperands];  // address of element (0, 0) of the block, per input
  uint8_t* out[kMaxOperands];
  int64_t in_row[kMaxOperands], in_col[kMaxOperands], out_row[kMaxOperands], out_col[kMaxOperands];

  inline uint8_t* own(int r) { return scratch + (p.slot ? p.slot[r] : r) * p.reg_bytes; }
};

// Everything that holds for the whole run: where immediates lie, splats filled for blocks of up to `most` elements.
RV_INLINE void ew_begin(EwRun& e, const Step& s, int64_t most) {
  for (int i = 0; i < e.p.n_in; ++i) {
    const EwOperand& o = e.p.in[i];
    if (o.mode == EwMode::memory) continue;
    if (o.mode == EwMode::immediate) {
      e.reg[o.reg] = const_cast<uint8_t*>(o.tile);
      continue;
    }
    uint8_t* from = static_cast<uint8_t*>(s.buf[o.buffer]);
    if (o.mode == EwMode::pointer) {
      e.reg[o.reg] = from;
    } else {
      e.reg[o.reg] = e.own(o.reg);
      fill_elements(e.reg[o.reg], from, most, size_of(o.dtype));
    }
  }
  // Registers that no operand places are temporaries.
  for (int i = 0; i < e.p.n_code; ++i) {
    const EwInstr& c = e.p.code[i];
    const int writes = c.op == ew_adam ? 3 : 1;
    for (int k = 0; k < writes; ++k) e.reg[c.dst + k] = e.own(c.dst + k);
  }
}

RV_INLINE void ew_code(const EwRun& e, int64_t n) {
  const EwInstr* c = e.p.code;
  for (const EwInstr* end = c + e.p.n_code; c != end; ++c) c->fn(*c, e.reg, n);
}

// One block of R rows and C columns, R * C <= kTile unless the program is unlimited and every operand dense.
RV_INLINE void ew_block(EwRun& e, int64_t R, int64_t C) {
  const EwProgram& p = e.p;
  for (int i = 0; i < p.n_in; ++i) {
    const EwOperand& o = p.in[i];
    if (o.mode != EwMode::memory) continue;
    const int64_t rs = e.in_row[i], cs = e.in_col[i];
    const uint8_t* from = e.in[i];
    if (cs == 1 && (R == 1 || rs == C)) {
      e.reg[o.reg] = const_cast<uint8_t*>(from);
      continue;
    }
    const int size = size_of(o.dtype);
    uint8_t* to = e.own(o.reg);
    e.reg[o.reg] = to;
    for (int64_t r = 0; r < R; ++r) {
      if (cs == 0) fill_elements(to + r * C * size, from + r * rs * size, C, size);
      else copy_elements(to + r * C * size, 1, from + r * rs * size, cs, C, size);
    }
  }
  uint64_t late = 0;  // outputs that wait in a register
  for (int i = 0; i < p.n_out; ++i) {
    const EwOperand& o = p.out[i];
    if (o.direct && e.out_col[i] == 1 && (R == 1 || e.out_row[i] == C)) e.reg[o.reg] = e.out[i];
    else {
      if (o.direct) e.reg[o.reg] = e.own(o.reg);
      late |= uint64_t{1} << i;
    }
  }
  ew_code(e, R * C);
  if (!late) return;
  for (int i = 0; i < p.n_out; ++i) {
    if (!(late >> i & 1)) continue;
    const EwOperand& o = p.out[i];
    const int size = size_of(o.dtype);
    for (int64_t r = 0; r < R; ++r)
      copy_elements(e.out[i] + r * e.out_row[i] * size, e.out_col[i], e.reg[o.reg] + r * C * size, 1, C, size);
  }
}

// Rows r0 .. r0+R and columns c0 .. c0+C of a rank-2 program. Operand buffer -2 is the tile at acc. A panel operand must not
// cross a panel: c0 / 64 == (c0 + C - 1) / 64.
static __attribute__((unused)) void ew_run_tile(const EwProgram& p, const Step& s, int64_t r0, int64_t R, int64_t c0,
                                                int64_t C, float* acc, int64_t acc_ld, uint8_t* scratch) {
  EwRun e(p, scratch);
  auto place = [&](const EwOperand& o, int64_t& rs, int64_t& cs) -> uint8_t* {
    if (o.buffer == -2) {
      rs = acc_ld;
      cs = 1;
      return reinterpret_cast<uint8_t*>(acc);
    }
    uint8_t* base = static_cast<uint8_t*>(s.buf[o.buffer]);
    if (o.panel) {
      const int64_t first = c0 / kPanel * kPanel, left = (p.dim[1] - first + 15) / 16 * 16;
      rs = left < kPanel ? left : kPanel;
      cs = 1;
      return base + (first * p.dim[0] + r0 * rs + (c0 - first)) * size_of(o.dtype);
    }
    rs = o.stride[0];
    cs = o.stride[1];
    return base + (r0 * rs + c0 * cs) * size_of(o.dtype);
  };
  for (int i = 0; i < p.n_in; ++i)
    if (p.in[i].mode == EwMode::memory) e.in[i] = place(p.in[i], e.in_row[i], e.in_col[i]);
  bool dense = p.unlimited;
  for (int i = 0; i < p.n_in; ++i)
    dense = dense && (p.in[i].mode != EwMode::memory || (e.in_col[i] == 1 && (R == 1 || e.in_row[i] == C)));
  for (int i = 0; i < p.n_out; ++i) {
    e.out[i] = place(p.out[i], e.out_row[i], e.out_col[i]);
    dense = dense && e.out_col[i] == 1 && (R == 1 || e.out_row[i] == C);
  }
  const int64_t step = dense ? R : C >= kTile ? 1 : kTile / C < R ? kTile / C : R;
  ew_begin(e, s, dense ? 1 : step * C < kTile ? step * C : kTile);
  for (int64_t r = 0; r < R; r += step) {
    const int64_t rows = R - r < step ? R - r : step;
    if (dense || rows * C <= kTile) {
      ew_block(e, rows, C);
    } else {
      // One row wider than a tile.
      const uint8_t* in[kMaxOperands];
      uint8_t* out[kMaxOperands];
      for (int i = 0; i < p.n_in; ++i) in[i] = e.in[i];
      for (int i = 0; i < p.n_out; ++i) out[i] = e.out[i];
      for (int64_t c = 0; c < C; c += kTile) {
        for (int i = 0; i < p.n_in; ++i) e.in[i] = in[i] + c * e.in_col[i] * size_of(p.in[i].dtype);
        for (int i = 0; i < p.n_out; ++i) e.out[i] = out[i] + c * e.out_col[i] * size_of(p.out[i].dtype);
        ew_block(e, 1, C - c < kTile ? C - c : kTile);
      }
      for (int i = 0; i < p.n_in; ++i) e.in[i] = in[i];
      for (int i = 0; i < p.n_out; ++i) e.out[i] = out[i];
    }
    for (int i = 0; i < p.n_in; ++i)
      if (p.in[i].mode == EwMode::memory) e.in[i] += rows * e.in_row[i] * size_of(p.in[i].dtype);
    for (int i = 0; i < p.n_out; ++i) e.out[i] += rows * e.out_row[i] * size_of(p.out[i].dtype);
  }
}

// Elements [first, last) of a flat program.
static void ew_flat(const EwProgram& p, const Step& s, int64_t first, int64_t last, uint8_t* scratch) {
  EwRun e(p, scratch);
  const int64_t most = p.unlimited ? last - first : last - first < kTile ? last - first : kTile;
  ew_begin(e, s, most < kTile ? most : kTile);
  const int n_in = p.n_in, n_out = p.n_out;
  for (int64_t at = first; at < last; at += most) {
    const int64_t n = last - at < most ? last - at : most;
    for (int i = 0; i < n_in; ++i) {
      const EwOperand& o = p.in[i];
      if (o.mode == EwMode::memory) e.reg[o.reg] = static_cast<uint8_t*>(s.buf[o.buffer]) + at * size_of(o.dtype);
    }
    uint64_t late = 0;
    for (int i = 0; i < n_out; ++i) {
      const EwOperand& o = p.out[i];
      if (o.direct) e.reg[o.reg] = static_cast<uint8_t*>(s.buf[o.buffer]) + at * size_of(o.dtype);
      else late |= uint64_t{1} << i;
    }
    ew_code(e, n);
    if (late) [[unlikely]]
      for (int i = 0; i < n_out; ++i)
        if (late >> i & 1) {
          const EwOperand& o = p.out[i];
          std::memcpy(static_cast<uint8_t*>(s.buf[o.buffer]) + at * size_of(o.dtype), e.reg[o.reg],
                      static_cast<size_t>(n * size_of(o.dtype)));
        }
  }
}

// Rows [first, last) of a program of rank >= 2, where the row number counts through all dims but the innermost.
static void ew_rows(const EwProgram& p, const Step& s, int64_t first, int64_t last, uint8_t* scratch) {
  EwRun e(p, scratch);
  const int inner = p.rank - 1, next = p.rank - 2;
  const int64_t C = p.dim[inner], per = p.dim[next];
  const int64_t at_once = C >= kTile ? 1 : kTile / C;
  ew_begin(e, s, C >= kTile ? kTile : at_once * C);
  for (int64_t row = first; row < last;) {
    // Row number to indices; blocks do not run over the end of the next-to-innermost dim.
    int64_t index[kMaxRank], rest = row;
    for (int d = next; d >= 0; --d) {
      index[d] = rest % p.dim[d];
      rest /= p.dim[d];
    }
    int64_t R = per - index[next];
    if (R > last - row) R = last - row;
    if (R > at_once) R = at_once;
    auto place = [&](const EwOperand& o, int64_t& rs, int64_t& cs) -> uint8_t* {
      int64_t offset = 0;
      for (int d = 0; d <= next; ++d) offset += index[d] * o.stride[d];
      rs = o.stride[next];
      cs = o.stride[inner];
      return static_cast<uint8_t*>(s.buf[o.buffer]) + offset * size_of(o.dtype);
    };
    for (int i = 0; i < p.n_in; ++i)
      if (p.in[i].mode == EwMode::memory) e.in[i] = place(p.in[i], e.in_row[i], e.in_col[i]);
    for (int i = 0; i < p.n_out; ++i) e.out[i] = place(p.out[i], e.out_row[i], e.out_col[i]);
    for (int64_t c = 0; c < C; c += kTile) {
      const int64_t columns = C - c < kTile ? C - c : kTile;
      ew_block(e, R, columns);
      for (int i = 0; i < p.n_in; ++i)
        if (p.in[i].mode == EwMode::memory) e.in[i] += columns * e.in_col[i] * size_of(p.in[i].dtype);
      for (int i = 0; i < p.n_out; ++i) e.out[i] += columns * e.out_col[i] * size_of(p.out[i].dtype);
    }
    row += R;
  }
}

// ew_run: the step's program over its own iteration space. Units: equal shares of the rows (rank >= 2, row = all dims but the
// innermost), of 64-element groups (rank 1), or of the column panels (an operand lies in panels).
static void ew_run(const Step& s, Frame& f, int w, int n) {
  const EwProgram& p = *s.program;
  uint8_t* scratch = f.scratch[w];
  if (p.flat && n == 1) {
    if (p.dim[0] == 1) ew_one(p, s, scratch);
    else if (p.dim[0] > 0) ew_flat(p, s, 0, p.dim[0], scratch);
    return;
  }
  int64_t unit, end;
  share(s.units, w, n, unit, end);
  if (unit >= end) return;
  bool panel = false;
  for (int i = 0; i < p.n_in; ++i) panel = panel || p.in[i].panel;
  for (int i = 0; i < p.n_out; ++i) panel = panel || p.out[i].panel;
  if (panel) {
    const int64_t panels = (p.dim[1] + kPanel - 1) / kPanel;
    for (int64_t q = panels * unit / s.units; q < panels * end / s.units; ++q) {
      const int64_t c0 = q * kPanel, left = p.dim[1] - c0;
      if (p.dim[0] > 0) ew_run_tile(p, s, 0, p.dim[0], c0, left < kPanel ? left : kPanel, nullptr, 0, scratch);
    }
    return;
  }
  int64_t rows = 1;
  for (int d = 0; d < p.rank - 1; ++d) rows *= p.dim[d];
  const int64_t C = p.dim[p.rank - 1];
  if (rows == 0 || C == 0) return;
  if (p.rank == 1) {
    const int64_t groups = (C + 63) / 64;
    const int64_t first = groups * unit / s.units * 64;
    int64_t last = groups * end / s.units * 64;
    if (last > C) last = C;
    if (first >= last) return;
    if (p.flat) {
      ew_flat(p, s, first, last, scratch);
    } else {
      // A strided vector: one row of a rank-2 space.
      EwProgram q = p;
      EwOperand in[kMaxOperands], out[kMaxOperands];
      for (int i = 0; i < p.n_in; ++i) {
        in[i] = p.in[i];
        in[i].stride[1] = in[i].stride[0];
        in[i].stride[0] = 0;
      }
      for (int i = 0; i < p.n_out; ++i) {
        out[i] = p.out[i];
        out[i].stride[1] = out[i].stride[0];
        out[i].stride[0] = 0;
      }
      q.in = in;
      q.out = out;
      q.dim[0] = 1;
      q.dim[1] = C;
      ew_run_tile(q, s, 0, 1, first, last - first, nullptr, 0, scratch);
    }
    return;
  }
  const int64_t first = rows * unit / s.units, last = rows * end / s.units;
  if (first < last) ew_rows(p, s, first, last, scratch);
}

}  // namespace rv::RV_ISA
