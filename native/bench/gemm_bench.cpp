// Times the matrix-product kernels of one ISA against the measured FMA peak. Standalone:
//   g++ -std=c++20 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -DRV_ISA=avx512 -DRV_WIDTH=16
//       -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512 -pthread gemm_bench.cpp -o gemm_bench
//   ./gemm_bench [rounds] [workers]
// Prints, for every shape, GFLOP/s of the best round and its share of the peak at the same number of workers.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "../tests/gemm_setup.h"

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
static float* fresh(size_t n) {
  float* p = static_cast<float*>(std::aligned_alloc(4096, (n * 4 + 4096 + 4095) / 4096 * 4096));
  for (size_t i = 0; i < n + 1024; ++i) p[i] = float(int(i * 2654435761u >> 16) % 200 - 100) / 1000.0f;
  return p;
}

struct Team {
  int n;
  std::atomic<int> go{0}, done{0};
  std::vector<std::thread> threads;
  void (*job)(void*, int) = nullptr;
  void* arg = nullptr;
  bool stop = false;
  explicit Team(int workers) : n(workers) {
    for (int w = 1; w < n; ++w)
      threads.emplace_back([this, w] {
        _mm_setcsr(_mm_getcsr() | 0x8040);
        for (int seen = 0;;) {
          while (go.load(std::memory_order_acquire) == seen) _mm_pause();
          ++seen;
          if (stop) return;
          job(arg, w);
          done.fetch_add(1, std::memory_order_release);
        }
      });
  }
  void run(void (*f)(void*, int), void* a) {
    job = f;
    arg = a;
    done.store(0, std::memory_order_relaxed);
    go.fetch_add(1, std::memory_order_release);
    f(a, 0);
    while (done.load(std::memory_order_acquire) != n - 1) _mm_pause();
  }
  ~Team() {
    stop = true;
    go.fetch_add(1, std::memory_order_release);
    for (auto& t : threads) t.join();
  }
};

struct Call {
  Step step;
  Frame frame;
  int workers;
  int repeat;
};
static void call(void* p, int w) {
  Call& c = *static_cast<Call*>(p);
  for (int i = 0; i < c.repeat; ++i) c.step.fn(c.step, c.frame, w, c.workers);
}
static void peak(void* p, int) {
  vf a[12];
  for (int i = 0; i < 12; ++i) a[i] = splat(float(i));
  vf x = splat(*static_cast<float*>(p)), y = splat(0.5f);
  for (int t = 0; t < 40000; ++t)
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) a[i] = madd(x, a[i], y);
  vf s{};
  for (int i = 0; i < 12; ++i) s += a[i];
  volatile float out = s[0];
  (void)out;
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  const int workers = argc > 2 ? std::atoi(argv[2]) : 1;
  _mm_setcsr(_mm_getcsr() | 0x8040);
  Team team(workers);
  float half = 0.5f;
  double top = 0;
  const double warm = now();
  while (now() - warm < 0.3) team.run(peak, &half);
  auto probe = [&] {
    for (int i = 0; i < 5; ++i) {
      const double t = now();
      team.run(peak, &half);
      top = std::max(top, workers * 40000.0 * 12 * W * 2 / (now() - t));
    }
  };
  probe();
  const int shapes[][3] = {{32, 128, 784},  {128, 128, 784},  {512, 128, 784},   {32, 10, 128},   {512, 10, 128},
                           {64, 1024, 512}, {64, 1024, 1024}, {512, 1024, 1024}, {512, 784, 128}, {37, 45, 91},
                           {128, 100, 300}, {16, 64, 64},     {1, 128, 784},     {1, 1024, 1024}, {32, 6, 3},
                           {1, 6, 3},       {1, 1, 6},        {32, 1, 6}};
  std::printf("%-18s %28s %28s %28s %28s\n", "M,N,K", "nn", "nt", "tn", "tn+adam");
  float hyper[4] = {0.001f, 0.1f, 0.001f, 1e-7f};
  for (auto& sh : shapes) {
    const int64_t M = sh[0], N = sh[1], K = sh[2], size = std::max({M, N, K}) + 64;
    float *a = fresh(M * size), *y = fresh(M * size), *w = fresh(K * padded(N) + 64 * K), *c = fresh(M * size),
          *m = fresh(K * padded(N)), *v = fresh(K * padded(N)), *dw = fresh(K * padded(N));
    for (int64_t i = 0; i < K * padded(N); ++i) v[i] = std::abs(v[i]);
    AdamProgram adam(K, N);
    char name[32];
    std::snprintf(name, sizeof name, "%d,%d,%d", sh[0], sh[1], sh[2]);
    std::printf("%-18s", name);
    for (int kind = 0; kind < 4; ++kind) {
      Call t = {};
      t.workers = workers;
      give_scratch(t.frame, workers);
      Step& s = t.step;
      int64_t* d = s.dim;
      d[0] = M, d[1] = N, d[2] = K;
      const int64_t across = kind == 1 ? K : N, rows = kind >= 2 ? K : M;
      const int64_t panels = (across + 63) / 64;
      const bool whole = workers == 1 || panels % workers == 0;
      divide(s, panels, rows, whole ? rows : kind >= 2 ? 64 : (rows + 7) / 8);
      if (kind == 0)
        s.fn = gemm_nn, s.buf[0] = a, s.buf[1] = w, s.buf[2] = c, s.buf[3] = y, d[3] = K, d[4] = 0, d[5] = N, d[6] = 3;
      if (kind == 1)
        s.fn = gemm_nt, s.buf[0] = y, s.buf[1] = w, s.buf[2] = c, s.buf[3] = a, d[3] = N, d[4] = 0, d[5] = K, d[6] = 4,
        d[9] = K;
      if (kind >= 2) s.fn = gemm_tn, s.buf[0] = a, s.buf[1] = y, s.buf[2] = dw, d[3] = K, d[4] = N, d[5] = 0;
      if (kind == 3) adam.attach(s, w, m, v, hyper);
      const double flops = 2.0 * M * N * K;
      t.repeat = 1 + int(2e7 / (flops + 2e4));
      double best = 1e9;
      for (int r = 0; r < rounds; ++r) {
        const double t0 = now();
        team.run(call, &t);
        best = std::min(best, (now() - t0) / t.repeat);
        if (r % 8 == 7) probe();
      }
      std::printf("  %7.1f GF %4.0f%% %9.3f us", flops / best * 1e-9, 100 * flops / best / top, best * 1e6);
      std::fflush(stdout);
      for (int i = 0; i < workers; ++i) std::free(t.frame.scratch[i]);
    }
    std::printf("\n");
    for (float* p : {a, y, w, c, m, v, dw}) std::free(p);
  }
  std::printf("peak %.1f GFLOP/s, %d worker(s), %d-wide\n", top * 1e-9, workers, W);
}
