// Gradients of convolutions whose positions were read through windows side by side, of which each kept one (max pooling):
// what comes back to the positions is zero but for one in each window. Zeros are not multiplied. All float32, one group.
//
//   conv_input_windows   X[p, c] = sum over taps t and channels j of V[(p - t) / step, j] * w[t, c, j]
//                        buf: 0 values, 1 w, 2 X, 3 bias[c] or side, 4 side (flag 16), 5 the taps (int32), 6 kept, bytes
//                        unit: a row of the batch
//   conv_kernel_windows  w[t, c, j] = sum over rows and positions o of A[o * step + t, c] * V[o, j]
//                        buf: 0 A, 1 values, 2 w, 5 the runs (int32), 6 kept, bytes
//                        unit: sixteen columns of w of a piece of its rows, of one part of the batch
//
// V[o, j] is the value of o's window where the number kept for (window, j) is o's in it, else zero.
//
// conv_input_windows adds each value that is not zero, times w's taps, to the positions that met it, in a frame around X.
//   dim[0] rows of the batch   dim[1] channels of V   dim[2] taps   dim[3] channels of X
//   dim[4..5] windows along H and W   dim[6..7] positions of a window along them
//   dim[8..9] floats in the frame from a position of V to the next along H and W, sixteen for each position of the frame
//   dim[10..11] positions of the frame, and of a line of it   dim[12..13] the frame begins so many before X along H and W
//   dim[14..15] H and W of X   dim[21] flags, dim[23] channels of X, and the program: as in conv.h
//   table: float in the frame of each tap, its position at 0
//
// conv_kernel_windows has one column of a piece in registers while the values of a band go by.
//   dim[0..2], [5..22], [27], [28] as in conv_kernel (conv.h); dim[2] runs, dim[5..7] positions that lie in windows
//   dim[3] columns   dim[24] windows of a row of the batch   dim[25..26] parts of the batch, as there
//   dim[29] runs of a piece at most   dim[30] floats of a run
//   dim[31] floats of a run in a piece at most, a multiple of 16 as dim[30] is
//   table: for each run (taps whose channels of A follow each other) its offset in the frame and its first row of w;
//   then positions of a window along H and W
//
// A sum is the chain of madd that conv and conv_kernel make of it, in the same order, without its zeros: the same bits
// (unless a zero would have met an infinity or a NaN).
#pragma once
#include "conv.h"

