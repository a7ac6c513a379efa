// Chains: a program of float32 instructions over blocks of kBlock elements, its values kept in vector registers.
//
// A chain is the code of a machine with one accumulator, x: kHeld vectors, handed from each link to the next as arguments
// and so never in memory. A link ends by calling the next, which the compiler makes a jump: a block costs one jump for each
// instruction. What a later link still needs is put into its register's memory (the output itself, or scratch); what
// only the next one needs is never stored. Because a block is short, the processor works on several at once, and what
// waits for the divider in one is hidden behind the multiplications of the others.
//
// make_chain (chain.cpp) writes the links. The arithmetic is that of the instructions, lane by lane, so are the bits.
#pragma once
#include <type_traits>

#include "instructions.h"

namespace rv::RV_ISA {

// Eight vectors are as many as a call passes in registers.
constexpr int kHeld = 8;
#define RV_X x0, x1, x2, x3, x4, x5, x6, x7
#define RV_X_ARGUMENTS vf x0, vf x1, vf x2, vf x3, vf x4, vf x5, vf x6, vf x7
#define RV_EACH _Pragma("GCC unroll 8") for (int k = 0; k < kHeld; ++k)
constexpr int64_t kBlock = kHeld * W;
static_assert(kBlock <= kTile);

// `reg` as in the interpreter. Operands and results of the program are read and written from element `at` on, and link's
// `move` is all ones; temporaries lie at the beginning of their tile, which stays in the cache.
using LinkFn = void (*)(const EwLink* l, uint8_t* const* reg, int64_t at, RV_X_ARGUMENTS);
using Held = vf[kHeld];

RV_INLINE float* values(uint8_t* const* reg, uint16_t r) { return reinterpret_cast<float*>(reg[r]); }
RV_INLINE float number(uint8_t* const* reg, uint16_t r) { return *values(reg, r); }

template <class Body>
static void link(const EwLink* l, uint8_t* const* reg, int64_t at, RV_X_ARGUMENTS) {
  Held x = {RV_X};
  Body::run(*l, reg, at, x);
  ++l;
  reinterpret_cast<LinkFn>(l->fn)(l, reg, at, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
}
// Back to the caller. (Blocks follow each other in a loop: where calls are no jumps, as under sanitizers, the stack is then
// as deep as the chain is long, whatever the number of elements.)
static void link_end(const EwLink*, uint8_t* const*, int64_t, vf, vf, vf, vf, vf, vf, vf, vf) {}
// Elements [0, n) of a program, n a number of whole blocks.
RV_INLINE void run_chain(const EwLink* first, uint8_t* const* reg, int64_t n) {
  const vf x{};
  for (int64_t at = 0; at < n; at += kBlock)
    reinterpret_cast<LinkFn>(first->fn)(first, reg, at, x, x, x, x, x, x, x, x);
}

// ---- moves

struct TakeMemory {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held& x) {
    const float* m = values(reg, l.a) + (at & l.move);
    RV_EACH x[k] = load(m + k * W);
  }
};
struct TakeNumber {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t, Held& x) {
    const vf n = splat(number(reg, l.a));
    RV_EACH x[k] = n;
  }
};
struct Put {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held& x) {
    float* m = values(reg, l.dst) + (at & l.move);
    RV_EACH store(m + k * W, x[k]);
  }
};

// ---- arithmetic

// Whether the sizes of all elements lie from 2^low to 2^high, or zeros are among them, or others.
enum class Range { inside, zeros, beyond };
RV_INLINE vu size_bits(vf x) { return reinterpret_cast<vu>(x) & 0x7fffffffu; }
template <int Low, int High>
RV_INLINE Range range(const Held& x) {
  constexpr uint32_t low = uint32_t(Low + 127) << 23, span = uint32_t(High - Low) << 23;
  vu most{}, most_but_zeros{};
  RV_EACH {
    const vu above = size_bits(x[k]) - low;
    most = above > most ? above : most;
  }
  if (!any_lane(reinterpret_cast<vi>(most >= span))) [[likely]]
    return Range::inside;
  RV_EACH {
    const vu size = size_bits(x[k]), above = size == 0 ? vu{} : size - low;
    most_but_zeros = above > most_but_zeros ? above : most_but_zeros;
  }
  return any_lane(reinterpret_cast<vi>(most_but_zeros >= span)) ? Range::beyond : Range::zeros;
}
RV_INLINE bool any_below_zero(const Held& x) {
  vi bits{};
  RV_EACH bits |= as_int(x[k]);
  return any_lane(bits < 0);
}
RV_INLINE vf keep_zero(vf from, vf to) { return select(reinterpret_cast<vi>(size_bits(from) == 0), from, to); }

