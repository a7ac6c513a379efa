#define RV_ISA avx512
#define RV_WIDTH 16
#include "kernels/all.h"

namespace rv::avx512 {
extern const IsaTable table = {"avx512", RV_WIDTH, kKernelTable, elementwise_fn, fma_loop, link_fn};
}
