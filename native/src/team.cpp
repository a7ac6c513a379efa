#include "team.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rv {
namespace {

inline void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Denormals cost a hundred cycles each where a moment of Adam decays towards zero: flush them, in every worker.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : old_(_mm_getcsr()) { _mm_setcsr(old_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(old_); }

 private:
  unsigned old_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(old_));
    __asm__ volatile("msr fpcr, %0" ::"r"(old_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" ::"r"(old_)); }

 private:
  uint64_t old_;
#endif
};

// Memory that grows when more is asked for. What is not touched costs address space only.
class Scratch {
 public:
  ~Scratch() { std::free(p_); }
  bool reserve(int64_t bytes) {
    if (bytes <= bytes_) return true;
    const int64_t size = (bytes + 63) / 64 * 64;
    uint8_t* p = static_cast<uint8_t*>(std::aligned_alloc(64, static_cast<size_t>(size)));
    if (!p) return false;
    std::free(p_);
    p_ = p;
    bytes_ = size;
    return true;
  }
  uint8_t* get() const { return p_; }

 private:
  uint8_t* p_ = nullptr;
  int64_t bytes_ = 0;
};

constexpr int kQuick = 40;    // looks without a pause: most barriers are over by then
constexpr int kSpins = 1500;  // pauses before giving the core away
constexpr int kYields = 200;  // yields before an idle worker sleeps

// With more workers than cores, who waits keeps the one it waits for from running: give the core away at once.
int pauses(int workers) {
  static const int cores = static_cast<int>(std::thread::hardware_concurrency());  // that this process may use
  return workers > cores ? kQuick : kSpins;
}

struct Team {
  std::mutex busy;                           // held by the caller whose job runs
  alignas(64) std::atomic<uint32_t> job{0};  // bumped to start a job; idle workers wait on it
  alignas(64) std::atomic<uint32_t> asleep{0};
  alignas(64) std::atomic<uint32_t> done{0};
  // Barrier: how many each worker has reached, every count on its own cache line. One store and one transfer a pair; a
  // common counter would cost two.
  struct alignas(64) Count {
    std::atomic<uint32_t> reached{0};
  } counts[kMaxWorkers];
  Scratch scratch[kMaxWorkers];  // of all but worker 0, made by the caller that has the team
  TeamFn fn = nullptr;
  void* context = nullptr;
  int workers = 1;
  int spins = kSpins;  // of this job: pauses(workers)
  int started = 0;     // threads besides the caller

  void sleep(uint32_t seen) {
#if defined(__linux__)
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&job), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
#else
    job.wait(seen);
#endif
  }
  void wake() {
#if defined(__linux__)
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&job), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
    job.notify_all();
#endif
  }

  void serve(int me, uint32_t seen) {
    FlushDenormals flush;
    int limit = kSpins;
    for (;;) {
      int tries = 0;
      uint32_t now;
      while ((now = job.load(std::memory_order_acquire)) == seen) {
        if (tries < limit) {
          ++tries;
          pause_cpu();
        } else if (tries < limit + kYields) {
          ++tries;
          sched_yield();
        } else {
          asleep.fetch_add(1, std::memory_order_seq_cst);
          if (job.load(std::memory_order_seq_cst) == seen) sleep(seen);
          asleep.fetch_sub(1, std::memory_order_relaxed);
        }
      }
      seen = now;
      if (me < workers) { fn(context, me, workers); }
      limit = spins;
      done.fetch_add(1, std::memory_order_release);
    }
  }

  // Starts threads until there are n; returns how many workers with scratch can be had with the caller.
  int grow(int n, int64_t scratch_bytes) {
    while (started < n) {
      try {
        std::thread(&Team::serve, this, started + 1, job.load()).detach();
      } catch (const std::exception&) { break; }  // no more threads, or no memory for one
      ++started;
    }
    int have = 1;
    while (have <= n && have <= started && scratch[have].reserve(scratch_bytes)) ++have;
    return have;
  }
};

std::atomic<Team*> g_team{nullptr};

// The child of a fork has none of the threads and perhaps a locked mutex: forget the team, build a new one when needed.
void after_fork() { g_team.store(new Team, std::memory_order_release); }

Team& the_team() {
  static const bool once = [] {
    g_team.store(new Team, std::memory_order_release);
    pthread_atfork(nullptr, nullptr, after_fork);
    return true;
  }();
  (void)once;
  return *g_team.load(std::memory_order_acquire);
}

thread_local Team* t_inside = nullptr;  // set while this thread runs a job of the team: no nesting
thread_local Scratch t_scratch;         // of this thread as worker 0

}  // namespace

void team_run(int workers, TeamFn fn, void* context, int64_t scratch_bytes) {
  if (!t_scratch.reserve(scratch_bytes)) throw std::bad_alloc();
  FlushDenormals flush;
  if (workers > kMaxWorkers) workers = kMaxWorkers;
  if (workers <= 1 || t_inside) {
    fn(context, 0, 1);
    return;
  }
  Team& team = the_team();
  std::unique_lock<std::mutex> lock(team.busy, std::try_to_lock);
  if (!lock.owns_lock()) {
    fn(context, 0, 1);
    return;
  }
  workers = team.grow(workers - 1, scratch_bytes);
  if (workers <= 1) {
    fn(context, 0, 1);
    return;
  }
  team.fn = fn;
  team.context = context;
  team.workers = workers;
  team.spins = pauses(workers);
  team.done.store(0, std::memory_order_relaxed);
  for (int w = 0; w < workers; ++w) team.counts[w].reached.store(0, std::memory_order_relaxed);
  t_inside = &team;
  team.job.fetch_add(1, std::memory_order_seq_cst);
  if (team.asleep.load(std::memory_order_seq_cst) > 0) team.wake();
  fn(context, 0, workers);
  t_inside = nullptr;
  // Every started thread answers, also those without work, so that none can still read this job's fields later.
  const uint32_t all = static_cast<uint32_t>(team.started);
  for (int tries = 0; team.done.load(std::memory_order_acquire) < all; ++tries) {
    if (tries < team.spins) pause_cpu();
    else sched_yield();
  }
}

void team_barrier(int worker, int workers) {
  if (workers <= 1) return;
  Team& team = *g_team.load(std::memory_order_relaxed);
  std::atomic<uint32_t>& mine = team.counts[worker].reached;
  const uint32_t here = mine.load(std::memory_order_relaxed) + 1;
  mine.store(here, std::memory_order_release);
  for (int other = 0; other < workers; ++other) {
    if (other == worker) continue;
    const std::atomic<uint32_t>& theirs = team.counts[other].reached;
    for (int tries = 0; static_cast<int32_t>(theirs.load(std::memory_order_acquire) - here) < 0; ++tries) {
      if (tries < kQuick) continue;
      if (tries < team.spins) pause_cpu();
      else sched_yield();
    }
  }
}

uint8_t* worker_scratch(int worker) {
  return worker ? g_team.load(std::memory_order_relaxed)->scratch[worker].get() : t_scratch.get();
}

int team_threads() { return the_team().started; }

}  // namespace rv
