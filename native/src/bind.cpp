// The Python module ranvier._native: the only file that knows Python. Arrays come in by the buffer protocol, without copies;
// the interpreter lock is released while a plan runs.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "plan.h"
#include "rng.h"
#include "team.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace rv {
namespace {

// A view of a Python object's memory, held as long as this lives.
class View {
 public:
  View() = default;
  View(PyObject* o, bool writable, bool strided) {
    int flags = strided ? PyBUF_STRIDES : PyBUF_C_CONTIGUOUS;
    if (writable) flags |= PyBUF_WRITABLE;
    if (PyObject_GetBuffer(o, &view_, flags) != 0) throw nb::python_error();
    held_ = true;
  }
  View(View&& other) noexcept : view_(other.view_), held_(other.held_) { other.held_ = false; }
  View& operator=(View&& other) noexcept {
    if (this != &other) {
      release();
      view_ = other.view_;
      held_ = other.held_;
      other.held_ = false;
    }
    return *this;
  }
  ~View() { release(); }

  void* data() const { return view_.buf; }
  int64_t bytes() const { return view_.len; }
  bool held() const { return held_; }

 private:
  void release() {
    if (held_) PyBuffer_Release(&view_);
    held_ = false;
  }
  Py_buffer view_{};
  bool held_ = false;
};

Dtype dtype_of(nb::handle name) {
  const std::string text = nb::cast<std::string>(name);
  const int d = find_dtype(text);
  if (d < 0) throw nb::value_error(("unknown dtype " + text).c_str());
  return static_cast<Dtype>(d);
}

Ref ref_of(nb::handle h) {
  nb::tuple t = nb::cast<nb::tuple>(h);
  return {static_cast<Space>(nb::cast<int>(t[0])), nb::cast<int>(t[1]), nb::cast<int64_t>(t[2]),
          nb::cast<int64_t>(t[3])};
}

// (dims, inputs, outputs, code, registers); operand = (buffer, dtype, register, value, strides, panel);
// instruction = (op, dtype, result dtype, dst, a, b, c).
ProgramSpec program_of(nb::handle h) {
  nb::tuple t = nb::cast<nb::tuple>(h);
  ProgramSpec p;
  const auto dims = nb::cast<std::vector<int64_t>>(t[0]);
  if (dims.empty() || dims.size() > kMaxRank) throw nb::value_error("elementwise program: rank out of range");
  p.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), p.dim);
  for (int side = 1; side <= 2; ++side) {
    for (nb::handle oh : nb::cast<nb::sequence>(t[static_cast<size_t>(side)])) {
      nb::tuple ot = nb::cast<nb::tuple>(oh);
      EwOperand o{};
      o.buffer = nb::cast<int16_t>(ot[0]);
      o.dtype = dtype_of(ot[1]);
      o.reg = nb::cast<uint16_t>(ot[2]);
      o.value = nb::cast<double>(ot[3]);
      const auto strides = nb::cast<std::vector<int64_t>>(ot[4]);
      if (strides.size() > kMaxRank) throw nb::value_error("elementwise program: too many strides");
      std::copy(strides.begin(), strides.end(), o.stride);
      o.panel = nb::cast<bool>(ot[5]);
      (side == 1 ? p.in : p.out).push_back(o);
    }
  }
  for (nb::handle ch : nb::cast<nb::sequence>(t[3])) {
    nb::tuple ct = nb::cast<nb::tuple>(ch);
    EwInstr c{};
    const std::string name = nb::cast<std::string>(ct[0]);
    const int op = find_elementwise(name);
    if (op < 0) throw nb::value_error(("unknown elementwise operation " + name).c_str());
    c.op = static_cast<uint16_t>(op);
    c.dtype = dtype_of(ct[1]);
    c.out = dtype_of(ct[2]);
    c.dst = nb::cast<uint16_t>(ct[3]);
    c.a = nb::cast<uint16_t>(ct[4]);
    c.b = nb::cast<uint16_t>(ct[5]);
    c.c = nb::cast<uint16_t>(ct[6]);
    p.code.push_back(c);
  }
  p.n_reg = nb::cast<int>(t[4]);
  return p;
}

