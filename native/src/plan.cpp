#include "plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "chain.h"

namespace rv {
namespace {

constexpr int64_t kPadding = 256;  // readable bytes after the arena's and the constants' end

uint8_t* allocate(int64_t bytes) {
  const size_t size = static_cast<size_t>((bytes + kPadding + 63) / 64 * 64);
  uint8_t* p = static_cast<uint8_t*>(std::aligned_alloc(64, size));
  if (!p) throw std::bad_alloc();
  std::memset(p, 0, size);
  return p;
}

[[noreturn]] void refuse(size_t step, const StepSpec& s, const std::string& what) {
  throw std::invalid_argument("step " + std::to_string(step) + " (" + kernel_name(s.kernel) + "): " + what);
}

uint16_t half_bits(double value) {
  const float x = static_cast<float>(value);
  uint32_t u;
  std::memcpy(&u, &x, 4);
  const uint32_t sign = u >> 16 & 0x8000, mantissa = u & 0x7fffff;
  const int exponent = static_cast<int>(u >> 23 & 0xff) - 112;
  if ((u >> 23 & 0xff) == 0xff) return static_cast<uint16_t>(sign | 0x7c00 | (mantissa ? 0x200 : 0));
  if (exponent >= 31) return static_cast<uint16_t>(sign | 0x7c00);
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  const uint32_t kept = mantissa >> 13, rest = mantissa & 0x1fff;
  uint32_t h = sign | static_cast<uint32_t>(exponent) << 10 | kept;
  if (rest > 0x1000 || (rest == 0x1000 && (kept & 1))) ++h;
  return static_cast<uint16_t>(h);
}

template <class T>
void fill(uint8_t* to, double value) {
  const T v = static_cast<T>(value);
  for (int i = 0; i < kTile; ++i) std::memcpy(to + static_cast<size_t>(i) * sizeof(T), &v, sizeof(T));
}

void fill_tile(uint8_t* to, Dtype d, double value) {
  switch (d) {
    case Dtype::f32: return fill<float>(to, value);
    case Dtype::f64: return fill<double>(to, value);
    case Dtype::i32: return fill<int32_t>(to, value);
    case Dtype::i64: return fill<int64_t>(to, value);
    case Dtype::u8: return fill<uint8_t>(to, value);
    case Dtype::b8: return fill<uint8_t>(to, value != 0);
    case Dtype::i8: return fill<int8_t>(to, value);
    case Dtype::i16: return fill<int16_t>(to, value);
    case Dtype::u16: return fill<uint16_t>(to, value);
    case Dtype::u32: return fill<uint32_t>(to, value);
    case Dtype::u64: return fill<uint64_t>(to, value);
    default: {
      const uint16_t h = half_bits(value);
      for (int i = 0; i < kTile; ++i) std::memcpy(to + 2 * i, &h, 2);
    }
  }
}

// Registers that an instruction reads and writes; superinstructions take runs of them.
void reads_writes(const EwInstr& c, std::vector<int>& reads, std::vector<int>& writes) {
  reads.clear();
  writes.clear();
  if (c.op == ew_adam) {
    for (int i = 0; i < 4; ++i) {
      reads.push_back(c.a + i);
      reads.push_back(c.b + i);
    }
    for (int i = 0; i < 3; ++i) writes.push_back(c.dst + i);
    return;
  }
  const int arity = elementwise_info(c.op).arity;
  reads.push_back(c.a);
  if (arity > 1) reads.push_back(c.b);
  if (arity > 2) reads.push_back(c.c);
  writes.push_back(c.dst);
}

bool scalar_position(const EwInstr& c, int reg) { return c.op == ew_adam && reg >= c.b && reg < c.b + 4; }

bool is_operand(const ProgramSpec& p, int reg) {
  for (const auto* side : {&p.in, &p.out})
    for (const EwOperand& o : *side)
      if (o.reg == reg) return true;
  return false;
}

int64_t panel_bytes(const ProgramSpec& p, Dtype d) {
  const int64_t columns = (p.dim[1] + 15) / 16 * 16;
  return p.dim[0] * columns * size_of(d);
}

// Merges neighbouring dims where every operand walks them as one, and drops dims of length one.
void collapse(ProgramSpec& p) {
  auto each = [&](auto&& f) {
    for (EwOperand& o : p.in) f(o);
    for (EwOperand& o : p.out) f(o);
  };
  for (int d = p.rank - 1; d >= 0 && p.rank > 1; --d) {
    if (p.dim[d] != 1) continue;
    each([&](EwOperand& o) {
      for (int k = d; k + 1 < p.rank; ++k) o.stride[k] = o.stride[k + 1];
    });
    for (int k = d; k + 1 < p.rank; ++k) p.dim[k] = p.dim[k + 1];
    --p.rank;
  }
  for (int d = p.rank - 2; d >= 0; --d) {
    bool joins = true;
    each([&](const EwOperand& o) {
      joins = joins && (o.buffer == -1 || o.stride[d] == o.stride[d + 1] * p.dim[d + 1]);
    });
    if (!joins) continue;
    each([&](EwOperand& o) {
      o.stride[d] = o.stride[d + 1];
      for (int k = d + 1; k + 1 < p.rank; ++k) o.stride[k] = o.stride[k + 1];
    });
    p.dim[d] *= p.dim[d + 1];
    for (int k = d + 1; k + 1 < p.rank; ++k) p.dim[k] = p.dim[k + 1];
    --p.rank;
  }
  if (p.rank == 1 && p.dim[0] == 1)
    for (EwOperand& o : p.out) o.stride[0] = 1;
}

}  // namespace

Instance::~Instance() {
  std::free(arena);
  for (uint8_t* p : own) std::free(p);
}

Program::Program(std::vector<StepSpec> steps, std::vector<ProgramSpec> programs, std::vector<SlotSpec> slots,
                 std::vector<LoopSpec> loops, int64_t arena_bytes, std::vector<uint8_t> constants, std::string_view isa,
                 int64_t own_bytes)
    : steps_(std::move(steps)),
      programs_(std::move(programs)),
      slots_(std::move(slots)),
      loops_(std::move(loops)),
      arena_bytes_(arena_bytes),
      own_bytes_(own_bytes),
      constant_bytes_(static_cast<int64_t>(constants.size())),
      isa_(isa_table(isa)) {
  if (arena_bytes < 0 || own_bytes < 0) throw std::invalid_argument("arena of negative size");
  for (LoopSpec& loop : loops_) {
    loop.room = loop_room_;
    loop_room_ += loop.body > 0 ? loop.body : 0;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    check(steps_[i], i);
    scratch_bytes_ = std::max(scratch_bytes_, scratch_of(steps_[i]));
  }
  check_loops();
  prepared_.resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].program >= 0) prepare(steps_[i], i);
    for (size_t b = 0; b < steps_[i].refs.size(); ++b) {
      const Ref& r = steps_[i].refs[b];
      if (r.space == Space::external) patches_.push_back({static_cast<int>(i), static_cast<int>(b), r.slot, r.offset});
    }
  }
  constants_ = allocate(constant_bytes_);
  if (constant_bytes_) std::memcpy(constants_, constants.data(), constants.size());
}

