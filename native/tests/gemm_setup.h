// What the test and the bench of the matrix products set up alike: scratch, the division into units, and the program of Adam.
#pragma once
#include <cstdlib>

#include "../src/kernels/gemm.h"

using namespace rv;
using namespace rv::RV_ISA;

// The elementwise code of other types is not linked here: programs use float32 only.
rv::EwFn rv::elementwise_plain(int, Dtype, Dtype) { return nullptr; }

// Adam on the weight panels in buf[5..7], its scalars in buf[8..11].
struct AdamProgram {
  EwOperand in[8] = {}, out[3] = {};
  EwInstr code[1] = {};
  EwProgram program = {};
  AdamProgram(int64_t rows, int64_t columns) {
    for (int i = 0; i < 8; ++i) {
      in[i].buffer = int16_t(i == 3 ? -2 : i < 3 ? 5 + i : 4 + i);
      in[i].dtype = Dtype::f32;
      in[i].reg = uint16_t(i);
      in[i].panel = i < 3;
      in[i].mode = i < 4 ? EwMode::memory : EwMode::pointer;
    }
    for (int i = 0; i < 3; ++i) {
      out[i] = in[i];
      out[i].direct = true;
    }
    code[0] = {ew_adam, Dtype::f32, Dtype::f32, 0, 0, 4, 0, adam_f32};
    program.rank = 2;
    program.dim[0] = rows, program.dim[1] = columns;
    program.n_in = 8, program.n_out = 3, program.n_code = 1, program.n_reg = 8;
    program.in = in, program.out = out, program.code = code;
    program.reg_bytes = kTile * 4;
    program.unlimited = true;
  }
  void attach(Step& s, float* w, float* m, float* v, float (&hyper)[4]) const {
    s.program = &program;
    s.buf[5] = w, s.buf[6] = m, s.buf[7] = v;
    for (int i = 0; i < 4; ++i) s.buf[8 + i] = &hyper[i];
  }
};

// So many rows of a panel are a unit.
inline void divide(Step& s, int64_t panels, int64_t rows, int64_t per) {
  s.dim[7] = per;
  s.dim[8] = (rows + per - 1) / per;
  s.units = int32_t(panels * s.dim[8]);
}

inline void give_scratch(Frame& f, int workers) {
  f.scratch_bytes = kScratchBytes;
  for (int w = 0; w < workers; ++w)
    f.scratch[w] = static_cast<uint8_t*>(std::aligned_alloc(4096, size_t(kScratchBytes)));
}
