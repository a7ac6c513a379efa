#include "moves.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

namespace rv {
namespace {

struct Part {
  int64_t first, last;
};

// This worker's part of n equal things.
Part part(const Step& s, int w, int workers, int64_t n) {
  int64_t u, v;
  share(s.units, w, workers, u, v);
  if (u >= v) return {0, 0};
  return {n * u / s.units, n * v / s.units};
}

// Calls f with a value of the C type behind a dtype; half precision and types without arithmetic are left out.
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

int64_t index_at(const void* p, Dtype d, int64_t i) {
  switch (d) {
    case Dtype::i32: return static_cast<const int32_t*>(p)[i];
    case Dtype::i64: return static_cast<const int64_t*>(p)[i];
    case Dtype::u64: return static_cast<int64_t>(static_cast<const uint64_t*>(p)[i]);
    case Dtype::u32: return static_cast<const uint32_t*>(p)[i];
    case Dtype::i16: return static_cast<const int16_t*>(p)[i];
    case Dtype::u16: return static_cast<const uint16_t*>(p)[i];
    case Dtype::i8: return static_cast<const int8_t*>(p)[i];
    default: return static_cast<const uint8_t*>(p)[i];
  }
}

// Index into an axis of n, or -1 and a fault.
int64_t checked(const Step& s, Frame& f, int64_t raw, int64_t position) {
  const int64_t n = s.dim[1], at = raw < 0 ? raw + n : raw;
  if (at >= 0 && at < n) return at;
  report(f, static_cast<int32_t>(s.dim[6]), static_cast<int32_t>(s.dim[7]), position, 0, static_cast<double>(raw));
  return -1;
}

template <class T>
void move_row(uint8_t* to, int64_t to_step, const uint8_t* from, int64_t from_step, int64_t n) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  T* d = reinterpret_cast<T*>(to);
  const T* s = reinterpret_cast<const T*>(from);
  if (to_step == 1 && from_step == 0) {
    const T v = *s;
    for (int64_t i = 0; i < n; ++i) d[i] = v;
    return;
  }
  for (int64_t i = 0; i < n; ++i) d[i * to_step] = s[i * from_step];
}

template <class T>
void copy_typed(const Step& s, int w, int workers) {
  const int rank = static_cast<int>(s.dim[0]);
  const int64_t *size = s.dim + 2, *from_step = s.dim + 8, *to_step = s.dim + 14;
  if (rank == 0) {
    int64_t u, v;
    share(s.units, w, workers, u, v);
    if (u < v && u == 0) std::memcpy(s.buf[1], s.buf[0], sizeof(T));
    return;
  }
  int64_t rows = 1;
  for (int d = 0; d + 1 < rank; ++d) rows *= size[d];
  const Part p = part(s, w, workers, rows);
  const int in = rank - 1;
  const uint8_t* from = static_cast<const uint8_t*>(s.buf[0]);
  uint8_t* to = static_cast<uint8_t*>(s.buf[1]);
  constexpr int64_t T_ = sizeof(T);
  // A transposition: neighbouring rows read neighbouring elements. Sixteen rows together use each cache line once.
  const bool turned = rank >= 2 && from_step[in] != 1 && from_step[in - 1] == 1;
  const int64_t group = turned ? 16 : 1;
  for (int64_t row = p.first; row < p.last;) {
    int64_t rest = row, a = 0, b = 0, along = 0;
    for (int d = rank - 2; d >= 0; --d) {
      const int64_t i = rest % size[d];
      rest /= size[d];
      if (d == rank - 2) along = i;
      a += i * from_step[d];
      b += i * to_step[d];
    }
    int64_t together = 1;
    if (group > 1) together = std::min({group, size[in - 1] - along, p.last - row});
    if (together > 1) {
      const T* src = reinterpret_cast<const T*>(from) + a;
      T* dst = reinterpret_cast<T*>(to) + b;
      for (int64_t c0 = 0; c0 < size[in]; c0 += 16) {
        const int64_t c1 = std::min(c0 + 16, size[in]);
        for (int64_t r = 0; r < together; ++r)
          for (int64_t c = c0; c < c1; ++c) dst[r * to_step[in - 1] + c * to_step[in]] = src[r + c * from_step[in]];
      }
    } else {
      move_row<T>(to + b * T_, to_step[in], from + a * T_, from_step[in], size[in]);
    }
    row += together;
  }
}

struct Bytes16 {
  uint64_t a, b;
};

}  // namespace

