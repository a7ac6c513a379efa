// The one thread team of the process. The calling thread is worker 0; the others are started on first need and kept.
#pragma once
#include <cstdint>

#include "step.h"

namespace rv {

using TeamFn = void (*)(void* context, int worker, int workers);

// Runs fn on `workers` workers and returns when all are done. If another thread has the team, or one worker is asked for,
// the caller runs alone (workers = 1): results do not depend on it. Denormals are flushed meanwhile, and the caller's mode restored.
// All memory is taken before the job starts: each worker has `scratch_bytes` of scratch then. A worker for whom there is no
// thread or no memory is left out; throws std::bad_alloc if there is none for the caller.
void team_run(int workers, TeamFn fn, void* context, int64_t scratch_bytes = kScratchBytes);

// Waits for all workers of the running team.
void team_barrier(int worker, int workers);

// 64-byte aligned scratch of a worker of the running job, to be asked for by that worker. Worker 0's belongs to its thread.
uint8_t* worker_scratch(int worker);

// Threads started so far, for tests and `ranvier doctor`.
int team_threads();

}  // namespace rv