namespace rv::RV_ISA {

constexpr int64_t kStripe = 16;          // channels of a block of X, columns of a unit of w
constexpr int64_t kRunFloats = 96;       // of a run in a piece, at most
constexpr int64_t kRunsAtOnce = 3;       // in a piece, at most
constexpr int64_t kWindowsAtOnce = 512;  // whose values are listed at once, about
constexpr int64_t kUnitsAtOnce = 12;     // of w
constexpr int64_t kUnitFloats = kStripe * kRunsAtOnce * kRunFloats;
constexpr int64_t kMostWindows = 1 << 14;               // of a line, so that a list has room
constexpr int64_t kMostLines = 8;                       // of positions of a window
constexpr int kAccumulators = kRows[4] == 6 ? 18 : 12;  // as many registers, and some to spare
static_assert(kUnitsAtOnce * kUnitFloats * 4 <= (320 << 10));
static_assert(kStripe * (kMostWindows + W) * 8 <= (4 << 20) - 4096);

// ---- the gradient of the input

// frame[off[t] + c] += sum over n entries of value * w[at + t * 16 + c], for taps 0..MT, sixteen channels.
using TapsFn = void (*)(const int32_t* at, const float* value, int64_t n, const float* w, float* frame,
                        const int32_t* off);
template <int MT>
RV_NOINLINE void add_taps(const int32_t* at, const float* value, int64_t n, const float* w, float* frame,
                          const int32_t* off) {
  constexpr int NV = kStripe / W;
  vf acc[MT][NV];
#pragma GCC unroll 12
  for (int t = 0; t < MT; ++t)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[t][v] = load(frame + off[t] + v * W);
  for (int64_t i = 0; i < n; ++i) {
    const float* row = w + at[i];
    const vf s = splat(value[i]);
#pragma GCC unroll 12
    for (int t = 0; t < MT; ++t)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[t][v] = madd(s, load(row + t * kStripe + v * W), acc[t][v]);
  }
#pragma GCC unroll 12
  for (int t = 0; t < MT; ++t)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(frame + off[t] + v * W, acc[t][v]);
}
constexpr int64_t kTapsAtOnce = kAccumulators / (kStripe / W) < 12 ? kAccumulators / (kStripe / W) : 12;
template <int MT>
constexpr TapsFn taps_fn() {
  if constexpr (MT <= kTapsAtOnce) return add_taps<MT>;
  else return nullptr;
}
static constexpr TapsFn kAddTaps[13] = {nullptr,       taps_fn<1>(),  taps_fn<2>(), taps_fn<3>(), taps_fn<4>(),
                                        taps_fn<5>(),  taps_fn<6>(),  taps_fn<7>(), taps_fn<8>(), taps_fn<9>(),
                                        taps_fn<10>(), taps_fn<11>(), taps_fn<12>()};

// Scratch: the frame, w as [blocks of channels of X][channels of V][taps][16], the values and where each of a position
// begins: [windows][positions of a window], and one behind the last.
constexpr int64_t kFrameAt = kConvBand, kTapsAt = kConvPack, kValuesAt = kTapsAt + (2 << 20);
constexpr int64_t kStartsAt = kValuesAt + (7 << 18), kStartsBytes = 1 << 17;
static_assert(kStartsAt + kStartsBytes <= kScratchBytes);

static void conv_input_windows(const Step& s, Frame& f, int worker, int workers) {
  const int64_t* d = s.dim;
  const int64_t J = d[1], T = d[2], C = d[3], OH = d[4], OW = d[5], kh = d[6], kw = d[7], each = kh * kw;
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (first >= last) return;
  uint8_t* scratch = f.scratch[worker];
  float* frame = reinterpret_cast<float*>(scratch + kFrameAt);
  float* turned = reinterpret_cast<float*>(scratch + kTapsAt);
  int32_t* starts = reinterpret_cast<int32_t*>(scratch + kStartsAt);
  float* values = reinterpret_cast<float*>(scratch + kValuesAt);
  int32_t* at = reinterpret_cast<int32_t*>(values + OH * OW * J + W);
  const int32_t* off = static_cast<const int32_t*>(s.buf[5]);
  const vi lanes = lane_index() * splati(static_cast<int32_t>(T * kStripe));
  const vi turn = splati(static_cast<int32_t>(W * T * kStripe));
  const int64_t blocks = (C + kStripe - 1) / kStripe, per_block = J * T * kStripe;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t c0 = b * kStripe, cols = least(kStripe, C - c0);
    if (cols < kStripe) __builtin_memset(turned + b * per_block, 0, size_t(per_block) * 4);
    for (int64_t t = 0; t < T; ++t)
      transpose(static_cast<const float*>(s.buf[1]) + (t * C + c0) * J, J, turned + b * per_block + t * kStripe,
                T * kStripe, cols, J);
  }
  // Lines of X that lie side by side in the frame are finished at once.
  const int64_t together = d[11] == d[15] ? least(d[14], 192 / d[15] + 1) : 1;
  for (int64_t n = first; n < last; ++n) {
    const float* V = static_cast<const float*>(s.buf[0]) + n * OH * OW * J;
    const uint8_t* kept = static_cast<const uint8_t*>(s.buf[6]) + n * OH * OW * J;
    int64_t count = 0;
    for (int64_t o = 0; o < OH * OW; ++o, V += J, kept += J)
      for (int64_t k = 0; k < each; ++k) {
        starts[o * each + k] = static_cast<int32_t>(count);
        const vi tap = splati(static_cast<int32_t>(k));
        vi index = lanes;
        for (int64_t j = 0; j < J; j += W, index += turn) {
          const int64_t some = least(W, J - j);
          const vf v = load_some(V + j, some);
          count += keep_lanes((load_taps(kept + j, 1, some) == tap) & (v != 0), index, v, at + count, values + count);
        }
      }
    starts[OH * OW * each] = static_cast<int32_t>(count);
    for (int64_t b = 0; b < blocks; ++b) {
      __builtin_memset(frame, 0, size_t(d[10] * kStripe) * 4);
      const int64_t parts = (T + kTapsAtOnce - 1) / kTapsAtOnce;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t t0 = T * part / parts, t1 = T * (part + 1) / parts;
        const TapsFn fn = kAddTaps[t1 - t0];
        const float* w = turned + b * per_block + t0 * kStripe;
        // A position of X meets those of V from the last to the first as its taps go up.
        for (int64_t h = OH - 1; h >= 0; --h)
          for (int64_t r = kh - 1; r >= 0; --r) {
            float* line = frame + (h * kh + r) * d[8];
            for (int64_t o = OW - 1; o >= 0; --o) {
              const int32_t* start = starts + (h * OW + o) * each + r * kw;
              for (int64_t k = kw - 1; k >= 0; --k)
                if (const int64_t from = start[k], some = start[k + 1] - from; some)
                  fn(at + from, values + from, some, w, line + (o * kw + k) * d[9], off + t0);
            }
          }
      }
      const int64_t c0 = b * kStripe, cols = least(kStripe, C - c0);
      for (int64_t y = 0; y < d[14]; y += together) {
        const int64_t r = (n * d[14] + y) * d[15], rows = least(together, d[14] - y) * d[15];
        float* sums = frame + ((y + d[12]) * d[11] + d[13]) * kStripe;
        if (s.program) ew_run_tile(*s.program, s, r, rows, c0, cols, sums, kStripe, scratch + kConvProgram);
        else finish_block(s, r, rows, c0, cols, sums, kStripe);
      }
    }
  }
}

