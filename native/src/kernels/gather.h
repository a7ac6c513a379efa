// Batches from data sets: rows by number, any element type, any strides, converted on the way.
//
//   gather   buf: 0 source (row 0), 1 destination [rows, elements], dense
//            dim: 0 rows of the batch   1 elements of a row   2 source dtype   3 destination dtype
//                 4 bytes from row to row of the source       5 rank of a row (0 .. 6)
//                 6 flags: 1 tell non-finite values (fault 204), 2 tell values outside [dim 8, dim 9) (fault 105)
//                          4 (with 2) except dim 10            8 rows are numbered from the run's first, not by its order
//                          16 the destination is [elements, rows] (float32)
//                          32 the destination is in column panels (float32, as a weight's)
//                 7 number of the source, for fault reports
//                 11 .. 16 sizes, 17 .. 22 strides in bytes of a row's dims
//            Row numbers come from the frame. A unit is a row. A row is checked before the step that follows a guard writes
//            anything; the rows to come are fetched while the memory bus is idle.
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

static __attribute__((noinline)) void check_rows(const Step& s, Frame& f, const uint8_t* rows, const int64_t* numbers,
                                                 int64_t first_row, int64_t some) {
  const int64_t bytes = s.dim[1] * size_of(static_cast<Dtype>(s.dim[3]));
  for (int64_t k = 0; k < some; ++k) check_row(s, f, numbers ? numbers[k] : first_row + k, rows + k * bytes);
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

// Dense rows, one after the other.
RV_INLINE void copy_rows(uint8_t* to, const uint8_t* from, int64_t row_step, const int64_t* order, int64_t first_row,
                         int64_t rows, int64_t bytes) {
  for (int64_t i = 0; i < rows; ++i)
    std::memcpy(to + i * bytes, from + (order ? order[i] : first_row + i) * row_step, static_cast<size_t>(bytes));
}

// Rows of a few words, which go as they are: moves without a call, the rows `ahead` numbers on fetched on the way. By
// rows, or word by word to runs of `ld`.
template <int Words, bool Columns>
RV_NOINLINE void move_words(uint32_t* to, int64_t ld, const uint8_t* from, int64_t row_step, const int64_t* order,
                            int64_t first_row, int64_t rows, int64_t ahead, int64_t fetched) {
  for (int64_t i = 0; i < rows; ++i) {
    if (i < fetched) __builtin_prefetch(from + order[i + ahead] * row_step);
    const uint8_t* p = from + (order ? order[i] : first_row + i) * row_step;
#pragma GCC unroll 8
    for (int e = 0; e < Words; ++e) __builtin_memcpy(to + (Columns ? e * ld + i : i * Words + e), p + 4 * e, 4);
  }
}
using MoveWords = void (*)(uint32_t*, int64_t, const uint8_t*, int64_t, const int64_t*, int64_t, int64_t, int64_t,
                           int64_t);
constexpr int kFewWords = 8;
#define RV_MOVES(C)                                                                          \
  {nullptr,          move_words<1, C>, move_words<2, C>, move_words<3, C>, move_words<4, C>, \
   move_words<5, C>, move_words<6, C>, move_words<7, C>, move_words<8, C>}
constexpr MoveWords kMoveWords[2][kFewWords + 1] = {RV_MOVES(false), RV_MOVES(true)};
#undef RV_MOVES

// May any of the n elements be one that check_row tells of? Types it does not know: yes.
template <class T>
RV_INLINE bool any_outside(const T* x, int64_t n, int64_t lo, int64_t hi) {
  const uint64_t span = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
  uint64_t bad = 0;
  for (int64_t i = 0; i < n; ++i)
    bad |= static_cast<uint64_t>(static_cast<int64_t>(x[i])) - static_cast<uint64_t>(lo) >= span;
  return bad != 0;
}
RV_INLINE bool suspicious(const Step& s, const uint8_t* to, int64_t n) {
  const Dtype d = static_cast<Dtype>(s.dim[3]);
  if (s.dim[6] & 2) {
    if (s.dim[6] & 4 || s.dim[9] < s.dim[8]) return true;
    if (d == Dtype::i64) return any_outside(reinterpret_cast<const int64_t*>(to), n, s.dim[8], s.dim[9]);
    if (d == Dtype::i32) return any_outside(reinterpret_cast<const int32_t*>(to), n, s.dim[8], s.dim[9]);
    if (d == Dtype::u8) return any_outside(to, n, s.dim[8], s.dim[9]);
    return true;
  }
  if (d == Dtype::f32) return first_non_finite(reinterpret_cast<const float*>(to), n) >= 0;
  return d == Dtype::f64;
}

constexpr int64_t kGatherScratch = kScratchBytes / 2;  // above what collecting and converting rows takes
// to[e * ld + i] = x[i, e] of a few elements.
RV_INLINE void turn_rows(const float* x, float* to, int64_t ld, int64_t rows, int64_t elements) {
  for (int64_t e = 0; e < elements; ++e)
    for (int64_t i = 0; i < rows; ++i) to[e * ld + i] = x[i * elements + e];
}

// Rows i .. i + some of a batch in column panels: panel by panel, as a row alone is a line in each of so many pages.
constexpr int64_t kSpread = 8;
RV_INLINE void spread_rows(const float* const* x, float* to, int64_t i, int64_t some, int64_t rows, int64_t elements) {
  for (int64_t c = 0; c < elements; c += kPanel) {
    const int64_t left = elements - c, ld = left < kPanel ? (left + 15) / 16 * 16 : kPanel;
    float* part = to + c * rows + i * ld;
    for (int64_t k = 0; k < some; ++k, part += ld) {
      if (left >= kPanel) __builtin_memcpy(part, x[k] + c, kPanel * 4);
      else std::memcpy(part, x[k] + c, static_cast<size_t>(left) * 4);
    }
  }
}

constexpr int64_t kLongRow = 512;  // bytes
constexpr int64_t kRowsAhead = 8;
constexpr int64_t kHint =
    1024;  // bytes of a long row for each of which one line is fetched: the hardware foresees the rest

// Short dense rows of the type that is wanted, units first .. last: the set-up of the general case would cost more than the
// moves.
RV_NOINLINE void gather_words(const Step& s, Frame& f, int64_t first, int64_t last) {
  const int64_t rows = s.dim[0], elements = s.dim[1], words = elements * size_of(static_cast<Dtype>(s.dim[2])) / 4;
  const bool by_columns = s.dim[6] & 16;
  const int64_t* order = s.dim[6] & 8 ? nullptr : f.rows;
  const int64_t some = last - first, ahead = 2 * rows, left = f.rows_left - first - ahead;
  const int64_t* numbers = order ? order + first : nullptr;
  uint32_t* to = static_cast<uint32_t*>(s.buf[1]) + (by_columns ? first : first * words);
  kMoveWords[by_columns][words](to, rows, static_cast<const uint8_t*>(s.buf[0]), s.dim[4], numbers, f.first_row + first,
                                some, ahead,
                                !order        ? 0
                                : left < some ? left
                                              : some);
  if (!(s.dim[6] & 3)) return;
  const uint8_t* made = reinterpret_cast<const uint8_t*>(to);
  if (!by_columns) {
    if (suspicious(s, made, some * elements)) [[unlikely]]
      check_rows(s, f, made, numbers, f.first_row + first, some);
    return;
  }
  bool bad = false;
  if (some == rows) bad = suspicious(s, made, some * elements);
  else
    for (int64_t e = 0; e < elements; ++e) bad = bad || suspicious(s, made + e * rows * 4, some);
  if (!bad) [[likely]]
    return;
  for (int64_t i = 0; i < some; ++i) {
    uint32_t row[kFewWords];
    for (int64_t e = 0; e < elements; ++e) row[e] = to[e * rows + i];
    check_row(s, f, numbers ? numbers[i] : f.first_row + first + i, reinterpret_cast<const uint8_t*>(row));
  }
}

static void gather(const Step& s, Frame& f, int w, int n) {
  int64_t first, last;
  share(s.units, w, n, first, last);
  const int64_t rows = s.dim[0], elements = s.dim[1], row_step = s.dim[4];
  if (last > rows) last = rows;
  if (first >= last) return;
  const Dtype from_type = static_cast<Dtype>(s.dim[2]), to_type = static_cast<Dtype>(s.dim[3]);
  const int from_size = size_of(from_type), to_size = size_of(to_type);
  if (from_type == to_type && s.dim[5] == 1 && s.dim[17] == from_size && elements * from_size <= 4 * kFewWords &&
      elements * from_size % 4 == 0 && elements > 0)
    return gather_words(s, f, first, last);
  const int rank = static_cast<int>(s.dim[5]);
  bool dense = true;
  for (int64_t d = rank - 1, step = from_size; d >= 0; step *= s.dim[11 + d], --d)
    dense = dense && (s.dim[17 + d] == step || s.dim[11 + d] == 1);
  const uint8_t* base = static_cast<const uint8_t*>(s.buf[0]);
  // Rows for a destination stored by columns or panels are made in scratch, then moved there; if there is anything to make.
  const bool by_columns = s.dim[6] & 16, by_panels = s.dim[6] & 32;
  const bool as_they_are = by_panels && dense && from_type == to_type;
  uint8_t* const out = static_cast<uint8_t*>(s.buf[1]);
  const int64_t* order = s.dim[6] & 8 ? nullptr : f.rows;
  const int64_t line_bytes = dense ? elements * from_size : 0, to_bytes = elements * to_size;
  // Where the next rows to fetch begin, as numbers in this batch. Long rows were mostly fetched by products of the batch
  // before (look_ahead); what is left of them is fetched a few rows before its turn. Short rows: the batch after next.
  const bool by_products = order && line_bytes >= kLongRow;
  const int64_t ahead = by_products ? kRowsAhead : 2 * rows;
  const int64_t end = by_products ? last : last + ahead < f.rows_left ? last + ahead : f.rows_left;
  int64_t fetch = first + ahead;
  if (by_products) {
    if (f.ahead.order == order && f.ahead.base == base && f.ahead.row > fetch) fetch = f.ahead.row;
    f.ahead = {base, order + rows, row_step, line_bytes, first, last < f.rows_left - rows ? last : f.rows_left - rows,
               0};
  }
  EwInstr c{};
  c.dst = 1;
  if (from_type != to_type) c.fn = elementwise_fn(ew_cast, from_type, to_type);
  // A few rows at a time: copied, then converted together if they are short, then looked through while in L1.
  constexpr int64_t kChunkBytes = 8192;
  const int64_t widest = line_bytes > to_bytes ? line_bytes : to_bytes;
  const int64_t fitting = !dense || widest > kChunkBytes / 2 ? 1 : widest ? kChunkBytes / widest : last - first;
  const int64_t at_once = as_they_are || (by_panels && fitting > kSpread) ? kSpread : fitting;
  const bool together = c.fn && at_once > 1 && line_bytes < 128;
  for (int64_t i = first; i < last; i += at_once) {
    const int64_t some = last - i < at_once ? last - i : at_once;
    const int64_t* numbers = order ? order + i : nullptr;
    uint8_t* to = by_columns || by_panels ? f.scratch[w] + kGatherScratch : out + i * to_bytes;
    if (dense && order) {
      for (; fetch < end && fetch < i + some + ahead; ++fetch) {
        const uint8_t* next = base + order[fetch] * row_step;
        for (int64_t b = 0; b < line_bytes; b += kHint) __builtin_prefetch(next + b);
      }
    }
    const float* of[kSpread];
    if (as_they_are) {
      for (int64_t k = 0; k < some; ++k) {
        const int64_t row = numbers ? numbers[k] : f.first_row + i + k;
        const uint8_t* x = base + row * row_step;
        if ((s.dim[6] & 3) && suspicious(s, x, elements)) [[unlikely]]
          check_row(s, f, row, x);
        of[k] = reinterpret_cast<const float*>(x);
      }
      spread_rows(of, reinterpret_cast<float*>(out), i, some, rows, elements);
      continue;
    }
    if (!dense) {
      const int64_t row = order ? order[i] : f.first_row + i;
      collect_row(s, f, w, c, base + row * row_step, to, from_size, to_size);
    } else if (!c.fn) {
      copy_rows(to, base, row_step, numbers, f.first_row + i, some, line_bytes);
    } else if (together) {
      uint8_t* reg[2] = {f.scratch[w], to};
      copy_rows(reg[0], base, row_step, numbers, f.first_row + i, some, line_bytes);
      c.fn(c, reg, some * elements);
    } else {
      for (int64_t k = 0; k < some; ++k) {
        const int64_t row = numbers ? numbers[k] : f.first_row + i + k;
        uint8_t* reg[2] = {const_cast<uint8_t*>(base + row * row_step), to + k * to_bytes};
        c.fn(c, reg, elements);
      }
    }
    if ((s.dim[6] & 3) && suspicious(s, to, some * elements)) [[unlikely]]
      check_rows(s, f, to, numbers, f.first_row + i, some);
    if (by_columns)
      turn_rows(reinterpret_cast<const float*>(to), reinterpret_cast<float*>(out) + i, rows, some, elements);
    if (by_panels) {
      for (int64_t k = 0; k < some; ++k) of[k] = reinterpret_cast<const float*>(to) + k * elements;
      spread_rows(of, reinterpret_cast<float*>(out), i, some, rows, elements);
    }
  }
}

}  // namespace rv::RV_ISA
