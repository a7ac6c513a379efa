// Everything one instruction-set unit contains, and its table.
#pragma once
#include "../moves.h"
#include "attention.h"
#include "channels.h"
#include "conv.h"
#include "conv_windows.h"
#include "dots.h"
#include "elementwise.h"
#include "gather.h"
#include "gemm.h"
#include "math.h"
#include "norm.h"
#include "pool.h"
#include "random.h"
#include "reduce.h"
#include "simd.h"
#include "softmax.h"

namespace rv::RV_ISA {

static const KernelFn kKernelTable[] = {
#define K(name) name,
#include "../kernels.def"
#undef K
};
static_assert(sizeof(kKernelTable) / sizeof(KernelFn) == kKernels);

// Independent multiply-adds in registers: the machine's peak, against which matrix products are measured. With `loads`
// it is a register tile whose operands lie in L1: more no product attains, as loads beside multiply-adds lower the clock of
// some processors (measured: 216 and 185 GFLOP/s).
static double fma_loop(int64_t rounds, bool loads) {
  constexpr int kDown = kRows[kMaxVectors], kChains = 12;
  if (loads) {
    alignas(64) float a[kDown * kPanel] = {}, b[kPanel * kChunk] = {}, c[kDown * kChunk];
    TileContext x{};
    x.lda = kPanel;
    x.ldb = x.ldc = kChunk;
    x.tail = W;
    x.blocks = 1;
    for (int64_t r = 0; r < rounds; r += kPanel) tile<kDown, kMaxVectors, false>(a, b, c, nullptr, c, kPanel, x);
    return 2.0 * static_cast<double>(kDown * kChunk * ((rounds + kPanel - 1) / kPanel * kPanel));
  }
  vf acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = splat(static_cast<float>(i));
  const vf a = splat(0.999f), b = splat(0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = madd(acc[i], a, b);
  }
  vf sum = acc[0];
  for (int i = 1; i < kChains; ++i) sum += acc[i];
  volatile float keep = sum[0];
  (void)keep;
  return 2.0 * W * kChains * static_cast<double>(rounds);
}

}  // namespace rv::RV_ISA
