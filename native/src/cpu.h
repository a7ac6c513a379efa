// What this machine offers: instruction sets (asked of the CPU and of the operating system), threads, caps by environment.
#pragma once
#include <string>
#include <vector>

namespace rv::cpu {

enum class Isa { base, avx2, avx512, neon };

const char* name(Isa isa);
// Instruction sets that this build has kernels for and this machine can run, weakest first.
const std::vector<Isa>& usable();
// The strongest usable one, capped by RANVIER_ISA. `warning` is set when the cap is unknown or not usable here.
Isa active();
const std::string& warning();
// Logical workers by default: affinity mask, cgroup quota, RANVIER_THREADS.
int threads();
std::string model();

}  // namespace rv::cpu