// (kernel, refs, dims, scalars, units, barrier, single, program, every, loop)
StepSpec step_of(nb::handle h) {
  nb::tuple t = nb::cast<nb::tuple>(h);
  StepSpec s;
  const std::string name = nb::cast<std::string>(t[0]);
  s.kernel = find_kernel(name);
  if (s.kernel < 0 && name != "loop") throw nb::value_error(("unknown kernel " + name).c_str());
  for (nb::handle r : nb::cast<nb::sequence>(t[1])) s.refs.push_back(ref_of(r));
  s.dims = nb::cast<std::vector<int64_t>>(t[2]);
  s.scalars = nb::cast<std::vector<double>>(t[3]);
  s.units = nb::cast<int>(t[4]);
  s.barrier = nb::cast<int>(t[5]);
  s.single = nb::cast<int>(t[6]);
  s.program = nb::cast<int>(t[7]);
  s.every = nb::cast<int>(t[8]);
  s.loop = nb::cast<int>(t[9]);
  return s;
}

nb::object fault_of(const Frame::Fault& f) {
  if (!f.code) return nb::none();
  return nb::make_tuple(f.code, f.source, f.row, f.column, f.value);
}

// Worker 0 asks Python for a pending Ctrl-C and, ten times a second, calls `tick(steps)`; true stops the run.
struct Poll {
  bool signals;
  PyObject* tick;  // or nullptr
  Control* control;
  std::chrono::steady_clock::time_point last;

  static bool call(void* context) {
    Poll& p = *static_cast<Poll*>(context);
    nb::gil_scoped_acquire hold;
    if (p.signals && PyErr_CheckSignals() != 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!p.tick || now - p.last < std::chrono::milliseconds(90)) return false;
    p.last = now;
    PyObject* result = PyObject_CallFunction(p.tick, "L", static_cast<long long>(p.control->steps));
    if (!result) return true;
    const int stop = PyObject_IsTrue(result);
    Py_DECREF(result);
    return stop != 0;
  }
};

// A program with the arrays that stay bound from call to call.
class PyProgram {
 public:
  PyProgram(nb::sequence steps, nb::sequence programs, nb::sequence slots, nb::sequence loops, int64_t arena_bytes,
            nb::bytes constants, const std::string& isa, int64_t own_bytes) {
    std::vector<StepSpec> s;
    for (nb::handle h : steps) s.push_back(step_of(h));
    std::vector<ProgramSpec> p;
    for (nb::handle h : programs) p.push_back(program_of(h));
    std::vector<SlotSpec> x;
    for (nb::handle h : slots) {
      nb::tuple t = nb::cast<nb::tuple>(h);
      x.push_back({nb::cast<int64_t>(t[0]), nb::cast<bool>(t[1]), nb::cast<bool>(t[2])});
    }
    std::vector<LoopSpec> l;
    for (nb::handle h : loops) {
      nb::tuple t = nb::cast<nb::tuple>(h);
      LoopSpec loop;
      loop.body = nb::cast<int>(t[0]);
      loop.count = nb::cast<int64_t>(t[1]);
      for (nb::handle mh : nb::cast<nb::sequence>(t[2])) {
        nb::tuple m = nb::cast<nb::tuple>(mh);
        loop.moves.push_back({nb::cast<int>(m[0]), nb::cast<int>(m[1]), nb::cast<int64_t>(m[2])});
      }
      loop.test = static_cast<Test>(nb::cast<int>(t[3]));
      l.push_back(std::move(loop));
    }
    const auto* c = reinterpret_cast<const uint8_t*>(constants.c_str());
    program_ = std::make_unique<Program>(std::move(s), std::move(p), std::move(x), std::move(l), arena_bytes,
                                         std::vector<uint8_t>(c, c + constants.size()), isa, own_bytes);
    bound_.resize(program_->slots().size());
  }

