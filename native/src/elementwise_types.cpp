// Elementwise instructions for every type, as plain loops compiled once for the baseline: the instruction sets fall back to
// them, so these give the same bits everywhere. Semantics are NumPy's: maximum passes NaN on, mod takes the divisor's sign,
// integer division by zero gives 0.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "registry.h"

namespace rv {
namespace {

struct half {
  uint16_t bits;
};

float from_half(half h) {
  const uint32_t sign = uint32_t{h.bits} << 16 & 0x80000000u, exponent = h.bits >> 10 & 31, mantissa = h.bits & 0x3ff;
  uint32_t u;
  if (exponent == 31) u = sign | 0x7f800000u | mantissa << 13;
  else if (exponent) u = sign | (exponent + 112) << 23 | mantissa << 13;
  else {
    const float small = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -small : small;
  }
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}

half to_half(double value) {
  const float x = static_cast<float>(value);
  uint32_t u;
  std::memcpy(&u, &x, 4);
  const uint32_t sign = u >> 16 & 0x8000;
  const double size = std::fabs(value);
  if (value != value) return {static_cast<uint16_t>(sign | 0x7e00)};
  if (size >= 65520) return {static_cast<uint16_t>(sign | 0x7c00)};
  // Spacing of half precision at this size; the default rounding is to nearest even.
  int e;
  std::frexp(size, &e);
  const int scale = e < -13 ? -24 : e - 11;
  const double units = std::nearbyint(std::ldexp(size, -scale));
  const float exact = static_cast<float>(std::ldexp(units, scale));
  if (exact < 0x1p-14f) return {static_cast<uint16_t>(sign | static_cast<uint32_t>(exact * 0x1p24f))};
  std::memcpy(&u, &exact, 4);
  return {static_cast<uint16_t>(sign | (((u >> 23) - 112) << 10 | (u >> 13 & 0x3ff)))};
}

struct boolean {
  uint8_t v;
};

template <class T>
constexpr bool is_float = std::is_floating_point_v<T>;

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<From, half>) return convert<To>(from_half(x));
  else if constexpr (std::is_same_v<From, boolean>) return convert<To>(static_cast<uint8_t>(x.v != 0));
  else if constexpr (std::is_same_v<To, half>) return to_half(static_cast<double>(x));
  else if constexpr (std::is_same_v<To, boolean>) return {static_cast<uint8_t>(x != From(0))};
  else if constexpr (is_float<From> && std::is_same_v<To, uint64_t>)
    return x >= From(0x1p63) && x < From(0x1p64)   ? static_cast<uint64_t>(x)
           : x > From(-0x1p63) && x < From(0x1p63) ? static_cast<uint64_t>(static_cast<int64_t>(x))
                                                   : uint64_t{1} << 63;
  else if constexpr (is_float<From> && !is_float<To>)
    return static_cast<To>(x >= From(-0x1p63) && x < From(0x1p63) ? static_cast<int64_t>(x)
                                                                  : std::numeric_limits<int64_t>::min());
  else return static_cast<To>(x);
}

template <class T>
const T* at(uint8_t* const* reg, int r) {
  return reinterpret_cast<const T*>(reg[r]);
}

template <class T, class R, class F>
void unary(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const T* a = at<T>(reg, c.a);
  R* d = reinterpret_cast<R*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) d[i] = static_cast<R>(F::f(a[i]));
}
template <class T, class R, class F>
void binary(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const T *a = at<T>(reg, c.a), *b = at<T>(reg, c.b);
  R* d = reinterpret_cast<R*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) d[i] = static_cast<R>(F::f(a[i], b[i]));
}
template <class T>
void where(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const uint8_t* m = reg[c.a];
  const T *a = at<T>(reg, c.b), *b = at<T>(reg, c.c);
  T* d = reinterpret_cast<T*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) d[i] = m[i] ? a[i] : b[i];
}
template <class T>
void clip(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const T *a = at<T>(reg, c.a), *lo = at<T>(reg, c.b), *hi = at<T>(reg, c.c);
  T* d = reinterpret_cast<T*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) {
    T x = a[i];
    if (x < lo[i]) x = lo[i];
    if (x > hi[i]) x = hi[i];
    d[i] = x;
  }
}
template <class T, class R>
void cast(const EwInstr& c, uint8_t* const* reg, int64_t n) {
  const T* a = at<T>(reg, c.a);
  R* d = reinterpret_cast<R*>(reg[c.dst]);
  for (int64_t i = 0; i < n; ++i) d[i] = convert<R>(a[i]);
}