// ---- the gradient of the kernel

// sums[r * 96 + i] += sum over n entries of value * a[at + off[2 r] + i], for MR runs of NV vectors.
using RunsFn = void (*)(const int32_t* at, const float* value, int64_t n, const float* a, const int32_t* off,
                        float* sums);
template <int MR, int NV>
RV_NOINLINE void add_runs(const int32_t* at, const float* value, int64_t n, const float* a, const int32_t* off,
                          float* sums) {
  vf acc[MR][NV];
  const float* run[MR];
#pragma GCC unroll 3
  for (int r = 0; r < MR; ++r) {
    run[r] = a + off[2 * r];
#pragma GCC unroll 12
    for (int v = 0; v < NV; ++v) acc[r][v] = load(sums + r * kRunFloats + v * W);
  }
  for (int64_t i = 0; i < n; ++i) {
    const vf s = splat(value[i]);
    const int64_t to = at[i];
#pragma GCC unroll 3
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 12
      for (int v = 0; v < NV; ++v) acc[r][v] = madd(load(run[r] + to + v * W), s, acc[r][v]);
  }
#pragma GCC unroll 3
  for (int r = 0; r < MR; ++r)
#pragma GCC unroll 12
    for (int v = 0; v < NV; ++v) store(sums + r * kRunFloats + v * W, acc[r][v]);
}
template <int MR, int NV>
constexpr RunsFn runs_fn() {
  if constexpr (MR * NV <= kAccumulators && NV * W <= kRunFloats) return add_runs<MR, NV>;
  else return nullptr;
}
constexpr int64_t kVectorsAtOnce = 12;
#define RV_RUNS(MR)                                                                            \
  {nullptr,           runs_fn<MR, 1>(),  runs_fn<MR, 2>(), runs_fn<MR, 3>(), runs_fn<MR, 4>(), \
   runs_fn<MR, 5>(),  runs_fn<MR, 6>(),  runs_fn<MR, 7>(), runs_fn<MR, 8>(), runs_fn<MR, 9>(), \
   runs_fn<MR, 10>(), runs_fn<MR, 11>(), runs_fn<MR, 12>()}
