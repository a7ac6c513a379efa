// Convolutions of rows of positions by channels, without im2col. All float32.
//
//   conv         C[o, j] = sum over taps t and channels c of A[o * step + t, c] * w[t, c, j]
//                buf: 0 A, 1 w, 2 C, 3 bias[j] or side, 4 side (flag 16), 5 the taps (int32)
//                unit: a line of C (OW positions of all channels): N * OD * OH of them
//   conv_kernel  w[t, c, j] = sum over rows and positions o of A[o * step + t, c] * G[o, j]
//                buf: 0 A, 1 G, 2 w, 5 the pieces (int32)
//                unit: a piece of w's rows in one panel of columns of one group, of one part of the batch: who makes
//                all pieces of a part reads no other part of A and G
//
// The gradient by the input is conv too, with taps in the other order and w turned; a stride becomes a step for each
// residue. Which position meets which tap is the plan's knowledge: it comes as a table of offsets.
//
//   dim[0]       N, rows of the batch
//   dim[1]       channels of A in a group          dim[2]   taps (conv), pieces (conv_kernel)
//   dim[3]       columns of C in a group           dim[4]   groups
//   dim[5..7]    OD, OH, OW, positions of C (of G)
//   dim[8..10]   steps in A from one position to the next
//   dim[11..13]  D, H, W of A                      dim[14]  channels of A
//   dim[15..17]  the frame begins so many positions before A (negative: inside it)
//   dim[18]      positions of a line of the frame
//   dim[19]      lines of the frame in a band      dim[20]  planes of the frame in a band
//   dim[21]      flags: 1 add bias, 2 then relu, 4 keep where side > 0, 8 add side, 16 side in buf[4];
//                64 w is turned: its element (t, c, j) is w[t][j][c]; 128 depthwise: every channel by itself;
//                256 A is copied into a frame, a band of lines at a time (it is padded, or repeated);
//                512 pooled: only the largest of each window of positions is kept, see below;
//                2048 spread (conv_kernel): G is what window_spread (pool.h) would write, see below
//   dim[22]      columns of w over all groups
//   dim[23..26]  floats in C from a position to the next along W, H, D, and from a row of the batch to the next;
//                conv_kernel: dim[23] of G; dim[25] parts of the batch, each with a w of its own, dim[26] floats from one
//                to the next
//   dim[27]      lines of C in a band
//   dim[28]      channels of A are repeated so often, side by side (depthwise; copied only)
//   dim[29]      conv: taps in a row of the window if rows that meet no line of A are left out (one plane), or 0;
//                conv_kernel, depthwise: taps
//   dim[30]      conv: floats of w; conv_kernel: entries of a piece (1; depthwise: its taps)
//   dim[31]      conv_kernel: rows of w whose channels of A follow each other (cut into pieces of equal size)
//   table        conv: offset in the frame of each tap, then offset in w of each tap
//                conv_kernel: for each entry offset in the frame, first row of w, number of rows (depthwise: one)
//   pooled       conv: windows lie side by side; the table ends with their positions along H and W. OH and OW are
//                positions in windows, dim[23] is dense, C has the largest of each window after bias and relu, buf[4] (or
//                nothing) the number of its position, a byte, as window_max (pool.h) has it. Unit: a line of windows.
//   spread       buf[1] has the values of windows, dense, and buf[6] their taps, bytes; the table ends with the positions
//                of a window along H and W. Windows lie side by side from the first position on, and what lies in none is
//                not among the positions. dim[24] windows of a row of the batch.
//   program      conv: C is not written; the program runs on each finished block, over the space [N*OD*OH*OW, columns].
//                C must then be dense, and so with flags 4 and 8.
//
// Every element of C is one chain of madd over taps and channels, every element of w one over a part's rows, lines and
// positions: the same bits for any number of workers.
#pragma once
#include "elementwise.h"
#include "gemm_block.h"
#include "pool.h"