double digamma(double x) {
  if (x != x) return x;
  double shift = 0;
  if (x <= 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    shift = -M_PI / std::tan(M_PI * x);
    x = 1 - x;
  }
  for (; x < 12; x += 1) shift -= 1 / x;
  const double s = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x -
         s * (1.0 / 12 -
              s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * (691.0 / 32760 - s / 12))))));
}
// std::lgamma writes a global sign; the reentrant form does not.
double log_gamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}

template <class T>
T float_mod(T a, T b) {
  T m = std::fmod(a, b);
  if (m == 0) return std::copysign(T(0), b);
  if ((b < 0) != (m < 0)) m += b;
  return m;
}
template <class T>
T float_floordiv(T a, T b) {
  if (b == 0) return a / b;
  T m = std::fmod(a, b), q = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) q -= 1;
  if (q == 0) return std::copysign(T(0), a / b);
  const T f = std::floor(q);
  return q - f > T(0.5) ? f + 1 : f;
}
template <class T>
T int_mod(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == T(-1)) return 0;
    T m = static_cast<T>(a % b);
    return m != 0 && (b < 0) != (m < 0) ? static_cast<T>(m + b) : m;
  } else {
    return static_cast<T>(a % b);
  }
}
template <class T>
T int_floordiv(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == T(-1)) return static_cast<T>(std::make_unsigned_t<T>(0) - static_cast<std::make_unsigned_t<T>>(a));
    T q = static_cast<T>(a / b);
    return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(q - 1) : q;
  } else {
    return static_cast<T>(a / b);
  }
}
template <class T>
T int_pow(T a, T b) {
  if constexpr (std::is_signed_v<T>)
    if (b < 0) return a == T(1) ? T(1) : a == T(-1) ? (b % 2 ? T(-1) : T(1)) : T(0);
  uint64_t r = 1, base = static_cast<uint64_t>(a);
  for (uint64_t e = static_cast<uint64_t>(b); e; e >>= 1) {
    if (e & 1) r *= base;
    base *= base;
  }
  return static_cast<T>(r);
}

// Integer arithmetic wraps: it is done on unsigned numbers.
template <class T>
using wide = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;

#define UNARY(name, expr) \
  struct name##_ {        \
    template <class T>    \
    static auto f(T x) {  \
      return expr;        \
    }                     \
  };
#define BINARY(name, expr)    \
  struct name##_ {            \
    template <class T>        \
    static auto f(T x, T y) { \
      return expr;            \
    }                         \
  };
UNARY(copy, x)
UNARY(neg, -x)
UNARY(abs, std::fabs(x))
UNARY(sign, x > 0 ? T(1) : x < 0 ? T(-1) : x)
UNARY(square, x* x)
UNARY(reciprocal, T(1) / x)
UNARY(sqrt, std::sqrt(x))
UNARY(rsqrt, T(1) / std::sqrt(x))
UNARY(exp, std::exp(x))
UNARY(expm1, std::expm1(x))
UNARY(log, std::log(x))
UNARY(log1p, std::log1p(x))
UNARY(sin, std::sin(x))
UNARY(cos, std::cos(x))
UNARY(tan, std::tan(x))
UNARY(asin, std::asin(x))
UNARY(acos, std::acos(x))
UNARY(atan, std::atan(x))
UNARY(sinh, std::sinh(x))
UNARY(cosh, std::cosh(x))
UNARY(asinh, std::asinh(x))
UNARY(acosh, std::acosh(x))
UNARY(atanh, std::atanh(x))
UNARY(tanh, std::tanh(x))
UNARY(sigmoid, x >= 0 ? T(1) / (T(1) + std::exp(-x)) : std::exp(x) / (T(1) + std::exp(x)))
UNARY(erf, std::erf(x))
UNARY(erfc, std::erfc(x))
UNARY(gelu, x*(std::erf(x* T(0.70710678118654752)) + T(1)) * T(0.5))
UNARY(lgamma, log_gamma(static_cast<double>(x)))
UNARY(digamma, digamma(static_cast<double>(x)))
UNARY(floor, std::floor(x))
UNARY(ceil, std::ceil(x))
UNARY(round, std::nearbyint(x))
UNARY(trunc, std::trunc(x))
UNARY(relu, x < 0 ? T(0) : x)
UNARY(isnan, x != x)
UNARY(isinf, std::fabs(x) == std::numeric_limits<T>::infinity())
UNARY(isfinite, std::fabs(x) <= std::numeric_limits<T>::max())
UNARY(logical_not, x == T(0))
UNARY(bitwise_not, static_cast<T>(~x))
UNARY(int_neg, static_cast<T>(wide<T>(0) - static_cast<wide<T>>(x)))
UNARY(int_abs, x < 0 ? static_cast<T>(wide<T>(0) - static_cast<wide<T>>(x)) : x)
UNARY(int_sign, x > 0 ? T(1) : x < 0 ? static_cast<T>(-1) : T(0))
UNARY(int_square, static_cast<T>(static_cast<wide<T>>(x) * static_cast<wide<T>>(x)))
UNARY(byte_not, static_cast<uint8_t>(x == 0))
BINARY(add, x + y)
BINARY(sub, x - y)
BINARY(mul, x* y)
BINARY(div, x / y)
BINARY(floordiv, float_floordiv(x, y))
BINARY(mod, float_mod(x, y))
BINARY(pow, std::pow(x, y))
BINARY(max, x != x ? x : x > y ? x : y)
BINARY(min, x != x ? x : x < y ? x : y)
BINARY(atan2, std::atan2(x, y))
BINARY(gelu_grad, y*((std::erf(x * T(0.70710678118654752)) + T(1)) * T(0.5) +
                     x * std::exp(x * x * T(-0.5)) * T(0.39894228040143268)))