  Program& program() { return *program_; }

  View view(size_t slot, nb::handle array) const {
    const SlotSpec& spec = program_->slots()[slot];
    View v(array.ptr(), spec.writable, spec.strided);
    if (v.bytes() < spec.bytes)
      throw nb::value_error(("slot " + std::to_string(slot) + " needs " + std::to_string(spec.bytes) +
                             " bytes and got " + std::to_string(v.bytes()))
                                .c_str());
    return v;
  }

  void bind(int slot, nb::handle array) {
    if (slot < 0 || slot >= static_cast<int>(bound_.size())) throw nb::index_error("no such slot");
    bound_[static_cast<size_t>(slot)] = array.is_none() ? View() : view(static_cast<size_t>(slot), array);
  }

  // Addresses of all slots: the arrays given (None = as bound), views kept in `views`.
  void resolve(nb::sequence arrays, std::vector<View>& views, std::vector<void*>& slots) const {
    const size_t n = bound_.size(), given = nb::len(arrays);
    if (given > n) throw nb::value_error("more arrays than slots");
    slots.assign(n, nullptr);
    views.reserve(given);
    for (size_t i = 0; i < n; ++i) {
      if (i < given) {
        nb::object a = arrays[i];
        if (!a.is_none()) {
          views.push_back(view(i, a));
          slots[i] = views.back().data();
          continue;
        }
      }
      if (!bound_[i].held()) throw nb::value_error(("slot " + std::to_string(i) + " has no array").c_str());
      slots[i] = bound_[i].data();
    }
  }

  nb::object call(nb::sequence arrays, int workers, int64_t step_index, nb::object rows, int64_t first_row,
                  int64_t n_rows) {
    std::vector<View> views;
    std::vector<void*> slots;
    resolve(arrays, views, slots);
    const std::optional<View> order = row_numbers(rows, n_rows);
    Outcome out;
    Poll poll{true, nullptr, nullptr, {}};
    {
      nb::gil_scoped_release free;
      out =
          run_once(*program_, slots.data(), workers > 0 ? workers : cpu::threads(), step_index,
                   order ? static_cast<const int64_t*>(order->data()) : nullptr, first_row, n_rows, Poll::call, &poll);
    }
    if (PyErr_Occurred()) throw nb::python_error();
    return fault_of(out.fault);
  }

  void call_share(nb::sequence arrays, int worker, int workers, int64_t step_index, nb::object rows, int64_t first_row,
                  int64_t n_rows) {
    std::vector<View> views;
    std::vector<void*> slots;
    resolve(arrays, views, slots);
    const std::optional<View> order = row_numbers(rows, n_rows);
    nb::gil_scoped_release free;
    run_share(*program_, slots.data(), worker, workers, step_index,
              order ? static_cast<const int64_t*>(order->data()) : nullptr, first_row, n_rows);
  }

 private:
  static std::optional<View> row_numbers(nb::object rows, int64_t n_rows) {
    std::optional<View> order;
    if (!rows.is_none()) {
      order.emplace(rows.ptr(), false, false);
      if (order->bytes() < n_rows * 8) throw nb::value_error("rows: int64 array shorter than n_rows");
    }
    return order;
  }

  std::unique_ptr<Program> program_;
  std::vector<View> bound_;
};