// Roots of all vectors: vsqrt's bits. The range is tested once for all of them, and every fourth goes through the divider.
RV_INLINE void held_sqrt(Held& x) {
#if RV_WIDTH == 16
  if (kSoftRoot) {
    const Range found = any_below_zero(x) ? Range::beyond : range<-100, 100>(x);
    if (found != Range::beyond) [[likely]] {
      RV_EACH {
        const vf v = x[k];
        if (k % 4 == 0) x[k] = (vf)_mm512_maskz_sqrt_ps(0xffff, (__m512)v);
        else x[k] = soft_root(v);
        if (found == Range::zeros) x[k] = keep_zero(v, x[k]);
      }
      return;
    }
  }
  RV_EACH x[k] = (vf)_mm512_maskz_sqrt_ps(0xffff, (__m512)x[k]);
#else
  RV_EACH x[k] = vsqrt(x[k]);
#endif
}

// Quotients by one number: the bits of x / n, without the divider. By its reciprocal in two parts a quotient comes out
// within an ulp; the exact remainder then rounds it correctly (Markstein), as 1 / n is rounded correctly itself.
RV_INLINE void held_quotient(Held& x, float n) {
#if defined(__FMA__) || defined(__aarch64__)
  uint32_t bits;
  std::memcpy(&bits, &n, 4);
  if (n >= 0x1p-30f && n <= 0x1p30f && (~bits & 0x7fffff) != 0) [[likely]] {
    const Range found = range<-76, 60>(x);
    if (found != Range::beyond) [[likely]] {
      const float inverse = 1.0f / n;
      const vf d = splat(-n), high = splat(inverse), low = splat(madd1(-n, inverse, 1.0f) * inverse);
      RV_EACH {
        const vf v = x[k], q = madd(v, high, v * low);
        x[k] = madd(madd(q, d, v), high, q);
        if (found == Range::zeros) x[k] = keep_zero(v, x[k]);
      }
      return;
    }
  }
#endif
  const vf d = splat(n);
  RV_EACH x[k] = x[k] / d;
}

template <class F>
struct UnaryLink {
  RV_INLINE void run(const EwLink&, uint8_t* const*, int64_t, Held& x) {
    if constexpr (std::is_same_v<F, F_sqrt> || std::is_same_v<F, F_rsqrt>) held_sqrt(x);
    else RV_EACH x[k] = F::f(x[k]);
    if constexpr (std::is_same_v<F, F_rsqrt>) RV_EACH x[k] = splat(1.0f) / x[k];
  }
};

// The two operands of a link, one of them in x unless both are.
template <Form form>
struct Pair {
  static constexpr bool in_memory = form == Form::xm || form == Form::mx;
  static constexpr bool turned = form == Form::mx || form == Form::nx;
  const float* m = nullptr;
  vf n;
  RV_INLINE Pair of(uint8_t* const* reg, uint16_t a, uint16_t b, int64_t at) {
    Pair p;
    const uint16_t other = turned ? a : b;
    if constexpr (in_memory) p.m = values(reg, other) + at;
    else if constexpr (form != Form::xx) p.n = splat(number(reg, other));
    return p;
  }
  RV_INLINE vf other(const Pair& p, const Held& x, int k) {
    if constexpr (form == Form::xx) return x[k];
    else if constexpr (in_memory) return load(p.m + k * W);
    else return p.n;
  }
  RV_INLINE vf left(const Pair& p, const Held& x, int k) { return turned ? other(p, x, k) : x[k]; }
  RV_INLINE vf right(const Pair& p, const Held& x, int k) { return turned ? x[k] : other(p, x, k); }
};

template <class F, Form form>
struct BinaryLink {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held& x) {
    if constexpr (std::is_same_v<F, F_div> && form == Form::xn) return held_quotient(x, number(reg, l.b));
    using P = Pair<form>;
    const P p = P::of(reg, l.a, l.b, at & l.move);
    RV_EACH x[k] = F::f(P::left(p, x, k), P::right(p, x, k));
  }
};

