//! Every WGSL kernel compiles and computes under a browser's own WebGPU.

use crate::Failed;
use crate::browser::{Browser, trial};
use crate::note;
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, dims, interpreted, subjects};
use half::f16;
use libtest_mimic::Trial;
use quantloom::verify::compare::{Decoded, Exact, LIMIT, worst};
use quantloom::verify::random::Rng;
use quantloom_codegen::Format;
use quantloom_codegen::artifact::{
    Backend, Binding, Dims, Element, Grid, Kernel, Kind, Role, Shape,
};
use quantloom_codegen::format::{Field, Scalar, Table, TableValues};
use serde::Deserialize;
use serde_json::{Value, json};

/// What runs in the page.
const SCRIPT: &str = include_str!("../../../browser/kernels.js");

/// What a browser wants to stand before a kernel's text. Kernels use nothing that WebGPU's core does
/// not have.
const HEADER: &str = "";

/// Workgroups per grid dimension, by the specification.
const WORKGROUPS: u32 = 65_535;

pub fn trials() -> Vec<Trial> {
    let name = |subject: &Subject| format!("browser/webgpu/{}", subject.name);
    let one = |subject: &'static Subject| {
        trial(name(subject), move |browser| with_seed(check(&name(subject), subject, browser)))
    };
    let mut trials: Vec<Trial> = subjects().iter().map(one).collect();
    trials.push(trial("browser/webgpu/refuses_broken_kernels".into(), refuses_broken_kernels));
    trials
}

/// Random blocks and activations.
struct Problem {
    dims: Dims,
    k: u32,
    m: u32,
    streams: Vec<Vec<u8>>,
    /// The format's tables, words as kernels read them.
    tables: Vec<u32>,
    /// Whether blocks lie one after another, so that rows do not matter to a dequantization.
    plain: bool,
    x: Vec<f32>,
    /// What the blocks decode to.
    weights: Vec<f32>,
}

impl Problem {
    /// Five rows of an odd number of blocks, of any bits or of finite floats.
    fn new(subject: &Subject, rng: &mut Rng, finite: bool) -> Result<Problem, Failed> {
        let format = &subject.format;
        let (n, m) = (5, 3);
        let k = (300u32.div_ceil(format.weights) | 1) * format.weights;
        let dims = dims(format, n, k as usize, &[]);
        let streams = match finite {
            true => rng.finite_bytes(format, &dims)?,
            false => rng.any_bytes(format, &dims),
        };
        Ok(Problem {
            weights: interpreted(format, &dims, &streams)?,
            x: rng.activations((m * k) as usize),
            tables: subject.built_in()?.tables.to_vec(),
            plain: format.is_plain(),
            dims,
            k,
            m,
            streams,
        })
    }

    /// The shape that a kernel is told, and how many elements it puts out.
    fn shape(&self, kernel: &Kernel) -> (Shape, u32) {
        let Problem { dims: Dims { n, sizes, .. }, k, m, .. } = *self;
        let shape = Shape { n, k, m: 1, first: 0, stride: n, sizes, zero: 0 };
        match (kernel.kind, kernel.grid) {
            (Kind::Dequant, Grid::Strips { weights, .. }) => {
                let (n, k) = if self.plain { (1, n * k) } else { (n, k) };
                (Shape { n, k, stride: (n * k).div_ceil(weights), ..shape }, n * k)
            }
            (Kind::Dequant, _) => (shape, n * k),
            (Kind::Matvec, _) => (shape, n),
            (Kind::Matmul, _) => (Shape { m, ..shape }, m * n),
        }
    }

    /// All that the page is told of a kernel.
    fn job(&self, kernel: &Kernel) -> Result<Value, Failed> {
        let (shape, outputs) = self.shape(kernel);
        let binding = |binding: &Binding| self.binding(binding.role, kernel, &shape, outputs);
        let bindings: Result<Vec<Value>, Failed> = kernel.bindings.iter().map(binding).collect();
        let grid = kernel.grid.launch(shape.n.into(), shape.k.into(), shape.m.into(), WORKGROUPS);
        Ok(json!({
            "name": kernel.name,
            "source": format!("{HEADER}{}", kernel.source),
            "bindings": bindings?,
            "output": kernel.bindings.iter().position(|binding| binding.role == Role::Output),
            "workgroups": grid.ok_or("the grid is too large")?,
        }))
    }

    /// What a role is in the words of WebGPU, and what lies there: words, or how many of them.
    fn binding(
        &self,
        role: Role,
        kernel: &Kernel,
        shape: &Shape,
        outputs: u32,
    ) -> Result<Value, Failed> {
        let (kind, words) = match role {
            Role::Weights(stream) => {
                let mut bytes =
                    self.streams.get(stream as usize).ok_or("it has no such stream")?.clone();
                bytes.resize((bytes.len() + kernel.padding as usize).next_multiple_of(16), 0);
                let (words, _) = bytes.as_chunks();
                let words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
                ("read-only-storage", json!(words))
            }
            Role::Tables => ("read-only-storage", json!(self.tables)),
            Role::Activations => {
                let mut words: Vec<u32> = self.x.iter().map(|x| x.to_bits()).collect();
                words.resize(words.len().next_multiple_of(4), 0);
                ("read-only-storage", json!(words))
            }
            Role::Output => {
                let bytes = u64::from(outputs).next_multiple_of(4) * kernel.output.bytes();
                ("storage", json!(bytes / 4))
            }
            Role::Shape => ("uniform", json!(shape.words())),
        };
        Ok(json!({"type": kind, "words": words}))
    }