static constexpr RunsFn kAddRuns[kRunsAtOnce + 1][kVectorsAtOnce + 1] = {{}, RV_RUNS(1), RV_RUNS(2), RV_RUNS(3)};
#undef RV_RUNS

// What a band passes back to sixteen columns: for each of them, in the order of positions, offsets in A and values.
struct Passed {
  int32_t* at;
  float* value;
  int64_t room;            // of a column
  int64_t count[kStripe];  // of each column
};

// `V` and `kept` begin at the first window of `high` lines of `wide`, at the first of `cols` columns.
RV_NOINLINE void list_passed(Passed& p, const float* V, const uint8_t* kept, int64_t all, int64_t cols, int64_t high,
                             int64_t wide, int64_t kh, int64_t kw, int64_t next, int64_t lda) {
  for (int64_t j0 = 0; j0 < cols; j0 += W) {
    const int64_t some = least(W, cols - j0);
    vi end{};
    for (int64_t h = 0; h < high; ++h) {
      const float* v0 = V + h * wide * all + j0;
      const uint8_t* k0 = kept + h * wide * all + j0;
      // Those of the window's first line come first, whatever their window.
      vi cursor[kMostLines];
      for (int64_t r = 0; r < kh; ++r) cursor[r] = vi{};
      auto line_of = [&](vi tap) {
        vi line{};
        for (int64_t r = 1; r < kh; ++r) line -= tap >= splati(static_cast<int32_t>(r * kw));
        return line;
      };
      // A number that is no position of a window would lead out of A.
      auto passes = [&](vf value, vi tap) { return (value != 0) & (tap < splati(static_cast<int32_t>(kh * kw))); };
      for (int64_t o = 0; o < wide; ++o) {
        const vi tap = load_taps(k0 + o * all, 1, some), line = line_of(tap);
        const vi here = passes(load_some(v0 + o * all, some), tap);
        for (int64_t r = 0; r < kh; ++r) cursor[r] -= here & (line == splati(static_cast<int32_t>(r)));
      }
      for (int64_t r = 0; r < kh; ++r) {
        const vi many = cursor[r];
        cursor[r] = end;
        end += many;
      }
      const vi turn = splati(static_cast<int32_t>(next - kw * lda)), step = splati(static_cast<int32_t>(lda));
      for (int64_t o = 0; o < wide; ++o) {
        const vf value = load_some(v0 + o * all, some);
        const vi tap = load_taps(k0 + o * all, 1, some), here = passes(value, tap), line = line_of(tap);
        vi index{};
        for (int64_t r = 0; r < kh; ++r) {
          const vi mine = line == splati(static_cast<int32_t>(r));
          index = selecti(mine, cursor[r], index);
          cursor[r] -= here & mine;
        }
        const vi offset = splati(static_cast<int32_t>(h * kh * next + o * kw * lda)) + line * turn + tap * step;
        alignas(64) int32_t to[W], where[W];
        alignas(64) float what[W];
        storei(to, selecti(here, index, splati(static_cast<int32_t>(p.room - 1))));
        storei(where, offset);
        store(what, value);
        // Where a value of zero goes nobody looks.
        for (int64_t l = 0; l < some; ++l) {
          p.at[(j0 + l) * p.room + to[l]] = where[l];
          p.value[(j0 + l) * p.room + to[l]] = what[l];
        }
      }
    }
    for (int64_t l = 0; l < some; ++l) p.count[j0 + l] = end[l];
  }
}