void copy_strided(const Step& s, Frame&, int w, int n) {
  switch (s.dim[1]) {
    case 1: return copy_typed<uint8_t>(s, w, n);
    case 2: return copy_typed<uint16_t>(s, w, n);
    case 4: return copy_typed<uint32_t>(s, w, n);
    case 8: return copy_typed<uint64_t>(s, w, n);
    case 16: return copy_typed<Bytes16>(s, w, n);
    default: return;
  }
}

void fill(const Step& s, Frame&, int w, int n) {
  const Part p = part(s, w, n, s.dim[0]);
  const double v = s.scalar[0];
  if (v == 0 && !std::signbit(v)) {
    const int64_t size = size_of(static_cast<Dtype>(s.dim[1]));
    std::memset(static_cast<uint8_t*>(s.buf[0]) + p.first * size, 0, static_cast<size_t>((p.last - p.first) * size));
    return;
  }
  with_type(static_cast<Dtype>(s.dim[1]), [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(s.buf[0]);
    std::fill(to + p.first, to + p.last, static_cast<T>(v));
  });
}

void iota(const Step& s, Frame&, int w, int n) {
  const int64_t length = s.dim[1], inner = s.dim[2];
  const Part p = part(s, w, n, s.dim[0] * length);
  with_type(static_cast<Dtype>(s.dim[3]), [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(s.buf[0]);
    for (int64_t i = p.first; i < p.last; ++i) {
      const T v = static_cast<T>(s.scalar[0] + s.scalar[1] * static_cast<double>(i % length));
      for (int64_t j = 0; j < inner; ++j) to[i * inner + j] = v;
    }
  });
}

void take(const Step& s, Frame& f, int w, int n) {
  const int64_t size = s.dim[1], k = s.dim[3], bytes = s.dim[2] * s.dim[5];
  const Part p = part(s, w, n, s.dim[0] * k);
  const uint8_t* table = static_cast<const uint8_t*>(s.buf[0]);
  uint8_t* out = static_cast<uint8_t*>(s.buf[2]);
  const Dtype d = static_cast<Dtype>(s.dim[4]);
  for (int64_t i = p.first; i < p.last; ++i) {
    const int64_t o = i / k, j = i - o * k;
    const int64_t at = checked(s, f, index_at(s.buf[1], d, j), j);
    if (at < 0) std::memset(out + i * bytes, 0, static_cast<size_t>(bytes));
    else std::memcpy(out + i * bytes, table + (o * size + at) * bytes, static_cast<size_t>(bytes));
  }
}

void scatter_add(const Step& s, Frame& f, int w, int n) {
  const int64_t outer = s.dim[0], size = s.dim[1], inner = s.dim[2], k = s.dim[3];
  const Part p = part(s, w, n, size);
  if (p.first >= p.last) return;
  const Dtype d = static_cast<Dtype>(s.dim[4]);
  with_type(static_cast<Dtype>(s.dim[8]), [&](auto t) {
    using T = decltype(t);
    const T* updates = static_cast<const T*>(s.buf[1]);
    T* out = static_cast<T*>(s.buf[2]);
    for (int64_t o = 0; o < outer; ++o) {
      T* own = out + o * size * inner;
      if (s.dim[9]) std::fill(own + p.first * inner, own + p.last * inner, T{});
      for (int64_t j = 0; j < k; ++j) {
        const int64_t at = checked(s, f, index_at(s.buf[0], d, j), j);
        if (at < p.first || at >= p.last) continue;
        const T* u = updates + (o * k + j) * inner;
        T* to = own + at * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = static_cast<T>(to[i] + u[i]);
      }
    }
  });
}

void take_along(const Step& s, Frame& f, int w, int n) {
  const int64_t size = s.dim[1], inner = s.dim[2], k = s.dim[3];
  const Part p = part(s, w, n, s.dim[0] * inner);
  const Dtype d = static_cast<Dtype>(s.dim[4]);
  const int64_t bytes = s.dim[5];
  const uint8_t* from = static_cast<const uint8_t*>(s.buf[0]);
  uint8_t* out = static_cast<uint8_t*>(s.buf[2]);
  for (int64_t line = p.first; line < p.last; ++line) {
    const int64_t o = line / inner, i = line - o * inner;
    for (int64_t j = 0; j < k; ++j) {
      const int64_t to = (o * k + j) * inner + i;
      const int64_t at = checked(s, f, index_at(s.buf[1], d, to), to);
      if (at < 0) std::memset(out + to * bytes, 0, static_cast<size_t>(bytes));
      else std::memcpy(out + to * bytes, from + ((o * size + at) * inner + i) * bytes, static_cast<size_t>(bytes));
    }
  }
}