Program::~Program() { std::free(constants_); }

int64_t Program::space_bytes(const Ref& r) const {
  switch (r.space) {
    case Space::arena: return arena_bytes_;
    case Space::own: return own_bytes_;
    case Space::constant: return constant_bytes_;
    case Space::external: return slots_[static_cast<size_t>(r.slot)].bytes;
    case Space::none: break;
  }
  return 0;
}

// Loops must be nested, and a moved address must lie inside its space in every round of all the loops around it.
void Program::check_loops() {
  struct Reach {
    __int128 low = 0, high = 0;  // how far the loops together move an address back and on
  };
  std::vector<std::vector<Reach>> reach(steps_.size());
  std::vector<size_t> ends;  // of the loops around the current step, innermost last
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepSpec& s = steps_[i];
    while (!ends.empty() && i >= ends.back()) ends.pop_back();
    if (s.barrier && ends.empty()) has_barrier_ = true;
    if (s.kernel >= 0) continue;
    const LoopSpec& loop = loops_[static_cast<size_t>(s.loop)];
    const size_t end = loop.body < 0 ? 0 : i + 1 + static_cast<size_t>(loop.body);
    if (end == 0 || end > (ends.empty() ? steps_.size() : ends.back())) refuse(i, s, "loop body out of range");
    ends.push_back(end);
    if (loop.test != Test::none) {
      if (loop.test != Test::while_true && loop.test != Test::while_false) refuse(i, s, "unknown test");
      if (s.refs.empty() || s.refs[0].space == Space::none || s.refs[0].bytes < 1) refuse(i, s, "nothing to test");
    }
    if (loop.count < -1 || (loop.count == -1 && (loop.test == Test::none || !loop.moves.empty())))
      refuse(i, s, "a loop without end");
    endless_ = endless_ || loop.count == -1;
    for (const LoopSpec::Move& m : loop.moves) {
      if (m.step < 0 || m.step >= loop.body) refuse(i, s, "moves a step outside the body");
      const size_t at = i + 1 + static_cast<size_t>(m.step);
      if (m.buffer < 0 || m.buffer >= static_cast<int>(steps_[at].refs.size()))
        refuse(i, s, "moves a buffer that is not there");
      reach[at].resize(steps_[at].refs.size());
      Reach& r = reach[at][static_cast<size_t>(m.buffer)];
      const __int128 far = static_cast<__int128>(loop.count > 0 ? loop.count - 1 : 0) * m.bytes;
      (far < 0 ? r.low : r.high) += far;
    }
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    for (size_t b = 0; b < reach[i].size(); ++b) {
      const Ref& r = steps_[i].refs[b];
      const Reach& moved = reach[i][b];
      if (moved.low == 0 && moved.high == 0) continue;
      if (r.offset + moved.low < 0 || r.offset + moved.high + r.bytes > space_bytes(r))
        refuse(i, steps_[i], "a moved buffer leaves its space");
    }
  }
}

