//! Buffers of the caller's, and where kernels are recorded.

use super::{GpuWeights, plan};
use crate::artifact::Element;
use crate::{Error, Result};

/// A range of a buffer, from a `&wgpu::Buffer` or a `wgpu::BufferSlice`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Where kernels are recorded: an encoder, in which they get a compute pass of their own, or a compute
/// pass that is open. Many kernels in one pass take the least of the host's time; they still see what
/// those before them wrote.
pub trait Recorder {
    /// Records into a compute pass.
    ///
    /// # Errors
    /// Those of `record`.
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()>;
}

impl Recorder for wgpu::CommandEncoder {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(&mut self.begin_compute_pass(&Default::default()))
    }
}

impl Recorder for wgpu::ComputePass<'_> {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(self)
    }
}

impl<'a> From<&'a wgpu::Buffer> for View<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> View<'a> {
        View { buffer, offset: 0, size: buffer.size() }
    }
}

impl<'a> From<wgpu::BufferSlice<'a>> for View<'a> {
    fn from(slice: wgpu::BufferSlice<'a>) -> View<'a> {
        View { buffer: slice.buffer(), offset: slice.offset(), size: slice.size() }
    }
}

impl<'a> View<'a> {
    pub(super) fn resource(&self) -> wgpu::BindingResource<'a> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.size),
        })
    }

    /// A part of it, cut off at its end.
    pub(super) fn part(&self, offset: u64, size: u64) -> View<'a> {
        let size = size.min(self.size.saturating_sub(offset));
        View { buffer: self.buffer, offset: self.offset + offset, size }
    }
}

impl GpuWeights {
    /// An argument of `[m, columns]` that a single binding must hold.
    pub(super) fn bindable<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        [m, columns]: [u64; 2],
        element: Element,
    ) -> Result<View<'a>> {
        let elements = u128::from(m) * u128::from(columns);
        let view = self.checked(what, view, elements, element)?;
        let limit = plan::bindable(&self.gpu.limits);
        if view.size > limit {
            let (word, bytes) = (element.word(), view.size);
            return Err(self.argument(
                what,
                format!(
                    "[{m}, {columns}] {word} take {bytes} bytes; a binding holds {limit}, so record \
                     fewer rows at a time"
                ),
            ));
        }
        Ok(view)
    }

    /// An argument of `count` words, which no kernel reads in fours.
    pub(super) fn words<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        count: u64,
    ) -> Result<View<'a>> {
        let needed = u128::from(count) * 4;
        let limit = plan::bindable(&self.gpu.limits);
        if needed > limit.into() {
            let problem = format!("{count} values take {needed} bytes; a binding holds {limit}");
            return Err(self.argument(what, problem));
        }
        self.usable(what, view, needed, || format!("{count} values take {needed}"))
    }

    /// The part of a view that holds so many elements, where it does and may be bound.
    pub(super) fn checked<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        elements: u128,
        element: Element,
    ) -> Result<View<'a>> {
        let needed = elements.next_multiple_of(4) * u128::from(element.bytes());
        self.usable(what, view, needed, || {
            format!("{elements} elements, rounded up to a multiple of 4, take {needed}")
        })
    }

    fn usable<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        needed: u128,
        wanted: impl FnOnce() -> String,
    ) -> Result<View<'a>> {
        let alignment = self.gpu.limits.alignment;
        let problem = if u128::from(view.size) < needed {
            format!("a buffer of {} bytes; {}", view.size, wanted())
        } else if !view.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            format!("a buffer of usage {:?}; STORAGE is needed", view.buffer.usage())
        } else if !view.offset.is_multiple_of(alignment) {
            format!(
                "begins at byte {} of its buffer; it must begin at a multiple of {alignment}",
                view.offset
            )
        } else {
            return Ok(view.part(0, needed as u64));
        };
        Err(self.argument(what, problem))
    }

    /// Refuses an output in a buffer that kernels read.
    pub(super) fn apart(&self, y: &View<'_>, read: &View<'_>, what: &'static str) -> Result<()> {
        match y.buffer == read.buffer {
            false => Ok(()),
            true => {
                let problem = format!("the buffer of the {what}; WebGPU wants another one");
                Err(self.argument("output", problem))
            }
        }
    }

    pub(super) fn argument(&self, what: &'static str, problem: String) -> Error {
        Error::Argument { what, tensor: self.name.to_string(), problem }
    }
}
