#include "reduce_types.h"

#include <limits>
#include <type_traits>

namespace rv {
namespace {

template <class F>
void with_type(Dtype d, F&& f) {
  switch (d) {
    case Dtype::f32: f(float{}); break;
    case Dtype::f64: f(double{}); break;
    case Dtype::i32: f(int32_t{}); break;
    case Dtype::i64: f(int64_t{}); break;
    case Dtype::u8:
    case Dtype::b8: f(uint8_t{}); break;
    case Dtype::i8: f(int8_t{}); break;
    case Dtype::i16: f(int16_t{}); break;
    case Dtype::u16: f(uint16_t{}); break;
    case Dtype::u32: f(uint32_t{}); break;
    case Dtype::u64: f(uint64_t{}); break;
    default: break;
  }
}

// Sums are kept in double or 64 bits; integers wrap as NumPy's do.
template <class To>
using Sum = std::conditional_t<std::is_floating_point_v<To>, double, uint64_t>;

template <class From, class To>
void run(const Step& s, int w, int workers) {
  const int64_t outer = s.dim[0], n = s.dim[1], inner = s.dim[2], op = s.dim[5];
  int64_t u, v;
  share(s.units, w, workers, u, v);
  if (u >= v) return;
  // The same shares as the float32 kernel: panels of columns, or rows.
  const int64_t panels = (inner + kPanel - 1) / kPanel, all = outer * panels;
  const From* x = static_cast<const From*>(s.buf[0]);
  To* out = static_cast<To*>(s.buf[1]);
  for (int64_t b = all * u / s.units; b < all * v / s.units; ++b) {
    const int64_t o = b / panels, c0 = (b - o * panels) * kPanel, c1 = inner - c0 < kPanel ? inner : c0 + kPanel;
    for (int64_t c = c0; c < c1; ++c) {
      const From* p = x + o * n * inner + c;
      To& to = out[o * inner + c];
      const bool join = s.dim[6] != 0;
      switch (op) {
        case 0:
        case 1: {
          // Four running sums: the order is fixed, and a long row does not wait for one addition after the other.
          Sum<To> t[4] = {};
          for (int64_t i = 0; i < n; ++i) t[i & 3] += static_cast<Sum<To>>(p[i * inner]);
          Sum<To> sum = (t[0] + t[1]) + (t[2] + t[3]);
          if (op == 1) {
            to = static_cast<To>(static_cast<double>(sum) / static_cast<double>(n));
          } else {
            if (join) sum += static_cast<Sum<To>>(to);
            to = static_cast<To>(sum);
          }
          break;
        }
        case 2:
        case 3: {
          To best = join ? to : n > 0 ? static_cast<To>(p[0]) : To{};
          for (int64_t i = 0; i < n; ++i) {
            const To y = static_cast<To>(p[i * inner]);
            if (best != best) break;
            if (y != y || (op == 2 ? y > best : y < best)) best = y;
          }
          to = best;
          break;
        }
        case 4: {
          Sum<To> product = join ? static_cast<Sum<To>>(to) : Sum<To>(1);
          for (int64_t i = 0; i < n; ++i) product *= static_cast<Sum<To>>(p[i * inner]);
          to = static_cast<To>(product);
          break;
        }
        default: {
          bool all_true = true, any_true = false;
          for (int64_t i = 0; i < n; ++i) {
            const bool t = p[i * inner] != From(0);
            all_true = all_true && t;
            any_true = any_true || t;
          }
          if (join) {
            all_true = all_true && to != To(0);
            any_true = any_true || to != To(0);
          }
          to = static_cast<To>(op == 5 ? any_true : all_true);
        }
      }
    }
  }
}

}  // namespace

void reduce_types(const Step& s, Frame&, int w, int n) {
  const Dtype in = static_cast<Dtype>(s.dim[3]), out = static_cast<Dtype>(s.dim[4]);
  with_type(in, [&](auto x) {
    using From = decltype(x);
    if (out == in) run<From, From>(s, w, n);
    else if (out == Dtype::f64) run<From, double>(s, w, n);
    else if (out == Dtype::f32) run<From, float>(s, w, n);
    else if (out == Dtype::i64) run<From, int64_t>(s, w, n);
    else if (out == Dtype::i32) run<From, int32_t>(s, w, n);
    else if (out == Dtype::b8) run<From, uint8_t>(s, w, n);
  });
}

void argmax(const Step& s, Frame&, int w, int n) {
  const int64_t length = s.dim[1], inner = s.dim[2], lines = s.dim[0] * inner;
  const bool least = s.dim[5] != 0;
  int64_t u, v;
  share(s.units, w, n, u, v);
  if (u >= v) return;
  with_type(static_cast<Dtype>(s.dim[3]), [&](auto t) {
    using T = decltype(t);
    const T* x = static_cast<const T*>(s.buf[0]);
    for (int64_t line = lines * u / s.units; line < lines * v / s.units; ++line) {
      const int64_t o = line / inner, i = line - o * inner;
      const T* p = x + o * length * inner + i;
      T best = length > 0 ? p[0] : T{};
      int64_t at = 0;
      for (int64_t j = 1; j < length && best == best; ++j) {
        const T y = p[j * inner];
        if (y != y || (least ? y < best : y > best)) {
          best = y;
          at = j;
        }
      }
      if (static_cast<Dtype>(s.dim[4]) == Dtype::i64) static_cast<int64_t*>(s.buf[1])[line] = at;
      else static_cast<int32_t*>(s.buf[1])[line] = static_cast<int32_t>(at);
    }
  });
}

}  // namespace rv
