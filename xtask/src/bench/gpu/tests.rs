//! The whole run: on a device that is made up, whose times are known, and on software Vulkan.

use super::machine::{Clock, Launch, Machine, What};
use super::options::{Api, Gpu, Kind, Precision};
use super::report::{Device, Report, Row};
use super::run::{Asked, device, run};
use super::{plot, table};
use crate::bench::Result;
use crate::bench::options::Shape;
use quantloom::artifact::Element;
use quantloom::{Device as Quantloom, Tensor, Weights};
use std::cell::{Cell, RefCell};

const SHAPE: Shape = Shape { n: 4096, k: 512 };
/// Seconds of every launch.
const LAUNCH: f64 = 1e-5;

/// A device that computes on the CPU, and always takes the same time.
struct Fake {
    name: &'static str,
    /// Added to every product.
    error: f32,
    /// Computes the first product alone; others leave their output as it is.
    lazy: Option<Cell<bool>>,
}

/// Real weights, or the words that ceilings are measured with.
enum Held {
    Weights(Weights),
    Words(Tensor),
}

impl Machine for Fake {
    type Weights = Held;
    type Memory = RefCell<Vec<u8>>;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn clock(&self) -> Clock {
        Clock::Device
    }

    fn precisions(&self) -> Vec<Precision> {
        vec![Precision::Exact]
    }

    fn upload(&self, tensor: &Tensor, _: Precision) -> Result<Held> {
        Ok(match tensor.format().cpu {
            Some(_) => Held::Weights(tensor.upload(&Quantloom::cpu())?),
            None => Held::Words(tensor.clone()),
        })
    }

    fn memory(&self, bytes: u64, begin: &[u8]) -> Result<RefCell<Vec<u8>>> {
        let mut memory = begin.to_vec();
        memory.resize(bytes as usize, 0);
        Ok(RefCell::new(memory))
    }

    fn read(&self, memory: &RefCell<Vec<u8>>, bytes: usize) -> Result<Vec<u8>> {
        Ok(memory.borrow()[..bytes].to_vec())
    }

    fn time(&self, launches: &[Launch<'_, Fake>]) -> Result<f64> {
        let product = |launch: &Launch<'_, Fake>| {
            matches!(
                (launch.weights, launch.what),
                (Held::Weights(_), What::Matvec | What::Matmul(_))
            )
        };
        if let ([launch], Some(done)) = (launches, &self.lazy)
            && product(launch)
            && done.replace(true)
        {
            return Ok(LAUNCH);
        }
        if let [launch] = launches {
            let computed = self.compute(launch)?;
            launch.y.borrow_mut()[..computed.len()].copy_from_slice(&computed);
        }
        Ok(LAUNCH * launches.len() as f64)
    }