namespace rv::RV_ISA {

constexpr int64_t kConvTurned = 64, kConvDepthwise = 128, kConvFramed = 256, kConvPooled = 512, kConvSpread = 2048;
constexpr int64_t kConvBlock = 48;              // positions whose sums are held at once
constexpr int64_t kConvBytes = 24 << 10;        // of w per pass over them: what stays in L1
constexpr int64_t kConvSpreadBytes = 16 << 10;  // of positions made of windows
constexpr int64_t kConvNear = 48 << 10;         // of lines of A and G that all pieces go over before the next lines
constexpr int64_t kConvFew = 24 << 10;          // the same where a band is more than that
constexpr int64_t kPieceRows = 24;              // most rows of a piece
constexpr int64_t kPieceFloats = kPieceRows * kPanel;
constexpr int64_t kPiecesAtOnce = 40;  // their sums stay in L2 while images go by
// A worker's scratch, in bytes. The odd lines keep the regions from meeting in the same sets of the cache.
constexpr int64_t kConvOffsets = 0;  // up to 1 MiB of int32
constexpr int64_t kConvSums = (1 << 20) + 64 * 5;
constexpr int64_t kConvProgram = kConvSums + (320 << 10);
constexpr int64_t kConvBand = (2 << 20) + 64 * 21;  // up to 2 MiB - 4 KiB
constexpr int64_t kConvPack = (4 << 20) + 64 * 37;  // up to 4 MiB - 4 KiB
static_assert(kPieceFloats * kPiecesAtOnce * 4 <= (320 << 10));
static_assert(kConvProgram + kMaxRegs * kTile * 8 <= kConvBand && kConvPack <= kScratchBytes / 2 + (1 << 12));

// sum over k in order of a[i * lda + off[k]] * b[k * ldb + j]; depthwise: of a[i * lda + off[k] + j] * b[k * ldb + j].
using ConvTileFn = void (*)(const float* a, int64_t lda, const int32_t* off, const float* b, int64_t ldb, float* c,
                            int64_t ldc, bool more, int64_t k, int64_t tail);

// A distance from position to position that is known beforehand (Near, unless 0) makes every broadcast one address with
// no register of its own: a tile of one vector is bound by them.
template <int MR, int NV, int Near>
RV_NOINLINE void conv_tile(const float* a, int64_t lda, const int32_t* off, const float* b, int64_t ldb, float* c,
                           int64_t ldc, bool more, int64_t k, int64_t tail) {
  if (Near) lda = Near;
  vf acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = more ? load(c + i * ldc + j * W) : vf{};
  for (int64_t n = 0; n < k; ++n) {
    const float* p = a + off[n];
    vf row[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) row[j] = load(b + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const vf s = splat(p[i * lda]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = madd(s, row[j], acc[i][j]);
    }
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV - 1; ++j) store(c + i * ldc + j * W, acc[i][j]);
    float* last = c + i * ldc + (NV - 1) * W;
    if (tail == W) store(last, acc[i][NV - 1]);
    else store_part(last, acc[i][NV - 1], tail);
  }
}

template <int MR, int NV>
RV_NOINLINE void depthwise_tile(const float* a, int64_t lda, const int32_t* off, const float* b, int64_t ldb, float* c,
                                int64_t ldc, bool more, int64_t k, int64_t tail) {
  vf acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = more ? load(c + i * ldc + j * W) : vf{};
  for (int64_t n = 0; n < k; ++n) {
    const float* p = a + off[n];
    vf row[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) row[j] = load(b + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        const float* q = p + i * lda + j * W;
        acc[i][j] = madd(j == NV - 1 && tail != W ? load_part(q, tail) : load(q), row[j], acc[i][j]);
      }
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV - 1; ++j) store(c + i * ldc + j * W, acc[i][j]);
    float* last = c + i * ldc + (NV - 1) * W;
    if (tail == W) store(last, acc[i][NV - 1]);
    else store_part(last, acc[i][NV - 1], tail);
  }
}

// tiles[vectors][rows]; entries beyond kRows[vectors] are never reached.
template <bool Depthwise, int Near>
struct ConvTiles {
  template <int NV, int MR>
  static constexpr ConvTileFn pick() {
    if constexpr (MR > kRows[NV]) return nullptr;
    else if constexpr (Depthwise) return depthwise_tile<MR, NV>;
    else return conv_tile<MR, NV, (NV <= 2) * Near>;
  }
#define RV_TILE_ROWS(NV)                                                                                      \
  {nullptr,       pick<NV, 1>(), pick<NV, 2>(), pick<NV, 3>(),  pick<NV, 4>(),  pick<NV, 5>(), pick<NV, 6>(), \
   pick<NV, 7>(), pick<NV, 8>(), pick<NV, 9>(), pick<NV, 10>(), pick<NV, 11>(), pick<NV, 12>()}
  static constexpr ConvTileFn table[5][kMaxRows + 1] = {
      {}, RV_TILE_ROWS(1), RV_TILE_ROWS(2), RV_TILE_ROWS(3), RV_TILE_ROWS(4)};
#undef RV_TILE_ROWS
};
template <bool Depthwise>
RV_INLINE const ConvTileFn* conv_tiles(int64_t vectors, int64_t lda) {
  if (!Depthwise && lda == 16) return ConvTiles<Depthwise, 16>::table[vectors];
  if (!Depthwise && lda == 32) return ConvTiles<Depthwise, 32>::table[vectors];
  if (!Depthwise && lda == 64) return ConvTiles<Depthwise, 64>::table[vectors];
  return ConvTiles<Depthwise, 0>::table[vectors];
}

