//! Compiles kernels, once per device, and launches them.
#![allow(unsafe_code)]

use std::sync::{Arc, PoisonError};

use super::groups::Groups;
use super::{Gpu, GpuWeights, View};
use crate::artifact::{Backend, Binding, Grid, Kernel, Role, Shape};
use crate::{Epilogue, Format, Result, choice};

/// A compiled kernel.
pub(super) struct Pipeline {
    kernel: Kernel,
    /// Whether it was compiled without checks at run time.
    trusted: bool,
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
}

/// What one launch works on.
pub(super) struct Launch<'a> {
    pub weights: Streams<'a>,
    pub tables: Option<View<'a>>,
    pub x: Option<View<'a>>,
    /// Where the epilogue has one.
    pub bias: Option<View<'a>>,
    pub indices: Option<View<'a>>,
    pub y: View<'a>,
    pub shape: Shape,
    /// Weights `[n, k]` and activation rows `m` that the grid covers.
    pub covered: [u64; 3],
    /// Where its bind group is kept.
    pub groups: &'a Groups,
}

/// The bytes of every stream of the format, or a part of each.
pub(super) enum Streams<'a> {
    Whole(&'a [wgpu::Buffer]),
    Cut(Vec<View<'a>>),
}

impl<'a> Streams<'a> {
    fn get(&self, stream: u32) -> Option<View<'a>> {
        match self {
            Streams::Whole(buffers) => buffers.get(stream as usize).map(View::from),
            Streams::Cut(views) => views.get(stream as usize).copied(),
        }
    }
}

impl GpuWeights {
    /// A kernel of the format, compiled; looked up once.
    pub(super) fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>> {
        self.compiled(kernel, self.format.is_proven())
    }

    /// The kernel that rounds activations, compiled; looked up once.
    pub(super) fn quantizer(&self) -> Result<Arc<Pipeline>> {
        // It is this crate's own, as the compiler made it.
        self.compiled(choice::quantizer(Backend::Wgsl)?, true)
    }

    fn compiled(&self, kernel: &Kernel, trusted: bool) -> Result<Arc<Pipeline>> {
        // Kernels stay where they are as long as their format.
        let address = std::ptr::from_ref(kernel).addr();
        let mut known = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipeline)) = known.iter().find(|(own, _)| *own == address) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.gpu.pipeline(kernel, trusted)?;
        known.push((address, pipeline.clone()));
        Ok(pipeline)
    }
}

