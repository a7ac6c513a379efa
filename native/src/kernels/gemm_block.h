// What the products share: one product as plain numbers, how its operands reach the register tiles (in place, packed, or
// transposed in scratch), the loops over blocks of rows and ranges of the contraction, and a worker's share of the units.
#pragma once
#include "elementwise.h"
#include "gemm_tile.h"
#include "gemm_update.h"

namespace rv::RV_ISA {

constexpr int64_t kBlockRows = 48;    // rows of a block: its sums (12 KiB) stay in L1
constexpr int64_t kPanelRows = 64;    // the same where they are columns of an A^T in panels
constexpr int64_t kDeepRows = 192;    // rows when B has to be packed again for every block
constexpr int64_t kDepth = 512;       // contraction per pass: 64 columns of B (128 KiB) stream from L2
constexpr int64_t kTurnedDepth = 64;  // the same for A^T, whose columns lie far apart: B (16 KiB) and A stay in L1
constexpr int64_t kPackDepth = 1024;  // contraction packed at once
constexpr int64_t kPackBytes = kPackDepth * kPanel * 4;
constexpr int64_t kSumBytes = kDeepRows * kPanel * 4;
constexpr int64_t kTurnBytes = kPanel * kPanel * 4;
constexpr int64_t kCopyBytes = kDeepRows * 2 * kTurnedDepth * 4;
constexpr int64_t kGemmScratch = kPackBytes + kSumBytes + kTurnBytes + kCopyBytes;

RV_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
RV_INLINE int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }
RV_INLINE int64_t panel_width(int64_t columns, int64_t panel) { return least(kPanel, columns - panel * kPanel); }

// How B reaches the tiles.
enum class Supply { direct, rows, turned_panels, turned_rows, strided };

// One product, as the block loops see it.
struct Product {
  const Step* step;
  const float* a;
  const float* b;
  float* c;
  const float* bias;
  const float* side;
  int64_t lda, ldb, ldc;         // 0: panels, of a weight or of a batch of activations
  int64_t a_row, a_k;            // strides of an A that is copied block by block, if copy_a
  int64_t b_column;              // strided supply: B(k, j) = b[k * ldb + j * b_column]
  int64_t c_column;              // 1, except in gemm_any
  int64_t lds;                   // 0: panels
  int64_t rows, columns, depth;  // of C, and the contraction
  int64_t epilogue;
  Supply supply;
  bool a_panels;
  int64_t height, from;  // tn, operands in panels: rows of these, and the one at which the contraction begins
  bool copy_a;           // A's block is copied to scratch: its strides are neither 1, or collide in the cache
  float* pack;
  float* sums;
  float* copy;
  const float* turned;  // all of a transposed A, block of rows after block of rows (turn_blocks), or nullptr
  uint8_t* program_scratch;
  const AdamUpdate* adam;  // the program, if it is no more than this
  Ahead* ahead;            // rows to fetch meanwhile, or nullptr
  bool adjoin;             // the program is run on sums whose rows adjoin, as those of all its operands do
};

// Whether C is so narrow that its rows are not whole vectors, and the program knows no panels: row-major weights of a few
// columns are then one run of numbers, not many short rows.
RV_INLINE bool adjoining(const EwProgram* e, int64_t columns) {
  if (!e || columns >= kPanel || columns % 16 == 0) return false;
  for (int i = 0; i < e->n_in; ++i)
    if (e->in[i].panel) return false;
  for (int i = 0; i < e->n_out; ++i)
    if (e->out[i].panel) return false;
  return true;
}

// Rows at a stride of padded(cols) moved up to each other, in place. What a vector runs over is written by the next row.
RV_NOINLINE void adjoin_rows(float* x, int64_t rows, int64_t cols) {
  const int64_t ld = padded(cols);
  for (int64_t i = 1; i < rows; ++i)
    for (int64_t j = 0; j < cols; j += W) store(x + i * cols + j, load(x + i * ld + j));
}

