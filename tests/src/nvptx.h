// What nvcc and NVRTC know without a header, as far as kernel texts use it, for a clang without the
// CUDA toolkit.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __constant__ __attribute__((constant))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(threads) __attribute__((launch_bounds(threads)))

struct Index {
  unsigned x, y;
};
#define threadIdx (Index{(unsigned)__nvvm_read_ptx_sreg_tid_x(), 0u})
#define blockIdx \
  (Index{(unsigned)__nvvm_read_ptx_sreg_ctaid_x(), (unsigned)__nvvm_read_ptx_sreg_ctaid_y()})
#define gridDim (Index{(unsigned)__nvvm_read_ptx_sreg_nctaid_x(), 0u})

#define __syncthreads() __nvvm_bar_sync(0)
#define fmaf(a, b, c) __builtin_fmaf(a, b, c)
#define memcpy(to, from, bytes) __builtin_memcpy(to, from, bytes)

__device__ __forceinline__ float __shfl_xor_sync(unsigned threads, float value, int mask) {
  const int bits = __builtin_bit_cast(int, value);
  return __builtin_bit_cast(float, __nvvm_shfl_sync_bfly_i32(threads, bits, mask, 31));
}