impl Gpu {
    /// The compiled kernel, from the cache where the same was compiled before.
    fn pipeline(&self, kernel: &Kernel, trusted: bool) -> Result<Arc<Pipeline>> {
        let mut cache = self.shared.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let same_name = cache.entry(kernel.name.to_string()).or_default();
        // The facts around an equal text may differ: what is compiled without checks stays apart.
        let same = |own: &&Arc<Pipeline>| own.trusted == trusted && own.kernel == *kernel;
        if let Some(found) = same_name.iter().find(same) {
            return Ok(found.clone());
        }
        let pipeline = Arc::new(self.compile(kernel, trusted)?);
        same_name.push(pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel, trusted: bool) -> Result<Pipeline> {
        let device = &self.shared.device;
        let name: &str = &kernel.name;
        let entries: Vec<_> = (0..)
            .zip(kernel.bindings.iter())
            .map(|(binding, resource)| layout(binding, resource.role))
            .collect();
        let (layout, pipeline) = self.guarded(&format!("compiling kernel `{name}`"), || {
            let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(name),
                entries: &entries,
            });
            let module = self.module(kernel, trusted);
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // The compiler's kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: !trusted,
                    ..Default::default()
                },
                cache: None,
            });
            (layout, pipeline)
        })?;
        Ok(Pipeline { kernel: kernel.clone(), trusted, layout, pipeline })
    }

    fn module(&self, kernel: &Kernel, trusted: bool) -> wgpu::ShaderModule {
        let text = wgpu::ShaderModuleDescriptor {
            label: Some(&kernel.name),
            source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
        };
        if !trusted {
            return self.shared.device.create_shader_module(text);
        }
        // SAFETY: `Format::is_proven` holds for this kernel, or it is the quantizer of this crate: the
        // compiler made its text and facts. Of the text, the verifier proved for every row and block of a tensor that loads lie in the
        // tensor's units or the padding, that lookups lie in their tables, and that nothing divides
        // by zero; loops run over counts, and rows and stores are compared with the shape. The
        // buffers are as the shape says: `Tensor::new` checked the streams, `upload` added the
        // padding, and `View`s of callers were measured before they were bound.
        unsafe {
            let unchecked = wgpu::ShaderRuntimeChecks::unchecked();
            self.shared.device.create_shader_module_trusted(text, unchecked)
        }
    }

    /// Adds a launch to a pass. The same launch again makes no new object.
    pub(super) fn launch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &Arc<Pipeline>,
        launch: &Launch<'_>,
    ) -> Result<()> {
        let [x, y, z] = self.grid(&pipeline.kernel, launch.covered)?;
        let (views, offsets) = self.views(&pipeline.kernel, launch)?;
        let group = launch.groups.group(self, pipeline, &launch.shape, &views)?;
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &offsets);
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }

    fn grid(&self, kernel: &Kernel, [n, k, m]: [u64; 3]) -> Result<[u32; 3]> {
        let most = self.limits.workgroups;
        kernel.grid.launch(n, k, m, most).ok_or_else(|| {
            self.failed(
                &recording(kernel),
                format!(
                    "[{n}, {k}] weights and {m} activation rows need more than {most} x {most} \
                     workgroups"
                ),
            )
        })
    }

    /// What a kernel binds but for the shape, in order, and where the callers' buffers begin.
    fn views<'a>(
        &self,
        kernel: &Kernel,
        launch: &Launch<'a>,
    ) -> Result<(Vec<View<'a>>, Vec<wgpu::DynamicOffset>)> {
        let mut views = Vec::with_capacity(kernel.bindings.len());
        let mut offsets = Vec::with_capacity(kernel.bindings.len());
        for resource in kernel.bindings.iter() {
            let view = match resource.role {
                Role::Weights(stream) => launch.weights.get(stream),
                Role::Tables => launch.tables,
                Role::Activations => launch.x,
                Role::Output => Some(launch.y),
                Role::Shape => continue,
                // Without a bias nothing is read there.
                Role::Bias => launch.bias.or(launch.x),
                Role::Indices => launch.indices,
            };
            let mut view = view.ok_or_else(|| {
                let Binding { name, role } = resource;
                let problem =
                    format!("its binding `{name}` is for {role:?}, which this launch has not");
                self.failed(&recording(kernel), problem)
            })?;
            if is_callers(resource.role) {
                // What 32 bits do not hold is part of the bind group.
                let begin = view.offset as u32;
                view.offset -= u64::from(begin);
                offsets.push(begin);
            }
            views.push(view);
        }
        Ok((views, offsets))
    }
}

impl Pipeline {
    /// How a launch is cut into workgroups.
    pub(super) fn grid(&self) -> Grid {
        self.kernel.grid
    }

    /// Refuses an epilogue that the kernel has not.
    pub(super) fn check<B>(&self, epilogue: &Epilogue<B>, format: &Format) -> Result<()> {
        epilogue.check(&self.kernel, format)
    }

    /// A bind group of what the kernel binds, in order, but for the shape.
    pub(super) fn bind(
        &self,
        gpu: &Gpu,
        views: &[View<'_>],
        shape: View<'_>,
    ) -> Result<wgpu::BindGroup> {
        let mut views = views.iter();
        let views = self.kernel.bindings.iter().filter_map(|resource| match resource.role {
            Role::Shape => Some(shape),
            _ => views.next().copied(),
        });
        let entries = (0..).zip(views);
        let entries: Vec<_> = entries
            .map(|(binding, view)| wgpu::BindGroupEntry { binding, resource: view.resource() })
            .collect();
        gpu.guarded(&recording(&self.kernel), || {
            gpu.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(self.kernel.name.as_ref()),
                layout: &self.layout,
                entries: &entries,
            })
        })
    }
}

/// What an error names.
fn recording(kernel: &Kernel) -> String {
    format!("recording kernel `{}`", kernel.name)
}

/// Whether a binding is a buffer of the caller's. Slices of it share a bind group: where they begin is
/// told when they are bound. WebGPU grants every device 4 such bindings.
fn is_callers(role: Role) -> bool {
    matches!(role, Role::Activations | Role::Output | Role::Bias | Role::Indices)
}

fn layout(binding: u32, role: Role) -> wgpu::BindGroupLayoutEntry {
    let ty = match role {
        Role::Weights(_) | Role::Tables | Role::Activations | Role::Bias | Role::Indices => {
            wgpu::BufferBindingType::Storage { read_only: true }
        }
        Role::Output => wgpu::BufferBindingType::Storage { read_only: false },
        Role::Shape => wgpu::BufferBindingType::Uniform,
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: is_callers(role),
            min_binding_size: None,
        },
        count: None,
    }
}
