// Runs a HIP kernel text on the CPU, to test it without a GPU.
//
// Included before a kernel text, this defines the vocabulary that the text otherwise takes from a
// GPU compiler. Every GPU thread is a fiber: it runs until it meets a barrier or a shuffle, where
// it waits for its neighbours. All threads of a workgroup must meet the same barriers, and all of
// a wave the same shuffles; where they don't, the launch ends with an error that says who is where.
// Odd workgroups run their threads in reverse order, so that a missing barrier shows in results.
//
// No header is included where none is needed: compiling a kernel takes a fraction of a second.
#pragma once
#if !defined(__x86_64__) || !defined(__linux__)
#include <ucontext.h>
#endif

#define QL_HOST 1
#define QL_WAVE 32  // threads that shuffle with each other
#define QL_STACK (64u << 10)  // bytes per thread

#define QL_KERNEL(threads) extern "C" void
#define QL_DEVICE static inline
#define QL_CONSTANT static const
#define QL_SHARED static thread_local
#define QL_UNROLL
#define QL_UNROLL_1
#define QL_UNROLL_2
#define ql_thread() (ql::group->thread)
#define ql_group_x() (ql::group->x)
#define ql_group_y() (ql::group->y)
#define ql_groups_x(threads) (ql::group->groups_x)
#define ql_barrier() ql::wait(ql::Barrier, __LINE__)
#define ql_fma(a, b, c) ((a) * (b) + (c))  // a fused one is a library call on a plain x86-64
#define ql_copy(to, from, bytes) __builtin_memcpy(to, from, bytes)

typedef unsigned char ql_u8;
typedef unsigned short ql_u16;
typedef unsigned int ql_u32;
typedef unsigned long long ql_u64;

namespace ql {

enum Place : ql_u32 { Running, Barrier, Shuffle, Returned };

// One GPU thread, and where it waits.
struct Fiber {
#if defined(__x86_64__) && defined(__linux__)
  void* stack_pointer;
#else
  ucontext_t context;
#endif
  Place place;
  ql_u32 line;
};

// One workgroup at work on one thread of the operating system.
struct Group {
  ql_u32 thread, x, y, groups_x;  // the fiber that runs, and the place in the grid
  ql_u32 threads;
  Fiber* fibers;
  Fiber scheduler;
  void (*entry)(void** arguments);
  void** arguments;
  float (*sent)[2][QL_WAVE];  // values of each wave's last two shuffles
  ql_u32* shuffles;  // of each wave, so far
};

static thread_local Group* group;

// Leaves `from` for `to`, and returns when something switches back.
#if defined(__x86_64__) && defined(__linux__)
extern "C" void ql_switch(void** save, void* load);
__asm__(
    ".text\n"
    ".local ql_switch\n"
    ".type ql_switch, @function\n"
    "ql_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n"
    ".size ql_switch, . - ql_switch\n");

static inline void switch_fiber(Fiber& from, Fiber& to) {
  ql_switch(&from.stack_pointer, to.stack_pointer);
}

static inline void prepare(Fiber& fiber, ql_u8* stack, void (*run)()) {
  void** top = (void**)(stack + QL_STACK);
  *--top = nullptr;  // return address of `run`, which never returns
  *--top = (void*)run;
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fiber.stack_pointer = top;
}
#else
static inline void switch_fiber(Fiber& from, Fiber& to) {
  swapcontext(&from.context, &to.context);
}

static inline void prepare(Fiber& fiber, ql_u8* stack, void (*run)()) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack;
  fiber.context.uc_stack.ss_size = QL_STACK;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, run, 0);
}
#endif

static inline void wait(Place place, ql_u32 line) {
  Fiber& fiber = group->fibers[group->thread];
  fiber.place = place;
  fiber.line = line;
  switch_fiber(fiber, group->scheduler);
}

static inline void run_thread() {
  group->entry(group->arguments);
  wait(Returned, 0);
}

// What this thread's partner, `mask` away, brings to the same shuffle.
static inline float shuffle_xor(float value, ql_u32 mask, ql_u32 line) {
  const ql_u32 wave = group->thread / QL_WAVE, lane = group->thread % QL_WAVE;
  float* sent = group->sent[wave][group->shuffles[wave] % 2];
  sent[lane] = value;
  wait(Shuffle, line);
  return sent[lane ^ mask];
}