RV_INLINE Product product(const Step& s, Frame& f, int worker) {
  Product p;
  p.step = &s;
  p.a = static_cast<const float*>(s.buf[0]);
  p.b = static_cast<const float*>(s.buf[1]);
  p.c = static_cast<float*>(s.buf[2]);
  p.epilogue = s.dim[6] & kEpilogue;
  p.lda = s.dim[3];
  p.ldb = s.dim[4];
  p.ldc = s.dim[5];
  uint8_t* scratch = f.scratch[worker];
  p.pack = reinterpret_cast<float*>(scratch);
  p.sums = reinterpret_cast<float*>(scratch + kPackBytes);
  // Absent operands point at scratch, so that offsets may be added unconditionally.
  const bool side = p.epilogue & (kMask | kAdd);
  p.bias = p.epilogue & (kBias | kRowBias) ? static_cast<const float*>(s.buf[3]) : p.pack;
  p.side = side ? static_cast<const float*>(s.buf[s.dim[6] & 16 ? 4 : 3]) : p.pack;
  p.lds = side ? s.dim[9] : 0;
  if (!p.c) p.c = p.sums;
  p.copy = reinterpret_cast<float*>(scratch + kPackBytes + kSumBytes + kTurnBytes);
  p.program_scratch = scratch + kGemmScratch;
  p.a_panels = !p.lda;
  p.height = s.dim[0];
  p.from = 0;
  p.copy_a = false;
  p.turned = nullptr;
  p.c_column = 1;
  p.adam = nullptr;
  p.adjoin = false;
  p.ahead = f.ahead.row < f.ahead.last ? &f.ahead : nullptr;
  return p;
}

constexpr int kAheadShift = 4;  // a tile of depth k, about 12 k cycles, fetches k / 16 lines of the next batch

// All tiles of rows x cols over one range of the contraction.
template <bool Transposed>
RV_INLINE void tiles(const float* a, const float* b, float* c, const float* init, const float* side, const float* bias,
                     int64_t rows, int64_t cols, int64_t k, TileContext& x) {
  const int64_t step_a = Transposed ? 1 : x.lda;
  // Rows are written from the first to the last. Where they are narrow and adjoin, all but the last few may be stored as
  // whole vectors: what runs over is written again. Not if a row's side operand could be run over.
  int64_t loose = 0;
  if (x.padded) {
    loose = rows;
  } else if (x.ldc == cols && cols < kChunk && !((x.epilogue & (kMask | kAdd)) && side == c)) {
    const int64_t over = (cols + W - 1) / W * W - cols;
    for (loose = rows; loose > 0 && (rows - loose) * cols < over; --loose) {}
  }
  for (int64_t j = 0; j < cols; j += kChunk) {
    const int64_t width = least(cols - j, kChunk);
    const int64_t vectors = (width + W - 1) / W;
    x.tail = width - (vectors - 1) * W;
    const bool by_row = x.epilogue & kRowBias;
    x.bias = by_row ? bias : bias + j;
    const TileFn* fn = Tiles<Transposed>::table[vectors];
    const int64_t most = kRows[vectors];
    if (rows <= most) {
      x.free = loose;
      fn[rows](a, b + j, c + j, init ? init + j : nullptr, side + j, k, x);
      continue;
    }
    // Whole tiles, and the rest in two halves: a tile of one row costs nearly as much as one of six.
    for (int64_t i = 0; i < rows;) {
      const int64_t left = rows - i;
      const int64_t mr = left >= 2 * most || left == most ? most : left > most ? (left + 1) / 2 : left;
      x.free = loose - i;
      if (by_row) x.bias = bias + i;
      fn[mr](a + i * step_a, b + j, c + i * x.ldc + j, init ? init + i * x.ldi + j : nullptr, side + i * x.lds + j, k,
             x);
      if (x.ahead) look_ahead(*x.ahead, k >> kAheadShift);
      i += mr;
    }
  }
}

