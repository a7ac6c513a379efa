// Batches from data sets: rows by number, any element type, any strides, converted on the way.
//
//   gather   buf: 0 source (row 0), 1 destination [rows, elements], dense
//            dim: 0 rows of the batch   1 elements of a row   2 source dtype   3 destination dtype
//                 4 bytes from row to row of the source       5 rank of a row (0 .. 6)
//                 6 flags: 1 tell non-finite values (fault 204), 2 tell values outside [dim 8, dim 9) (fault 105)
//                          4 (with 2) except dim 10            8 rows are numbered from the run's first, not by its order
//                 7 number of the source, for fault reports
//                 11 .. 16 sizes, 17 .. 22 strides in bytes of a row's dims
//            Row numbers come from the frame. A unit is a row. A row is checked before the step that follows a guard writes
//            anything; rows of the batch after next are prefetched while the memory bus is idle.
#pragma once
#include "elementwise.h"

namespace rv::RV_ISA {

// Column of the first value that is not finite, or -1.
RV_INLINE int64_t first_non_finite(const float* x, int64_t n) {
  vi bad{};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const vf v = load(x + i);
    const vf d = v - v;  // NaN for both infinities and NaN
    bad |= d != d;
  }
  if (i < n) {
    const vf v = load_part(x + i, n - i);
    const vf d = v - v;
    bad |= d != d;
  }
  if (!any_lane(bad)) [[likely]]
    return -1;
  for (i = 0; i < n; ++i)
    if (!(std::fabs(x[i]) <= __FLT_MAX__)) return i;
  return -1;
}

RV_INLINE double element_as_double(const uint8_t* p, Dtype d, int64_t i) {
  switch (d) {
    case Dtype::f32: return reinterpret_cast<const float*>(p)[i];
    case Dtype::f64: return reinterpret_cast<const double*>(p)[i];
    case Dtype::i32: return reinterpret_cast<const int32_t*>(p)[i];
    case Dtype::i64: return static_cast<double>(reinterpret_cast<const int64_t*>(p)[i]);
    case Dtype::i8: return reinterpret_cast<const int8_t*>(p)[i];
    case Dtype::i16: return reinterpret_cast<const int16_t*>(p)[i];
    case Dtype::u16: return reinterpret_cast<const uint16_t*>(p)[i];
    case Dtype::u32: return reinterpret_cast<const uint32_t*>(p)[i];
    case Dtype::u64: return static_cast<double>(reinterpret_cast<const uint64_t*>(p)[i]);
    default: return p[i];
  }
}

static __attribute__((noinline)) void check_row(const Step& s, Frame& f, int64_t row, const uint8_t* to) {
  const int64_t n = s.dim[1], flags = s.dim[6];
  const Dtype d = static_cast<Dtype>(s.dim[3]);
  if (flags & 1) {
    int64_t at = -1;
    if (d == Dtype::f32) at = first_non_finite(reinterpret_cast<const float*>(to), n);
    else if (d == Dtype::f64) {
      const double* x = reinterpret_cast<const double*>(to);
      for (int64_t i = 0; i < n && at < 0; ++i)
        if (!(std::fabs(x[i]) <= __DBL_MAX__)) at = i;
    }
    if (at >= 0) report(f, 204, static_cast<int32_t>(s.dim[7]), row, at, element_as_double(to, d, at));
  }
  if (flags & 2) {
    for (int64_t i = 0; i < n; ++i) {
      const double v = element_as_double(to, d, i);
      if (v >= static_cast<double>(s.dim[8]) && v < static_cast<double>(s.dim[9])) continue;
      if ((flags & 4) && v == static_cast<double>(s.dim[10])) continue;
      report(f, 105, static_cast<int32_t>(s.dim[7]), row, i, v);
      break;
    }
  }
}

// A row with strides of its own: elements are collected in scratch, then converted together.
static __attribute__((noinline)) void collect_row(const Step& s, Frame& f, int w, const EwInstr& convert,
                                                  const uint8_t* from, uint8_t* to, int size, int to_size) {
  const int rank = static_cast<int>(s.dim[5]);
  int64_t index[kMaxRank] = {};
  const int64_t inner = rank ? s.dim[11 + rank - 1] : 1, step = rank ? s.dim[17 + rank - 1] : 0;
  const int64_t room = f.scratch_bytes / size;
  uint8_t* held = f.scratch[w];
  int64_t waiting = 0;
  auto flush = [&] {
    if (convert.fn) {
      uint8_t* reg[2] = {held, to};
      convert.fn(convert, reg, waiting);
    } else {
      std::memcpy(to, held, static_cast<size_t>(waiting * size));
    }
    to += waiting * to_size;
    waiting = 0;
  };
  for (int64_t done = 0; done < s.dim[1]; done += inner) {
    const uint8_t* p = from;
    for (int d = 0; d + 1 < rank; ++d) p += index[d] * s.dim[17 + d];
    for (int64_t i = 0; i < inner; ++i) {
      if (waiting == room) flush();
      std::memcpy(held + waiting++ * size, p + i * step, static_cast<size_t>(size));
    }
    for (int d = rank - 2; d >= 0; --d) {
      if (++index[d] < s.dim[11 + d]) break;
      index[d] = 0;
    }
  }
  flush();
}

static void gather(const Step& s, Frame& f, int w, int n) {
  int64_t first, last;
  share(s.units, w, n, first, last);
  const int64_t rows = s.dim[0], elements = s.dim[1], row_step = s.dim[4];
  if (last > rows) last = rows;
  if (first >= last) return;
  const Dtype from_type = static_cast<Dtype>(s.dim[2]), to_type = static_cast<Dtype>(s.dim[3]);
  const int from_size = size_of(from_type), to_size = size_of(to_type);
  const int rank = static_cast<int>(s.dim[5]);
  bool dense = true;
  for (int64_t d = rank - 1, step = from_size; d >= 0; step *= s.dim[11 + d], --d)
    dense = dense && (s.dim[17 + d] == step || s.dim[11 + d] == 1);
  const uint8_t* base = static_cast<const uint8_t*>(s.buf[0]);
  uint8_t* out = static_cast<uint8_t*>(s.buf[1]);
  const int64_t* order = s.dim[6] & 8 ? nullptr : f.rows;
  const int64_t ahead = 2 * rows;
  const int64_t line_bytes = dense ? elements * from_size : 0;
  EwInstr c{};
  c.dst = 1;
  if (from_type != to_type) c.fn = elementwise_fn(ew_cast, from_type, to_type);
  for (int64_t i = first; i < last; ++i) {
    const int64_t row = order ? order[i] : f.first_row + i;
    const uint8_t* from = base + row * row_step;
    uint8_t* to = out + i * elements * to_size;
    if (order && i + ahead < f.rows_left) {
      const uint8_t* next = base + order[i + ahead] * row_step;
      for (int64_t b = 0; b < line_bytes; b += 64) __builtin_prefetch(next + b);
    }
    if (!dense) {
      collect_row(s, f, w, c, from, to, from_size, to_size);
      if (s.dim[6] & 3) check_row(s, f, row, to);
      continue;
    }
    if (c.fn) {
      uint8_t* reg[2] = {const_cast<uint8_t*>(from), to};
      c.fn(c, reg, elements);
    } else {
      if (elements == 1 && to_size == 4) std::memcpy(to, from, 4);
      else std::memcpy(to, from, static_cast<size_t>(elements * to_size));
    }
    if (s.dim[6] & 3) check_row(s, f, row, to);
  }
}

}  // namespace rv::RV_ISA
