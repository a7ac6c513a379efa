#define RV_ISA avx2
#define RV_WIDTH 8
#include "kernels/all.h"

namespace rv::avx2 {
extern const IsaTable table = {"avx2", RV_WIDTH, kKernelTable, elementwise_fn, fma_loop, link_fn};
}
