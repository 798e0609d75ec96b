// A team of threads that meet at barriers. Plain C++ threads: another OpenMP runtime in a process that has torch's
// would spin against it.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

// Spins for a moment, because a step takes microseconds, then lets others run.
class Barrier {
 public:
  explicit Barrier(int n_threads) : n_threads_(n_threads) {}
  void wait() {
    const int generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins)
      if (spins > 4000) std::this_thread::yield();
  }

 private:
  const int n_threads_;
  std::atomic<int> arrived_{0}, generation_{0};
};

struct Team {
  int member, size;
  Barrier* barrier;
};

struct Range {
  int64_t first, last;
};

inline Range share(int64_t n, const Team& team) {
  return {n * team.member / team.size, n * (team.member + 1) / team.size};
}

// Runs work(team) on every thread of a team, the calling one included.
template <typename Work>
void run_team(int n_threads, const Work& work) {
  Barrier barrier(n_threads);
  std::vector<std::thread> others;
  for (int member = 1; member < n_threads; ++member)
    others.emplace_back([&, member] { work(Team{member, n_threads, &barrier}); });
  work(Team{0, n_threads, &barrier});
  for (std::thread& other : others) other.join();
}
