//! Kernels recorded on buffers of the caller's, on a device that grants no more than WebGPU must.

use crate::engine::{ENGINES, Engine, trial};
use crate::seed::rng;
use crate::subject::{Subject, subjects};
use crate::{Failed, passed};
use libtest_mimic::Trial;
use quantloom::artifact::Element;
use quantloom::gpu::{Gpu, GpuWeights, View};
use quantloom::verify::{Case, Output};
use quantloom::{Epilogue, Error, Experts, f16, wgpu};
use std::sync::LazyLock;

pub fn trials() -> Vec<Trial> {
    let engine = ENGINES.iter().find(|engine| engine.name == "wgsl");
    let all =
        engine.into_iter().flat_map(|engine| subjects().iter().map(move |s| recorded(s, engine)));
    all.collect()
}

/// A device with the default limits; other tests open one with all that there is.
fn device() -> Result<Gpu, String> {
    static DEVICE: LazyLock<Result<Gpu, String>> = LazyLock::new(|| {
        let adapter = wgpu::Instance::default().request_adapter(&Default::default());
        let adapter = pollster::block_on(adapter).map_err(|error| error.to_string())?;
        let opened = pollster::block_on(adapter.request_device(&Default::default()));
        let (device, queue) = opened.map_err(|error| error.to_string())?;
        Ok(Gpu::from_parts(device, queue))
    });
    DEVICE.clone()
}

fn recorded(subject: &'static Subject, engine: &'static Engine) -> Trial {
    let name = format!("recorded/{}/{}", subject.name, engine.name);
    trial(name.clone(), engine, move |_| {
        let (n, m, block) = (129, 3, subject.format.weights as usize);
        // Rows of plain floats begin anywhere, in the middle of a word of halves too.
        let case = subject.case(n, 301usize.div_ceil(block) * block, m, &mut rng(&name))?;
        let whole = device()?;
        let limit = (case.tensor().bytes() as u64 / 3).max(20 << 10);
        let split = whole.clone().with_binding_limit(limit);
        let gpu = if subject.format.is_plain() { split } else { whole };
        let test = Test { weights: gpu.upload(case.tensor())?, gpu, case: &case };
        test.rows()?;
        test.products()?;
        test.experts()
    })
}

struct Test<'a> {
    gpu: Gpu,
    weights: GpuWeights,
    case: &'a Case,
}

/// Storage buffers of a kernel that every device grants.
const GRANTED: usize = 8;
/// Where slices of a buffer begin, in bytes.
const APART: u64 = 256;

