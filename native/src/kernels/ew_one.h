// Elementwise programs over a single element: counters, the rates of an optimizer, the running means of metrics. A dozen
// numbers a step, so what an interpreter of vectors spends on each instruction is all there is to save: commonest operations
// are done on the spot, the others by their own function on one element. The arithmetic is the same.
#pragma once
#include <cmath>
#include <cstring>

#include "../registry.h"
#include "simd.h"

namespace rv::RV_ISA {

template <class T>
RV_INLINE T& one(uint8_t* p) {
  return *reinterpret_cast<T*>(p);
}

// Whether `c` was done: an operation that is exactly rounded, so that every way to do it gives the same bits.
template <class T>
RV_INLINE bool one_float(const EwInstr& c, uint8_t* const* reg) {
  switch (c.op) {
    case ew_copy: one<T>(reg[c.dst]) = one<T>(reg[c.a]); return true;
    case ew_neg: one<T>(reg[c.dst]) = -one<T>(reg[c.a]); return true;
    case ew_add: one<T>(reg[c.dst]) = one<T>(reg[c.a]) + one<T>(reg[c.b]); return true;
    case ew_sub: one<T>(reg[c.dst]) = one<T>(reg[c.a]) - one<T>(reg[c.b]); return true;
    case ew_mul: one<T>(reg[c.dst]) = one<T>(reg[c.a]) * one<T>(reg[c.b]); return true;
    case ew_div: one<T>(reg[c.dst]) = one<T>(reg[c.a]) / one<T>(reg[c.b]); return true;
    case ew_sqrt: one<T>(reg[c.dst]) = std::sqrt(one<T>(reg[c.a])); return true;
    default: return false;
  }
}

RV_INLINE bool one_cast(const EwInstr& c, uint8_t* const* reg) {
  if (c.dtype == Dtype::f32 && c.out == Dtype::f64) one<double>(reg[c.dst]) = double(one<float>(reg[c.a]));
  else if (c.dtype == Dtype::f64 && c.out == Dtype::f32) one<float>(reg[c.dst]) = float(one<double>(reg[c.a]));
  else if (c.dtype == Dtype::i64 && c.out == Dtype::f32) one<float>(reg[c.dst]) = float(one<int64_t>(reg[c.a]));
  else return false;
  return true;
}

RV_NOINLINE void ew_one(const EwProgram& p, const Step& s, uint8_t* scratch) {
  uint8_t* reg[kMaxRegs];
  for (int i = 0; i < p.n_in; ++i) {
    const EwOperand& o = p.in[i];
    reg[o.reg] = o.mode == EwMode::immediate ? const_cast<uint8_t*>(o.tile) : static_cast<uint8_t*>(s.buf[o.buffer]);
  }
  for (int i = 0; i < p.n_code; ++i) {
    const EwInstr& c = p.code[i];
    for (int k = c.op == ew_adam ? 2 : 0; k >= 0; --k) {
      const int r = c.dst + k;
      reg[r] = scratch + (p.slot ? p.slot[r] : r) * p.reg_bytes;
    }
  }
  bool late = false;
  for (int i = 0; i < p.n_out; ++i) {
    const EwOperand& o = p.out[i];
    if (o.direct) reg[o.reg] = static_cast<uint8_t*>(s.buf[o.buffer]);
    else late = true;
  }
  for (const EwInstr *c = p.code, *end = c + p.n_code; c != end; ++c) {
    const bool done = c->op == ew_cast         ? one_cast(*c, reg)
                      : c->dtype == Dtype::f32 ? one_float<float>(*c, reg)
                      : c->dtype == Dtype::f64 ? one_float<double>(*c, reg)
                      : c->dtype == Dtype::i64 && c->op == ew_add
                          ? (one<int64_t>(reg[c->dst]) =
                                 int64_t(uint64_t(one<int64_t>(reg[c->a])) + uint64_t(one<int64_t>(reg[c->b]))),
                             true)
                          : false;
    if (!done) c->fn(*c, reg, 1);
  }
  if (!late) return;
  for (int i = 0; i < p.n_out; ++i) {
    const EwOperand& o = p.out[i];
    if (!o.direct) std::memcpy(s.buf[o.buffer], reg[o.reg], static_cast<size_t>(size_of(o.dtype)));
  }
}

}  // namespace rv::RV_ISA
