//! Every WGSL kernel compiles and computes under a browser's own WebGPU: of formats that share a
//! descriptor, those of one.

use crate::Failed;
use crate::browser::{Browser, trial};
use crate::cases::quantize;
use crate::passed;
use crate::seed::rng;
use crate::subject::{Subject, dims, subjects};
use half::f16;
use libtest_mimic::Trial;
use quantloom::verify::random::Rng;
use quantloom::verify::{Case, Output};
use quantloom::{Epilogue, Experts};
use quantloom_codegen::artifact::{
    Activations, Backend, Binding, Dims, Element, Grid, Kernel, Kind, Role, Shape,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What runs in the page.
const SCRIPT: &str = include_str!("../../../browser/kernels.js");

/// What a browser wants to stand before a kernel's text. Kernels use nothing that WebGPU's core does
/// not have.
const HEADER: &str = "";

/// Rows that are gathered, of five; one is not there.
const ROWS: [u32; 4] = [4, 0, 5, 4];

/// Matrices of a row each that three activation rows choose; one is not there.
const CHOSEN: [u32; 6] = [4, 0, 0, 5, 2, 4];

/// Workgroups per grid dimension, by the specification.
const WORKGROUPS: u32 = 65_535;

pub fn trials() -> Vec<Trial> {
    let name = |subject: &Subject| format!("browser/webgpu/{}", subject.name);
    let one = |subject: &'static Subject| {
        trial(name(subject), move |browser| check(&name(subject), subject, browser))
    };
    let leading = subjects().iter().filter(|subject| subject.leads_family());
    let mut trials: Vec<Trial> = leading.map(one).collect();
    trials.push(trial("browser/webgpu/refuses_broken_kernels".into(), refuses_broken_kernels));
    trials
}

/// What a kernel is given, and what it must make of it.
struct Problem {
    case: Case,
    dims: Dims,
    k: u32,
    m: u32,
}

impl Problem {
    /// Five rows of an odd number of blocks, of any bits or of finite floats.
    fn new(subject: &Subject, rng: &mut Rng, finite: bool) -> Result<Problem, Failed> {
        let (n, m) = (5, 3);
        let k = (300u32.div_ceil(subject.format.weights) | 1) * subject.format.weights;
        let case = match finite {
            true => subject.case(n, k as usize, m as usize, rng)?,
            false => subject.any_case(n, k as usize, rng)?,
        };
        Ok(Problem { case, dims: dims(&subject.format, n, k as usize, &[]), k, m })
    }

    /// The shape that a kernel is told, and how many elements it puts out.
    fn shape(&self, kernel: &Kernel) -> (Shape, u32) {
        let Problem { dims: Dims { n, sizes, .. }, k, m, .. } = *self;
        let shape = Shape { n, k, m: 1, stride: n, sizes, ..Shape::default() };
        match (kernel.kind, kernel.grid) {
            (Kind::Dequant, Grid::Strips { weights, .. }) => {
                // Where blocks lie one after another rows do not matter.
                let plain = self.case.tensor().format().is_plain();
                let (n, k) = if plain { (1, n * k) } else { (n, k) };
                (Shape { n, k, stride: (n * k).div_ceil(weights), ..shape }, n * k)
            }
            (Kind::Dequant, _) => (shape, n * k),
            (Kind::Matvec, _) => (shape, n),
            (Kind::Batch | Kind::Matmul, _) => (Shape { m, ..shape }, m * n),
            (Kind::Gather, _) => {
                let m = ROWS.len() as u32;
                (Shape { m, ..shape }, m * k)
            }
            (Kind::MatvecExperts | Kind::MatmulExperts, _) => {
                let (matrices, used) = (n, CHOSEN.len() as u32 / m);
                (Shape { m, used, matrices, stride: 1, ..shape }, m * used)
            }
            (Kind::Quantize, _) => (Shape { m, ..shape }, self.quantized().len() as u32),
        }
    }

    /// The activations in 8 bits.
    fn quantized(&self) -> Vec<u32> {
        quantize::reference(self.case.activations(), self.k as usize)
    }

