//! Executes plans: records their copies and launches into an encoder or a compute pass of the caller's.

use std::cell::OnceCell;
use std::sync::Arc;

use super::pipelines::Pipeline;
use super::{GpuWeights, Recorder, View};
use crate::artifact::{Element, Role, Shape};
use crate::launch::{Bound, Call, Memory, Operands, Scratch, Span, calls, is_callers, locked};
use crate::{Epilogue, Experts, Result};

calls!(
    GpuWeights, "Records", (into: &mut impl Recorder), record,
    [record_matvec, record_matvec_with, record_matmul, record_matmul_with],
    [record_matmul_experts, record_matmul_experts_with], record_gather, record_dequant, record_rounding
);

/// What a plan may bind: the weights, and scratch buffers as it asks for them.
struct Bindable<'a> {
    weights: &'a GpuWeights,
    scratch: &'a [OnceCell<wgpu::Buffer>; Scratch::COUNT],
}

impl GpuWeights {
    /// Records a call; nothing where it fails.
    pub(super) fn record(
        &self,
        into: &mut impl Recorder,
        call: &Call,
        operands: Operands<View<'_>>,
    ) -> Result<()> {
        let operands = operands.try_map(|what, View(span)| {
            let usage = span.buffer.usage();
            match usage.contains(wgpu::BufferUsages::STORAGE) {
                true => Ok(span),
                false => {
                    let problem = format!("a buffer of usage {usage:?}; STORAGE is needed");
                    Err(self.planner.argument(what, problem))
                }
            }
        })?;
        let scratch = Default::default();
        let memory = Bindable { weights: self, scratch: &scratch };
        let plan = self.planner.plan(&memory, call, &operands)?;
        if plan.launches.is_empty() {
            return Ok(());
        }
        let copies = plan.copies.iter().map(|spans| Ok((self.gpu.copy()?, spans)));
        let copies = copies.collect::<Result<Vec<_>>>()?;
        let launches = plan.launches.iter();
        let launches = launches.map(|launch| Ok((self.pipeline(launch.kernel)?, launch)));
        let launches = launches.collect::<Result<Vec<_>>>()?;
        into.compute(|pass| {
            for (copy, spans) in &copies {
                let grid = self.gpu.copied(spans);
                self.dispatch(pass, copy, spans.to_vec(), &Shape::default(), grid)?;
            }
            launches.iter().try_for_each(|(pipeline, launch)| {
                let spans = launch.bound.iter().filter_map(|bound| match *bound {
                    Bound::Read(span) | Bound::Written(span) => Some(span),
                    Bound::Shape => None,
                });
                self.dispatch(pass, pipeline, spans.collect(), &launch.shape, launch.grid)
            })
        })
    }

    /// Adds a dispatch to a pass. The same again makes no new object.
    fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &Arc<Pipeline>,
        mut spans: Vec<Span<&wgpu::Buffer>>,
        shape: &Shape,
        [x, y, z]: [u32; 3],
    ) -> Result<()> {
        let mut offsets = Vec::with_capacity(spans.len());
        let bound = pipeline.roles.iter().filter(|role| **role != Role::Shape);
        for (span, _) in spans.iter_mut().zip(bound).filter(|(_, role)| is_callers(**role)) {
            // What 32 bits do not hold is part of the bind group.
            let begin = span.begin as u32;
            span.begin -= u64::from(begin);
            offsets.push(begin);
        }
        let group = self.groups.group(&self.gpu, pipeline, shape, &spans)?;
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &offsets);
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }
}

impl<'a> Memory for Bindable<'a> {
    type Buffer = &'a wgpu::Buffer;

    fn stream(&self, part: usize, stream: usize) -> Option<Span<&'a wgpu::Buffer>> {
        Some(View::from(self.weights.parts.get(part)?.get(stream)?).0)
    }

    fn tables(&self) -> Option<Span<&'a wgpu::Buffer>> {
        self.weights.tables.as_ref().map(|tables| View::from(tables).0)
    }

    fn scratch(&self, purpose: Scratch, bytes: u64) -> Result<Span<&'a wgpu::Buffer>> {
        let gpu = &self.weights.gpu;
        let most = gpu.choice.limits.bindable();
        if bytes > most {
            let problem = format!(
                "{} take {bytes} bytes; a binding holds {most}, so compute fewer rows at a time",
                purpose.word()
            );
            return Err(self.weights.planner.argument("activations", problem));
        }
        let mut kept = locked(&gpu.shared.scratch[purpose as usize]);
        let usage = wgpu::BufferUsages::STORAGE;
        let buffer = gpu.sized(&mut kept, purpose.word(), bytes, usage)?;
        let buffer = self.scratch[purpose as usize].get_or_init(|| buffer);
        Ok(View::from(buffer).0.part(0, bytes))
    }
}