// B's rows k0..k1 of one panel of C's columns, as rows of ldd floats.
RV_NOINLINE void supply(const Product& p, int64_t panel, int64_t k0, int64_t k1, int64_t cols, float* dst,
                        int64_t ldd) {
  const int64_t c0 = panel * kPanel;
  if (p.supply == Supply::rows) {
    pack_rows(p.b + k0 * p.ldb + c0, p.ldb, dst, ldd, k1 - k0, cols);
  } else if (p.supply == Supply::turned_rows) {
    transpose(p.b + c0 * p.ldb + k0, p.ldb, dst, ldd, cols, k1 - k0);
  } else if (p.supply == Supply::strided) {
    for (int64_t k = k0; k < k1; ++k)
      for (int64_t j = 0; j < cols; ++j) dst[(k - k0) * ldd + j] = p.b[k * p.ldb + (c0 + j) * p.b_column];
  } else {  // k runs along the columns of a weight [columns of C, depth] in panels
    for (int64_t k = k0; k < k1;) {
      const int64_t q = k / kPanel, in = k - q * kPanel;
      const int64_t ldq = padded(panel_width(p.depth, q));
      const int64_t n = least(kPanel - in, k1 - k);
      transpose(p.b + q * kPanel * p.columns + c0 * ldq + in, ldq, dst + (k - k0) * ldd, ldd, cols, n);
      k += n;
    }
  }
}

// A's rows x k block in scratch: rows of k, or for a transposed A one row of `rows` floats for each k. Returns its stride.
template <bool Transposed>
RV_NOINLINE int64_t copy_block(const Product& p, int64_t r, int64_t rows, int64_t k, int64_t k1) {
  if (Transposed) {
    const int64_t ld = padded(rows);
    for (int64_t j = 0; j < rows; j += kPanel)
      pack_rows(p.a + k * p.lda + r + j, p.lda, p.copy + j, ld, k1 - k, least(kPanel, rows - j));
    return ld;
  }
  const int64_t ld = k1 - k;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < ld; ++j) p.copy[i * ld + j] = p.a[(r + i) * p.a_row + (k + j) * p.a_k];
  return ld;
}

// Rows of a block: when B has to be packed again for every block, more.
RV_INLINE int64_t block_rows(const Product& p) {
  return p.supply != Supply::direct && p.depth > kPackDepth ? kDeepRows : kBlockRows;
}

// Element (0, column) of a matrix in panels of so many rows, and the stride from row to row there.
template <class T>
RV_INLINE T* in_panel(T* x, int64_t rows, int64_t columns, int64_t column, int64_t& ld) {
  const int64_t panel = column / kPanel;
  ld = padded(panel_width(columns, panel));
  return x + panel * kPanel * rows + column % kPanel;
}

// All of a transposed A as the blocks above, for a worker that needs it for several panels: A's rows are read once from
// end to end, where a block of each would be lines a page apart that no prefetcher foresees, again for every panel.
constexpr int64_t kTurnedAt = 1 << 20, kTurnedBytes = 6 << 20;
static_assert(kGemmScratch + kMaxRegs * kTile * 8 <= kTurnedAt && kTurnedAt + kTurnedBytes <= kScratchBytes);
RV_NOINLINE const float* turn_blocks(const Product& p, uint8_t* scratch) {
  float* to = reinterpret_cast<float*>(scratch + kTurnedAt);
  const int64_t block = block_rows(p);
  for (int64_t k = 0; k < p.depth; ++k)
    for (int64_t r = 0; r < p.rows; r += block) {
      const int64_t rows = least(block, p.rows - r), ld = padded(rows);
      for (int64_t j = 0; j < rows; j += kPanel)
        pack_rows(p.a + k * p.lda + r + j, 0, to + r * p.depth + k * ld + j, 0, 1, least(kPanel, rows - j));
    }
  return to;
}

// Whether A, C and the side operand lie row by row.
RV_INLINE bool rows_adjoin(const Product& p) {
  return !p.a_panels && p.ldc && (p.lds || !(p.epilogue & (kMask | kAdd)));
}

// The finished sums of a block to a C whose columns are not adjacent.
RV_NOINLINE void scatter(const Product& p, int64_t r, int64_t rows, int64_t c0, int64_t cols) {
  if (p.ldc == 1) {
    transpose(p.sums, padded(cols), p.c + r + c0 * p.c_column, p.c_column, rows, cols);
    return;
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) p.c[(r + i) * p.ldc + (c0 + j) * p.c_column] = p.sums[i * padded(cols) + j];
}

// True if every operand of the program in memory is a weight panel or the tile: then it may run over the padding too.
RV_INLINE bool covers_padding(const EwProgram& e) {
  for (int i = 0; i < e.n_in; ++i)
    if (e.in[i].mode == EwMode::memory && e.in[i].buffer >= 0 && !e.in[i].panel) return false;
  for (int i = 0; i < e.n_out; ++i)
    if (e.out[i].buffer >= 0 && !e.out[i].panel) return false;
  return true;
}