BINARY(eq, x == y)
BINARY(ne, x != y)
BINARY(lt, x < y)
BINARY(le, x <= y)
BINARY(gt, x > y)
BINARY(ge, x >= y)
BINARY(logical_and, x != T(0) && y != T(0))
BINARY(logical_or, x != T(0) || y != T(0))
BINARY(logical_xor, (x != T(0)) != (y != T(0)))
BINARY(bitwise_and, static_cast<T>(x& y))
BINARY(bitwise_or, static_cast<T>(x | y))
BINARY(bitwise_xor, static_cast<T>(x ^ y))
BINARY(int_add, static_cast<T>(static_cast<wide<T>>(x) + static_cast<wide<T>>(y)))
BINARY(int_sub, static_cast<T>(static_cast<wide<T>>(x) - static_cast<wide<T>>(y)))
BINARY(int_mul, static_cast<T>(static_cast<wide<T>>(x) * static_cast<wide<T>>(y)))
BINARY(int_floordiv, int_floordiv(x, y))
BINARY(int_mod, int_mod(x, y))
BINARY(int_pow, int_pow(x, y))
BINARY(int_max, x > y ? x : y)
BINARY(int_min, x < y ? x : y)
BINARY(shl, static_cast<uint64_t>(y) >= sizeof(T) * 8 ? T(0) : static_cast<T>(static_cast<wide<T>>(x) << y))
BINARY(shr, static_cast<uint64_t>(y) >= sizeof(T) * 8 ? static_cast<T>(x < 0 ? -1 : 0) : static_cast<T>(x >> y))
#undef UNARY
#undef BINARY

// clang-format off
template <class T>
EwFn compares(int op) {
  switch (op) {
#define C(name) case ew_##name: return binary<T, uint8_t, name##_>;
    C(eq) C(ne) C(lt) C(le) C(gt) C(ge) C(logical_and) C(logical_or) C(logical_xor)
#undef C
    case ew_logical_not: return unary<T, uint8_t, logical_not_>;
    default: return nullptr;
  }
}

template <class T>
EwFn floats(int op) {
  switch (op) {
#define U(name) case ew_##name: return unary<T, T, name##_>;
    U(copy) U(neg) U(abs) U(sign) U(square) U(reciprocal) U(sqrt) U(rsqrt) U(exp) U(expm1) U(log) U(log1p) U(sin) U(cos)
    U(tan) U(asin) U(acos) U(atan) U(sinh) U(cosh) U(asinh) U(acosh) U(atanh) U(tanh) U(sigmoid) U(erf) U(erfc) U(gelu) U(lgamma)
    U(digamma) U(floor) U(ceil) U(round) U(trunc) U(relu)
#undef U
#define B(name) case ew_##name: return binary<T, T, name##_>;
    B(add) B(sub) B(mul) B(div) B(floordiv) B(mod) B(pow) B(max) B(min) B(atan2) B(gelu_grad)
#undef B
    case ew_where: return where<T>;
    case ew_clip: return clip<T>;
    default: return nullptr;
  }
}
template <class T>
EwFn float_tests(int op) {
  switch (op) {
    case ew_isnan: return unary<T, uint8_t, isnan_>;
    case ew_isinf: return unary<T, uint8_t, isinf_>;
    case ew_isfinite: return unary<T, uint8_t, isfinite_>;
    default: return compares<T>(op);
  }
}

