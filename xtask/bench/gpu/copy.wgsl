// Copies vectors of 4 words, one an invocation: `stride` of them, from vector `first` on.

struct Shape {
    n: u32,
    k: u32,
    m: u32,
    first: u32,
    stride: u32,
    size_0: u32,
    size_1: u32,
    zero: u32,
    scale: f32,
    flags: u32,
    used: u32,
    matrices: u32,
}

@group(0) @binding(0) var<storage, read> words: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(256)
fn copy_words(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if at >= shape.stride {
        return;
    }
    y[at] = words[shape.first + at];
}
