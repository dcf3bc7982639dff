//! Copies memory on the device, inside a compute pass too, where wgpu's own copies cannot stand.

use std::sync::Arc;

use super::Gpu;
use super::pipelines::{Pipeline, Text};
use crate::Result;
use crate::artifact::Role;
use crate::launch::{Span, locked};

/// Words that a workgroup copies.
const WORDS: u64 = 64;

impl Gpu {
    /// The kernel that copies its first binding to its second, compiled once.
    pub(super) fn copy(&self) -> Result<Arc<Pipeline>> {
        let mut copy = locked(&self.shared.pipelines.copy);
        if let Some(copy) = &*copy {
            return Ok(copy.clone());
        }
        let (source, roles) = (include_str!("copy.wgsl"), vec![Role::Activations, Role::Output]);
        let compiled = self.compile(&Text { name: "copy", source, roles, trusted: false })?;
        Ok(copy.insert(compiled).clone())
    }

    /// The grid that copies the first of two spans.
    pub(super) fn copied(&self, [from, _]: &[Span<&wgpu::Buffer>; 2]) -> [u32; 3] {
        let most = u64::from(self.choice.limits.workgroups.max(1));
        // A binding has fewer than 2^31 bytes, so the quotients are small.
        let workgroups = (from.bytes / 4).div_ceil(WORDS).max(1);
        let y = workgroups.div_ceil(most);
        [workgroups.div_ceil(y) as u32, y as u32, 1]
    }
}