// Where lines of positions lie, in the frame or in A itself.
struct Lines {
  const Step& s;
  const int64_t* d;  // the step's integers
  bool framed;
  int64_t from, count, often;  // channels of A that are copied, each so often
  int64_t channels;            // floats from one position to the next
  const float* at;             // the first position of the first line, at the first of these channels
  int64_t next;                // floats to the next line

  RV_INLINE Lines make(const Step& s, int64_t from, int64_t count, int64_t channels) {
    const bool framed = s.dim[21] & kConvFramed;
    return {s, s.dim, framed, from, count, framed ? s.dim[28] : 1, framed ? channels : s.dim[14], nullptr, 0};
  }
};

// One line of A with its frame, to scratch.
RV_NOINLINE void frame_line(const Lines& l, const float* src, float* to) {
  const int64_t *d = l.d, wide = d[18], width = d[13], all = d[14], before = d[17];
  const int64_t each = l.channels, count = l.count, often = l.often;
  int64_t left = before > 0 ? least(before, wide) : 0, skip = before < 0 ? -before : 0;
  int64_t some = least(width - skip, wide - left);
  if (!src || some < 0) some = 0;
  auto clear = [](float* p, int64_t n) { __builtin_memset(p, 0, size_t(n) * 4); };
  clear(to, left * each);
  to += left * each;
  if (some > 0) {
    src += skip * all + l.from;
    if (often == 1 && count == all && each == all) {
      __builtin_memcpy(to, src, size_t(some * each) * 4);
    } else if (often == 1) {
      for (int64_t i = 0; i < some; ++i)
        for (int64_t c = 0; c < count; c += W) {
          const int64_t n = least(W, count - c);
          store_part(to + i * each + c, load_part(src + i * all + c, n), n);
        }
    } else {
      for (int64_t i = 0; i < some; ++i)
        for (int64_t c = 0; c < count; ++c)
          for (int64_t k = 0; k < often; ++k) to[i * each + c * often + k] = src[i * all + c];
    }
  }
  clear(to + some * each, (wide - left - some) * each);
}

// Positions of a line from its windows: their values where the tap is this line's, else zeros. `number` is the tap of
// the line's first position, `all` the channels in memory, `ld` floats from a position to the next.
template <int KW>
RV_INLINE void spread_windows(const float* g, const uint8_t* taps, int64_t all, int64_t windows, int64_t kw,
                              int32_t number, int64_t channels, float* to, int64_t ld) {
  if (KW) kw = KW;
  for (int64_t c = 0; c < channels; c += W) {
    const int64_t n = least(W, channels - c);
    float* at = to + c;
    for (int64_t o = 0; o < windows; ++o) {
      const vf value = load_some(g + o * all + c, n);
      const vi tap = load_taps(taps + o * all + c, 1, n);
#pragma GCC unroll 2
      for (int64_t k = 0; k < kw; ++k, at += ld)
        store_some(at, select(tap == splati(number + static_cast<int32_t>(k)), value, vf{}), n);
    }
  }
}
RV_NOINLINE void spread_line(const float* g, const uint8_t* taps, int64_t all, int64_t windows, int64_t kw,
                             int32_t number, int64_t channels, float* to, int64_t ld) {
  if (kw == 2) spread_windows<2>(g, taps, all, windows, kw, number, channels, to, ld);
  else spread_windows<0>(g, taps, all, windows, kw, number, channels, to, ld);
}

// Where a step reads windows: positions of one along H and W, and how many there are.
struct Windowed {
  int64_t kh, kw, high, wide;
  RV_INLINE Windowed of(const int32_t* told, int64_t lines, int64_t positions) {
    return {told[0], told[1], lines / told[0], positions / told[1]};
  }
};

