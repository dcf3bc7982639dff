// Reads a tensor [n, k] of words: y[row] = sum of the row's words, modulo 2^32. A workgroup sums up
// a row, whose k words are 8 vectors of 4 for each of 256 threads.

constexpr ql_u32 VECTORS = 8;  // of a thread

QL_KERNEL(WORKGROUP) read_row(
    const Vector* __restrict__ words,
    ql_u32* __restrict__ y,
    const QlShape shape) {
  QL_SHARED ql_u32 sums[WORKGROUP];
  const ql_u64 row = (ql_u64)ql_group_y() * ql_groups_x(WORKGROUP) + ql_group_x();
  if (row >= shape.n) return;
  const ql_u32 lane = ql_thread();
  const Vector* from = words + row * (WORKGROUP * VECTORS) + lane;
  Vector vectors[VECTORS];
#pragma unroll
  for (ql_u32 i = 0; i < VECTORS; ++i) vectors[i] = from[i * WORKGROUP];
  ql_u32 sum = 0;
#pragma unroll
  for (ql_u32 i = 0; i < VECTORS; ++i) {
    sum += vectors[i].a + vectors[i].b + vectors[i].c + vectors[i].d;
  }
  sums[lane] = sum;
  for (ql_u32 half = WORKGROUP / 2; half > 0; half /= 2) {
    ql_barrier();
    if (lane < half) sums[lane] += sums[lane + half];
  }
  if (lane == 0) y[shape.first + row] = sums[0];
}
