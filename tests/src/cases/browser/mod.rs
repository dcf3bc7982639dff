//! What is looked at in a browser: the atlas, and kernels under the browser's own WebGPU.

mod atlas;
mod webgpu;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    [atlas::trials(), webgpu::trials()].into_iter().flatten().collect()
}
