#define RV_ISA base
#define RV_WIDTH 4
#include "kernels/all.h"

namespace rv::base {
extern const IsaTable table = {"base", RV_WIDTH, kKernelTable, elementwise_fn, fma_loop, link_fn};
}