// Kernels that hold a whole row in scratch, however long it is.
int64_t Program::scratch_of(const StepSpec& s) {
  const bool row = s.kernel == k_argsort || s.kernel == k_sparse_softmax_ce || s.kernel == k_softmax_ce;
  return row && s.dims.size() > 1 ? s.dims[1] * 4 : 0;
}

void Program::check(const StepSpec& s, size_t index) const {
  if (s.kernel >= kKernels) refuse(index, s, "unknown kernel");
  if (s.kernel < 0 && (s.loop < 0 || s.loop >= static_cast<int>(loops_.size()))) refuse(index, s, "unknown loop");
  if (s.refs.size() > kMaxBuffers) refuse(index, s, "too many buffers");
  if (s.dims.size() > kMaxDims) refuse(index, s, "too many dims");
  if (s.scalars.size() > kMaxScalars) refuse(index, s, "too many scalars");
  if (s.program >= static_cast<int>(programs_.size())) refuse(index, s, "unknown program");
  if (s.units < 0 || s.barrier < 0 || s.barrier > 2 || s.single < 0 || s.single > 2 || s.every < 0)
    refuse(index, s, "units, barrier, single or every out of range");
  for (size_t i = 0; i < s.refs.size(); ++i) {
    const Ref& r = s.refs[i];
    if (r.space == Space::none) continue;
    if (r.space == Space::external) {
      if (r.slot < 0 || r.slot >= static_cast<int>(slots_.size())) refuse(index, s, "unknown slot");
      if (slots_[static_cast<size_t>(r.slot)].strided) continue;
    }
    const int64_t size = space_bytes(r);
    if (r.offset < 0 || r.bytes < 0 || r.offset > size || r.bytes > size - r.offset)
      refuse(index, s,
             "buffer " + std::to_string(i) + " at " + std::to_string(r.offset) + " + " + std::to_string(r.bytes) +
                 " bytes leaves its space of " + std::to_string(size));
  }
}

