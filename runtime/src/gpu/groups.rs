//! Bind groups, made once for a launch and used again when the same launch is recorded again.

use std::sync::{Arc, Mutex};

use super::Gpu;
use super::pipelines::Pipeline;
use crate::Result;
use crate::artifact::Shape;
use crate::launch::{Span, locked};

/// The bind groups of launches recorded lately, most recent first.
#[derive(Default)]
pub(super) struct Groups(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    /// Launches so far.
    launches: u64,
    groups: Vec<Group>,
}

/// A bind group and what it was made of. It keeps its buffers alive.
struct Group {
    pipeline: Arc<Pipeline>,
    shape: Shape,
    buffers: Vec<Span<wgpu::Buffer>>,
    group: wgpu::BindGroup,
    /// Number of the launch that used it last.
    used: u64,
}

/// Groups kept of one tensor: a few activation rows to a few buffers, of every part.
const MOST: usize = 64;
/// A group that so many launches did not use is dropped, and with it the buffers that its caller may
/// have dropped long since.
const LAUNCHES: u64 = 256;

impl Groups {
    /// The bind group of these buffers, in the order of the pipeline's bindings, without the shape.
    pub(super) fn group(
        &self,
        gpu: &Gpu,
        pipeline: &Arc<Pipeline>,
        shape: &Shape,
        spans: &[Span<&wgpu::Buffer>],
    ) -> Result<wgpu::BindGroup> {
        let mut recent = locked(&self.0);
        let Recent { launches, groups } = &mut *recent;
        *launches += 1;
        if groups.last().is_some_and(|oldest| *launches - oldest.used > LAUNCHES) {
            groups.pop();
        }
        match groups.iter().position(|group| group.is(pipeline, shape, spans)) {
            Some(found) => {
                if let Some(recent) = groups.get_mut(..=found) {
                    recent.rotate_right(1);
                }
            }
            None => {
                groups.truncate(MOST - 1);
                groups.insert(0, Group::new(gpu, pipeline, shape, spans)?);
            }
        }
        let group = groups.first_mut().map(|group| {
            group.used = *launches;
            group.group.clone()
        });
        group.ok_or_else(|| gpu.failed("recording a kernel", "its bind group is gone"))
    }
}

impl Group {
    fn new(
        gpu: &Gpu,
        pipeline: &Arc<Pipeline>,
        shape: &Shape,
        spans: &[Span<&wgpu::Buffer>],
    ) -> Result<Group> {
        let words: Vec<u8> = shape.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let uniform = gpu.filled("shape", &words, wgpu::BufferUsages::UNIFORM)?;
        let held = |span: &Span<&wgpu::Buffer>| Span {
            buffer: span.buffer.clone(),
            begin: span.begin,
            bytes: span.bytes,
        };
        Ok(Group {
            group: pipeline.bind(gpu, spans, &uniform)?,
            pipeline: pipeline.clone(),
            shape: *shape,
            buffers: spans.iter().map(held).collect(),
            used: 0,
        })
    }

    fn is(&self, pipeline: &Arc<Pipeline>, shape: &Shape, spans: &[Span<&wgpu::Buffer>]) -> bool {
        let same = |(held, span): (&Span<wgpu::Buffer>, &Span<&wgpu::Buffer>)| {
            held.buffer == *span.buffer && (held.begin, held.bytes) == (span.begin, span.bytes)
        };
        Arc::ptr_eq(&self.pipeline, pipeline)
            && self.shape == *shape
            && self.buffers.len() == spans.len()
            && self.buffers.iter().zip(spans).all(same)
    }
}