// A mask goes to memory; x stays.
template <class F, Form form>
struct CompareLink {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held& x) {
    using P = Pair<form>;
    const P p = P::of(reg, l.a, l.b, at & l.move);
    uint8_t* to = reg[l.dst] + (at & l.move_mask);
    RV_EACH store_mask(to + k * W, F::f(P::left(p, x, k), P::right(p, x, k)));
  }
};
template <Form form>
struct WhereLink {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held& x) {
    using P = Pair<form>;
    const P p = P::of(reg, l.b, l.c, at & l.move);
    const uint8_t* mask = reg[l.a] + (at & l.move_mask);
    RV_EACH x[k] = select(load_mask(mask + k * W), P::left(p, x, k), P::right(p, x, k));
  }
};
// The limits are numbers.
struct ClipLink {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t, Held& x) {
    const vf low = splat(number(reg, l.b)), high = splat(number(reg, l.c));
    RV_EACH x[k] = F_clip::f(x[k], low, high);
  }
};
// Weights and moments are updated where they lie; `move` is the gradient's.
struct AdamLink {
  RV_INLINE void run(const EwLink& l, uint8_t* const* reg, int64_t at, Held&) {
    const auto in = [&](int i) { return values(reg, static_cast<uint16_t>(l.a + i)); };
    const auto out = [&](int i) { return values(reg, static_cast<uint16_t>(l.dst + i)) + at; };
    const auto rate = [&](int i) { return number(reg, static_cast<uint16_t>(l.b + i)); };
    const float *w = in(0) + at, *m = in(1) + at, *v = in(2) + at, *g = in(3) + (at & l.move);
    float *w2 = out(0), *m2 = out(1), *v2 = out(2);
    const AdamRates u = adam_rates(rate(0), rate(1), rate(2), rate(3));
    if (w2 == w && m2 == m && v2 == v) {
      for (int64_t i = 0; i < kBlock; i += 4 * W)
        adam_group(w2 + i, m2 + i, v2 + i, u, [&](int k) { return load(g + i + k * W); });
      return;
    }
    for (int64_t i = 0; i < kBlock; i += W) {
      vf a = load(w + i), b = load(m + i), d = load(v + i);
      adam_lanes(a, b, d, load(g + i), u.alpha, u.c1, u.c2, u.eps);
      store(w2 + i, a);
      store(m2 + i, b);
      store(v2 + i, d);
    }
  }
};

template <class Body>
RV_INLINE LinkAny as_link() {
  return reinterpret_cast<LinkAny>(&link<Body>);
}
template <class F>
RV_INLINE LinkAny binary_link(Form form) {
  switch (form) {
    case Form::xm: return as_link<BinaryLink<F, Form::xm>>();
    case Form::mx: return as_link<BinaryLink<F, Form::mx>>();
    case Form::xn: return as_link<BinaryLink<F, Form::xn>>();
    case Form::nx: return as_link<BinaryLink<F, Form::nx>>();
    case Form::xx: return as_link<BinaryLink<F, Form::xx>>();
    default: return nullptr;
  }
}
template <class F>
RV_INLINE LinkAny compare_link(Form form) {
  switch (form) {
    case Form::xm: return as_link<CompareLink<F, Form::xm>>();
    case Form::mx: return as_link<CompareLink<F, Form::mx>>();
    case Form::xn: return as_link<CompareLink<F, Form::xn>>();
    case Form::nx: return as_link<CompareLink<F, Form::nx>>();
    case Form::xx: return as_link<CompareLink<F, Form::xx>>();
    default: return nullptr;
  }
}

// clang-format off
static LinkAny link_fn(int op, Form form) {
  switch (form) {
    case Form::end: return reinterpret_cast<LinkAny>(&link_end);
    case Form::take_m: return as_link<TakeMemory>();
    case Form::take_n: return as_link<TakeNumber>();
    case Form::put: return as_link<Put>();
    default: break;
  }
  switch (op) {
#define U(name) case ew_##name: return form == Form::x ? as_link<UnaryLink<F_##name>>() : nullptr;
    U(neg) U(abs) U(sign) U(square) U(reciprocal) U(sqrt) U(rsqrt) U(exp) U(expm1) U(log) U(log1p) U(sin) U(cos)
    U(tanh) U(sigmoid) U(erf) U(gelu) U(floor) U(ceil) U(round) U(trunc) U(relu)
#undef U
#define B(name) case ew_##name: return binary_link<F_##name>(form);
    B(add) B(sub) B(mul) B(div) B(gelu_grad) B(max) B(min)
#undef B
#define C(name) case ew_##name: return compare_link<F_##name>(form);
    C(eq) C(ne) C(lt) C(le) C(gt) C(ge)
#undef C
    case ew_where:
      return form == Form::xm ? as_link<WhereLink<Form::xm>>() : form == Form::mx ? as_link<WhereLink<Form::mx>>()
           : form == Form::xn ? as_link<WhereLink<Form::xn>>() : form == Form::nx ? as_link<WhereLink<Form::nx>>()
           : nullptr;
    case ew_clip: return form == Form::xn ? as_link<ClipLink>() : nullptr;
    case ew_adam: return form == Form::x ? as_link<AdamLink>() : nullptr;
    default: return nullptr;
  }
}
// clang-format on

#undef RV_X
#undef RV_X_ARGUMENTS
#undef RV_EACH

}  // namespace rv::RV_ISA