    /// All that the page is told of a kernel.
    fn job(&self, kernel: &Kernel) -> Result<Value, Failed> {
        let (shape, outputs) = self.shape(kernel);
        let binding = |binding: &Binding| self.binding(binding.role, kernel, &shape, outputs);
        let bindings: Result<Vec<Value>, Failed> = kernel.bindings.iter().map(binding).collect();
        let Shape { n, k, m, used, matrices, .. } = shape;
        let [n, k, m] = match kernel.kind {
            Kind::Gather => [m, k, 1],
            Kind::MatvecExperts => [shape.stride, k, m * used],
            Kind::MatmulExperts => [shape.stride, k, matrices + 1],
            _ => [n, k, m],
        };
        let grid = kernel.grid.launch(n.into(), k.into(), m.into(), WORKGROUPS);
        Ok(json!({
            "name": kernel.name,
            "source": format!("{HEADER}{}", kernel.source()),
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
                let streams = self.case.tensor().streams();
                let mut bytes =
                    streams.get(stream as usize).ok_or("it has no such stream")?.to_vec();
                bytes.resize((bytes.len() + kernel.padding as usize).next_multiple_of(16), 0);
                let (words, _) = bytes.as_chunks();
                let words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
                ("read-only-storage", json!(words))
            }
            Role::Tables => ("read-only-storage", json!(self.case.tensor().format().tables)),
            Role::Activations if kernel.activations == Activations::Int8 => {
                ("read-only-storage", json!(self.quantized()))
            }
            Role::Activations => {
                let mut words: Vec<u32> =
                    self.case.activations().iter().map(|x| x.to_bits()).collect();
                words.resize(words.len().next_multiple_of(4), 0);
                ("read-only-storage", json!(words))
            }
            Role::Output => {
                let bytes = u64::from(outputs).next_multiple_of(4) * kernel.output.bytes();
                ("storage", json!(bytes / 4))
            }
            Role::Shape => ("uniform", json!(shape.words())),
            Role::Bias => ("read-only-storage", json!([0])), // which is not read
            Role::Indices if kernel.kind == Kind::Gather => ("read-only-storage", json!(ROWS)),
            Role::Indices => ("read-only-storage", json!(CHOSEN)),
        };
        Ok(json!({"type": kind, "words": words}))
    }

    /// Compares what a kernel put out.
    fn compare(&self, kernel: &Kernel, output: &[u32]) -> Result<(), Failed> {
        let count = self.shape(kernel).1 as usize;
        if kernel.kind == Kind::Quantize {
            let words = output.get(..count).unwrap_or_default();
            return Ok(quantize::compare(words, self.case.activations(), self.k as usize, 3)?);
        }
        let floats: Vec<f32> =
            output.iter().take(count).map(|&word| f32::from_bits(word)).collect();
        let halves = output.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
        let halves: Vec<f16> = halves.take(count).map(f16::from_bits).collect();
        let output = match (kernel.kind, kernel.output) {
            (Kind::Dequant, Element::F32) => Output::Weights(&floats),
            (Kind::Dequant, Element::F16) => Output::Halves(&halves),
            (Kind::Matvec, _) => Output::Matvec(&floats),
            (Kind::Gather, Element::F32) => Output::Rows(&ROWS, &floats),
            (Kind::Gather, Element::F16) => Output::HalfRows(&ROWS, &halves),
            (Kind::MatvecExperts | Kind::MatmulExperts, _) => {
                let Shape { m, used, matrices, .. } = self.shape(kernel).0;
                let (indices, experts) = (&CHOSEN[..], Experts { m, used, matrices });
                let (epilogue, before) = (Epilogue::default(), &[][..]);
                Output::Experts { indices, experts, epilogue, before, y: &floats }
            }
            _ => Output::Matmul(&floats),
        };
        let compare = match kernel.activations {
            Activations::F32 => Case::compare,
            Activations::Int8 => Case::compare_rounded,
            Activations::F16 => Case::compare_halves,
        };
        passed(compare(&self.case, "a browser's WebGPU", output))
    }
}

fn check(test: &str, subject: &Subject, browser: &mut Browser) -> Result<(), Failed> {
    let mut rng = rng(test);
    let finite = Problem::new(subject, &mut rng, true)?;
    let decoded = Problem::new(subject, &mut rng, false)?;
    let problem = |kernel: &Kernel| match kernel.kind {
        Kind::Dequant | Kind::Gather => &decoded,
        _ => &finite,
    };
    let format = subject.built_in()?;
    // The quantizer comes with the first format. wgpu has no subgroups in browsers.
    let first = subjects().first().is_some_and(|first| first.name == subject.name);
    let quantizers = if first { quantloom::quantizers() } else { &[] };
    let wgsl = |kernel: &&Kernel| kernel.backend == Backend::Wgsl && !kernel.subgroups;
    let kernels: Vec<&Kernel> = format.kernels.iter().chain(quantizers).filter(wgsl).collect();
    if kernels.is_empty() {
        return Err("it has no WGSL kernel".into());
    }
    let jobs: Result<Vec<Value>, Failed> =
        kernels.iter().map(|kernel| problem(kernel).job(kernel)).collect();
    for (kernel, Answer { problems, output }) in kernels.iter().zip(run(browser, &jobs?)?) {
        if !problems.is_empty() {
            return Err(format!("{test}, {}: {}", kernel.name, problems.join("\n")).into());
        }
        problem(kernel).compare(kernel, &output)?;
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