impl Test<'_> {
    /// Rows that come twice, and rows that are not there, from slices of buffers.
    fn rows(&self) -> Result<(), Failed> {
        let n = self.weights.n() as u32;
        let rows = [n - 1, 0, n, n / 2, 0, u32::MAX];
        let indices = self.buffer(&[&[7; APART as usize / 4][..], &rows].concat());
        let count = rows.len() as u32;
        let outputs = rows.len() * self.weights.k() as usize;
        let y = self.buffer(&vec![0; APART as usize / 4 + outputs + 3]);
        let record = |element| -> Result<Vec<u32>, Failed> {
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let (indices, y) = (indices.slice(APART..), y.slice(APART..));
            self.weights.record_gather(&mut encoder, indices, y, count, element)?;
            Ok(self.fetch(encoder, y.buffer())?.split_off(APART as usize / 4))
        };
        let words = record(Element::F32)?;
        let values: Vec<f32> = words.iter().map(|&word| f32::from_bits(word)).collect();
        let output = Output::Rows(&rows, &values[..outputs]);
        passed(self.case.compare("recorded gather", output))?;
        let words = record(Element::F16)?;
        let halves = words.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
        let values: Vec<f16> = halves.map(f16::from_bits).collect();
        let output = Output::HalfRows(&rows, &values[..outputs]);
        passed(self.case.compare("recorded gather to f16", output))
    }

    /// Products whose bias is a slice of a buffer, added to what was there twice.
    fn products(&self) -> Result<(), Failed> {
        let (n, k) = (self.weights.n() as usize, self.weights.k() as usize);
        let x = self.floats(self.case.activations());
        let bias: Vec<f32> = (0..n).map(|row| row as f32 / 64.0 - 1.0).collect();
        let bias_buffer = self.floats(&[&[9.0; APART as usize / 4][..], &bias].concat());
        let twice: Vec<f32> = bias.iter().map(|bias| 2.0 * bias).collect();
        let meant = |scale| Epilogue { scale, bias: Some(&twice[..]), add: true };
        let m = self.case.activations().len() / k;
        for rows in [1, m] {
            let before: Vec<f32> = (0..rows * n).map(|i| (i % 5) as f32).collect();
            let y = self.floats(&before);
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..2 {
                let bias = Some(View::from(bias_buffer.slice(APART..)));
                let epilogue = Epilogue { scale: 0.5, bias, add: true };
                match rows {
                    1 => self.weights.record_matvec_with(&mut pass, &x, &y, epilogue)?,
                    _ => self.weights.record_matmul_with(&mut pass, &x, &y, m as u32, epilogue)?,
                }
            }
            drop(pass);
            let words = self.fetch(encoder, &y)?;
            let values: Vec<f32> = words.iter().map(|&word| f32::from_bits(word)).collect();
            let y = &values[..rows * n];
            let output = Output::Epilogue { m: rows, epilogue: meant(1.0), before: &before, y };
            passed(self.case.compare("recorded product", output))?;
        }
        // An output that is read too.
        let bias = Some(View::from(&bias_buffer));
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let epilogue = Epilogue { bias, ..Epilogue::default() };
        match self.weights.record_matvec_with(&mut encoder, &x, &bias_buffer, epilogue) {
            Err(error) if error.to_string().contains("shares bytes with the bias") => Ok(()),
            other => Err(format!("a bias for an output: {other:?}").into()),
        }
    }

    /// Matrices that are there and some that are not, few and many of them, with a bias of each row.
    fn experts(&self) -> Result<(), Failed> {
        let (n, k) = (self.weights.n() as usize, self.weights.k() as usize);
        let m = (self.case.activations().len() / k) as u32;
        let x = self.floats(self.case.activations());
        let bias: Vec<f32> = (0..n).map(|row| row as f32 / 64.0 - 1.0).collect();
        let bias_buffer = self.floats(&bias);
        for (matrices, used) in [(3, 2), (3, 5), (129, 1)] {
            let indices: Vec<u32> =
                (0..m * used).map(|output| output * 5 % (matrices + 1)).collect();
            let index_buffer = self.buffer(&indices);
            let before: Vec<f32> =
                (0..indices.len() * n / matrices as usize).map(|i| (i % 7) as f32).collect();
            let y = self.floats(&before);
            let experts = Experts { m, used, matrices };
            // Where the buffers of a format are so many that none is left for a bias, there is no epilogue.
            let full = self.streams() + 4 > GRANTED;
            let all = Epilogue { scale: 0.5, bias: Some(&bias[..]), add: true };
            for (epilogue, fine) in [(all, !full), (Epilogue::default(), true)] {
                self.gpu.queue().write_buffer(&y, 0, &bytes(&before));
                let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
                let Epilogue { scale, bias, add } = epilogue;
                let own = Epilogue { scale, bias: bias.map(|_| View::from(&bias_buffer)), add };
                let recorded = self.weights.record_matmul_experts_with(
                    &mut encoder,
                    &x,
                    &index_buffer,
                    &y,
                    experts,
                    own,
                );
                match recorded {
                    Err(Error::Missing { .. }) if !fine => continue,
                    other => other?,
                }
                let words = self.fetch(encoder, &y)?;
                let values: Vec<f32> = words.iter().map(|&word| f32::from_bits(word)).collect();
                let (indices, before, y) = (&*indices, &*before, &values[..before.len()]);
                let output = Output::Experts { indices, experts, epilogue, before, y };
                passed(self.case.compare("recorded experts", output))?;
            }
        }
        Ok(())
    }

    /// Buffers of the format.
    fn streams(&self) -> usize {
        let format = self.case.tensor().format();
        format.streams.len() + usize::from(!format.tables.is_empty())
    }

    fn floats(&self, values: &[f32]) -> wgpu::Buffer {
        self.buffer(&values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
    }

    /// A buffer of these words, and zeros up to a multiple of 4 of them.
    fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let buffer = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * words.len().next_multiple_of(4) as u64,
            usage,
            mapped_at_creation: false,
        });
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.gpu.queue().write_buffer(&buffer, 0, &bytes);
        buffer
    }

    /// The words of a buffer when all that is recorded is done.
    fn fetch(
        &self,
        mut encoder: wgpu::CommandEncoder,
        from: &wgpu::Buffer,
    ) -> Result<Vec<u32>, Failed> {
        let host = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: from.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        encoder.copy_buffer_to_buffer(from, 0, &host, 0, from.size());
        self.gpu.queue().submit([encoder.finish()]);
        host.map_async(wgpu::MapMode::Read, .., |_| {});
        self.gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
        let bytes = host.get_mapped_range(..)?;
        let words = bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four));
        Ok(words.collect())
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
