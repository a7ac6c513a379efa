// The one thread team of the process. The calling thread is worker 0; the others are started on first need and kept.
#pragma once
#include <cstdint>

namespace rv {

using TeamFn = void (*)(void* context, int worker, int workers);

// Runs fn on `workers` workers and returns when all are done. If another thread has the team, or one worker is asked for,
// the caller runs alone (workers = 1): results do not depend on it. Denormals are flushed meanwhile, and the caller's mode restored.
void team_run(int workers, TeamFn fn, void* context);

// Waits for all workers of the running team.
void team_barrier(int worker, int workers);

// 64-byte aligned scratch of the calling thread, kScratchBytes long, kept for the thread's life.
uint8_t* thread_scratch();

// Threads started so far, for tests and `ranvier doctor`.
int team_threads();

}  // namespace rv
