// The rollout on processors. Every number is added by one thread in one order, so that results repeat to the bit, with
// any number of threads.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <type_traits>

#include "precision.h"
#include "threads.h"

namespace {

struct Arrays {  // typed views of a rollout
  const Rollout& rollout;
  const int64_t n, batch, elements, delays;
  explicit Arrays(const Rollout& r)
      : rollout(r), n(r.n_neurons), batch(r.batch), elements(n * batch), delays(r.recurrent.max_delay) {}
  const Real* numbers(int64_t type) const { return static_cast<const Real*>(rollout.numbers) + type * N_NUMBERS; }
  uint8_t* flags(int64_t step) const { return rollout.flags + (delays + step) * elements; }
  Real* inbox(int64_t step) const { return static_cast<Real*>(rollout.inbox) + step % delays * elements * N_RECEPTORS; }
  Real* spike_gradient(int64_t step) const {
    return static_cast<Real*>(rollout.spike_gradient) + (step + delays) % delays * elements;
  }
  // Step of a (T, N, B) array, or null.
  template <typename T>
  T* at(T* array, int64_t step) const { return array ? array + step * elements : nullptr; }
};

// --- forward ----------------------------------------------------------------------------------------------------------

template <typename Weight>
void add_row(const Connections& connections, const Weight* weight, int64_t row, Real count, const Arrays& of, Range posts,
             int64_t trial, Real* inbox) {
  const int32_t *target = connections.target, *begin = target + connections.indptr[row],
                *end = target + connections.indptr[row + 1];
  const int32_t first = int32_t(posts.first * N_RECEPTORS), last = int32_t(posts.last * N_RECEPTORS);
  if (connections.rows_ascend) {
    begin = std::lower_bound(begin, end, first);
    end = std::lower_bound(begin, end, last);
  }
  for (const int32_t* edge = begin; edge < end; ++edge) {
    if (*edge < first || *edge >= last) continue;
    const int64_t post = *edge / N_RECEPTORS, receptor = *edge % N_RECEPTORS;
    inbox[(receptor * of.n + post) * of.batch + trial] += Real(weight[edge - target]) * count;
  }
}

// Deliver one row to the neurons of one thread.
void deliver_row(const Connections& connections, int64_t row, Real count, const Arrays& of, Range posts, int64_t trial,
                 Real* inbox) {
  if (connections.weight_is_real)
    add_row(connections, static_cast<const Real*>(connections.weight), row, count, of, posts, trial, inbox);
  else
    add_row(connections, static_cast<const float*>(connections.weight), row, count, of, posts, trial, inbox);
}

void deliver_external(const Arrays& of, int64_t step, Range posts) {
  for (int source = 0; source < of.rollout.n_external; ++source) {
    const Events& events = of.rollout.events[source];
    for (int64_t i = events.bounds[step]; i < events.bounds[step + 1]; ++i)
      deliver_row(of.rollout.external[source], events.row[i], static_cast<const Real*>(events.count)[i], of, posts,
                  events.trial[i], of.inbox(step));
  }
}

// Deliver spikes of a step, into the inboxes of steps from `first` on.
void deliver_spikes(const Arrays& of, int64_t step, int64_t first, Range posts) {
  const uint8_t* flags = of.flags(step);
  for (int64_t element = 0; element < of.elements; ++element) {
    if (element + 8 <= of.elements) {  // most of the time eight are silent
      uint64_t eight;
      std::memcpy(&eight, flags + element, 8);
      if (!(eight & 0x0101010101010101ull)) {
        element += 7;
        continue;
      }
    }
    if (!(flags[element] & SPIKED)) continue;
    const int64_t row = element / of.batch * of.delays;
    for (int64_t delay = std::max<int64_t>(1, first - step); delay <= of.delays; ++delay)
      deliver_row(of.rollout.recurrent, row + delay - 1, Real(1), of, posts, element % of.batch, of.inbox(step + delay));
  }
}

void advance_run(const Arrays& of, int64_t step, int32_t type, int64_t first, int64_t last) {
  const Rollout& rollout = of.rollout;
  Real p[N_NUMBERS];  // a copy, so that the compiler knows that nothing below changes it
  std::memcpy(p, of.numbers(type), sizeof(p));
  const int64_t elements = of.elements;
  const int32_t hold = rollout.refractory_steps[type];
  Real *x = static_cast<Real*>(rollout.x), *inbox = of.inbox(step), *v = of.at(static_cast<Real*>(rollout.v), step);
  Real* z = of.at(static_cast<Real*>(rollout.z), step);
  uint8_t* flags = of.flags(step);
  int32_t* refractory = rollout.refractory;
#pragma omp simd
  for (int64_t e = first; e < last; ++e) {
    States<Real> state = load(x + e, elements);
    const Receptors<Real> arrived = take(inbox + e, elements);
    const bool held = refractory[e] > 0;
    Real potential;
    const bool spiked = step_forward(p, held, arrived, state, potential);
    store(state, x + e, elements);
    refractory[e] = spiked ? hold : refractory[e] - int32_t(held);
    v[e] = potential;
    flags[e] = uint8_t(spiked ? SPIKED : 0) | uint8_t(held ? HELD : 0);
  }
  if (z)
    for (int64_t e = first; e < last; ++e) z[e] = Real(flags[e] & SPIKED);
}

void record(const Arrays& of, int64_t step, Range neurons) {
  const Rollout& rollout = of.rollout;
  const int32_t *begin = rollout.recorded, *end = begin + rollout.n_recorded;
  Real* recorded = static_cast<Real*>(rollout.v_recorded) + step * rollout.n_recorded * of.batch;
  const Real* v = static_cast<const Real*>(rollout.x) + MEMBRANE_STATE * of.elements;
  for (const int32_t* id = std::lower_bound(begin, end, neurons.first); id < end && *id < neurons.last; ++id)
    std::copy_n(v + *id * of.batch, of.batch, recorded + (id - begin) * of.batch);
}

// Call visit(type, first, last) for the elements of each cell model among some neurons.
template <typename Visit>
void for_types(const Arrays& of, Range neurons, const Visit& visit) {
  const Rollout& rollout = of.rollout;
  for (int run = 0; run < rollout.n_type_runs; ++run) {
    const int64_t first = std::max<int64_t>(neurons.first, rollout.run_start[run]);
    const int64_t last = std::min<int64_t>(neurons.last, rollout.run_start[run + 1]);
    if (first < last) visit(rollout.run_type[run], first * of.batch, last * of.batch);
  }
}

void advance(const Arrays& of, int64_t step, Range neurons) {
  if (of.rollout.current && CURRENT_STATE >= 0) {
    const Real* current = static_cast<const Real*>(of.rollout.current) + step * of.n;
    Real* x = static_cast<Real*>(of.rollout.x) + CURRENT_STATE * of.elements;
    for (int64_t i = neurons.first; i < neurons.last; ++i) std::fill_n(x + i * of.batch, of.batch, current[i]);
  }
  for_types(of, neurons, [&](int32_t type, int64_t first, int64_t last) { advance_run(of, step, type, first, last); });
  record(of, step, neurons);
}

// --- backward ---------------------------------------------------------------------------------------------------------

void retreat_run(const Arrays& of, int64_t step, int32_t type, int64_t first, int64_t last) {
  const Rollout& rollout = of.rollout;
  Real p[N_NUMBERS];
  std::memcpy(p, of.numbers(type), sizeof(p));
  const int64_t elements = of.elements, batch = of.batch;
  const Real factor = Real(rollout.voltage_factor), recurrent = Real(rollout.recurrent_factor);
  const Real *v = of.at(static_cast<const Real*>(rollout.v), step),
             *z_gradient = of.at(static_cast<const Real*>(rollout.z_gradient), step),
             *v_gradient = of.at(static_cast<const Real*>(rollout.v_gradient), step);
  const uint8_t* flags = of.flags(step);
  Real *adjoint = static_cast<Real*>(rollout.adjoint), *gradient = of.spike_gradient(step);
  Reduced* delta = static_cast<Reduced*>(rollout.delta);
  for (int64_t e = first; e < last; ++e)  // dL/dV takes the place of dL/dz, so that the next loop has no branches
    gradient[e] = potential_gradient(p, rollout, flags[e], v[e],
                                     gradient[e] * recurrent + (z_gradient ? z_gradient[e] : Real(0)),
                                     v_gradient ? v_gradient[e] : Real(0));
  // Chunks of whole neurons: delta is (N, R, B), but vectors of the compiler run over neurons and trials.
  const int64_t chunk = std::max<int64_t>(1, 256 / batch) * batch;
  std::vector<Real> deltas(N_RECEPTORS * chunk);
  for (int64_t start = first; start < last; start += chunk) {
    const int64_t stop = std::min(last, start + chunk);
    Real* to = deltas.data();
#pragma omp simd
    for (int64_t e = start; e < stop; ++e) {
      States<Real> state = load(adjoint + e, elements);
      Receptors<Real> to_inbox;
      step_adjoint(p, flags[e], gradient[e], factor, state, to_inbox);
      store(state, adjoint + e, elements);
      gradient[e] = 0;
      give(to_inbox, to + (e - start), chunk);
    }
    for (int64_t neuron = start; neuron < stop; neuron += batch)
      for (int receptor = 0; receptor < N_RECEPTORS; ++receptor)
        for (int64_t trial = 0; trial < batch; ++trial)
          delta[neuron * N_RECEPTORS + receptor * batch + trial] = to[receptor * chunk + (neuron - start) + trial];
  }
}

// Vectors of the trials of one element: left to itself, a compiler vectorises over connections, which is three times
// slower.
template <typename Number, int n>
struct VectorOf {
  typedef Number Type __attribute__((vector_size(n * sizeof(Number))));
};

template <int Trials>
struct Trial {
  using Vector = typename VectorOf<Real, Trials>::Type;
  static Vector load(const Real* from) {
    Vector values;
    std::memcpy(&values, from, sizeof(values));
    return values;
  }
  static Vector load(const BFloat16* from) {
    typename VectorOf<uint16_t, Trials>::Type upper;
    std::memcpy(&upper, from, sizeof(upper));
    const auto bits = __builtin_convertvector(upper, typename VectorOf<uint32_t, Trials>::Type) << 16;
    Vector values;
    std::memcpy(&values, &bits, sizeof(bits));
    return values;
  }
};

// What a row reads: targets, weights, and how many connections follow its first one in memory, its own included.
struct Row {
  const int32_t* target;
  const Reduced* weight;
  int64_t n_edges, n_following;
};

// While a connection is added up, delta of one so far ahead is fetched.
constexpr int64_t FETCH_AHEAD = 48;

// sums[b] += sum of weight * delta over a row, for Trials trials.
template <int Trials, typename Stride>
void gather_row(const Row& row, const Reduced* delta, Stride stride, Real* sums) {
  typename Trial<Trials>::Vector even{}, odd{};
  const auto add = [&](int64_t edge, auto& total) {
    total += Trial<Trials>::load(delta + row.target[edge] * stride) * Real(row.weight[edge]);
  };
  const auto fetch = [&](int64_t edge) { __builtin_prefetch(delta + row.target[edge + FETCH_AHEAD] * stride); };
  const int64_t n_fetching = std::min(row.n_edges, row.n_following - FETCH_AHEAD) & ~int64_t(1);
  int64_t edge = 0;
  for (; edge < n_fetching; edge += 2) {
    fetch(edge);
    add(edge, even);
    fetch(edge + 1);
    add(edge + 1, odd);
  }
  for (; edge < row.n_edges; ++edge) add(edge, even);
  even += odd;
  Real total[Trials];
  std::memcpy(total, &even, sizeof(total));
  for (int b = 0; b < Trials; ++b) sums[b] += total[b];
}

// For one trial vectors run over connections after all.
template <typename Stride>
void gather_one(const Row& row, const Reduced* delta, Stride stride, Real* sum) {
  Real total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t edge = 0; edge < row.n_edges; ++edge)
    total += Real(row.weight[edge]) * Real(delta[row.target[edge] * stride]);
  *sum += total;
}