// The band that begins at line oh of plane od: the lines of A that `lines` lines of positions read.
RV_NOINLINE void frame_band(const Lines& l, int64_t n, int64_t od, int64_t oh, int64_t lines, float* to) {
  const int64_t *d = l.d, each = d[18] * l.channels, used = d[19] - (d[27] - lines) * d[9];
  for (int64_t p = 0; p < d[20]; ++p) {
    const int64_t z = od * d[8] + p - d[15];
    for (int64_t r = 0; r < used; ++r) {
      const int64_t y = oh * d[9] + r - d[16];
      const bool inside = z >= 0 && z < d[11] && y >= 0 && y < d[12];
      const float* src = static_cast<const float*>(l.s.buf[0]) + ((n * d[11] + z) * d[12] + y) * d[13] * d[14];
      frame_line(l, inside ? src : nullptr, to + (p * d[19] + r) * each);
    }
  }
}

// The lines from number `line` on, at most to `last`: in A, or as a band in scratch.
RV_INLINE int64_t find_lines(Lines& l, int64_t line, int64_t last, float* band) {
  const int64_t* d = l.d;
  const int64_t n = line / (d[5] * d[6]), rest = line - n * d[5] * d[6], od = rest / d[6], oh = rest - od * d[6];
  int64_t lines = least(last - line, d[6] - oh);
  if (l.framed) {
    lines = least(lines, d[27]);
    frame_band(l, n, od, oh, lines, band);
    l.at = band;
    l.next = d[9] * d[18] * l.channels;
    return lines;
  }
  const int64_t z = od * d[8] - d[15], y = oh * d[9] - d[16];
  l.at = static_cast<const float*>(l.s.buf[0]) + (((n * d[11] + z) * d[12] + y) * d[13] - d[17]) * d[14] + l.from;
  l.next = d[9] * d[13] * d[14];
  return lines;
}

// Rows k0..k1 of the products of one panel of columns: w as [taps * channels, columns].
RV_NOINLINE void pack_kernel(const Step& s, const int32_t* from, int64_t group, int64_t c0, int64_t cols, float* to,
                             int64_t ld) {
  const int64_t* d = s.dim;
  const float* w = static_cast<const float*>(s.buf[1]);
  const int64_t depth = d[21] & kConvDepthwise ? 1 : d[1], all = d[22];
  for (int64_t t = 0; t < d[2]; ++t, to += depth * ld) {
    if (d[21] & kConvTurned) transpose(w + from[t] + c0 * all + group * d[1], all, to, ld, cols, depth);
    else pack_rows(w + from[t] + group * d[3] + c0, all, to, ld, depth, cols);
  }
}

// The epilogue of a block of sums [rows, cols] of row r on, columns c on: to C, which is dense.
RV_NOINLINE void finish_block(const Step& s, int64_t r, int64_t rows, int64_t c, int64_t cols, const float* sums,
                              int64_t ld) {
  const int64_t flags = s.dim[21], ldc = s.dim[23];
  const float* bias = flags & kBias ? static_cast<const float*>(s.buf[3]) + c : nullptr;
  const float* side =
      flags & (kMask | kAdd) ? static_cast<const float*>(s.buf[flags & 16 ? 4 : 3]) + r * ldc + c : nullptr;
  float* to = static_cast<float*>(s.buf[2]) + r * ldc + c;
  for (int64_t j = 0; j < cols; j += W) {
    const int64_t n = least(W, cols - j);
    const vf b = bias ? load_part(bias + j, n) : vf{};
    for (int64_t i = 0; i < rows; ++i) {
      vf v = load(sums + i * ld + j);
      if (bias) v = v + b;
      if (flags & kRelu) v = fast_max(vf{}, v);
      if (side) {
        const vf t = load_part(side + i * ldc + j, n);
        v = flags & kMask ? select(t > 0, v, vf{}) : t + v;
      }
      if (n == W) store(to + i * ldc + j, v);
      else store_part(to + i * ldc + j, v, n);
    }
  }
}

