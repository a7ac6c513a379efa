// The plan's vocabulary: what Python hands over and what kernels receive. No shape logic lives here or below.
#pragma once
#include <cstdint>

namespace rv {

enum class Dtype : uint8_t { f32, f64, i32, i64, u8, b8, i8, i16, u16, u32, u64, f16, count };

constexpr int kDtypes = static_cast<int>(Dtype::count);
constexpr int kDtypeBytes[kDtypes] = {4, 8, 4, 8, 1, 1, 1, 2, 2, 4, 8, 2};
inline int size_of(Dtype d) { return kDtypeBytes[static_cast<int>(d)]; }

constexpr int kMaxBuffers = 16;
constexpr int kMaxDims = 32;
constexpr int kMaxScalars = 8;
constexpr int kMaxRank = 6;       // of an elementwise iteration space, after collapsing
constexpr int kMaxRegs = 128;     // of an elementwise program
constexpr int kMaxOperands = 48;  // inputs, and outputs, of an elementwise program
constexpr int kPanel = 64;        // columns of a weight panel
constexpr int kTile = 512;        // elements of an elementwise tile
constexpr int kMaxWorkers = 64;
constexpr int64_t kScratchBytes = 8 << 20;  // per worker; pages are touched only when used

struct EwInstr;
using EwFn = void (*)(const EwInstr&, uint8_t* const* reg, int64_t n);

// One instruction of an elementwise program: dst = op(a, b, c). Registers are typed tiles of up to kTile elements.
struct EwInstr {
  uint16_t op;  // EwOp (elementwise.def)
  Dtype dtype;  // of the operands
  Dtype out;    // of the result (differs for cast, compare)
  uint16_t dst, a, b, c;
  EwFn fn;  // resolved for the plan's instruction set
};

// A link of a chain: an instruction as kernels/chain.h runs it, values kept in vector registers from one to the next.
using LinkAny = void (*)();  // the instruction set's own type
struct EwLink {
  LinkAny fn;
  uint16_t dst, a, b, c;  // registers, as in EwInstr
  int64_t move;           // of its operand in memory: all ones, or 0 where that is a temporary
  int64_t move_mask;      // the same for a mask
};

// How an input reaches its register; set by prepare().
enum class EwMode : uint8_t { memory, immediate, splat, pointer };

// An operand of a program: where element (i0, .., ir-1) of the iteration space lies. Strides are in elements; 0 = broadcast.
struct EwOperand {
  int16_t buffer;  // index into Step::buf; -1 = an immediate (value); -2 = the accumulator tile of the host kernel
  Dtype dtype;
  uint16_t reg;  // register it is loaded into (inputs) or stored from (outputs)
  double value;  // for immediates
  int64_t stride[kMaxRank];
  uint8_t panel;        // the buffer is a [dim0, dim1] weight in column panels: strides are ignored
  EwMode mode;          // inputs: how it is loaded
  bool direct;          // outputs: instructions may write memory itself
  const uint8_t* tile;  // immediates: kTile copies of the value
};

struct EwProgram {
  int rank;  // of the iteration space (2 for a matrix epilogue: row, column)
  int64_t dim[kMaxRank];
  int n_in, n_out, n_code, n_reg;
  const EwOperand* in;
  const EwOperand* out;
  const EwInstr* code;
  const uint16_t* slot;  // the scratch tile of each register; nullptr: a tile of its own for each
  int64_t reg_bytes;     // kTile elements of the widest type in use
  bool unlimited;        // no register lives in scratch: a contiguous block may be longer than kTile
  bool flat;             // rank 1, every operand dense or a scalar
  const EwLink* chain;   // the same code for whole blocks of kBlock elements, or nullptr
  const uint8_t* moves;  // bytes from an element of a register to the next; 0: a number, or a temporary
};

struct Step;
struct Frame;
using KernelFn = void (*)(const Step&, Frame&, int worker, int workers);

struct Step {
  KernelFn fn;               // nullptr: a loop over the steps that follow (see plan.h)
  const EwProgram* program;  // or nullptr
  int32_t units;             // work units the kernel divides among workers
  uint8_t barrier;           // 1: wait for all workers before this step; 2: and stop here if a fault was reported
  uint8_t single;            // 1: worker 0 runs it alone; 2: each worker runs all of it, into memory of its own
  uint16_t kernel;           // id, for traces and messages
  int32_t every;             // run only when (step_index + 1) % every == 0; 0 or 1: always
  int32_t loop;              // loops: index into the plan's loops
  void* buf[kMaxBuffers];    // resolved addresses: arena, external slot or constant
  int64_t dim[kMaxDims];
  double scalar[kMaxScalars];
};

// Rows of the next batch that this worker will gather. Matrix products fetch them line by line into the cache while the
// memory bus is idle: a few lines after each register tile, as all at once would hold up the product's own loads.
struct Ahead {
  const uint8_t* base;   // row 0
  const int64_t* order;  // numbers of the rows
  int64_t row_step, row_bytes;
  int64_t row, last;  // the next one to fetch, and the end
  int64_t at;         // byte in it
};
inline void look_ahead(Ahead& a, int64_t lines) {
  for (; lines > 0 && a.row < a.last; --lines) {
    __builtin_prefetch(a.base + a.order[a.row] * a.row_step + a.at, 0, 3);
    a.at += 64;
    if (a.at >= a.row_bytes) {
      a.at = 0;
      ++a.row;
    }
  }
}

// What a kernel may know of the run: per-worker scratch, the running step counter, the place to report bad data.
struct Frame {
  uint8_t* scratch[kMaxWorkers];  // per worker, 64-byte aligned; [0] also where it runs a step alone
  int64_t scratch_bytes;
  int64_t step_index;   // updates done in this run; keys counters
  const int64_t* rows;  // row indices of the current batch (gather), or nullptr: first_row, first_row + 1, …
  int64_t first_row, n_rows;
  int64_t rows_left;  // rows of the run from this batch's first on: how far `rows` may be read (prefetch)
  Ahead ahead;
  // First fault wins by (code, source, row, column); the executor stops before the next step that writes state.
  struct Fault {
    int32_t code;
    int32_t source;
    int64_t row, column;
    double value;
  } fault;
  int32_t shown[2], guards;  // the executor's: the fault as shown to the other workers at guards, and their count
  int64_t rounds;            // the executor's: looks at the tests of endless loops so far
};

// Reports bad data. Every worker has its own frame, and the smallest (code, source, row, column) of all is told in the
// end, so the report does not depend on timing or on the number of workers.
inline void report(Frame& f, int32_t code, int32_t source, int64_t row, int64_t column, double value) {
  Frame::Fault& t = f.fault;
  bool first = t.code == 0;
  if (!first) {
    if (code != t.code) first = code < t.code;
    else if (source != t.source) first = source < t.source;
    else if (row != t.row) first = row < t.row;
    else first = column < t.column;
  }
  if (first) t = {code, source, row, column, value};
}

// Worker w of n takes units [first, last). The same for every step with the same number of units: affinity.
inline void share(int64_t units, int w, int n, int64_t& first, int64_t& last) {
  if (n == 1) {
    first = 0;
    last = units;
    return;
  }
  first = units * w / n;
  last = units * (w + 1) / n;
}

}  // namespace rv