// The trials in pieces of 16, 8, 4, 2 and 1. A stride that the compiler knows makes one piece a third faster.
void gather_trials(const Row& row, const Reduced* delta, int64_t batch, Real* sums) {
  if (batch == 1) return gather_one(row, delta, std::integral_constant<int64_t, 1>(), sums);
  if (batch == 4) return gather_row<4>(row, delta, std::integral_constant<int64_t, 4>(), sums);
  int64_t b = 0;
  for (; b + 16 <= batch; b += 16) gather_row<16>(row, delta + b, batch, sums + b);
  if (batch & 8) gather_row<8>(row, delta + b, batch, sums + b), b += 8;
  if (batch & 4) gather_row<4>(row, delta + b, batch, sums + b), b += 4;
  if (batch & 2) gather_row<2>(row, delta + b, batch, sums + b), b += 2;
  if (batch & 1) gather_one(row, delta + b, batch, sums + b);
}

// dL/dw += count * delta over the connections of a row that carried a spike.
void add_weight_gradient(const Connections& connections, int64_t row, Real count, const Arrays& of, int64_t trial) {
  const Reduced* delta = static_cast<const Reduced*>(of.rollout.delta) + trial;
  Real* gradient = static_cast<Real*>(connections.weight_gradient);
  for (int64_t edge = connections.indptr[row]; edge < connections.indptr[row + 1]; ++edge)
    gradient[edge] += count * Real(delta[connections.target[edge] * of.batch]);
}