// Runs the program on a block of sums whose leading dimension is padded(cols). A narrow panel is run padding and all, as
// one dense block, and the padding zeroed again: ten columns would otherwise be copied in and out row by row.
RV_NOINLINE void run_program(const Product& p, int64_t r, int64_t rows, int64_t c0, int64_t cols, float* sums) {
  const EwProgram& e = *p.step->program;
  int64_t ld = padded(cols);
  if (p.adjoin) {
    adjoin_rows(sums, rows, cols);
    ld = cols;
  }
  if (p.adam) {
    adam_block(*p.adam, c0 * p.rows + r * ld, rows, cols, sums);
    return;
  }
  if (cols == ld || !covers_padding(e)) {
    ew_run_tile(e, *p.step, r, rows, c0, cols, sums, ld, p.program_scratch);
    return;
  }
  ew_run_tile(e, *p.step, r, rows, c0, ld, sums, ld, p.program_scratch);
  for (int i = 0; i < e.n_out; ++i) {
    if (e.out[i].buffer < 0) continue;
    float* out = static_cast<float*>(p.step->buf[e.out[i].buffer]) + c0 * p.rows + r * ld;
    for (int64_t k = 0; k < rows; ++k, out += ld)
      for (int64_t j = cols; j < ld; j += W) store_part(out + j, vf{}, least(W, ld - j));
  }
}

