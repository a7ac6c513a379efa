// Kernels that move, index, sort and check: no arithmetic that an instruction set could change, so they are compiled once.
//
// Arrays around an axis are seen as [outer, n, inner]. Element types are numbers of Dtype.
//
//   copy_strided  buf: 0 from, 1 to      dim: 0 rank, 1 bytes of an element, 2..7 sizes, 8..13 strides of from, 14..19 of to
//                 (elements; may be negative or, for from, zero). Unit: equal shares of all rows (innermost dim = a row).
//   fill          buf: 0 to              dim: 0 elements, 1 dtype            scalar: 0 value
//   iota          buf: 0 to              dim: 0 outer, 1 n, 2 inner, 3 dtype scalar: 0 start, 1 step
//   take          buf: 0 table [outer, n, inner], 1 indices [k], 2 out [outer, k, inner]
//                 dim: 0 outer, 1 n, 2 inner, 3 k, 4 dtype of indices, 5 bytes of an element, 6 fault code, 7 source
//                 Negative indices count from the end. An index outside reports a fault (row = position) and reads as zero.
//                 Unit: equal shares of outer * k.
//   scatter_add   buf: 0 indices [k], 1 updates [outer, k, inner], 2 out [outer, n, inner] (added to)
//                 dim: as take; 8 dtype of out; 9: 1 = clear out first. Unit: equal shares of n: each row has one owner, so
//                 sums are in the order of the indices.
//   take_along    buf: 0 from [outer, n, inner], 1 indices [outer, k, inner], 2 out likewise      dim: as take
//   add_along     buf: 0 indices, 1 updates [outer, k, inner], 2 out [outer, n, inner]            dim: as scatter_add
//                 Unit: equal shares of outer * inner.
//   cumulate      buf: 0 from, 1 to      dim: 0 outer, 1 n, 2 inner, 3 dtype, 4 operation (0 sum, 1 product, 2 max, 3 min),
//                 5 flags: 1 from the end, 2 exclusive. Unit: equal shares of outer * inner.
//   argsort       buf: 0 keys, 1 indices (or nothing), 2 sorted keys (or nothing)
//                 dim: 0 outer, 1 n, 2 inner, 3 dtype, 4 dtype of indices (i32 or i64), 5: 1 = descending, 6 first k only
//                 (0: all). Stable; NaN counts as the largest. Unit: equal shares of outer * inner.
//   check_range   buf: 0 values          dim: 0 elements, 1 dtype, 2 low, 3 high, 4 source, 5: 1 = allow dim 6, 7 code (0: 105),
//                 8 elements of a row. Reports the first value outside [low, high).
//   check_finite  buf: 0 values          dim: 0 elements, 1 dtype, 2 code (0: 301), 3 source
//   panels_in     buf: 0 dense [K, N], 1 panels       dim: 0 K, 1 N, 2 leading dim of dense, 3 bytes of an element
//   panels_out    buf: 0 panels, 1 dense              dim: likewise. Unit: equal shares of the panels.
//   count_step    buf: 0 int64 counter: += dim 0
#pragma once
#include "step.h"

namespace rv {

void copy_strided(const Step& s, Frame& f, int w, int n);
void fill(const Step& s, Frame& f, int w, int n);
void iota(const Step& s, Frame& f, int w, int n);
void take(const Step& s, Frame& f, int w, int n);
void scatter_add(const Step& s, Frame& f, int w, int n);
void take_along(const Step& s, Frame& f, int w, int n);
void add_along(const Step& s, Frame& f, int w, int n);
void cumulate(const Step& s, Frame& f, int w, int n);
void argsort(const Step& s, Frame& f, int w, int n);
void check_range(const Step& s, Frame& f, int w, int n);
void check_finite(const Step& s, Frame& f, int w, int n);
void panels_in(const Step& s, Frame& f, int w, int n);
void panels_out(const Step& s, Frame& f, int w, int n);
void count_step(const Step& s, Frame& f, int w, int n);

}  // namespace rv
