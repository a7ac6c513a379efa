#include "cpu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "step.h"
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rv::cpu {
namespace {

#if defined(__x86_64__)
uint64_t enabled_state() {
  // XGETBV as bytes, so that this unit needs no flag of its own.
  uint32_t lo, hi;
  __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t{hi} << 32) | lo;
}
#endif

std::vector<Isa> detect() {
  std::vector<Isa> found{Isa::base};
#if defined(__x86_64__)
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const bool osxsave = c >> 27 & 1, fma = c >> 12 & 1, f16c = c >> 29 & 1;
  if (!osxsave || !fma || !f16c) return found;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6) return found;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  if (!(b >> 5 & 1)) return found;
  found.push_back(Isa::avx2);
  const uint32_t need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  if ((b & need) == need && (state & 0xe6) == 0xe6) found.push_back(Isa::avx512);
#elif defined(__aarch64__)
  found.push_back(Isa::neon);
#endif
  return found;
}

std::string g_warning;

Isa choose() {
  const std::vector<Isa>& all = usable();
  const char* cap = std::getenv("RANVIER_ISA");
  if (!cap || !*cap) return all.back();
  for (Isa isa : all)
    if (std::string(cap) == name(isa)) return isa;
  g_warning = std::string("RANVIER_ISA=") + cap + " is not available here; using " + name(all.back());
  return all.back();
}

#if defined(__linux__)
std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// CPU quota of this process's control group, rounded up; 0 where there is none.
int quota() {
  std::string own;  // path of the group in the unified hierarchy
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.rfind("0::", 0) == 0) own = line.substr(3);
  double best = 0;
  // A limit may stand on any ancestor; inside a container the own path is often not visible, the root then is.
  for (std::string path = own;; path = path.substr(0, path.rfind('/'))) {
    std::istringstream v2(first_line("/sys/fs/cgroup" + path + (path == "/" ? "" : "/") + "cpu.max"));
    std::string max;
    double period = 0;
    if (v2 >> max >> period && max != "max" && period > 0) {
      const double cpus = std::atof(max.c_str()) / period;
      if (best == 0 || cpus < best) best = cpus;
    }
    if (path.empty() || path.rfind('/') == std::string::npos) break;
  }
  if (best == 0) {
    const double v1 = std::atof(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str());
    const double period = std::atof(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str());
    if (v1 > 0 && period > 0) best = v1 / period;
  }
  return best > 0 ? static_cast<int>(std::ceil(best)) : 0;
}
#endif

int count_threads() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  if (const int q = quota()) n = std::min(n, q);
#endif
  if (const char* env = std::getenv("RANVIER_THREADS")) {
    const int asked = std::atoi(env);
    if (asked > 0) n = asked;
  }
  return std::clamp(n, 1, kMaxWorkers);
}

}  // namespace

const char* name(Isa isa) {
  switch (isa) {
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::neon: return "neon";
    default: return "base";
  }
}

const std::vector<Isa>& usable() {
  static const std::vector<Isa> all = detect();
  return all;
}

Isa active() {
  static const Isa isa = choose();
  return isa;
}

const std::string& warning() {
  active();
  return g_warning;
}

int threads() {
  static const int n = count_threads();
  return n;
}

std::string model() {
#if defined(__linux__)
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
    }
#endif
  return "unknown";
}

}  // namespace rv::cpu