void gather(const Arrays& of, int64_t step, Range sources) {
  const Connections& connections = of.rollout.recurrent;
  const Reduced *weight = static_cast<const Reduced*>(connections.reduced),
                *delta = static_cast<const Reduced*>(of.rollout.delta);
  const int64_t n_all = connections.indptr[connections.n_sources * of.delays];
  for (int64_t source = sources.first; source < sources.last; ++source)
    for (int64_t delay = 1; delay <= of.delays; ++delay) {
      const int64_t row = source * of.delays + delay - 1, first = connections.indptr[row],
                    n_edges = connections.indptr[row + 1] - first;
      if (!n_edges) continue;
      gather_trials({connections.target + first, weight + first, n_edges, n_all - first}, delta, of.batch,
                    of.spike_gradient(step - delay) + source * of.batch);
      if (!connections.weight_gradient) continue;
      const uint8_t* flags = of.flags(step - delay) + source * of.batch;
      for (int64_t trial = 0; trial < of.batch; ++trial)
        if (flags[trial] & SPIKED) add_weight_gradient(connections, row, Real(1), of, trial);
    }
}

void gather_external(const Arrays& of, int64_t step, const Team& team) {
  for (int source = 0; source < of.rollout.n_external; ++source) {
    const Connections& connections = of.rollout.external[source];
    if (!connections.weight_gradient) continue;
    const Events& events = of.rollout.events[source];
    const Range rows = share(int64_t(connections.n_sources) * connections.max_delay, team);
    for (int64_t i = events.bounds[step]; i < events.bounds[step + 1]; ++i)
      if (events.row[i] >= rows.first && events.row[i] < rows.last)
        add_weight_gradient(connections, events.row[i], static_cast<const Real*>(events.count)[i], of, events.trial[i]);
  }
}

