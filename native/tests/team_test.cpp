// Checks the thread team: barriers order plain memory, jobs follow each other, callers may collide, nest and fork. Built as
// the tests of the kernels are; under ThreadSanitizer the plain reads and writes below are the test.
#include <sys/wait.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "../src/team.cpp"

using namespace rv;

static int failures = 0;
static void expect(bool good, const char* what) {
  if (good) return;
  std::printf("team: %s\n", what);
  ++failures;
}

struct Rounds {
  std::vector<int64_t> cells[2];
  int rounds;
  bool wrong[kMaxWorkers];
  int seen[kMaxWorkers];
};

// Every round each worker writes its cell from what all wrote in the round before: one wait a round is enough for two rows.
static void round_worker(void* context, int w, int n) {
  Rounds& r = *static_cast<Rounds*>(context);
  r.seen[w] = n;
  for (int i = 0; i < r.rounds; ++i) {
    const std::vector<int64_t>& from = r.cells[i & 1];
    int64_t sum = 0;
    for (int k = 0; k < n; ++k) sum += from[size_t(k)];
    if (sum != int64_t(n) * i) r.wrong[w] = true;
    r.cells[~i & 1][size_t(w)] = i + 1;
    team_barrier(w, n);
  }
}

static int run_rounds(int workers, int rounds) {
  Rounds r = {};
  for (auto& row : r.cells) row.assign(kMaxWorkers, 0);
  r.rounds = rounds;
  team_run(workers, round_worker, &r);
  const int n = r.seen[0];
  expect(n >= 1 && n <= workers, "more workers than were asked for");
  for (int w = 0; w < n; ++w) expect(r.seen[w] == n && !r.wrong[w], "a worker saw cells of another round");
  return n;
}

static void scratch_worker(void* context, int w, int n) {
  auto** to = static_cast<uint8_t**>(context);
  to[w] = worker_scratch(w);
  std::memset(to[w], w + 1, 64);
  team_barrier(w, n);
  for (int k = 0; k < n; ++k) expect(to[k][0] == k + 1 && to[k][63] == k + 1, "scratch is shared");
  expect(reinterpret_cast<uintptr_t>(to[w]) % 64 == 0, "scratch is not aligned");
}

static void last_byte_worker(void* context, int w, int) { worker_scratch(w)[*static_cast<int64_t*>(context) - 1] = 1; }

static void nested_worker(void* context, int w, int) {
  if (w == 0) *static_cast<int*>(context) = run_rounds(3, 5);
}

int main() {
  int most = 0;
  for (int workers : {3, 1, 5, 2, 8, 3})
    for (int jobs = 0; jobs < 50; ++jobs) {
      const int n = run_rounds(workers, 20);
      most = n > most ? n : most;
    }
  expect(most == 8, "the team did not grow");
  expect(team_threads() == 7, "threads were started that nobody asked for");

  uint8_t* scratch[kMaxWorkers] = {};
  team_run(4, scratch_worker, scratch);
  int64_t bytes = 3 * kScratchBytes;
  team_run(4, last_byte_worker, &bytes, bytes);

  int nested = 0;
  team_run(3, nested_worker, &nested);
  expect(nested == 1, "a job inside a job had the team");

  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([] {
      for (int jobs = 0; jobs < 100; ++jobs) run_rounds(3, 10);
    });
  for (std::thread& t : callers) t.join();

#if !defined(__SANITIZE_THREAD__) && !defined(RV_EMULATED)  // neither follows a fork of a process with threads
  const pid_t child = fork();
  if (child == 0) {
    const int n = run_rounds(3, 20);
    _exit(failures == 0 && n == 3 && team_threads() == 2 ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child of a fork has no team");
#endif
  std::printf("team: %d failures\n", failures);
  return failures != 0;
}
