// The tile interpreter of elementwise programs. A program runs as a step of its own (ew_run), on the tile a matrix product
// has just finished, or before a reduction (ew_run_tile).
//
// Registers are tiles of up to kTile elements. A dense operand is not copied: its register *is* the memory. Splats are
// filled once per run. Whole blocks of a float32 program go through its chain (chain.h), the rest instruction by instruction.
#pragma once
#include "chain.h"
#include "ew_one.h"
#include "instructions.h"

namespace rv::RV_ISA {

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
  // A row for all rows lies in scratch as often as a block has rows: from where, how wide, how often.
  const uint8_t* same[kMaxOperands];
  int64_t same_wide[kMaxOperands], same_rows[kMaxOperands];

  inline uint8_t* own(int r) { return scratch + (p.slot ? p.slot[r] : r) * p.reg_bytes; }
};

// Everything that holds for the whole run: where immediates lie, splats filled for blocks of up to `most` elements.
RV_INLINE void ew_begin(EwRun& e, const Step& s, int64_t most) {
  if (e.p.chain && most > kBlock) most = kBlock;  // a chain reads one number, and leaves less than a block
  for (int i = 0; i < e.p.n_in; ++i) {
    const EwOperand& o = e.p.in[i];
    e.same[i] = nullptr;
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

RV_INLINE void ew_instructions(const EwProgram& p, uint8_t* const* reg, int64_t n) {
  const EwInstr* c = p.code;
  for (const EwInstr* end = c + p.n_code; c != end; ++c) c->fn(*c, reg, n);
}
// Whole blocks, then what is left.
RV_NOINLINE void ew_chain(const EwProgram& p, uint8_t* const* reg, int64_t n) {
  const int64_t at = n / kBlock * kBlock;
  run_chain(p.chain, reg, at);
  if (at == n) return;
  uint8_t* rest[kMaxRegs];
  for (int r = 0; r < p.n_reg; ++r) rest[r] = reg[r] + at * p.moves[r];
  ew_instructions(p, rest, n - at);
}
RV_INLINE void ew_code(const EwRun& e, int64_t n) {
  if (e.p.chain && n >= kBlock) ew_chain(e.p, e.reg, n);
  else ew_instructions(e.p, e.reg, n);
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
    if (rs == 0 && cs == 1) {
      if (e.same[i] == from && e.same_wide[i] == C && e.same_rows[i] >= R) continue;
      e.same[i] = from;
      e.same_wide[i] = C;
      e.same_rows[i] = R;
    }
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
  ew_begin(e, s, step * C < kTile ? step * C : kTile);
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