// Decides once what the interpreter would otherwise ask for every tile.
void Program::prepare(const StepSpec& s, size_t index) {
  ProgramSpec p = programs_[static_cast<size_t>(s.program)];
  const std::string fits = "elementwise program: ";
  if (p.rank < 1 || p.rank > kMaxRank) refuse(index, s, fits + "rank");
  if (p.n_reg < 0 || p.n_reg > kMaxRegs) refuse(index, s, fits + "too many registers");
  if (p.in.size() > kMaxOperands || p.out.size() > kMaxOperands) refuse(index, s, fits + "too many operands");
  bool panels = false, host = false;
  auto inspect = [&](const EwOperand& o) {
    if (o.reg >= p.n_reg) refuse(index, s, fits + "register out of range");
    host = host || o.buffer == -2;
    if (o.buffer < -2 || o.buffer >= static_cast<int>(s.refs.size())) refuse(index, s, fits + "unknown buffer");
    if (o.buffer < 0) return;
    const Ref& r = s.refs[static_cast<size_t>(o.buffer)];
    if (o.panel) {
      panels = true;
      if (p.rank != 2) refuse(index, s, fits + "panels need rank 2");
      if (panel_bytes(p, o.dtype) > r.bytes) refuse(index, s, fits + "panels leave their buffer");
      return;
    }
    int64_t last = 0;
    for (int d = 0; d < p.rank; ++d) {
      if (p.dim[d] < 0 || o.stride[d] < 0) refuse(index, s, fits + "negative dim or stride");
      if (p.dim[d] == 0) return;
      last += (p.dim[d] - 1) * o.stride[d];
    }
    if ((last + 1) * size_of(o.dtype) > r.bytes) refuse(index, s, fits + "an operand leaves its buffer");
  };
  for (const EwOperand& o : p.in) inspect(o);
  for (const EwOperand& o : p.out) inspect(o);
  if (s.kernel == k_ew_run) {
    if (host) refuse(index, s, fits + "no tile to work on");
    if (!panels) collapse(p);
  }

  int widest = 1;
  std::vector<int> written(static_cast<size_t>(p.n_reg), -1), read(static_cast<size_t>(p.n_reg), -1);
  std::vector<char> only_scalar(static_cast<size_t>(p.n_reg), 1), is_input(static_cast<size_t>(p.n_reg), 0);
  for (const EwOperand& o : p.in) is_input[o.reg] = 1;
  std::vector<int> reads, writes;
  for (size_t i = 0; i < p.code.size(); ++i) {
    EwInstr& c = p.code[i];
    if (c.op >= kEwOps) refuse(index, s, fits + "unknown operation");
    c.fn = isa_.elementwise(c.op, c.dtype, c.out);
    if (!c.fn)
      refuse(index, s,
             fits + elementwise_info(c.op).name + " does not take " + dtype_name(c.dtype) + " to " + dtype_name(c.out));
    reads_writes(c, reads, writes);
    for (int r : reads) {
      if (r >= p.n_reg) refuse(index, s, fits + "register out of range");
      read[static_cast<size_t>(r)] = static_cast<int>(i);
      if (!scalar_position(c, r)) only_scalar[static_cast<size_t>(r)] = 0;
    }
    for (int w : writes) {
      if (w >= p.n_reg) refuse(index, s, fits + "register out of range");
      if (is_input[static_cast<size_t>(w)]) refuse(index, s, fits + "writes an input register");
      if (written[static_cast<size_t>(w)] < 0) written[static_cast<size_t>(w)] = static_cast<int>(i);
    }
    widest = std::max({widest, size_of(c.dtype), size_of(c.out), 1});
  }
  for (const EwOperand& o : p.in) widest = std::max(widest, size_of(o.dtype));

  auto same_space = [&](const EwOperand& a, const EwOperand& b) {
    if (a.buffer == -2 || b.buffer == -2) return a.buffer == b.buffer;
    if (a.buffer < 0 || b.buffer < 0) return false;
    const Ref &x = s.refs[static_cast<size_t>(a.buffer)], &y = s.refs[static_cast<size_t>(b.buffer)];
    if (x.space != y.space || (x.space == Space::external && x.slot != y.slot)) return false;
    return x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes;
  };
  auto same_place = [&](const EwOperand& a, const EwOperand& b) {
    if (a.dtype != b.dtype || a.panel != b.panel) return false;
    if (a.buffer >= 0 && s.refs[static_cast<size_t>(a.buffer)].offset != s.refs[static_cast<size_t>(b.buffer)].offset)
      return false;
    return a.panel || std::memcmp(a.stride, b.stride, sizeof(int64_t) * static_cast<size_t>(p.rank)) == 0;
  };

  auto made = std::make_unique<Prepared>();
  std::vector<char> in_memory(static_cast<size_t>(p.n_reg), 0);
  for (EwOperand& o : p.in) {
    bool still = !o.panel && o.buffer != -2;
    for (int d = 0; d < p.rank; ++d) still = still && (o.stride[d] == 0 || p.dim[d] <= 1);
    if (o.buffer == -1) {
      o.mode = EwMode::immediate;
      std::vector<uint8_t> tile(static_cast<size_t>(kTile * size_of(o.dtype)));
      fill_tile(tile.data(), o.dtype, o.value);
      const uint8_t* kept = nullptr;
      for (const std::vector<uint8_t>& t : tiles_)
        if (t == tile) kept = t.data();
      if (!kept) {
        tiles_.push_back(std::move(tile));
        kept = tiles_.back().data();
      }
      o.tile = kept;
    } else if (still && only_scalar[o.reg]) {
      o.mode = EwMode::pointer;
    } else if (still) {
      o.mode = EwMode::splat;
    } else {
      o.mode = EwMode::memory;
      in_memory[o.reg] = 1;
    }
    if ((o.mode == EwMode::immediate || o.mode == EwMode::pointer) && only_scalar[o.reg]) in_memory[o.reg] = 1;
  }
  std::vector<char> taken(static_cast<size_t>(p.n_reg), 0);
  for (EwOperand& o : p.out) {
    const int at = written[o.reg];
    o.direct = at >= 0 && !taken[o.reg];
    for (const EwOperand& i : p.in) {
      if (!same_space(o, i)) continue;
      // Writing early would spoil an input that is read later, or one that lies elsewhere in the same memory.
      if (read[i.reg] > at || !same_place(o, i)) o.direct = false;
    }
    if (o.direct) taken[o.reg] = in_memory[o.reg] = 1;
  }
  std::vector<char> number(static_cast<size_t>(p.n_reg), 0), kept(static_cast<size_t>(p.n_reg), 0);
  made->moves.assign(static_cast<size_t>(p.n_reg), 0);
  for (const EwOperand& o : p.in) {
    if (o.mode == EwMode::memory) made->moves[o.reg] = static_cast<uint8_t>(size_of(o.dtype));
    else number[o.reg] = 1;
  }
  for (const EwOperand& o : p.out) {
    if (number[o.reg]) continue;
    made->moves[o.reg] = static_cast<uint8_t>(size_of(o.dtype));
    kept[o.reg] = 1;
  }
  // A chain needs no room but for a block's temporaries; the interpreter fills tiles.
  made->chain = make_chain(isa_, p.code, number, made->moves, kept);
  bool unlimited = true;
  for (int r = 0; r < p.n_reg && made->chain.empty(); ++r)
    if ((written[static_cast<size_t>(r)] >= 0 || read[static_cast<size_t>(r)] >= 0) &&
        !in_memory[static_cast<size_t>(r)])
      unlimited = false;
  for (const EwOperand& o : p.out)
    if (!o.direct) unlimited = false;
  bool flat = p.rank == 1 && !panels && !host;
  for (const EwOperand& o : p.in) flat = flat && (o.mode != EwMode::memory || o.stride[0] == 1);
  for (const EwOperand& o : p.out) flat = flat && o.stride[0] == 1;

  // Scratch tiles: operands keep theirs for the whole block; a temporary's is used again after its last reading, but not
  // by the instruction that reads it (types of different size would meet).
  std::vector<uint16_t> slot(static_cast<size_t>(p.n_reg), 0), unused;
  std::vector<char> placed(static_cast<size_t>(p.n_reg), 0);
  std::vector<int> last_write(static_cast<size_t>(p.n_reg), -1);
  for (size_t i = 0; i < p.code.size(); ++i) {
    reads_writes(p.code[i], reads, writes);
    for (int r : writes) last_write[static_cast<size_t>(r)] = static_cast<int>(i);
  }
  uint16_t slots = 0;
  for (const auto* side : {&p.in, &p.out})
    for (const EwOperand& o : *side)
      if (!placed[o.reg]) {
        placed[o.reg] = 1;
        slot[o.reg] = slots++;
      }
  for (size_t i = 0; i < p.code.size(); ++i) {
    reads_writes(p.code[i], reads, writes);
    for (int r : writes) {
      const size_t at = static_cast<size_t>(r);
      if (placed[at]) continue;
      placed[at] = 1;
      if (unused.empty()) {
        slot[at] = slots++;
      } else {
        slot[at] = unused.back();
        unused.pop_back();
      }
    }
    for (int r : reads) {
      const size_t at = static_cast<size_t>(r);
      const bool over = read[at] == static_cast<int>(i) && last_write[at] < static_cast<int>(i);
      if (placed[at] != 1 || !over || is_operand(p, r)) continue;
      placed[at] = 2;  // once, though it may be read twice
      unused.push_back(slot[at]);
    }
  }

  made->in = std::move(p.in);
  made->out = std::move(p.out);
  made->code = std::move(p.code);
  EwProgram& q = made->program;
  q = {};
  q.rank = p.rank;
  std::memcpy(q.dim, p.dim, sizeof q.dim);
  q.n_in = static_cast<int>(made->in.size());
  q.n_out = static_cast<int>(made->out.size());
  q.n_code = static_cast<int>(made->code.size());
  q.n_reg = p.n_reg;
  q.in = made->in.data();
  q.out = made->out.data();
  q.code = made->code.data();
  made->slot = std::move(slot);
  q.slot = made->slot.data();
  q.chain = made->chain.empty() ? nullptr : made->chain.data();
  q.moves = made->moves.data();
  q.reg_bytes = static_cast<int64_t>(kTile) * widest;
  q.unlimited = unlimited;
  q.flat = flat;
  prepared_[index] = std::move(made);
}