// Sources that hold a fair share of the connections.
Range share_of_sources(const Connections& connections, const Team& team) {
  const Range edges = share(connections.indptr[int64_t(connections.n_sources) * connections.max_delay], team);
  const auto source_at = [&](int64_t edge) {
    const int32_t* end = connections.indptr + int64_t(connections.n_sources) * connections.max_delay;
    const int64_t row = std::lower_bound(connections.indptr, end, edge) - connections.indptr;
    return (row + connections.max_delay - 1) / connections.max_delay;
  };
  const int64_t first = team.member == 0 ? 0 : source_at(edges.first);
  const int64_t last = team.member == team.size - 1 ? connections.n_sources : source_at(edges.last);
  return {first, last};
}

}  // namespace

extern "C" {

int64_t rollout_bytes() { return sizeof(Rollout); }

int64_t scratch_bytes(const Rollout*) { return 0; }

const char* error_text() { return ""; }

int32_t deliver_history(const Rollout* rollout, int32_t step, void*) {
  const Arrays of(*rollout);
  run_team(rollout->n_threads, [&](const Team& team) {
    for (int64_t before = step - of.delays; before < step; ++before) deliver_spikes(of, before, step, share(of.n, team));
  });
  return 0;
}

int32_t forward(const Rollout* rollout, int32_t first, int32_t last, void*) {
  const Arrays of(*rollout);
  run_team(rollout->n_threads, [&](const Team& team) {
    const Range mine = share(of.n, team);
    for (int64_t step = first; step < last; ++step) {
      deliver_external(of, step, mine);
      advance(of, step, mine);
      team.barrier->wait();  // all spikes of this step are known
      deliver_spikes(of, step, step + 1, mine);
    }
  });
  return 0;
}

int32_t backward(const Rollout* rollout, int32_t first, int32_t last, void*) {
  const Arrays of(*rollout);
  run_team(rollout->n_threads, [&](const Team& team) {
    const Range mine = share(of.n, team), sources = share_of_sources(rollout->recurrent, team);
    for (int64_t step = last - 1; step >= first; --step) {
      for_types(of, mine, [&](int32_t type, int64_t from, int64_t to) { retreat_run(of, step, type, from, to); });
      team.barrier->wait();  // delta is complete
      const auto started = std::chrono::steady_clock::now();
      gather(of, step, sources);
      gather_external(of, step, team);
      team.barrier->wait();  // nobody reads delta any more
      if (rollout->gather_seconds && team.member == 0)
        *rollout->gather_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    }
  });
  return 0;
}
}
