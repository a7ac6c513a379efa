// Runs plans: one pass, or the steps of whole epochs on all workers without coming back to Python.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "plan.h"
#include "team.h"

namespace rv {
namespace {

using Clock = std::chrono::steady_clock;

class Watch;

// What all workers of a run share. Each has a frame of its own, so that a batch can begin without waiting for the others.
struct Crew {
  const std::vector<LoopSpec>* loops;
  Frame* frames;
  std::vector<Step>* bodies;
  int workers;
  Watch* watch;         // asked by worker 0 in endless loops, or nullptr
  int64_t* last_round;  // where such loops stop: worker 0 writes it before the barrier of that round
};

// Has someone asked to stop? Looks at the clock about once a millisecond.
class Watch {
 public:
  Watch(const Control* control, bool (*poll)(void*), void* context)
      : control_(control), poll_(poll), context_(context), last_poll_(Clock::now()), last_check_(last_poll_) {}

  bool stop() {
    polled = false;
    bool stop = __atomic_load_n(&control_->abort, __ATOMIC_RELAXED) != 0;
    if (--until_check_ > 0) return stop;
    const Clock::time_point now = Clock::now();
    const double span = std::chrono::duration<double>(now - last_check_).count();
    last_check_ = now;
    if (span < 5e-4 && check_every_ < 8192) check_every_ *= 2;
    else if (span > 2e-3 && check_every_ > 1) check_every_ /= 2;
    until_check_ = check_every_;
    if (poll_ && now - last_poll_ > std::chrono::milliseconds(30)) {
      stop = poll_(context_) || stop;
      polled = true;
      last_poll_ = last_check_ = Clock::now();
    }
    return stop;
  }
  bool polled = false;  // other code has run on this thread, and may have made its scratch larger