template <class T>
EwFn integers(int op) {
  switch (op) {
    case ew_copy: return unary<T, T, copy_>;
    case ew_relu: return unary<T, T, relu_>;
    case ew_bitwise_not: return unary<T, T, bitwise_not_>;
#define U(name) case ew_##name: return unary<T, T, int_##name##_>;
    U(neg) U(abs) U(sign) U(square)
#undef U
#define B(name) case ew_##name: return binary<T, T, int_##name##_>;
    B(add) B(sub) B(mul) B(floordiv) B(mod) B(pow) B(max) B(min)
#undef B
#define B(name) case ew_##name: return binary<T, T, name##_>;
    B(bitwise_and) B(bitwise_or) B(bitwise_xor) B(shl) B(shr)
#undef B
    case ew_where: return where<T>;
    case ew_clip: return clip<T>;
    default: return nullptr;
  }
}

// Booleans are bytes 0 and 1.
EwFn booleans(int op) {
  switch (op) {
    case ew_copy: return unary<uint8_t, uint8_t, copy_>;
    case ew_bitwise_not: return unary<uint8_t, uint8_t, byte_not_>;
    case ew_max: case ew_bitwise_or: return binary<uint8_t, uint8_t, logical_or_>;
    case ew_min: case ew_bitwise_and: return binary<uint8_t, uint8_t, logical_and_>;
    case ew_bitwise_xor: return binary<uint8_t, uint8_t, logical_xor_>;
    case ew_where: return where<uint8_t>;
    default: return compares<uint8_t>(op);
  }
}
// clang-format on

template <class T>
EwFn casts(Dtype to) {
  switch (to) {
    case Dtype::f32: return cast<T, float>;
    case Dtype::f64: return cast<T, double>;
    case Dtype::i32: return cast<T, int32_t>;
    case Dtype::i64: return cast<T, int64_t>;
    case Dtype::u8: return cast<T, uint8_t>;
    case Dtype::b8: return cast<T, boolean>;
    case Dtype::i8: return cast<T, int8_t>;
    case Dtype::i16: return cast<T, int16_t>;
    case Dtype::u16: return cast<T, uint16_t>;
    case Dtype::u32: return cast<T, uint32_t>;
    case Dtype::u64: return cast<T, uint64_t>;
    case Dtype::f16: return cast<T, half>;
    default: return nullptr;
  }
}

template <class T>
EwFn pick(int op, Dtype in, Dtype out) {
  if (op == ew_cast) return casts<T>(out);
  if constexpr (is_float<T>) {
    if (out == in) return floats<T>(op);
    if (out == Dtype::b8) return float_tests<T>(op);
  } else {
    if (out == in) return integers<T>(op);
    if (out == Dtype::b8) return compares<T>(op);
  }
  return nullptr;
}

}  // namespace

EwFn elementwise_plain(int op, Dtype in, Dtype out) {
  switch (in) {
    case Dtype::f32: return pick<float>(op, in, out);
    case Dtype::f64: return pick<double>(op, in, out);
    case Dtype::i32: return pick<int32_t>(op, in, out);
    case Dtype::i64: return pick<int64_t>(op, in, out);
    case Dtype::u8: return pick<uint8_t>(op, in, out);
    case Dtype::i8: return pick<int8_t>(op, in, out);
    case Dtype::i16: return pick<int16_t>(op, in, out);
    case Dtype::u16: return pick<uint16_t>(op, in, out);
    case Dtype::u32: return pick<uint32_t>(op, in, out);
    case Dtype::u64: return pick<uint64_t>(op, in, out);
    case Dtype::b8:
      if (op == ew_cast) return casts<boolean>(out);
      return out == Dtype::b8 ? booleans(op) : nullptr;
    case Dtype::f16:
      return op == ew_cast ? casts<half>(out) : op == ew_copy && out == in ? unary<uint16_t, uint16_t, copy_> : nullptr;
    default: return nullptr;
  }
}

}  // namespace rv