    fn record(&self, launches: &[Launch<'_, Fake>]) -> Result<f64> {
        Ok(2e-6 * launches.len() as f64)
    }
}

impl Fake {
    fn compute(&self, launch: &Launch<'_, Fake>) -> Result<Vec<u8>> {
        let weights = match launch.weights {
            Held::Weights(weights) => weights,
            Held::Words(tensor) if launch.what == What::Matvec => {
                let row = |bytes: &[u8]| {
                    let words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
                    words.fold(0u32, |sum, word| sum.wrapping_add(word)).to_le_bytes()
                };
                return Ok(tensor.streams()[0].chunks(4 * tensor.k()).flat_map(row).collect());
            }
            Held::Words(tensor) => return Ok(tensor.streams()[0].to_vec()),
        };
        let x: Vec<f32> =
            launch.x.borrow().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let floats = |values: Vec<f32>| values.iter().flat_map(|y| y.to_le_bytes()).collect();
        let product = |m: usize| {
            let y = weights.matmul(&x[..m * weights.k()], m)?;
            Ok(floats(y.into_iter().map(|y| y + self.error).collect()))
        };
        match launch.what {
            What::Matvec => product(1),
            What::Matmul(m) => product(m as usize),
            What::Round(_) => Ok(vec![]),
            What::Dequantize(Element::F32) => Ok(floats(weights.dequantize()?)),
            What::Dequantize(Element::F16) => {
                Ok(weights.dequantize_f16()?.iter().flat_map(|w| w.to_le_bytes()).collect())
            }
        }
    }
}

fn options(shape: Shape, device: Vec<Api>) -> Gpu {
    let format =
        quantloom::formats().iter().find(|format| format.weights == 32 && format.gguf.is_some());
    Gpu {
        device,
        format: format.iter().map(|format| format.name.to_string()).collect(),
        shape: vec![shape],
        m: vec![1, 5],
        kind: vec![],
        precision: vec![],
        tuned: false,
        quick: true,
        seconds: Some(0.0),
        rotate: Some(1),
        json: None,
        plot: None,
    }
}

fn measured(name: &'static str, error: f32) -> Result<Device> {
    device(&Asked::new(&options(SHAPE, vec![]))?, Api::Wgpu, &Fake { name, error, lazy: None })
}

const KINDS: [(Kind, u32); 5] = [
    (Kind::Matvec, 1),
    (Kind::Matmul, 5),
    (Kind::Dequantize, 0),
    (Kind::DequantizeF16, 0),
    (Kind::Launch, 0),
];

fn kinds(device: &Device) -> Vec<(Kind, u32)> {
    device.rows.iter().map(|row| (row.kind, row.m)).collect()
}

#[test]
fn rates_come_from_times() -> Result<()> {
    let device = measured("somebody's GPU", 0.0)?;
    assert_eq!(kinds(&device), KINDS);
    let weights = (SHAPE.n * SHAPE.k) as f64;
    for row in &device.rows {
        let bytes = row.bytes as f64;
        let rate = match row.kind {
            Kind::Matvec => bytes / LAUNCH / 1e9,
            Kind::Matmul => 10.0 * weights / LAUNCH / 1e12,
            Kind::Dequantize => (bytes + 4.0 * weights) / LAUNCH / 1e9,
            Kind::DequantizeF16 => (bytes + 2.0 * weights) / LAUNCH / 1e9,
            Kind::Launch => 500.0,
        };
        let verdict = row.ways[0].verdict.as_ref().ok_or("no verdict")?;
        assert!((verdict.rate.median / rate - 1.0).abs() < 1e-6, "{row:?}");
        assert!(verdict.target.is_none(), "nobody wants anything of this device");
        // Ceilings take as long here, and move as much but for a part of a row.
        let part = verdict.of_ceiling.as_ref().map(|of| of.median);
        assert_eq!(part.is_some(), !matches!(row.kind, Kind::Matmul | Kind::Launch));
        assert!(part.is_none_or(|part| (part - 1.0).abs() < 0.04), "{row:?}");
    }
    Ok(())
}

#[test]
fn targets_are_those_of_the_device() -> Result<()> {
    let device = measured("an NVIDIA H200 that is made up", 0.0)?;
    let met = |row: &Row| row.ways[0].verdict.as_ref().and_then(|verdict| verdict.met());
    let judged: Vec<_> = device.rows.iter().map(|row| (row.kind, met(row))).collect();
    // Other targets are those of other shapes.
    assert_eq!(judged[4], (Kind::Launch, Some(true)));
    assert!(judged[..4].iter().all(|(_, met)| met.is_none()), "{judged:?}");
    Ok(())
}

#[test]
fn what_is_wrong_is_not_timed() -> Result<()> {
    let device = measured("somebody's GPU", 1.0)?;
    let wrong: Vec<_> = device
        .wrong()
        .map(|(row, way, problem)| {
            assert!(way.seconds.is_empty() && problem.starts_with("WRONG"), "{problem}");
            row.kind
        })
        .collect();
    assert_eq!(wrong, [Kind::Matvec, Kind::Matmul, Kind::Launch]);
    let report = Report { version: "".into(), devices: vec![device], missing: vec![] };
    assert_eq!(report.problems(), 3);
    let text = table::text(&report);
    assert_eq!(text.matches("WRONG: NMSE").count(), 3, "{text}");
    Ok(())
}

/// Memory may hold the right result already, of a kernel that computed it before.
#[test]
fn what_is_not_written_is_wrong() -> Result<()> {
    let fake = Fake { name: "somebody's GPU", error: 0.0, lazy: Some(Cell::new(false)) };
    let options = Gpu { kind: vec![Kind::Matvec], m: vec![1], ..options(SHAPE, vec![]) };
    let asked = Asked::new(&options)?;
    let [first, second] = [device(&asked, Api::Wgpu, &fake)?, device(&asked, Api::Wgpu, &fake)?];
    assert_eq!((first.wrong().count(), second.wrong().count()), (0, 1));
    Ok(())
}

#[test]
fn software_vulkan_is_measured() -> Result<()> {
    if let Err(reason) = quantloom::gpu::Gpu::new() {
        let required = std::env::var("REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "wgsl"), "{reason}");
        eprintln!("SKIPPED software_vulkan_is_measured: {reason}");
        return Ok(());
    }
    let report = run(&Asked::new(&options(Shape { n: 64, k: 512 }, vec![Api::Wgpu]))?)?;
    assert_eq!(report.problems(), 0, "{}", table::text(&report));
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report)?)?;
    let rows = json["devices"][0]["rows"].as_array().ok_or("no rows")?;
    assert_eq!(kinds(&report.devices[0]), KINDS);
    assert_eq!(rows.len(), KINDS.len());
    for row in rows {
        let seconds = row["ways"][0]["seconds"].as_array().ok_or("no samples")?;
        assert!(seconds.len() >= 5, "{row}");
        assert!(seconds.iter().all(|seconds| seconds.as_f64().is_some_and(|s| s > 0.0)), "{row}");
        assert_eq!(
            row["ceiling"].is_null(),
            ["matmul", "launch"].map(Some).contains(&row["kind"].as_str())
        );
    }
    let drawing = plot::draw(&report).map_err(|failure| format!("{failure:?}"))?;
    assert_eq!(drawing.matches("<rect class=\"precision-0\"").count(), 4, "{drawing}");
    Ok(())
}