// Rows r0..r1 of one panel of C.
template <bool Transposed>
RV_INLINE void panel_product(const Product& p, int64_t panel, int64_t r0, int64_t r1) {
  const int64_t c0 = panel * kPanel, cols = panel_width(p.columns, panel);
  const int64_t step_r = Transposed ? 1 : p.lda, step_k = Transposed ? p.lda : 1;
  const EwProgram* program = p.step->program;
  const int64_t depth = p.depth;
  TileContext x;
  x.lda = p.lda;
  x.lds = p.lds;
  const int64_t ld_sums = x.ldi = padded(cols);
  x.blocks = 1;
  x.jump = kPanel * p.rows - kPanel;  // to the next panel of A, if it lies in panels
  x.ahead = p.ahead;
  const float* b = p.b;
  bool again = false;  // pack per block of rows and range of k, not once
  bool by_pass = false;
  if (p.supply == Supply::direct) {
    x.ldb = p.ldb;
    if (p.ldb) b += c0;
    else b = in_panel(p.b, Transposed ? p.height : depth, p.columns, c0, x.ldb) + p.from * x.ldb;
  } else {
    x.ldb = padded(cols);
    b = p.pack;
    by_pass = Transposed && r1 - r0 <= block_rows(p);  // one block of rows: what is packed is used at once, from L1
    again = by_pass || depth > kPackDepth;
    if (!again) supply(p, panel, 0, depth, cols, p.pack, x.ldb);
  }
  float* c = p.c;
  int64_t ldc = p.ldc;
  if (ldc) {
    c += c0;
  } else {
    ldc = padded(cols);
    c += c0 * p.rows;
  }
  // What else lies in panels: A, one run of k after the other (or of rows, if it is transposed); the side operand.
  const bool a_panels = p.a_panels;
  const float* sides = p.side + c0;
  if (!p.lds && (p.epilogue & (kMask | kAdd))) sides = in_panel(p.side, p.rows, p.columns, c0, x.lds);
  const int64_t block = a_panels && Transposed ? kPanelRows : block_rows(p);
  // One pass over k where each row of B is used once or twice anyway, or where all of it is in L1.
  const int64_t most = Transposed || p.copy_a ? kTurnedDepth : kDepth;
  const bool once = !p.copy_a && (r1 - r0 <= 12 || depth <= most + most / 2);
  const int64_t passes = once ? 1 : (depth + most - 1) / most;
  // Adam tile by tile: its roots and divisions then run beside the sums of the next tile.
  const int64_t in_turn = p.adam && !p.adjoin ? kRows[least(kMaxVectors, (cols + W - 1) / W)] : 0;
  for (int64_t r = r0, rows; r < r1; r += rows) {
    rows = least(block, r1 - r);
    if (a_panels && Transposed) rows = least(rows, kPanel - r % kPanel);
    const float* side = sides + r * x.lds;
    int64_t packed_to = again ? 0 : depth, packed_from = 0;
    for (int64_t pass = 0, k = 0; pass < passes; ++pass) {
      int64_t k1 = passes == 1 ? depth : depth * (pass + 1) / passes;
      if (a_panels && !Transposed && pass + 1 < passes) k1 = k1 / kPanel * kPanel;
      do {
        int64_t k2 = k1;
        if (again) {
          if (k == packed_to) {
            packed_from = packed_to;
            packed_to = least(by_pass ? k1 : depth, packed_from + kPackDepth);
            supply(p, panel, packed_from, packed_to, cols, p.pack, x.ldb);
          }
          k2 = least(k1, packed_to);
        }
        int64_t run = k2 - k;
        if (a_panels && !Transposed && run >= kPanel) {
          x.blocks = run / kPanel;
          run = kPanel;
          k2 = k + x.blocks * kPanel;
        } else {
          x.blocks = 1;
        }
        const bool last = k2 == depth;
        const bool keep = !last || program || p.c_column != 1;
        float* dst = keep ? p.sums : c + r * ldc;
        x.ldc = keep ? ld_sums : ldc;
        x.padded = keep;
        x.epilogue = last ? p.epilogue : 0;
        const float* a;
        if (a_panels) {
          if (Transposed) a = in_panel(p.a, p.height, p.rows, r, x.lda) + (p.from + k) * x.lda;
          else a = in_panel(p.a, p.rows, depth, k, x.lda) + r * x.lda;
        } else if (p.turned) {
          x.lda = padded(rows);
          a = p.turned + r * depth + k * x.lda;
        } else if (p.copy_a) {
          x.lda = copy_block<Transposed>(p, r, rows, k, k2);
          a = p.copy;
        } else {
          a = p.a + r * step_r + k * step_k;
        }
        const float* rows_of_b = b + (k - packed_from) * x.ldb;
        const int64_t at_once = last && in_turn ? in_turn : rows;
        for (int64_t i = 0; i < rows; i += at_once) {
          const int64_t some = least(at_once, rows - i);
          tiles<Transposed>(a + i * (Transposed ? 1 : x.lda), rows_of_b, dst + i * x.ldc,
                            k ? p.sums + i * ld_sums : nullptr, side + i * x.lds,
                            p.bias + (p.epilogue & kRowBias ? r + i : c0), some, cols, run, x);
          if (last && in_turn) run_program(p, r + i, some, c0, cols, p.sums + i * ld_sums);
        }
        k = k2;
      } while (k < k1);
    }
    if (in_turn) continue;
    if (program) run_program(p, r, rows, c0, cols, p.sums);
    else if (p.c_column != 1) scatter(p, r, rows, c0, cols);
  }
}

// The worker's units, as ranges of rows of panels.
// Rows of all panels go block by block if `block`: A's rows are then still near when the next panel needs them. Blocks
// that are panels of A^T end where those do.
template <class F>
RV_INLINE void for_units(const Step& s, int worker, int workers, int64_t rows, F&& run, int64_t block = 0,
                         bool panels = false) {
  int64_t first, last;
  share(s.units, worker, workers, first, last);
  const int64_t per = s.dim[8];
  if (s.dim[10]) {
    // Rows first: the worker's rows of every panel.
    const int64_t end = first < last ? least(rows, last * s.dim[7]) : 0;
    for (int64_t r = first * s.dim[7], to; r < end; r = to) {
      to = block ? least(end, r + block - (panels ? r % block : 0)) : end;
      for (int64_t panel = 0; panel < s.dim[10]; ++panel) run(panel, r, to);
    }
    return;
  }
  if (per == 1) {
    for (int64_t u = first; u < last; ++u) run(u, int64_t(0), rows);
    return;
  }
  int64_t panel = first == 0 ? 0 : first / per;
  for (int64_t u = first; u < last; ++panel) {
    const int64_t from = u - panel * per, to = least(per, last - panel * per);
    run(panel, from * s.dim[7], least(rows, to * s.dim[7]));
    u = (panel + 1) * per;
  }
}

}  // namespace rv::RV_ISA
