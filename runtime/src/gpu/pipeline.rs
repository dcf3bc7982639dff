//! Compiles kernels, once per device, and binds what their facts list.

use std::sync::{Arc, PoisonError};

use super::{Gpu, View};
use crate::artifact::{Backend, Element, Grid, Kernel, Kind, Role, Shape};
use crate::{Error, Format, Result};

/// A compiled kernel.
pub(super) struct Pipeline {
    kernel: Kernel,
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
}

impl Pipeline {
    /// How a launch is cut into workgroups.
    pub(super) fn grid(&self) -> Grid {
        self.kernel.grid
    }
}

/// What one launch works on.
pub(super) struct Launch<'a> {
    /// One per stream of the format.
    pub weights: &'a [View<'a>],
    pub tables: Option<View<'a>>,
    pub x: Option<View<'a>>,
    pub y: View<'a>,
    pub shape: Shape,
    /// Weights `[n, k]` and activation rows `m` that the grid covers.
    pub covered: [u64; 3],
}

/// A format's WGSL kernel.
pub(super) fn kernel(format: &Format, kind: Kind, element: Element) -> Result<&Kernel> {
    format.kernel(Backend::Wgsl, kind, element).ok_or_else(|| Error::Missing {
        format: format.name.to_string(),
        what: format!("WGSL kernel `{}_{}`", kind.word(), element.word()),
        hint: String::new(),
    })
}

impl Gpu {
    /// The compiled kernel, from the cache where the same was compiled before.
    pub(super) fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>> {
        let mut cache = self.shared.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let same_name = cache.entry(kernel.name.to_string()).or_default();
        if let Some(found) = same_name.iter().find(|pipeline| pipeline.kernel == *kernel) {
            return Ok(found.clone());
        }
        let pipeline = Arc::new(self.compile(kernel)?);
        same_name.push(pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel) -> Result<Pipeline> {
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
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(kernel.source.as_ref().into()),
            });
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
                compilation_options: Default::default(),
                cache: None,
            });
            (layout, pipeline)
        })?;
        Ok(Pipeline { kernel: kernel.clone(), layout, pipeline })
    }

    /// Adds a launch to a pass.
    pub(super) fn launch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &Pipeline,
        launch: &Launch<'_>,
    ) -> Result<()> {
        let kernel = &pipeline.kernel;
        let during = format!("recording kernel `{}`", kernel.name);
        let [n, k, m] = launch.covered;
        let grid = kernel.grid.launch(n, k, m, self.limits.workgroups);
        let [x, y, z] = grid.ok_or_else(|| {
            let most = self.limits.workgroups;
            self.failed(
                &during,
                format!(
                    "[{n}, {k}] weights and {m} activation rows need more than {most} x {most} \
                     workgroups"
                ),
            )
        })?;
        self.guarded(&during, || {
            let shape = self.uniform(&launch.shape)?;
            let shape = View::from(&shape);
            let mut entries = Vec::new();
            for (binding, resource) in (0..).zip(kernel.bindings.iter()) {
                let view = match resource.role {
                    Role::Weights(stream) => launch.weights.get(stream as usize),
                    Role::Tables => launch.tables.as_ref(),
                    Role::Activations => launch.x.as_ref(),
                    Role::Output => Some(&launch.y),
                    Role::Shape => Some(&shape),
                };
                let view = view.ok_or_else(|| {
                    self.failed(
                        &during,
                        format!(
                            "its binding `{}` is for {:?}, which this launch has not",
                            resource.name, resource.role
                        ),
                    )
                })?;
                entries.push(wgpu::BindGroupEntry { binding, resource: view.resource() });
            }
            let group = self.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(kernel.name.as_ref()),
                layout: &pipeline.layout,
                entries: &entries,
            });
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(x, y, z);
            Ok(())
        })?
    }

    /// A shape as kernels read it.
    fn uniform(&self, shape: &Shape) -> Result<wgpu::Buffer> {
        let words: Vec<u8> = shape.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        self.filled("shape", &words, wgpu::BufferUsages::UNIFORM)
    }
}

fn layout(binding: u32, role: Role) -> wgpu::BindGroupLayoutEntry {
    let ty = match role {
        Role::Weights(_) | Role::Tables | Role::Activations => {
            wgpu::BufferBindingType::Storage { read_only: true }
        }
        Role::Output => wgpu::BufferBindingType::Storage { read_only: false },
        Role::Shape => wgpu::BufferBindingType::Uniform,
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