void add_along(const Step& s, Frame& f, int w, int n) {
  const int64_t size = s.dim[1], inner = s.dim[2], k = s.dim[3];
  const Part p = part(s, w, n, s.dim[0] * inner);
  const Dtype d = static_cast<Dtype>(s.dim[4]);
  with_type(static_cast<Dtype>(s.dim[8]), [&](auto t) {
    using T = decltype(t);
    const T* updates = static_cast<const T*>(s.buf[1]);
    T* out = static_cast<T*>(s.buf[2]);
    for (int64_t line = p.first; line < p.last; ++line) {
      const int64_t o = line / inner, i = line - o * inner;
      if (s.dim[9])
        for (int64_t r = 0; r < size; ++r) out[(o * size + r) * inner + i] = T{};
      for (int64_t j = 0; j < k; ++j) {
        const int64_t from = (o * k + j) * inner + i;
        const int64_t at = checked(s, f, index_at(s.buf[0], d, from), from);
        if (at < 0) continue;
        T& to = out[(o * size + at) * inner + i];
        to = static_cast<T>(to + updates[from]);
      }
    }
  });
}

void cumulate(const Step& s, Frame&, int w, int n) {
  const int64_t length = s.dim[1], inner = s.dim[2];
  const bool back = s.dim[5] & 1, exclusive = s.dim[5] & 2;
  const Part p = part(s, w, n, s.dim[0] * inner);
  with_type(static_cast<Dtype>(s.dim[3]), [&](auto t) {
    using T = decltype(t);
    auto walk = [&](auto join, T none) {
      const T* from = static_cast<const T*>(s.buf[0]);
      T* to = static_cast<T*>(s.buf[1]);
      for (int64_t line = p.first; line < p.last; ++line) {
        const int64_t o = line / inner, i = line - o * inner;
        T sum = none;
        bool any = false;
        for (int64_t j = 0; j < length; ++j) {
          const int64_t at = (o * length + (back ? length - 1 - j : j)) * inner + i;
          const T v = from[at];
          if (exclusive) to[at] = sum;
          sum = any ? join(sum, v) : v;
          any = true;
          if (!exclusive) to[at] = sum;
        }
      }
    };
    using U = std::conditional_t<std::is_floating_point_v<T>, T, uint64_t>;  // integers wrap
    switch (s.dim[4]) {
      case 0: walk([](T a, T b) { return static_cast<T>(static_cast<U>(a) + static_cast<U>(b)); }, T(0)); break;
      case 1: walk([](T a, T b) { return static_cast<T>(static_cast<U>(a) * static_cast<U>(b)); }, T(1)); break;
      case 2: walk([](T a, T b) { return a != a ? a : a > b ? a : b; }, std::numeric_limits<T>::lowest()); break;
      default: walk([](T a, T b) { return a != a ? a : a < b ? a : b; }, std::numeric_limits<T>::max());
    }
  });
}

