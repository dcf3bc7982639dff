// Begins read.hip and copy.hip: the words that GPU compilers and the shim of `hip_host` differ in.

typedef unsigned int ql_u32;
typedef unsigned long long ql_u64;

#if defined(QL_HOST)  // a shim included before this text runs it on the CPU
#elif defined(__HIP__)  // clang, hipcc, hipRTC
#define QL_KERNEL(threads) \
  extern "C" __attribute__((global, amdgpu_flat_work_group_size(threads, threads))) void
#define QL_SHARED static __attribute__((shared))
#define ql_thread() __builtin_amdgcn_workitem_id_x()
#define ql_group_x() __builtin_amdgcn_workgroup_id_x()
#define ql_group_y() __builtin_amdgcn_workgroup_id_y()
#define ql_groups_x(threads) (__builtin_amdgcn_grid_size_x() / (threads))
static inline __attribute__((device, always_inline)) void ql_barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
#else  // nvcc, NVRTC
#define QL_KERNEL(threads) extern "C" __global__ __launch_bounds__(threads) void
#define QL_SHARED __shared__
#define ql_thread() threadIdx.x
#define ql_group_x() blockIdx.x
#define ql_group_y() blockIdx.y
#define ql_groups_x(threads) gridDim.x
#define ql_barrier() __syncthreads()
#endif

struct QlShape {
  ql_u32 n, k, m, first, stride, size_0, size_1, zero;
  float scale;
  ql_u32 flags, used, matrices;
};

struct alignas(16) Vector {
  ql_u32 a, b, c, d;
};

constexpr ql_u32 WORKGROUP = 256;