std::unique_ptr<Instance> Program::borrow() {
  {
    std::lock_guard<std::mutex> hold(pool_lock_);
    if (!pool_.empty()) {
      std::unique_ptr<Instance> in = std::move(pool_.back());
      pool_.pop_back();
      return in;
    }
    ++made_;
  }
  auto in = std::make_unique<Instance>();
  in->arena = allocate(arena_bytes_);
  return in;
}

std::vector<Step> Program::resolve(const Instance& instance, size_t worker) const {
  std::vector<Step> steps(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepSpec& s = steps_[i];
    Step& t = steps[i];
    t = {};
    t.fn = s.kernel < 0 ? nullptr : isa_.kernels[s.kernel];
    t.kernel = static_cast<uint16_t>(s.kernel);
    t.program = prepared_[i] ? &prepared_[i]->program : nullptr;
    t.units = s.units;
    t.barrier = static_cast<uint8_t>(s.barrier);
    t.single = static_cast<uint8_t>(s.single);
    t.every = s.every;
    t.loop = s.loop;
    for (size_t b = 0; b < s.refs.size(); ++b) {
      const Ref& r = s.refs[b];
      if (r.space == Space::arena) t.buf[b] = instance.arena + r.offset;
      else if (r.space == Space::own) t.buf[b] = instance.own[worker] + r.offset;
      else if (r.space == Space::constant) t.buf[b] = constants_ + r.offset;
    }
    for (size_t d = 0; d < s.dims.size(); ++d) t.dim[d] = s.dims[d];
    for (size_t d = 0; d < s.scalars.size(); ++d) t.scalar[d] = s.scalars[d];
  }
  return steps;
}

