//! Compiles kernels, once per device.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{Gpu, GpuWeights};
use crate::Result;
use crate::artifact::{Kernel, Role};
use crate::launch::{Span, is_callers, locked};

/// A compiled kernel.
pub(super) struct Pipeline {
    name: String,
    /// What its bindings hold.
    pub roles: Vec<Role>,
    layout: wgpu::BindGroupLayout,
    pub pipeline: wgpu::ComputePipeline,
}

/// What was compiled for a device.
pub(super) struct Pipelines {
    /// By the kernels' names; one name may belong to several texts.
    known: Mutex<HashMap<String, Vec<Known>>>,
    /// The kernel that copies.
    pub copy: Mutex<Option<Arc<Pipeline>>>,
    /// The driver's own code, where it hands that out.
    pub(super) code: Mutex<Option<wgpu::PipelineCache>>,
}

struct Known {
    kernel: Kernel,
    /// Whether it was compiled without checks at run time.
    trusted: bool,
    pipeline: Arc<Pipeline>,
}

/// A text to compile.
pub(super) struct Text<'a> {
    /// Its entry point.
    pub name: &'a str,
    pub source: &'a str,
    pub roles: Vec<Role>,
    pub trusted: bool,
}

impl GpuWeights {
    /// A kernel of the format or the one that rounds activations, compiled; looked up once.
    pub(super) fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>> {
        // Kernels stay where they are as long as their format.
        let address = std::ptr::from_ref(kernel).addr();
        let mut known = locked(&self.pipelines);
        if let Some((_, pipeline)) = known.iter().find(|(own, _)| *own == address) {
            return Ok(pipeline.clone());
        }
        let format = &self.planner.format;
        // One that is not the format's is this crate's own, as the compiler made it.
        let foreign = !format.kernels.iter().any(|own| std::ptr::eq(own, kernel));
        let pipeline = self.gpu.pipeline(kernel, foreign || format.is_proven())?;
        known.push((address, pipeline.clone()));
        Ok(pipeline)
    }
}

impl Gpu {
    /// The compiled kernel, which may have been compiled before.
    fn pipeline(&self, kernel: &Kernel, trusted: bool) -> Result<Arc<Pipeline>> {
        let mut known = locked(&self.shared.pipelines.known);
        let same_name = known.entry(kernel.name.to_string()).or_default();
        // The facts around an equal text may differ: what is compiled without checks stays apart.
        let same = |own: &&Known| own.trusted == trusted && own.kernel == *kernel;
        if let Some(found) = same_name.iter().find(same) {
            return Ok(found.pipeline.clone());
        }
        let roles = kernel.bindings.iter().map(|binding| binding.role).collect();
        let (name, source) = (&*kernel.name, &*kernel.source());
        let pipeline = self.compile(&Text { name, source, roles, trusted })?;
        same_name.push(Known { kernel: kernel.clone(), trusted, pipeline: pipeline.clone() });
        Ok(pipeline)
    }

    pub(super) fn compile(&self, text: &Text<'_>) -> Result<Arc<Pipeline>> {
        let Text { name, ref roles, trusted, .. } = *text;
        let device = &self.shared.device;
        let entries = (0..).zip(roles).map(|(binding, role)| layout(binding, *role));
        let entries: Vec<_> = entries.collect();
        let code = locked(&self.shared.pipelines.code).clone();
        let (layout, pipeline) = self.guarded(&format!("compiling kernel `{name}`"), || {
            let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(name),
                entries: &entries,
            });
            let module = self.module(text);
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
                cache: code.as_ref(),
            });
            (layout, pipeline)
        })?;
        let (name, roles) = (name.to_owned(), roles.clone());
        Ok(Arc::new(Pipeline { name, roles, layout, pipeline }))
    }

    fn module(&self, text: &Text<'_>) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(text.name),
            source: wgpu::ShaderSource::Wgsl(text.source.into()),
        };
        if !text.trusted {
            return self.shared.device.create_shader_module(descriptor);
        }
        // SAFETY: `Format::is_proven` holds for this kernel, or it is the quantizer of this crate: the
        // compiler made its text and facts. Of the text, the verifier proved for every row and block of a tensor that loads lie in the
        // tensor's units or the padding, that lookups lie in their tables, and that nothing divides
        // by zero; loops run over counts, and rows and stores are compared with the shape. The
        // buffers are as the shape says: `Tensor::new` checked the streams, `upload` added the
        // padding, and `Planner::given` measured what callers hand in before it is bound.
        unsafe {
            let unchecked = wgpu::ShaderRuntimeChecks::unchecked();
            self.shared.device.create_shader_module_trusted(descriptor, unchecked)
        }
    }
}

impl Pipelines {
    /// None yet, for this device.
    pub fn new(device: &wgpu::Device) -> Pipelines {
        let (label, data, fallback) = (Some("quantloom"), None, true);
        let empty = wgpu::PipelineCacheDescriptor { label, data, fallback };
        let hands_out = device.features().contains(wgpu::Features::PIPELINE_CACHE);
        // SAFETY: there is no data that could be wrong.
        let code = hands_out.then(|| unsafe { device.create_pipeline_cache(&empty) });
        Pipelines { known: Mutex::default(), copy: Mutex::default(), code: Mutex::new(code) }
    }
}

impl Pipeline {
    /// A bind group of what the kernel binds, in order, but for the shape, and of that.
    pub(super) fn bind(
        &self,
        gpu: &Gpu,
        spans: &[Span<&wgpu::Buffer>],
        shape: &wgpu::Buffer,
    ) -> Result<wgpu::BindGroup> {
        let mut spans = spans.iter();
        let resources = self.roles.iter().filter_map(|role| match role {
            Role::Shape => Some(shape.as_entire_binding()),
            _ => spans.next().map(|span| {
                let (buffer, size) = (span.buffer, wgpu::BufferSize::new(span.bytes));
                let binding = wgpu::BufferBinding { buffer, offset: span.begin, size };
                wgpu::BindingResource::Buffer(binding)
            }),
        });
        let entries = (0..).zip(resources);
        let entries = entries.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
        let entries: Vec<_> = entries.collect();
        gpu.guarded(&format!("recording kernel `{}`", self.name), || {
            gpu.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&self.name),
                layout: &self.layout,
                entries: &entries,
            })
        })
    }
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
            // Slices of a caller's buffer share a bind group: where they begin is told when they are bound.
            has_dynamic_offset: is_callers(role),
            min_binding_size: None,
        },
        count: None,
    }
}