nb::tuple run_epoch_py(PyProgram* full, PyProgram* tail, nb::sequence arrays, nb::object order, int64_t rows,
                       int64_t batch, int64_t first_batch, int64_t last_batch, int64_t first_step, int workers,
                       nb::sequence taps, nb::object step_seconds, Control* control, bool signals, nb::object tick) {
  PyProgram* any = full ? full : tail;
  if (!any) throw nb::value_error("no program");
  if (batch < 1 || rows < 0 || first_batch < 0) throw nb::value_error("rows, batch or first_batch out of range");
  if (full && tail && full->program().slots().size() != tail->program().slots().size())
    throw nb::value_error("full and tail programs have different slots");
  if (!full && rows >= batch) throw nb::value_error("no program for whole batches");
  std::vector<View> views;
  std::vector<void*> slots;
  any->resolve(arrays, views, slots);
  EpochRun run;
  run.full = full ? &full->program() : nullptr;
  run.tail = tail ? &tail->program() : nullptr;
  run.slots = slots.data();
  run.rows = rows;
  run.batch = batch;
  run.first_batch = first_batch;
  run.last_batch = last_batch;
  run.first_step = first_step;
  run.workers = workers > 0 ? workers : cpu::threads();
  run.control = control;
  std::optional<View> order_view;
  if (!order.is_none()) {
    order_view.emplace(order.ptr(), false, false);
    if (order_view->bytes() < rows * 8) throw nb::value_error("order: int64 array shorter than rows");
    run.order = static_cast<const int64_t*>(order_view->data());
  }
  std::vector<View> tap_views;
  for (nb::handle h : taps) {
    nb::tuple t = nb::cast<nb::tuple>(h);  // (ref, every, array)
    const Ref r = ref_of(t[0]);
    Tap tap{r.space, r.slot, r.offset, r.bytes, nb::cast<int64_t>(t[1]), nullptr, 0};
    if (tap.every < 1 || tap.bytes < 1) throw nb::value_error("tap: every and bytes must be positive");
    const int64_t size = r.space == Space::arena ? any->program().arena_bytes()
                         : r.space == Space::external && r.slot >= 0 && r.slot < static_cast<int>(slots.size())
                             ? any->program().slots()[static_cast<size_t>(r.slot)].bytes
                             : -1;
    if (r.offset < 0 || r.offset + r.bytes > size) throw nb::value_error("tap: buffer leaves its space");
    if (tail && full && r.space == Space::arena && r.offset + r.bytes > tail->program().arena_bytes())
      throw nb::value_error("tap: buffer leaves the tail program's arena");
    nb::object array = t[2];
    tap_views.emplace_back(array.ptr(), true, false);
    tap.to = static_cast<uint8_t*>(tap_views.back().data());
    tap.room = tap_views.back().bytes() / tap.bytes;
    run.taps.push_back(tap);
  }
  std::optional<View> seconds;
  if (!step_seconds.is_none()) {
    seconds.emplace(step_seconds.ptr(), true, false);
    if (!full || seconds->bytes() < static_cast<int64_t>(8 * full->program().steps().size()))
      throw nb::value_error("step_seconds: float64 array shorter than the plan");
    run.step_seconds = static_cast<double*>(seconds->data());
  }
  Control own;
  if (!control) run.control = control = &own;
  Poll poll{signals, tick.is_none() ? nullptr : tick.ptr(), control, std::chrono::steady_clock::now()};
  if (signals || poll.tick) {
    run.poll = Poll::call;
    run.poll_context = &poll;
  }
  Outcome out;
  {
    nb::gil_scoped_release free;
    out = run_epoch(run);
  }
  if (PyErr_Occurred()) throw nb::python_error();
  return nb::make_tuple(out.steps, out.rows, out.stopped, fault_of(out.fault));
}