// Windows of a block of sums: `lines` lines of `count` positions of cols columns, bias and relu first; to C and taps,
// which begin at window `at`. kh and kw are positions of a window.
RV_NOINLINE void pool_block(const Step& s, int64_t at, int64_t lines, int64_t count, int64_t kh, int64_t kw, int64_t c,
                            int64_t cols, const float* sums, int64_t ld) {
  const int64_t flags = s.dim[21], all = s.dim[23], per_line = s.dim[7] / kw;
  const float* bias = flags & kBias ? static_cast<const float*>(s.buf[3]) + c : nullptr;
  float* C = static_cast<float*>(s.buf[2]) + c;
  uint8_t* taps = s.buf[4] ? static_cast<uint8_t*>(s.buf[4]) + c : nullptr;
  for (int64_t j = 0; j < cols; j += W) {
    const int64_t n = least(W, cols - j);
    const vf b = bias ? load_part(bias + j, n) : vf{};
    for (int64_t q = 0; q < lines; q += kh)
      for (int64_t o = 0; o < count; o += kw) {
        vf best{};
        vi which{};
        int32_t tap = 0;
        for (int64_t y = 0; y < kh; ++y)
          for (int64_t x = 0; x < kw; ++x, ++tap) {
            vf v = load(sums + ((q + y) * count + o + x) * ld + j);
            if (bias) v = v + b;
            if (flags & kRelu) v = fast_max(vf{}, v);
            const vi more = tap == 0 ? splati(-1) : (v > best) | ((v != v) & (best == best));
            best = select(more, v, best);
            which = selecti(more, splati(tap), which);
          }
        const int64_t to = (at + q / kh * per_line + o / kw) * all + j;
        store_some(C + to, best, n);
        if (taps) store_taps(taps + to, 1, which, n);
      }
  }
}

// One line of positions: whole tiles, and the rest in two halves.
template <bool Depthwise>
RV_INLINE void conv_line(const float* a, int64_t lda, const int32_t* off, const float* b, int64_t ldb, float* c,
                         int64_t ldc, bool more, int64_t k, int64_t positions, int64_t cols, bool whole) {
  for (int64_t j = 0; j < cols; j += kChunk) {
    const int64_t width = least(cols - j, kChunk), vectors = (width + W - 1) / W;
    const int64_t tail = whole && !Depthwise ? W : width - (vectors - 1) * W;
    const ConvTileFn* fn = conv_tiles<Depthwise>(vectors, lda);
    const int64_t most = kRows[vectors];
    for (int64_t i = 0; i < positions;) {
      const int64_t left = positions - i;
      const int64_t mr = left >= 2 * most || left == most ? most : left > most ? (left + 1) / 2 : left;
      fn[mr](a + i * lda + (Depthwise ? j : 0), lda, off, b + j, ldb, c + i * ldc + j, ldc, more, k, tail);
      i += mr;
    }
  }
}

