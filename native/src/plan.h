// A program as Python hands it over, validated once; instances of it with addresses filled in, borrowed per call.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "registry.h"
#include "step.h"

namespace rv {

// `own` is an arena that every worker has for itself: what all of them compute, so that none waits for another's.
enum class Space : int { arena, external, constant, none, own };

struct Ref {
  Space space;
  int slot;        // of an external buffer
  int64_t offset;  // bytes
  int64_t bytes;   // that the kernel may touch from there on
};

struct ProgramSpec {
  int rank = 0;
  int64_t dim[kMaxRank] = {};
  int n_reg = 0;
  std::vector<EwOperand> in, out;
  std::vector<EwInstr> code;
};

// A loop or a branch: the `body` steps after it run `count` times; after each round every listed address moves on. With a
// test, a round runs only while the byte in buffer 0 of the loop's step is true (or false): what follows a round may set it.
// The step's barrier comes before every look at that byte, or once before the first round where there is no test.
enum class Test : int { none, while_true, while_false };

struct LoopSpec {
  struct Move {
    int step, buffer;
    int64_t bytes;
  };  // step counted from the first of the body
  int body = 0;
  int64_t count = 0;  // -1: as long as the test says
  std::vector<Move> moves;
  Test test = Test::none;
  int64_t room = 0;  // where in Instance::bodies its body is copied to
};

struct StepSpec {
  int kernel = -1;  // -1: loop
  std::vector<Ref> refs;
  std::vector<int64_t> dims;
  std::vector<double> scalars;
  int units = 1, barrier = 0, single = 0, program = -1, every = 0, loop = -1;
};

struct SlotSpec {
  int64_t bytes;  // least size of what is bound
  bool writable;
  bool strided;  // rows of a data set with any strides: sizes are checked by whoever makes the gather step
};

// An elementwise program made ready for one step: collapsed, hazards decided, instructions resolved.
struct Prepared {
  EwProgram program;
  std::vector<EwOperand> in, out;
  std::vector<EwInstr> code;
  std::vector<uint16_t> slot;
  std::vector<EwLink> chain;
  std::vector<uint8_t> moves;
};

// One running copy: its arenas and the steps with addresses.
struct Instance {
  uint8_t* arena = nullptr;
  std::vector<uint8_t*> own;  // one per worker, if the program has such memory
  std::vector<std::vector<Step>>
      steps;                  // one list for all workers, or one per worker where they have memory of their own
  std::vector<Frame> frames;  // one per worker
  std::vector<std::vector<Step>> bodies;  // per worker: the loops' bodies, whose addresses move
  const std::vector<Step>& of(int worker) const { return steps[steps.size() == 1 ? 0 : static_cast<size_t>(worker)]; }
  ~Instance();
};

class Program {
 public:
  // Throws std::invalid_argument naming the step where anything does not fit.
  Program(std::vector<StepSpec> steps, std::vector<ProgramSpec> programs, std::vector<SlotSpec> slots,
          std::vector<LoopSpec> loops, int64_t arena_bytes, std::vector<uint8_t> constants, std::string_view isa,
          int64_t own_bytes = 0);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::unique_ptr<Instance> borrow();
  void give_back(std::unique_ptr<Instance> instance);
  // Makes an instance ready for a call: memory for so many workers, the addresses of the external slots.
  void bind(Instance& instance, void* const* slots, int workers) const;

  const std::vector<StepSpec>& steps() const { return steps_; }
  const std::vector<SlotSpec>& slots() const { return slots_; }
  const std::vector<LoopSpec>& loops() const { return loops_; }
  const IsaTable& isa() const { return isa_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  int64_t own_bytes() const { return own_bytes_; }
  int instances_made() const { return made_; }
  bool has_barrier() const { return has_barrier_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }  // of each worker
  int64_t loop_room() const { return loop_room_; }          // steps in all loop bodies
  bool endless() const {
    return endless_;
  }  // has a loop whose length only a test decides: someone must be able to stop it
  std::string text() const;

 private:
  void check(const StepSpec& s, size_t index) const;
  void check_loops();
  void prepare(const StepSpec& s, size_t index);
  std::vector<Step> resolve(const Instance& instance, size_t worker) const;
  int64_t space_bytes(const Ref& r) const;
  static int64_t scratch_of(const StepSpec& s);

  struct Patch {
    int step, buffer, slot;
    int64_t offset;
  };
  std::vector<StepSpec> steps_;
  std::vector<ProgramSpec> programs_;
  std::vector<SlotSpec> slots_;
  std::vector<LoopSpec> loops_;
  int64_t arena_bytes_, own_bytes_;
  uint8_t* constants_ = nullptr;
  int64_t constant_bytes_ = 0;
  const IsaTable& isa_;
  bool has_barrier_ = false, endless_ = false;
  int64_t scratch_bytes_ = kScratchBytes, loop_room_ = 0;
  std::vector<std::unique_ptr<Prepared>> prepared_;  // per step, or nullptr
  std::deque<std::vector<uint8_t>> tiles_;           // immediates, kTile copies each, shared by equal values
  std::vector<Patch> patches_;
  std::mutex pool_lock_;
  std::vector<std::unique_ptr<Instance>> pool_;
  int made_ = 0;
};

// ---- exec.cpp

// What a run tells and takes from other threads while it goes.
struct Control {
  int32_t abort = 0;            // set from any thread: stop at the next step boundary
  int64_t steps = 0, rows = 0;  // done so far
};

struct Tap {
  Space space;  // arena or external
  int slot;
  int64_t offset, bytes;
  int64_t every;  // after steps every, 2 every, …
  uint8_t* to;
  int64_t room;  // records that fit; later ones are dropped
};

struct EpochRun {
  Program* full = nullptr;                   // for batches of `batch` rows
  Program* tail = nullptr;                   // for the last one, if shorter
  void* const* slots = nullptr;              // shared by both programs
  const int64_t* order = nullptr;            // row numbers, or nullptr: as they lie
  int64_t rows = 0, batch = 1;               // rows of the epoch, rows of a step
  int64_t first_batch = 0, last_batch = -1;  // [first, last); -1: to the end
  int64_t first_step = 0;                    // step counter at first_batch
  int workers = 1;
  std::vector<Tap> taps;
  double* step_seconds = nullptr;  // per plan step of `full`, summed; nullptr: not timed
  Control* control = nullptr;
  bool (*poll)(void*) = nullptr;  // called by worker 0 about every 30 ms, also in endless loops; true: stop
  void* poll_context = nullptr;
};

struct Outcome {
  int64_t steps = 0, rows = 0;  // completed
  bool stopped = false;         // by abort or poll
  Frame::Fault fault{};
};

// What one worker of several does in one pass, alone and without waiting for anybody: for proofs of what a worker touches.
void run_share(Program& program, void* const* slots, int worker, int workers, int64_t step_index, const int64_t* rows,
               int64_t first_row, int64_t n_rows);
// `poll` is asked only by plans with endless loops, see EpochRun.
Outcome run_once(Program& program, void* const* slots, int workers, int64_t step_index, const int64_t* rows,
                 int64_t first_row, int64_t n_rows, bool (*poll)(void*) = nullptr, void* poll_context = nullptr);
Outcome run_epoch(const EpochRun& run);

}  // namespace rv