nb::object call_kernel(const std::string& name, nb::sequence bufs, std::vector<int64_t> dims,
                       std::vector<double> scalars, int units, int workers, const std::string& isa, nb::object program,
                       nb::object rows, int64_t n_rows, int64_t step_index) {
  StepSpec s;
  s.kernel = find_kernel(name);
  if (s.kernel < 0) throw nb::value_error(("unknown kernel " + name).c_str());
  std::vector<View> views;
  std::vector<SlotSpec> slots;
  std::vector<void*> addresses;
  views.reserve(nb::len(bufs));
  for (nb::handle b : bufs) {
    if (b.is_none()) {
      s.refs.push_back({Space::none, 0, 0, 0});
      continue;
    }
    views.emplace_back(b.ptr(), false, true);
    s.refs.push_back({Space::external, static_cast<int>(slots.size()), 0, views.back().bytes()});
    slots.push_back({views.back().bytes(), true, false});
    addresses.push_back(views.back().data());
  }
  s.dims = std::move(dims);
  s.scalars = std::move(scalars);
  s.units = units;
  std::vector<ProgramSpec> programs;
  if (!program.is_none()) {
    programs.push_back(program_of(program));
    s.program = 0;
  }
  std::optional<View> order;
  if (!rows.is_none()) order.emplace(rows.ptr(), false, false);
  Program p({s}, std::move(programs), std::move(slots), {}, 0, {}, isa);
  Outcome out;
  {
    nb::gil_scoped_release free;
    out = run_once(p, addresses.data(), workers, step_index,
                   order ? static_cast<const int64_t*>(order->data()) : nullptr, 0, n_rows);
  }
  return fault_of(out.fault);
}

// Multiply-adds per second of all workers together, measured for about `seconds`; with `loads`, of operands from L1.
double fma_peak(const std::string& isa, int workers, double seconds, bool loads) {
  struct Probe {
    const IsaTable& table;
    double seconds;
    bool loads;
    double flops[kMaxWorkers];
  } probe{isa_table(isa), seconds, loads, {}};
  nb::gil_scoped_release free;
  const auto start = std::chrono::steady_clock::now();
  team_run(
      workers > 0 ? workers : cpu::threads(),
      [](void* context, int w, int) {
        Probe& p = *static_cast<Probe*>(context);
        const auto begin = std::chrono::steady_clock::now();
        while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < p.seconds)
          p.flops[w] += p.table.fma_loop(20000, p.loads);
      },
      &probe);
  const double span = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double flops = 0;
  for (double f : probe.flops) flops += f;
  return flops / span;
}

}  // namespace
}  // namespace rv

