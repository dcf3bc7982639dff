//! Runs a single WGSL kernel on wgpu, with nothing of the runtime between.

use crate::Failed;
use quantloom::artifact::{Kernel, Role, Shape};
use quantloom::gpu::Gpu;
use quantloom::wgpu;
use std::sync::mpsc;

/// Runs a kernel that reads activations and a shape. The first `count` words of its output.
///
/// # Errors
/// Where it binds something else, or the device fails.
pub fn run(
    gpu: &Gpu,
    kernel: &Kernel,
    activations: &[u32],
    shape: &Shape,
    count: usize,
    [x, y, z]: [u32; 3],
) -> Result<Vec<u32>, Failed> {
    let device = gpu.device();
    let output =
        buffer(gpu, &vec![0; count], wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let host = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let host = buffer(gpu, &vec![0; count], host);
    let storage = wgpu::BufferUsages::STORAGE;
    let bound = kernel.bindings.iter().map(|binding| match binding.role {
        Role::Activations => Ok(buffer(gpu, activations, storage)),
        Role::Output => Ok(output.clone()),
        Role::Shape => Ok(buffer(gpu, &shape.words(), wgpu::BufferUsages::UNIFORM)),
        Role::Weights(_) | Role::Tables | Role::Bias | Role::Indices => {
            Err(format!("it binds `{}`", binding.name))
        }
    });
    let bound: Vec<wgpu::Buffer> = bound.collect::<Result<_, _>>()?;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some(&kernel.name),
        compilation_options: Default::default(),
        cache: None,
    });
    let entries: Vec<_> = (0..)
        .zip(&bound)
        .map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding,
            resource: buffer.as_entire_binding(),
        })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(x, y, z);
    drop(pass);
    encoder.copy_buffer_to_buffer(&output, 0, &host, 0, host.size());
    let index = gpu.queue().submit([encoder.finish()]);
    let (sender, receiver) = mpsc::channel();
    host.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
    device.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })?;
    receiver.recv()??;
    let bytes = host.get_mapped_range(..)?.to_vec();
    Ok(bytemuck::pod_collect_to_vec(&bytes).into_iter().take(count).collect())
}

fn buffer(gpu: &Gpu, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * words.len().next_multiple_of(4) as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(words));
    buffer
}
