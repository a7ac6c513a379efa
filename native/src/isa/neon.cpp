#define RV_ISA neon
#define RV_WIDTH 4
#include "kernels/all.h"

namespace rv::neon {
extern const IsaTable table = {"neon", RV_WIDTH, kKernelTable, elementwise_fn, fma_loop, link_fn};
}