void Program::give_back(std::unique_ptr<Instance> instance) {
  std::lock_guard<std::mutex> hold(pool_lock_);
  // A burst of callers must not keep its arenas for ever.
  if (pool_.size() < 4) pool_.push_back(std::move(instance));
}

void Program::bind(Instance& instance, void* const* slots, int workers) const {
  const size_t lists = own_bytes_ ? static_cast<size_t>(workers) : 1;
  while (own_bytes_ && instance.own.size() < lists) instance.own.push_back(allocate(own_bytes_));
  while (instance.steps.size() < lists) instance.steps.push_back(resolve(instance, instance.steps.size()));
  for (std::vector<Step>& steps : instance.steps)
    for (const Patch& p : patches_)
      steps[static_cast<size_t>(p.step)].buf[p.buffer] = static_cast<uint8_t*>(slots[p.slot]) + p.offset;
}

std::string Program::text() const {
  std::string out;
  char line[256];
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepSpec& s = steps_[i];
    std::snprintf(line, sizeof line, "%3zu %c %-18s", i,
                  s.barrier == 2 ? '#'
                  : s.barrier    ? '|'
                                 : ' ',
                  kernel_name(s.kernel));
    out += line;
    for (const Ref& r : s.refs) {
      if (r.space == Space::none) out += " -";
      else if (r.space == Space::external)
        std::snprintf(line, sizeof line, " x%d+%lld", r.slot, static_cast<long long>(r.offset));
      else
        std::snprintf(line, sizeof line, " %c%lld",
                      r.space == Space::arena ? 'a'
                      : r.space == Space::own ? 'o'
                                              : 'c',
                      static_cast<long long>(r.offset));
      if (r.space != Space::none) out += line;
    }
    out += " (";
    for (size_t d = 0; d < s.dims.size(); ++d) {
      if (d) out += ' ';
      out += std::to_string(s.dims[d]);
    }
    out += ")";
    for (double v : s.scalars) {
      std::snprintf(line, sizeof line, " %.9g", v);
      out += line;
    }
    if (s.units != 1) out += " units=" + std::to_string(s.units);
    if (s.single) out += s.single == 1 ? " single" : " each";
    if (s.every > 1) out += " every=" + std::to_string(s.every);
    if (s.kernel < 0) {
      const LoopSpec& loop = loops_[static_cast<size_t>(s.loop)];
      const bool branch = loop.count == 1 && loop.test != Test::none;
      const char* wanted = loop.test == Test::while_true ? " true" : " false";
      if (branch) out.append(" if").append(wanted).append(":");
      else out += " repeat";
      std::snprintf(line, sizeof line, " %d steps", loop.body);
      out += line;
      if (!branch && loop.count >= 0) {
        std::snprintf(line, sizeof line, " %lld times", static_cast<long long>(loop.count));
        out += line;
      }
      if (!branch && loop.test != Test::none) out.append(" while").append(wanted);
    }
    if (s.program >= 0) {
      out += " {";
      const Prepared& p = *prepared_[i];
      for (size_t c = 0; c < p.code.size(); ++c) {
        const EwInstr& e = p.code[c];
        const int arity = elementwise_info(e.op).arity;
        out += c ? "; r" : "r";
        out += std::to_string(e.dst);
        out += '=';
        out += elementwise_info(e.op).name;
        out += " r";
        out += std::to_string(e.a);
        if (arity > 1) out += " r" + std::to_string(e.b);
        if (arity == 3) out += " r" + std::to_string(e.c);
      }
      out += "}";
    }
    out += "\n";
  }
  return out;
}

}  // namespace rv
