// Reductions of all other types, and the arg-reductions: plain loops, compiled once. Arguments: kernels/reduce.h.
#pragma once
#include "step.h"

namespace rv {

void reduce_types(const Step& s, Frame& f, int w, int n);
void argmax(const Step& s, Frame& f, int w, int n);

}  // namespace rv