NB_MODULE(_native, m) {
  using namespace rv;
  m.doc() = "The native core of ranvier: plans, kernels, the thread team.";
  m.def("isa", [] { return std::string(cpu::name(cpu::active())); }, "Instruction set in use.");
  m.def(
      "isas",
      [] {
        std::vector<std::string> all;
        for (cpu::Isa isa : cpu::usable()) all.emplace_back(cpu::name(isa));
        return all;
      },
      "Instruction sets this machine can run, weakest first.");
  m.def("warning", [] { return cpu::warning(); }, "Why RANVIER_ISA was not followed; empty if it was.");
  m.def("threads", [] { return cpu::threads(); }, "Workers by default: affinity, cgroup quota, RANVIER_THREADS.");
  m.def("team_threads", [] { return team_threads(); }, "Threads started besides callers.");
  m.def("cpu_model", [] { return cpu::model(); }, "Name of the CPU.");
  m.def(
      "kernels",
      [] {
        std::vector<std::string> all;
        for (int i = 0; i < kKernels; ++i) all.emplace_back(kernel_name(i));
        return all;
      },
      "Names of all kernels.");
  m.def(
      "elementwise_ops",
      [] {
        nb::dict all;
        for (int i = 0; i < kEwOps; ++i) {
          const EwInfo& info = elementwise_info(i);
          all[info.name] = nb::make_tuple(info.arity, info.kinds);
        }
        return all;
      },
      "Elementwise operations: name to (operands, type classes as in elementwise.def).");
  m.def(
      "takes",
      [](const std::string& op, const std::string& in, const std::string& out) {
        const int o = find_elementwise(op), i = find_dtype(in), r = find_dtype(out);
        return o >= 0 && i >= 0 && r >= 0 &&
               isa_table("").elementwise(o, static_cast<Dtype>(i), static_cast<Dtype>(r)) != nullptr;
      },
      "op"_a, "dtype"_a, "out"_a, "Whether an elementwise operation takes these types.");
  m.def(
      "dtypes",
      [] {
        std::vector<std::string> all;
        for (int i = 0; i < kDtypes; ++i) all.emplace_back(dtype_name(static_cast<Dtype>(i)));
        return all;
      },
      "Names of the element types.");
  m.def("fma_peak", &fma_peak, "isa"_a = "", "workers"_a = 0, "seconds"_a = 0.05, "loads"_a = false,
        "Measured floating-point peak in FLOP/s of all workers together.");
  m.def(
      "shuffle",
      [](uint64_t seed, uint64_t epoch, nb::object out) {
        View v(out.ptr(), true, false);
        int64_t* to = static_cast<int64_t*>(v.data());
        const int64_t n = v.bytes() / 8;
        nb::gil_scoped_release free;
        shuffle_order(seed, epoch, n, to);
      },
      "seed"_a, "epoch"_a, "out"_a,
      "Fills an int64 array with the row order of an epoch: a function of (seed, epoch, length).");
  m.def("call_kernel", &call_kernel, "name"_a, "bufs"_a, "dims"_a = std::vector<int64_t>{},
        "scalars"_a = std::vector<double>{}, "units"_a = 1, "workers"_a = 1, "isa"_a = "", "program"_a = nb::none(),
        "rows"_a = nb::none(), "n_rows"_a = 0, "step_index"_a = 0,
        "Runs one kernel on arrays, for tests. The arrays must be large enough for what dims say.");

  nb::class_<Control>(m, "Control", "Watches and stops a run from another thread.")
      .def(nb::init<>())
      .def(
          "abort", [](Control& c) { __atomic_store_n(&c.abort, 1, __ATOMIC_RELAXED); },
          "Stop at the next step boundary.")
      .def_prop_ro("steps", [](const Control& c) { return __atomic_load_n(&c.steps, __ATOMIC_RELAXED); })
      .def_prop_ro("rows", [](const Control& c) { return __atomic_load_n(&c.rows, __ATOMIC_RELAXED); });

  nb::class_<PyProgram>(m, "Program", "A validated plan; see ranvier.engines.native.plan for the builder.")
      .def(nb::init<nb::sequence, nb::sequence, nb::sequence, nb::sequence, int64_t, nb::bytes, const std::string&,
                    int64_t>(),
           "steps"_a, "programs"_a, "slots"_a, "loops"_a, "arena_bytes"_a, "constants"_a, "isa"_a = "",
           "own_bytes"_a = 0)
      .def("bind", &PyProgram::bind, "slot"_a, "array"_a.none(), "Keeps an array bound to a slot; None unbinds.")
      .def("call", &PyProgram::call, "arrays"_a, "workers"_a = 0, "step_index"_a = 0, "rows"_a = nb::none(),
           "first_row"_a = 0, "n_rows"_a = 0,
           "Runs the plan once; returns None or the fault (code, source, row, column, value).")
      .def("call_share", &PyProgram::call_share, "arrays"_a, "worker"_a, "workers"_a, "step_index"_a = 0,
           "rows"_a = nb::none(), "first_row"_a = 0, "n_rows"_a = 0,
           "Runs only what one worker of several does, alone and without waiting, for proofs of what it touches.")
      .def("__str__", [](PyProgram& p) { return p.program().text(); })
      .def_prop_ro("n_steps", [](PyProgram& p) { return p.program().steps().size(); })
      .def_prop_ro("arena_bytes", [](PyProgram& p) { return p.program().arena_bytes(); })
      .def_prop_ro("instances", [](PyProgram& p) { return p.program().instances_made(); });

  m.def("run_epoch", &run_epoch_py, "full"_a.none(), "tail"_a.none(), "arrays"_a, "order"_a.none(), "rows"_a, "batch"_a,
        "first_batch"_a = 0, "last_batch"_a = -1, "first_step"_a = 0, "workers"_a = 0, "taps"_a = nb::make_tuple(),
        "step_seconds"_a = nb::none(), "control"_a.none() = nb::none(), "signals"_a = false, "tick"_a = nb::none(),
        "Runs the batches of an epoch without coming back; returns (steps, rows, stopped, fault or None).");
}
