// Kernel tables: one column per instruction set, one row per line of kernels.def.
#pragma once
#include <string_view>

#include "cpu.h"
#include "step.h"

namespace rv {

enum KernelId : uint16_t {
#define K(name) k_##name,
#include "kernels.def"
#undef K
  kKernels
};

enum EwOp : uint16_t {
#define EW(name, arity, kinds) ew_##name,
#include "elementwise.def"
#undef EW
  kEwOps
};

struct EwInfo {
  const char* name;
  int arity;  // operands a, b, c
  const char*
      kinds;  // dtype classes: f floats, i integers, b bool; letter c: result is bool; t: result dtype is free (cast)
};

// How a link finds its operands: x is what the link before left in vector registers, m lies in memory, n is one number.
enum class Form : uint8_t { end, take_m, take_n, put, x, xm, mx, xn, nx, xx };

struct IsaTable {
  const char* name;
  int width;                                         // floats per vector
  const KernelFn* kernels;                           // kKernels of them
  EwFn (*elementwise)(int op, Dtype in, Dtype out);  // nullptr where the op does not take the type
  double (*fma_loop)(int64_t rounds, bool loads);    // flops done, for measuring the machine's peak
  LinkAny (*link)(int op, Form form);                // of float32; nullptr where there is none
};

// The table of one usable instruction set.
const IsaTable& isa_table(cpu::Isa isa);
// "" = the active one; throws std::invalid_argument when unknown or not usable on this machine.
const IsaTable& isa_table(std::string_view name);

const char* kernel_name(int id);
int find_kernel(std::string_view name);  // -1: none
const EwInfo& elementwise_info(int op);
int find_elementwise(std::string_view name);

const char* dtype_name(Dtype d);
int find_dtype(std::string_view name);

// Elementwise instructions for the types that have no vector code: plain loops, shared by all instruction sets.
EwFn elementwise_plain(int op, Dtype in, Dtype out);

namespace base {
extern const IsaTable table;
}
namespace avx2 {
extern const IsaTable table;
}
namespace avx512 {
extern const IsaTable table;
}
namespace neon {
extern const IsaTable table;
}

}  // namespace rv