    /// Compares what a kernel put out.
    fn compare(&self, test: &str, kernel: &Kernel, output: &[u32]) -> Result<(), Failed> {
        let (shape, outputs) = self.shape(kernel);
        let count = outputs as usize;
        let floats = || -> Vec<f32> {
            output.iter().take(count).map(|&word| f32::from_bits(word)).collect()
        };
        match (kernel.kind, kernel.output) {
            (Kind::Dequant, Element::F32) => same(test, Decoded::compare(&floats(), &self.weights)),
            (Kind::Dequant, Element::F16) => {
                let halves = output.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
                let halves: Vec<f16> = halves.take(count).map(f16::from_bits).collect();
                same(test, Decoded::compare_halves(&halves, &self.weights))
            }
            (Kind::Matvec | Kind::Matmul, _) => {
                let x = self.x.get(..shape.m as usize * self.k as usize).unwrap_or_default();
                let exact = Exact::product(&self.weights, x, self.k as usize);
                match worst(&floats(), &exact) {
                    error if error <= LIMIT => Ok(()),
                    error => Err(format!("{test}: off by {error:.3e} of Σ|w·x|").into()),
                }
            }
        }
    }
}

/// Bits are as they should be; subnormals that came out as 0 are told of at the end.
fn same(test: &str, decoded: Decoded) -> Result<(), Failed> {
    if decoded.flushed > 0 {
        note(format!("{test}: {} subnormal weights came out as 0", decoded.flushed));
    }
    match decoded.first {
        _ if decoded.different == 0 => Ok(()),
        first => Err(format!("{test}: {} weights differ: {first:?}", decoded.different).into()),
    }
}

/// Whether floats of a format may be subnormal in f32, or become so. WGSL may take such for 0, and
/// SwiftShader does: whatever is computed from them differs.
fn has_subnormals(format: &Format) -> bool {
    let stored = |table: &Table| matches!(table.values, TableValues::Stored { .. });
    let wide = |field: &Field| matches!(field.scalar, Scalar::F32 | Scalar::Small(_));
    format.fields.iter().any(wide) || format.tables.iter().any(stored)
}

fn check(test: &str, subject: &Subject, browser: &mut Browser) -> Result<(), Failed> {
    let mut rng = rng(test);
    let finite = Problem::new(subject, &mut rng, true)?;
    let decoded = Problem::new(subject, &mut rng, has_subnormals(&subject.format))?;
    let problem = |kernel: &Kernel| if kernel.kind == Kind::Dequant { &decoded } else { &finite };
    let format = subject.built_in()?;
    let kernels: Vec<&Kernel> =
        format.kernels.iter().filter(|kernel| kernel.backend == Backend::Wgsl).collect();
    if kernels.is_empty() {
        return Err("it has no WGSL kernel".into());
    }
    let jobs: Result<Vec<Value>, Failed> =
        kernels.iter().map(|kernel| problem(kernel).job(kernel)).collect();
    for (kernel, Answer { problems, output }) in kernels.iter().zip(run(browser, &jobs?)?) {
        let test = format!("{test}, {}", kernel.name);
        if !problems.is_empty() {
            return Err(format!("{test}: {}", problems.join("\n")).into());
        }
        problem(kernel).compare(&test, kernel, &output)?;
    }
    Ok(())
}

/// What the page answers about a kernel.
#[derive(Debug, Deserialize)]
struct Answer {
    /// What the browser has against it.
    problems: Vec<String>,
    /// The words that it put out.
    output: Vec<u32>,
}

/// Compiles and runs kernels in the page.
fn run(browser: &mut Browser, jobs: &[Value]) -> Result<Vec<Answer>, Failed> {
    if browser.evaluate("typeof check")? != "function" {
        // Pages of files may use WebGPU, an empty one may not.
        let page = browser.folder().join("kernels.html");
        std::fs::write(&page, "<!doctype html><title>kernels</title>")?;
        browser.open(&page)?;
        browser.evaluate(SCRIPT)?;
    }
    let answers = browser.evaluate(&format!("check({})", json!(jobs)))?;
    let answers: Vec<Answer> = serde_json::from_value(answers)?;
    let complaints = browser.complaints();
    match answers.len() == jobs.len() && complaints.is_empty() {
        true => Ok(answers),
        false => Err(format!("{} answers; {}", answers.len(), complaints.join("\n")).into()),
    }
}

/// Nothing passes because the browser says nothing.
fn refuses_broken_kernels(browser: &mut Browser) -> Result<(), Failed> {
    let kernel = |source: &str, kind: &str| {
        json!({
            "name": "main",
            "source": source,
            "bindings": [{"type": kind, "words": 4}],
            "output": 0,
            "workgroups": [1, 1, 1],
        })
    };
    let fine = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n\
                @compute @workgroup_size(1) fn main() { y[0] = 1.0; }";
    let kernels = [
        kernel(fine, "storage"),
        kernel(&fine.replace("1.0", "1u"), "storage"),
        kernel(fine, "read-only-storage"),
        kernel(&fine.replace("main", "other"), "storage"),
    ];
    let says = ["", "line 2", "", "main"];
    for (number, (answer, says)) in run(browser, &kernels)?.iter().zip(says).enumerate() {
        let as_expected = match answer.problems.as_slice() {
            [] => number == 0 && answer.output == [1f32.to_bits(), 0, 0, 0],
            problems => number > 0 && problems.join("\n").contains(says),
        };
        if !as_expected {
            return Err(format!("kernel {number}: {answer:?}").into());
        }
    }
    Ok(())
}