// Text for whoever launched.
struct Message {
  char* at;
  char* end;
  void add(const char* text) {
    while (*text && at + 1 < end) *at++ = *text++;
    *at = 0;
  }
  void add(ql_u64 number) {
    char digits[21];
    char* first = digits + 20;
    *first = 0;
    do *--first = (char)('0' + number % 10);
    while (number /= 10);
    add(first);
  }
  void add(const Fiber& fiber) {
    if (fiber.place == Returned) return add("has returned");
    add(fiber.place == Barrier ? "waits at the barrier in line " : "waits at the shuffle in line ");
    add((ql_u64)fiber.line);
  }
};

// Are these threads at the same place? If not, says which differ.
static inline bool together(const Group& g, ql_u32 first, ql_u32 end, Message& message) {
  const Fiber& one = g.fibers[first];
  for (ql_u32 i = first + 1; i < end; ++i) {
    const Fiber& other = g.fibers[i];
    if (other.place == one.place && other.line == one.line) continue;
    message.add("in workgroup (");
    message.add((ql_u64)g.x);
    message.add(", ");
    message.add((ql_u64)g.y);
    message.add("), thread ");
    message.add((ql_u64)first);
    message.add(" ");
    message.add(one);
    message.add(", but thread ");
    message.add((ql_u64)i);
    message.add(" ");
    message.add(other);
    return false;
  }
  return true;
}

// Runs the threads of a wave until all are at a barrier or have returned.
static inline bool run_wave(Group& g, ql_u32 wave, bool reverse, Message& message) {
  const ql_u32 first = wave * QL_WAVE;
  const ql_u32 end = first + QL_WAVE < g.threads ? first + QL_WAVE : g.threads;
  for (;;) {
    for (ql_u32 i = first; i < end; ++i) {
      g.thread = reverse ? first + end - 1 - i : i;
      switch_fiber(g.scheduler, g.fibers[g.thread]);
    }
    if (!together(g, first, end, message)) return false;
    if (g.fibers[first].place != Shuffle) return true;
    if (end - first < QL_WAVE) {
      message.add("the last wave shuffles, but has fewer than 32 threads");
      return false;
    }
    ++g.shuffles[wave];
  }
}

static inline bool run_group(Group& g, ql_u8* stacks, Message& message) {
  for (ql_u32 i = 0; i < g.threads; ++i) {
    prepare(g.fibers[i], stacks + (ql_u64)i * QL_STACK, run_thread);
  }
  const ql_u32 waves = (g.threads + QL_WAVE - 1) / QL_WAVE;
  const bool reverse = (g.x + g.y) % 2 != 0;
  do {
    for (ql_u32 wave = 0; wave < waves; ++wave) {
      if (!run_wave(g, reverse ? waves - 1 - wave : wave, reverse, message)) return false;
    }
    if (!together(g, 0, g.threads, message)) return false;
  } while (g.fibers[0].place == Barrier);
  return true;
}

// What a launch shares among the threads of the operating system that work on it.
struct Launch {
  ql_u32 groups_x, groups_y, threads;
  ql_u32 failed;
  ql_u64 next;  // workgroup that nobody has taken yet
  char message[256];
};

template <auto kernel>
struct Entry;

// A kernel whose arguments come as an array of pointers to them.
template <class... Parameters, void (*kernel)(Parameters...)>
struct Entry<kernel> {
  static constexpr ql_u32 sizes[] = {sizeof(Parameters)..., 0};
  struct Call {
    Call(Parameters... parameters) { kernel(parameters...); }
  };
  struct Cursor {
    void** at;
    template <class Parameter>
    Parameter next() { return *(Parameter*)*at++; }
  };
  static void run(void** arguments) {
    Cursor cursor = {arguments};
    Call{cursor.template next<Parameters>()...};  // braces, as they keep the order
  }
};

