// Copies vectors of 4 words, one a thread: `stride` of them, from vector `first` on.

QL_KERNEL(WORKGROUP) copy_words(
    const Vector* __restrict__ words,
    Vector* __restrict__ y,
    const QlShape shape) {
  const ql_u64 group = (ql_u64)ql_group_y() * ql_groups_x(WORKGROUP) + ql_group_x();
  const ql_u64 at = group * WORKGROUP + ql_thread();
  if (at < shape.stride) y[at] = words[shape.first + at];
}
