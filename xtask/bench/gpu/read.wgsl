// Reads a tensor [n, k] of words: y[row] = sum of the row's words, modulo 2^32. A workgroup sums up
// a row, whose k words are 8 vectors of 4 for each of 256 invocations.

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
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> shape: Shape;

const WORKGROUP = 256u;
const VECTORS = 8u; // of an invocation
var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn read_row(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= shape.n {
        return;
    }
    let at = row * (WORKGROUP * VECTORS) + lane;
    let a = words[at];
    let b = words[at + WORKGROUP];
    let c = words[at + 2u * WORKGROUP];
    let d = words[at + 3u * WORKGROUP];
    let e = words[at + 4u * WORKGROUP];
    let f = words[at + 5u * WORKGROUP];
    let g = words[at + 6u * WORKGROUP];
    let h = words[at + 7u * WORKGROUP];
    let sum = a + b + c + d + e + f + g + h;
    sums[lane] = sum.x + sum.y + sum.z + sum.w;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sums[lane] += sums[lane + half];
        }
    }
    if lane == 0u {
        y[shape.first + row] = sums[0];
    }
}