 private:
  const Control* control_;
  bool (*poll_)(void*);
  void* context_;
  Clock::time_point last_poll_, last_check_;
  int64_t check_every_ = 1, until_check_ = 1;
};

bool before(const Frame::Fault& a, const Frame::Fault& b) {
  if (a.code != b.code) return a.code < b.code;
  if (a.source != b.source) return a.source < b.source;
  if (a.row != b.row) return a.row < b.row;
  return a.column < b.column;
}

Frame::Fault first_fault(const Frame* frames, int workers) {
  Frame::Fault fault{};
  for (int w = 0; w < workers; ++w)
    if (frames[w].fault.code && (!fault.code || before(frames[w].fault, fault))) fault = frames[w].fault;
  return fault;
}

bool run_steps(const Crew& crew, const Step* first, const Step* end, Frame& f, int w, int n);

inline bool guard(const Crew& crew, const Step& s, Frame& f, int w, int n);

// Before a round after the first of a loop that only a test ends; false: someone asked to stop. All workers count the
// same rounds, and a fast one may ask while a slow one still looks: so they agree on a number, not on a flag.
bool next_round(const Crew& crew, const Step& head, Frame& f, int w, int n) {
  const int64_t round = ++f.rounds;
  if (w == 0 && crew.watch && crew.watch->stop() && *crew.last_round > round)
    __atomic_store_n(crew.last_round, round, __ATOMIC_RELAXED);
  if (w == 0 && crew.watch && crew.watch->polled) f.scratch[w] = worker_scratch(w);
  if (head.barrier) {
    if (!guard(crew, head, f, w, n)) return false;
  } else if (n > 1) {
    team_barrier(w, n);
  }
  return __atomic_load_n(crew.last_round, __ATOMIC_RELAXED) > round;
}

// Addresses move in a copy of the body that each worker has to itself.
bool run_loop(const Crew& crew, const Step& head, Frame& f, int w, int n) {
  const LoopSpec& loop = (*crew.loops)[static_cast<size_t>(head.loop)];
  const Step* body = &head + 1;
  Step* copy = nullptr;
  if (!loop.moves.empty() && loop.count > 1) {
    copy = crew.bodies[w].data() + loop.room;
    std::copy(body, body + loop.body, copy);
    body = copy;
  }
  for (int64_t i = 0; loop.count < 0 || i < loop.count; ++i) {
    if (loop.test != Test::none) {
      if (i > 0 && loop.count < 0 && !next_round(crew, head, f, w, n)) return false;
      if (i > 0 && loop.count >= 0 && head.barrier && !guard(crew, head, f, w, n)) return false;
      if ((*static_cast<const uint8_t*>(head.buf[0]) != 0) != (loop.test == Test::while_true)) return true;
    }
    if (!run_steps(crew, body, body + loop.body, f, w, n)) return false;
    if (!copy) continue;
    for (const LoopSpec::Move& m : loop.moves) {
      void*& p = copy[m.step].buf[m.buffer];
      p = static_cast<uint8_t*>(p) + m.bytes;
    }
  }
  return true;
}

// False: a guard found a fault. All workers see the same answer at the same step.
inline bool guard(const Crew& crew, const Step& s, Frame& f, int w, int n) {
  if (s.barrier == 2) {
    if (n == 1) return f.fault.code == 0;
    // Each worker shows its fault, all meet, each looks at all: the same answer for everyone. Two places in turn, as a fast
    // worker may show its next one while a slow one still looks; it cannot be two guards ahead.
    const int turn = f.guards++ & 1;
    f.shown[turn] = f.fault.code;
    team_barrier(w, n);
    for (int other = 0; other < n; ++other)
      if (crew.frames[other].shown[turn]) return false;
    return true;
  }
  if (n > 1) team_barrier(w, n);
  return true;
}

inline bool due(const Step& s, const Frame& f) { return s.every <= 1 || (f.step_index + 1) % s.every == 0; }

bool run_steps(const Crew& crew, const Step* s, const Step* end, Frame& f, int w, int n) {
  while (s != end) {
    if (s->barrier && !guard(crew, *s, f, w, n)) return false;
    if (!s->fn) [[unlikely]] {
      if (due(*s, f) && !run_loop(crew, *s, f, w, n)) return false;
      s += 1 + (*crew.loops)[static_cast<size_t>(s->loop)].body;
      continue;
    }
    if (due(*s, f)) {
      if (!s->single) s->fn(*s, f, w, n);
      else if (s->single == 2 || w == 0) s->fn(*s, f, 0, 1);
    }
    ++s;
  }
  return true;
}

// The same, summing worker 0's time per step; loops count as one.
bool run_timed(const Crew& crew, const Step* s, const Step* end, Frame& f, int w, int n, double* seconds) {
  Clock::time_point last = Clock::now();
  while (s != end) {
    const Step* next = s->fn ? s + 1 : s + 1 + (*crew.loops)[static_cast<size_t>(s->loop)].body;
    if (!run_steps(crew, s, next, f, w, n)) return false;
    if (w == 0) {
      const Clock::time_point now = Clock::now();
      *seconds += std::chrono::duration<double>(now - last).count();
      last = now;
    }
    seconds += next - s;
    s = next;
  }
  return true;
}

// Everything that workers need is made here, by the caller: a worker that found no memory could only end the process.
void reset(Instance& in, const Program& program, int workers) {
  in.frames.resize(static_cast<size_t>(workers));
  for (Frame& f : in.frames) {
    f.fault = {};
    f.ahead = {};
    f.shown[0] = f.shown[1] = f.guards = 0;
    f.rounds = 0;
    f.scratch_bytes = program.scratch_bytes();
  }
  if (!program.loop_room()) return;
  in.bodies.resize(static_cast<size_t>(workers));
  for (std::vector<Step>& body : in.bodies) body.resize(static_cast<size_t>(program.loop_room()));
}

struct Job {
  const EpochRun* run;
  Instance* full;
  Instance* tail;
  int64_t first, last, full_batches;
  // Published by worker 0 before a batch that all run; the others read it after at least one barrier.
  int64_t stop_at;
  int64_t last_round;  // of endless loops, see Crew
  Outcome* outcome;
};

void take_taps(const Job& job, const Instance& in, int64_t done) {
  for (const Tap& tap : job.run->taps) {
    if (done % tap.every != 0) continue;
    const int64_t record = done / tap.every - 1;
    if (record < 0 || record >= tap.room) continue;
    const uint8_t* from =
        (tap.space == Space::arena ? in.arena : static_cast<const uint8_t*>(job.run->slots[tap.slot])) + tap.offset;
    std::memcpy(tap.to + record * tap.bytes, from, static_cast<size_t>(tap.bytes));
  }
}

bool tap_due(const Job& job, int64_t done) {
  for (const Tap& tap : job.run->taps)
    if (done % tap.every == 0) return true;
  return false;
}

// Workers meet only at the plan's barriers. There is at least one per batch, so nobody is more than a batch ahead, and
// what worker 0 publishes before its barrier of batch b is known to all before batch b + 1. A plan knows that it comes after
// itself, but not after the plan of the full batches, which shares out the variables in another way: there all meet.
void epoch_worker(void* context, int w, int n) {
  Job& job = *static_cast<Job*>(context);
  const EpochRun& run = *job.run;
  const bool meet = n > 1 && ((run.full && !run.full->has_barrier()) || (run.tail && !run.tail->has_barrier()));
  Watch watch(run.control, run.poll, run.poll_context);
  for (int64_t b = job.first; b < job.last; ++b) {
    if (w == 0 && watch.stop()) {
      job.outcome->stopped = true;
      if (n == 1) break;
      // The others may have begun batch b already: all finish it.
      if (job.stop_at > b + 1) __atomic_store_n(&job.stop_at, b + 1, __ATOMIC_RELAXED);
    }
    if (b >= __atomic_load_n(&job.stop_at, __ATOMIC_RELAXED)) break;
    if (meet || (n > 1 && b == job.full_batches && b > job.first)) team_barrier(w, n);
    const bool whole = b < job.full_batches;
    Instance& in = whole ? *job.full : *job.tail;
    const Program& program = whole ? *run.full : *run.tail;
    Frame& f = in.frames[static_cast<size_t>(w)];
    if (b == job.first || b == job.full_batches || watch.polled) f.scratch[0] = f.scratch[w] = worker_scratch(w);
    f.step_index = run.first_step + (b - job.first);
    f.first_row = b * run.batch;
    f.rows = run.order ? run.order + f.first_row : nullptr;
    f.rows_left = run.rows - f.first_row;
    f.n_rows = f.rows_left < run.batch ? f.rows_left : run.batch;
    const Crew crew{&program.loops(), in.frames.data(), in.bodies.data(), n, &watch, &job.last_round};
    const Step* s = in.of(w).data();
    const Step* e = s + in.of(w).size();
    const bool ok =
        run.step_seconds && whole ? run_timed(crew, s, e, f, w, n, run.step_seconds) : run_steps(crew, s, e, f, w, n);
    if (!ok) {
      if (w == 0 && job.last_round != INT64_MAX) job.outcome->stopped = true;
      break;
    }
    const int64_t done = b - job.first + 1;
    if (!run.taps.empty() && tap_due(job, done)) {
      if (n > 1) team_barrier(w, n);
      if (w == 0) take_taps(job, in, done);
      if (n > 1) team_barrier(w, n);
    }
    if (w == 0) {
      job.outcome->steps = done;
      job.outcome->rows += f.n_rows;
      __atomic_store_n(&run.control->steps, done, __ATOMIC_RELAXED);
      __atomic_store_n(&run.control->rows, job.outcome->rows, __ATOMIC_RELAXED);
    }
  }
}

struct Once {
  const Program* program;
  Instance* in;
  bool ok;
  Watch* watch;
  int64_t last_round;
};

void once_worker(void* context, int w, int n) {
  Once& once = *static_cast<Once*>(context);
  Instance& in = *once.in;
  Frame& f = in.frames[static_cast<size_t>(w)];
  f.scratch[0] = f.scratch[w] = worker_scratch(w);
  const Crew crew{&once.program->loops(), in.frames.data(), in.bodies.data(), n, once.watch, &once.last_round};
  const std::vector<Step>& steps = in.of(w);
  const bool ok = run_steps(crew, steps.data(), steps.data() + steps.size(), f, w, n);
  if (w == 0) once.ok = ok;
}

struct Part {
  const Instance* in;
  Frame* frame;
  int worker, workers;
};

void part_worker(void* context, int, int) {
  const Part& part = *static_cast<Part*>(context);
  Frame& f = *part.frame;
  f.scratch[0] = f.scratch[part.worker] = worker_scratch(0);
  for (const Step& s : part.in->of(part.worker)) {
    if (!due(s, f)) continue;
    if (!s.single) s.fn(s, f, part.worker, part.workers);
    else if (s.single == 2 || part.worker == 0) s.fn(s, f, 0, 1);
  }
}

// Gives the instance back even when something throws.
struct Loan {
  Program* program;
  std::unique_ptr<Instance> in;
  explicit Loan(Program* p) : program(p), in(p ? p->borrow() : nullptr) {}
  ~Loan() {
    if (in) program->give_back(std::move(in));
  }
};

}  // namespace

void run_share(Program& program, void* const* slots, int worker, int workers, int64_t step_index, const int64_t* rows,
               int64_t first_row, int64_t n_rows) {
  if (workers < 1 || workers > kMaxWorkers || worker < 0 || worker >= workers)
    throw std::invalid_argument("no such worker");
  if (!program.loops().empty()) throw std::invalid_argument("a share of a plan with loops");
  Loan loan(&program);
  program.bind(*loan.in, slots, workers);
  reset(*loan.in, program, workers);
  Frame& f = loan.in->frames[static_cast<size_t>(worker)];
  f.step_index = step_index;
  f.rows = rows;
  f.first_row = first_row;
  f.n_rows = f.rows_left = n_rows;
  Part part{loan.in.get(), &f, worker, workers};
  team_run(1, part_worker, &part, program.scratch_bytes());
}

Outcome run_once(Program& program, void* const* slots, int workers, int64_t step_index, const int64_t* rows,
                 int64_t first_row, int64_t n_rows, bool (*poll)(void*), void* poll_context) {
  Loan loan(&program);
  Instance& in = *loan.in;
  workers = workers < 1 ? 1 : workers > kMaxWorkers ? kMaxWorkers : workers;
  program.bind(in, slots, workers);
  reset(in, program, workers);
  for (Frame& f : in.frames) {
    f.step_index = step_index;
    f.rows = rows;
    f.first_row = first_row;
    f.n_rows = f.rows_left = n_rows;
  }
  const Control none;
  std::optional<Watch> watch;
  if (program.endless() && poll) watch.emplace(&none, poll, poll_context);
  Once once{&program, &in, true, watch ? &*watch : nullptr, INT64_MAX};
  team_run(workers, once_worker, &once, program.scratch_bytes());
  Outcome out;
  out.steps = once.ok ? 1 : 0;
  out.rows = once.ok ? n_rows : 0;
  out.fault = first_fault(in.frames.data(), workers);
  return out;
}

Outcome run_epoch(const EpochRun& run) {
  Outcome out;
  Control none;
  EpochRun r = run;
  if (!r.control) r.control = &none;
  r.workers = r.workers < 1 ? 1 : r.workers > kMaxWorkers ? kMaxWorkers : r.workers;
  const int64_t full_batches = r.full ? r.rows / r.batch : 0;
  const int64_t batches = full_batches + (r.tail && r.rows % r.batch ? 1 : 0);
  Job job{};
  job.run = &r;
  job.full_batches = full_batches;
  job.first = r.first_batch;
  job.last = r.last_batch < 0 || r.last_batch > batches ? batches : r.last_batch;
  job.stop_at = job.last;
  job.last_round = INT64_MAX;
  job.outcome = &out;
  if (job.first >= job.last) return out;
  Loan full(r.full), tail(r.tail);
  job.full = full.in.get();
  job.tail = tail.in.get();
  int64_t scratch = kScratchBytes;
  for (Loan* loan : {&full, &tail}) {
    if (!loan->in) continue;
    loan->program->bind(*loan->in, r.slots, r.workers);
    reset(*loan->in, *loan->program, r.workers);
    scratch = std::max(scratch, loan->program->scratch_bytes());
  }
  team_run(r.workers, epoch_worker, &job, scratch);
  for (Loan* loan : {&full, &tail})
    if (loan->in && !out.fault.code) out.fault = first_fault(loan->in->frames.data(), r.workers);
  return out;
}

}  // namespace rv