static void conv_kernel_windows(const Step& s, Frame& f, int worker, int workers) {
  const int64_t* d = s.dim;
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (first >= last) return;
  uint8_t* scratch = f.scratch[worker];
  float* sums = reinterpret_cast<float*>(scratch + kConvSums);
  float* band = reinterpret_cast<float*>(scratch + kConvBand);
  const int32_t* table = static_cast<const int32_t*>(s.buf[5]);
  const int64_t runs = d[2], J = d[3], at_once = d[29], run = d[30], wide = d[31];
  const int64_t kh = table[2 * runs], kw = table[2 * runs + 1], OW = d[7] / kw, OH = d[6] / kh;
  const int64_t groups = (runs + at_once - 1) / at_once, parts = (run + wide - 1) / wide, pieces = groups * parts;
  const int64_t per_part = pieces * ((J + kStripe - 1) / kStripe);
  const int64_t lines_at_once = (kWindowsAtOnce / OW > 1 ? kWindowsAtOnce / OW : 1) * kh;
  Passed p;
  p.room = lines_at_once / kh * OW + 1;
  p.value = reinterpret_cast<float*>(scratch + kConvPack);
  p.at = reinterpret_cast<int32_t*>(p.value + kStripe * p.room);
  Lines l = Lines::make(s, 0, d[1], d[1]);
  const int64_t lda = d[10] * l.channels;
  // A piece's runs and their floats: from which on, and how many.
  auto piece_of = [&](int64_t piece, int64_t& r0, int64_t& count, int64_t& i0, int64_t& floats) {
    r0 = piece / parts * at_once;
    count = least(at_once, runs - r0);
    i0 = piece % parts * wide;
    floats = least(wide, run - i0);
  };
  for (int64_t u0 = first, u1; u0 < last; u0 = u1) {
    const int64_t part = u0 / per_part, base = part * per_part;
    int64_t from, end;  // rows of the part, then their lines
    share(d[0], part, d[25], from, end);
    from *= d[5] * d[6];
    end *= d[5] * d[6];
    float* out = static_cast<float*>(s.buf[2]) + part * d[26];
    u1 = least(least(last, base + per_part), u0 + kUnitsAtOnce);
    __builtin_memset(sums, 0, size_t((u1 - u0) * kUnitFloats) * 4);
    for (int64_t line = from, lines; line < end; line += lines) {
      lines = find_lines(l, line, end, band);
      for (int64_t i = 0, some; i < lines; i += some) {
        some = least(lines_at_once, lines - i);
        const int64_t n = (line + i) / d[6], window = (n * OH + ((line + i) - n * d[6]) / kh) * OW;
        for (int64_t u = u0; u < u1; ++u) {
          const int64_t c0 = (u - base) / pieces * kStripe, cols = least(kStripe, J - c0);
          if (u == u0 || (u - base) % pieces == 0)
            list_passed(p, static_cast<const float*>(s.buf[1]) + window * J + c0,
                        static_cast<const uint8_t*>(s.buf[6]) + window * J + c0, J, cols, some / kh, OW, kh, kw, l.next,
                        lda);
          int64_t r0, count, i0, floats;
          piece_of((u - base) % pieces, r0, count, i0, floats);
          const float* a = l.at + i * l.next + i0;
          for (int64_t j = 0; j < cols; ++j) {
            const int32_t* at = p.at + j * p.room;
            const float* value = p.value + j * p.room;
            float* to = sums + (u - u0) * kUnitFloats + j * kRunsAtOnce * kRunFloats;
            const int64_t vectors = floats / W;
            if (const RunsFn fn = vectors <= kVectorsAtOnce ? kAddRuns[count][vectors] : nullptr) {
              fn(at, value, p.count[j], a, table + 2 * r0, to);
              continue;
            }
            for (int64_t r = 0; r < count; ++r)  // too many for the registers at once
              for (int64_t v = 0; v < vectors; v += kVectorsAtOnce)
                kAddRuns[1][least(kVectorsAtOnce, vectors - v)](at, value, p.count[j], a + v * W, table + 2 * (r0 + r),
                                                                to + r * kRunFloats + v * W);
          }
        }
      }
    }
    for (int64_t u = u0; u < u1; ++u) {
      const int64_t c0 = (u - base) / pieces * kStripe, cols = least(kStripe, J - c0);
      int64_t r0, count, i0, floats;
      piece_of((u - base) % pieces, r0, count, i0, floats);
      for (int64_t r = 0; r < count; ++r)
        transpose(sums + (u - u0) * kUnitFloats + r * kRunFloats, kRunsAtOnce * kRunFloats,
                  out + (table[2 * (r0 + r) + 1] + i0) * J + c0, J, cols, floats);
    }
  }
}

}  // namespace rv::RV_ISA