// Runs workgroups until none is left. Returns 0 where there is no memory for the fibers.
static inline int work(Launch& launch, void (*entry)(void**), void** arguments) {
  const ql_u32 threads = launch.threads, waves = (threads + QL_WAVE - 1) / QL_WAVE;
  Group g = {};
  g.groups_x = launch.groups_x;
  g.threads = threads;
  g.entry = entry;
  g.arguments = arguments;
  g.fibers = (Fiber*)__builtin_calloc(threads, sizeof(Fiber));
  g.sent = (float(*)[2][QL_WAVE])__builtin_calloc(waves, sizeof(*g.sent));
  g.shuffles = (ql_u32*)__builtin_calloc(waves, sizeof(*g.shuffles));
  ql_u8* stacks = (ql_u8*)__builtin_malloc((ql_u64)threads * QL_STACK);
  const bool ready = g.fibers && g.sent && g.shuffles && stacks;

  const ql_u64 total = (ql_u64)launch.groups_x * launch.groups_y;
  group = &g;
  while (ready) {
    const ql_u64 id = __atomic_fetch_add(&launch.next, 1, __ATOMIC_RELAXED);
    if (id >= total || __atomic_load_n(&launch.failed, __ATOMIC_RELAXED)) break;
    g.x = (ql_u32)(id % launch.groups_x);
    g.y = (ql_u32)(id / launch.groups_x);
    char text[sizeof(launch.message)] = {};
    Message message = {text, text + sizeof(text)};
    if (run_group(g, stacks, message)) continue;
    if (!__atomic_exchange_n(&launch.failed, 1, __ATOMIC_RELAXED)) {
      __builtin_memcpy(launch.message, text, sizeof(text));
    }
  }
  group = nullptr;

  __builtin_free(stacks);
  __builtin_free(g.shuffles);
  __builtin_free(g.sent);
  __builtin_free(g.fibers);
  return ready;
}

}  // namespace ql

// Two symbols per kernel of a library: the sizes of its arguments up to a 0, and the launch.
#define QL_EXPORT(space, kernel)                                         \
  extern "C" const ql_u32* ql_sizes_##kernel() {                         \
    return ql::Entry<space::kernel>::sizes;                              \
  }                                                                      \
  extern "C" int ql_work_##kernel(ql::Launch* launch, void** arguments) { \
    return ql::work(*launch, ql::Entry<space::kernel>::run, arguments);  \
  }

template <int mask>
static inline float ql_shuffle_xor(float value, ql_u32 line = __builtin_LINE()) {
  return ql::shuffle_xor(value, mask, line);
}

// sum + the products of four signed bytes.
static inline int ql_dot4(ql_u32 a, ql_u32 b, int sum) {
  for (ql_u32 shift = 0; shift < 32; shift += 8) {
    sum += (signed char)(a >> shift) * (signed char)(b >> shift);
  }
  return sum;
}

static inline float f16_to_f32(ql_u32 bits) {
  const ql_u32 sign = (bits & 0x8000u) << 16;
  const ql_u32 magnitude = bits & 0x7FFFu;
  if (magnitude < 0x0400u) {  // zero and subnormal
    const float value = (float)magnitude * 0x1p-24f;
    return sign ? -value : value;
  }
  const ql_u32 exponent = magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u;
  return __builtin_bit_cast(float, sign | (exponent + (magnitude << 13)));
}

// Rounds to nearest even.
static inline ql_u16 f32_to_f16(float value) {
  const ql_u32 bits = __builtin_bit_cast(ql_u32, value);
  const ql_u32 sign = bits >> 16 & 0x8000u;
  const ql_u32 magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (ql_u16)(sign | 0x7E00u);  // NaN
  if (magnitude >= 0x477FF000u) return (ql_u16)(sign | 0x7C00u);  // rounds to infinity
  if (magnitude < 0x38800000u) {  // the addition rounds to a multiple of 2^-24
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return (ql_u16)(sign | (__builtin_bit_cast(ql_u32, shifted) - 0x3F000000u));
  }
  const ql_u32 odd = magnitude >> 13 & 1u;
  return (ql_u16)(sign | (magnitude - 0x38000000u + 0xFFFu + odd) >> 13);
}