template <bool Depthwise>
RV_INLINE void conv_panel(const Step& s, uint8_t* scratch, int64_t group, int64_t c0, int64_t first, int64_t last) {
  const int64_t* d = s.dim;
  const int64_t cols = least(kPanel, d[3] - c0), column = group * d[3] + c0, OW = d[7];
  const int64_t depth = Depthwise ? d[2] : d[1] * d[2];
  int32_t* off = reinterpret_cast<int32_t*>(scratch + kConvOffsets);
  float* sums = reinterpret_cast<float*>(scratch + kConvSums);
  float* band = reinterpret_cast<float*>(scratch + kConvBand);
  float* pack = reinterpret_cast<float*>(scratch + kConvPack);
  const int32_t* table = static_cast<const int32_t*>(s.buf[5]);
  // A frame for channels by themselves has those of the panel only, unless they are repeated.
  const bool of_panel = Depthwise && d[28] == 1;
  Lines l = Depthwise ? Lines::make(s, of_panel ? c0 : 0, of_panel ? cols : d[14],
                                    of_panel ? least(d[14], kPanel) : d[14] * d[28])
                      : Lines::make(s, group * d[1], d[1], d[1]);
  const int64_t shift = Depthwise && !of_panel ? c0 : 0;
  // w is read where it lies if its rows are short and its taps follow each other.
  bool straight = !Depthwise && !(d[21] & kConvTurned);
  for (int64_t t = 0; t < d[2]; ++t) straight = straight && table[d[2] + t] == t * d[1] * d[22];
  straight = straight && (d[22] <= kPanel || (last - first) * OW < 24 || depth * kPanel * 4 > (4 << 20) - 4096);
  const float* b = pack;
  int64_t ldb = padded(cols);
  if (straight) {
    b = static_cast<const float*>(s.buf[1]) + column;
    ldb = d[22];
  } else {
    pack_kernel(s, table + d[2], group, c0, cols, pack, ldb);
  }
  const int64_t most = kConvBytes / (4 * padded(cols));
  const int64_t passes = depth <= most + most / 2 ? 1 : (depth + most - 1) / most;
  const bool pooled = d[21] & kConvPooled;
  const bool plain = !pooled && !s.program && !(d[21] & (kBias | kRelu | kMask | kAdd)), direct = plain && passes == 1;
  const int64_t lda = d[10] * l.channels, lds = padded(cols);
  // Rows of the window that meet no line of A are left out: they would add zeros.
  const int64_t side = l.framed ? d[29] : 0, sides = side ? d[2] / side : 0, each = depth / (sides ? sides : 1);
  auto rows_met = [&](int64_t at, int64_t& k0, int64_t& k1) {
    const int64_t y0 = at % d[6] * d[9] - d[16];
    auto misses = [&](int64_t r) {
      const int64_t y = y0 + table[r * side] / (d[18] * l.channels);
      return y < 0 || y >= d[12];
    };
    int64_t r0 = 0, r1 = sides;
    while (r0 < r1 && misses(r0)) ++r0;
    while (r1 > r0 && misses(r1 - 1)) --r1;
    k0 = r0 * each;
    k1 = r1 * each;
  };
  // Blocks of whole windows.
  const int64_t kh = pooled ? table[2 * d[2]] : 1, kw = pooled ? table[2 * d[2] + 1] : 1;
  const int64_t segment = least(OW, kConvBlock / kw * kw), fit = OW <= kConvBlock ? kConvBlock / OW / kh * kh : 0;
  const int64_t together = fit > kh ? fit : kh;
  float* C = static_cast<float*>(s.buf[2]) + column;
  for (int64_t line = first; line < last;) {
    const int64_t lines = find_lines(l, line, last, band);
    for (int64_t i = 0; i < lines; i += together) {
      const int64_t some = least(together, lines - i);
      for (int64_t o = 0; o < OW; o += segment) {
        const int64_t count = least(segment, OW - o);
        auto place = [&](int64_t q) {  // of line i + q in C
          const int64_t at = line + i + q, n = at / (d[5] * d[6]), rest = at - n * d[5] * d[6], od = rest / d[6];
          return C + n * d[26] + od * d[25] + (rest - od * d[6]) * d[24] + o * d[23];
        };
        for (int64_t pass = 0; pass < passes; ++pass) {
          const int64_t k0 = depth * pass / passes, k1 = depth * (pass + 1) / passes;
          for (int64_t q = 0; q < some; ++q) {
            const float* a = l.at + (i + q) * l.next + o * lda + shift;
            float* to = direct ? place(q) : sums + q * count * lds;
            int64_t from = 0, end = depth;
            if (sides) rows_met(line + i + q, from, end);
            const bool more = from < k0;
            from = from > k0 ? from : k0;
            end = least(end, k1);
            if (from >= end) {
              if (pass > 0) continue;  // nothing is added
              end = from;
            }
            conv_line<Depthwise>(a, lda, off + from, b + from * ldb, ldb, to, direct ? d[23] : lds, pass > 0 && more,
                                 end - from, count, cols, !direct);
          }
        }
        if (direct) continue;
        if (pooled) {
          pool_block(s, ((line + i) * OW / kh + o) / kw, some, count, kh, kw, column, cols, sums, lds);
          continue;
        }
        if (plain) {
          for (int64_t q = 0; q < some; ++q) {
            float* to = place(q);
            for (int64_t p = 0; p < count; ++p)
              for (int64_t j = 0; j < cols; j += W)
                store_part(to + p * d[23] + j, load(sums + (q * count + p) * lds + j), least(W, cols - j));
          }
          continue;
        }
        const int64_t r = (line + i) * OW + o;
        if (s.program) ew_run_tile(*s.program, s, r, some * count, column, cols, sums, lds, scratch + kConvProgram);
        else finish_block(s, r, some * count, column, cols, sums, lds);
      }
    }
    line += lines;
  }
}

static void conv(const Step& s, Frame& f, int worker, int workers) {
  const int64_t* d = s.dim;
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  if (first >= last || d[7] == 0) return;
  uint8_t* scratch = f.scratch[worker];
  const bool depthwise = d[21] & kConvDepthwise;
  const int32_t* table = static_cast<const int32_t*>(s.buf[5]);
  if (d[21] & kConvPooled) {
    first *= table[2 * d[2]];
    last *= table[2 * d[2]];
  }
  int32_t* off = reinterpret_cast<int32_t*>(scratch + kConvOffsets);
  const int64_t depth = depthwise ? 1 : d[1];
  for (int64_t t = 0; t < d[2]; ++t)
    for (int64_t c = 0; c < depth; ++c) *off++ = table[t] + static_cast<int32_t>(c);
  for (int64_t g = 0; g < d[4]; ++g)
    for (int64_t c0 = 0; c0 < d[3]; c0 += kPanel) {
      if (depthwise) conv_panel<true>(s, scratch, g, c0, first, last);
      else conv_panel<false>(s, scratch, g, c0, first, last);
    }
}