void argsort(const Step& s, Frame& f, int w, int n) {
  const int64_t length = s.dim[1], inner = s.dim[2];
  const int64_t keep = s.dim[6] > 0 && s.dim[6] < length ? s.dim[6] : length;
  const bool descending = s.dim[5] != 0;
  const Part p = part(s, w, n, s.dim[0] * inner);
  if (p.first >= p.last) return;
  with_type(static_cast<Dtype>(s.dim[3]), [&](auto t) {
    using T = decltype(t);
    const T* keys = static_cast<const T*>(s.buf[0]);
    int32_t* const order = reinterpret_cast<int32_t*>(f.scratch[w]);  // a row fits: Program::scratch_of
    for (int64_t line = p.first; line < p.last; ++line) {
      const int64_t o = line / inner, i = line - o * inner;
      const T* row = keys + o * length * inner + i;
      std::iota(order, order + length, 0);
      auto key = [&](int32_t j) { return row[j * inner]; };
      auto less = [&](int32_t a, int32_t b) {
        const T x = key(a), y = key(b);
        return x < y || (y != y && x == x);
      };
      auto ahead = [&](int32_t a, int32_t b) { return descending ? less(b, a) : less(a, b); };
      if (keep < length) {
        std::partial_sort(order, order + keep, order + length,
                          [&](int32_t a, int32_t b) { return ahead(a, b) || (!ahead(b, a) && a < b); });
      } else {
        std::stable_sort(order, order + length, ahead);
      }
      for (int64_t j = 0; j < keep; ++j) {
        const int64_t at = (o * keep + j) * inner + i;
        if (s.buf[1]) {
          if (static_cast<Dtype>(s.dim[4]) == Dtype::i64) static_cast<int64_t*>(s.buf[1])[at] = order[j];
          else static_cast<int32_t*>(s.buf[1])[at] = order[j];
        }
        if (s.buf[2]) static_cast<T*>(s.buf[2])[at] = key(order[j]);
      }
    }
  });
}

void check_range(const Step& s, Frame& f, int w, int n) {
  const Part p = part(s, w, n, s.dim[0]);
  const int64_t low = s.dim[2], high = s.dim[3], across = s.dim[8] > 0 ? s.dim[8] : 1;
  with_type(static_cast<Dtype>(s.dim[1]), [&](auto t) {
    using T = decltype(t);
    const T* x = static_cast<const T*>(s.buf[0]);
    for (int64_t i = p.first; i < p.last; ++i) {
      const double v = static_cast<double>(x[i]);
      if (v >= static_cast<double>(low) && v < static_cast<double>(high)) continue;
      if (s.dim[5] && v == static_cast<double>(s.dim[6])) continue;
      const int64_t in_batch = i / across;
      const int64_t row = in_batch < f.n_rows ? (f.rows ? f.rows[in_batch] : f.first_row + in_batch) : in_batch;
      report(f, s.dim[7] ? static_cast<int32_t>(s.dim[7]) : 105, static_cast<int32_t>(s.dim[4]), row, i % across, v);
      return;
    }
  });
}

void check_finite(const Step& s, Frame& f, int w, int n) {
  const Part p = part(s, w, n, s.dim[0]);
  auto look = [&](auto t) {
    const auto* x = static_cast<const decltype(t)*>(s.buf[0]);
    for (int64_t i = p.first; i < p.last; ++i)
      if (!std::isfinite(x[i])) {
        report(f, s.dim[2] ? static_cast<int32_t>(s.dim[2]) : 301, static_cast<int32_t>(s.dim[3]), f.step_index, i,
               x[i]);
        return;
      }
  };
  if (static_cast<Dtype>(s.dim[1]) == Dtype::f64) look(double{});
  else look(float{});
}

namespace {

void panels(const Step& s, int w, int n, bool in) {
  const int64_t K = s.dim[0], N = s.dim[1], ld = s.dim[2], size = s.dim[3];
  const Part p = part(s, w, n, (N + kPanel - 1) / kPanel);
  uint8_t* dense = static_cast<uint8_t*>(s.buf[in ? 0 : 1]);
  uint8_t* stored = static_cast<uint8_t*>(s.buf[in ? 1 : 0]);
  for (int64_t q = p.first; q < p.last; ++q) {
    const int64_t c = q * kPanel, columns = std::min<int64_t>(kPanel, N - c);
    const int64_t width = std::min<int64_t>(kPanel, (N - c + 15) / 16 * 16);
    for (int64_t k = 0; k < K; ++k) {
      uint8_t* a = dense + (k * ld + c) * size;
      uint8_t* b = stored + (c * K + k * width) * size;
      if (in) {
        std::memcpy(b, a, static_cast<size_t>(columns * size));
        std::memset(b + columns * size, 0, static_cast<size_t>((width - columns) * size));
      } else {
        std::memcpy(a, b, static_cast<size_t>(columns * size));
      }
    }
  }
}

}  // namespace

void panels_in(const Step& s, Frame&, int w, int n) { panels(s, w, n, true); }
void panels_out(const Step& s, Frame&, int w, int n) { panels(s, w, n, false); }

void count_step(const Step& s, Frame&, int w, int) {
  if (w == 0) *static_cast<int64_t*>(s.buf[0]) += s.dim[0];
}

}  // namespace rv
