#include "registry.h"

#include <stdexcept>
#include <string>

namespace rv {
namespace {

const char* const kKernelNames[] = {
#define K(name) #name,
#include "kernels.def"
#undef K
};

const EwInfo kEwInfo[] = {
#define EW(name, arity, kinds) {#name, arity, kinds},
#include "elementwise.def"
#undef EW
};

const char* const kDtypeNames[] = {"float32", "float64", "int32",  "int64",  "uint8",  "bool",
                                   "int8",    "int16",   "uint16", "uint32", "uint64", "float16"};
static_assert(sizeof(kDtypeNames) / sizeof(char*) == kDtypes);

}  // namespace

const IsaTable& isa_table(cpu::Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case cpu::Isa::avx2: return avx2::table;
    case cpu::Isa::avx512: return avx512::table;
#elif defined(__aarch64__)
    case cpu::Isa::neon: return neon::table;
#endif
    default: return base::table;
  }
}

const IsaTable& isa_table(std::string_view name) {
  if (name.empty()) return isa_table(cpu::active());
  for (cpu::Isa isa : cpu::usable())
    if (name == cpu::name(isa)) return isa_table(isa);
  throw std::invalid_argument("instruction set '" + std::string(name) + "' is not available on this machine");
}

const char* kernel_name(int id) { return id >= 0 && id < kKernels ? kKernelNames[id] : "loop"; }

int find_kernel(std::string_view name) {
  for (int i = 0; i < kKernels; ++i)
    if (name == kKernelNames[i]) return i;
  return -1;
}

const EwInfo& elementwise_info(int op) { return kEwInfo[op]; }

int find_elementwise(std::string_view name) {
  for (int i = 0; i < kEwOps; ++i)
    if (name == kEwInfo[i].name) return i;
  return -1;
}

const char* dtype_name(Dtype d) { return kDtypeNames[static_cast<int>(d)]; }

int find_dtype(std::string_view name) {
  for (int i = 0; i < kDtypes; ++i)
    if (name == kDtypeNames[i]) return i;
  return -1;
}

}  // namespace rv