// ---- the gradient of the kernel

// sums[t][j] += sum over lines and positions of a[off[t] + j] * g[j], taps of one depthwise piece. A chain for each.
template <int TN>
RV_NOINLINE void depthwise_piece(const float* a, int64_t lda, int64_t next, const int32_t* off, const float* g,
                                 int64_t ldg, int64_t lines, int64_t positions, float* sums, int64_t tail) {
  vf acc[TN];
  const float* p[TN];
#pragma GCC unroll 16
  for (int t = 0; t < TN; ++t) {
    acc[t] = load(sums + t * kPanel);
    p[t] = a + off[3 * t];
  }
  for (int64_t i = 0; i < lines; ++i) {
    int64_t at = i * next;
    for (int64_t o = 0; o < positions; ++o, at += lda, g += ldg) {
      const vf v = tail == W ? load(g) : load_part(g, tail);
#pragma GCC unroll 16
      for (int t = 0; t < TN; ++t) {
        const float* q = p[t] + at;
        acc[t] = madd(tail == W ? load(q) : load_part(q, tail), v, acc[t]);
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < TN; ++t) store(sums + t * kPanel, acc[t]);
}
using PieceFn = void (*)(const float*, int64_t, int64_t, const int32_t*, const float*, int64_t, int64_t, int64_t,
                         float*, int64_t);
constexpr int64_t kPieceTaps = 9;
static constexpr PieceFn kPieces[kPieceTaps + 1] = {nullptr,
                                                    depthwise_piece<1>,
                                                    depthwise_piece<2>,
                                                    depthwise_piece<3>,
                                                    depthwise_piece<4>,
                                                    depthwise_piece<5>,
                                                    depthwise_piece<6>,
                                                    depthwise_piece<7>,
                                                    depthwise_piece<8>,
                                                    depthwise_piece<9>};

// Lines of G from windows: columns c .. c + cols of them, [positions, ld].
RV_NOINLINE void spread_panel(const Step& s, int64_t line, int64_t lines, int64_t c, int64_t cols, float* to,
                              int64_t ld) {
  const int64_t *d = s.dim, all = d[23];
  const int64_t entries = d[21] & kConvDepthwise ? d[29] : d[2];
  const Windowed w = Windowed::of(static_cast<const int32_t*>(s.buf[5]) + 3 * entries, d[6], d[7]);
  for (int64_t i = line; i < line + lines; ++i, to += d[7] * ld) {
    const int64_t n = i / d[6], y = i - n * d[6], row = (n * w.high + y / w.kh) * w.wide * all + c;
    spread_line(static_cast<const float*>(s.buf[1]) + row, static_cast<const uint8_t*>(s.buf[6]) + row, all, w.wide,
                w.kw, static_cast<int32_t>(y % w.kh * w.kw), cols, to, ld);
  }
}

static void conv_kernel(const Step& s, Frame& f, int worker, int workers) {
  const int64_t* d = s.dim;
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  uint8_t* scratch = f.scratch[worker];
  float* sums = reinterpret_cast<float*>(scratch + kConvSums);
  float* band = reinterpret_cast<float*>(scratch + kConvBand);
  const bool depthwise = d[21] & kConvDepthwise;
  const int32_t* table = static_cast<const int32_t*>(s.buf[5]);
  const float* G = static_cast<const float*>(s.buf[1]);
  float* pack = reinterpret_cast<float*>(scratch + kConvPack);
  const int64_t pieces = d[2], panels = (d[3] + kPanel - 1) / kPanel, per_group = pieces * panels;
  const int64_t per_part = d[4] * per_group, OW = d[7];
  for (int64_t u0 = first; u0 < last;) {
    // Units of one group of one part, as many as have room for their sums.
    const int64_t part = u0 / per_part, group = u0 % per_part / per_group, base = part * per_part + group * per_group;
    const int64_t u1 = least(least(last, base + per_group), u0 + kPiecesAtOnce);
    int64_t from, end;  // rows of the part, then their lines
    share(d[0], part, d[25], from, end);
    from *= d[5] * d[6];
    end *= d[5] * d[6];
    float* out = static_cast<float*>(s.buf[2]) + part * d[26];
    Lines l = depthwise ? Lines::make(s, 0, d[14], d[14] * d[28]) : Lines::make(s, group * d[1], d[1], d[1]);
    const int64_t lda = d[10] * l.channels;
    __builtin_memset(sums, 0, size_t((u1 - u0) * kPieceFloats) * 4);
    const float* at = nullptr;
    int64_t lines = 0, found = 0;  // what is left of a band
    for (int64_t line = from; line < end; line += lines, at += lines * l.next, found -= lines) {
      if (found == 0) {
        found = find_lines(l, line, end, band);
        at = l.at;
      }
      // Positions made of windows are made a few at a time: they are read from L1 by all pieces.
      const bool spread = d[21] & kConvSpread;
      const int64_t few = kConvSpreadBytes / (4 * OW * padded(least(kPanel, d[3])));
      const int64_t bytes = 4 * (l.next + OW * least(kPanel, d[3]));
      lines = spread ? few : found * bytes > kConvNear ? kConvFew / bytes : found;
      lines = least(found, lines > 1 ? lines : 1);
      // Long rows of G lie far apart: those of a panel are brought together for its pieces.
      const bool wide = spread || (d[23] > kPanel && u1 - u0 > 2 && lines * OW * kPanel * 4 <= (4 << 20) - 4096);
      for (int64_t u = u0; u < u1; ++u) {
        const int64_t in = u - base, panel = in / pieces, piece = in - panel * pieces, c0 = panel * kPanel;
        const int32_t* told = table + 3 * piece * d[30];
        const int64_t cols = least(kPanel, d[3] - c0), rows = depthwise ? least(d[30], d[29] - piece * d[30]) : told[2];
        const float* g = G + line * OW * d[23] + group * d[3] + c0;
        int64_t ldg = d[23];
        if (wide) {
          ldg = padded(cols);
          if (u == u0 || piece == 0) {
            if (spread) spread_panel(s, line, lines, group * d[3] + c0, cols, pack, ldg);
            else pack_rows(g, d[23], pack, ldg, lines * OW, cols);
          }
          g = pack;
        }
        float* c = sums + (u - u0) * kPieceFloats;
        if (depthwise) {
          for (int64_t j = 0; j < cols; j += W)
            kPieces[rows](at + c0 + j, lda, l.next, told, g + j, ldg, lines, OW, c + j, least(W, cols - j));
          continue;
        }
        TileContext x;
        x.lda = lda;
        x.ldb = ldg;
        x.ldc = x.ldi = kPanel;
        x.lds = 0;
        x.epilogue = 0;
        x.bias = nullptr;
        x.blocks = lines;
        x.jump = l.next - OW * lda;
        x.free = 0;
        x.padded = true;
        for (int64_t j = 0; j < cols; j += kChunk) {
          const int64_t width = least(cols - j, kChunk), vectors = (width + W - 1) / W, most = kRows[vectors];
          x.tail = W;
          for (int64_t i = 0; i < rows;) {
            const int64_t left = rows - i;
            const int64_t mr = left >= 2 * most || left == most ? most : left > most ? (left + 1) / 2 : left;
            float* to = c + i * kPanel + j;
            Tiles<true>::table[vectors][mr](at + told[0] + i, g + j, to, to, to, OW, x);
            i += mr;
          }
        }
      }
    }
    for (int64_t u = u0; u < u1; ++u) {
      const int64_t in = u - base, panel = in / pieces, piece = in - panel * pieces, c0 = panel * kPanel;
      const int32_t* told = table + 3 * piece * d[30];
      const int64_t cols = least(kPanel, d[3] - c0), rows = depthwise ? least(d[30], d[29] - piece * d[30]) : told[2];
      const float* c = sums + (u - u0) * kPieceFloats;
      for (int64_t i = 0; i < rows; ++i) {
        // Rows of a depthwise piece are taps, told one by one.
        const int64_t r = depthwise ? told[3 * i + 1] : told[1] + i;
        for (int64_t j = 0; j < cols; j += W)
          store_part(out + r * d[22] + group * d[3] + c0 + j, load(c + i * kPanel + j), least(W, cols - j));
      }
    }
    u0 = u1;
  }
}

}  // namespace rv::RV_ISA
