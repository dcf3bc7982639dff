//! What is wanted, and the verdicts: xtask/bench/targets.yaml says what of which device.

use super::options::{Api, Kind};
use super::report::{Row, Verdict, Way};
use crate::bench::Result;
use crate::bench::options::Shape;
use crate::bench::spread::Spread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is wanted of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// In the row's unit.
    pub rate: f64,
    pub reason: String,
}

impl Verdict {
    /// Whether the rate is what is wanted; none without a target.
    pub fn met(&self) -> Option<bool> {
        self.target.as_ref().map(|target| self.rate.median >= target.rate)
    }
}

/// The targets of a device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// A part of its name.
    device: String,
    #[allow(dead_code)] // For who reads the file.
    source: String,
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    on: Vec<Api>,
    kind: Kind,
    m: Option<u32>,
    shape: Option<String>,
    formats: Option<Vec<String>>,
    precision: Option<String>,
    of_ceiling: Option<f64>,
    tflops: Option<f64>,
    microseconds: Option<f64>,
    rival: Option<Rival>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rival {
    name: String,
    faster: f64,
    /// By format, of a launch.
    #[serde(default)]
    microseconds: BTreeMap<String, f64>,
    /// By format, in the row's unit.
    #[serde(default)]
    rate: BTreeMap<String, f64>,
}

impl Rival {
    /// The formats that it was measured with.
    #[cfg(test)]
    fn formats(&self) -> impl Iterator<Item = &String> {
        self.microseconds.keys().chain(self.rate.keys())
    }
}

/// The targets of one device.
pub struct Targets {
    api: Api,
    wanted: Vec<Wanted>,
}

impl Targets {
    /// Those of the device of this name; none where it is not listed.
    pub fn of(api: Api, device: &str) -> Result<Targets> {
        let listed: Vec<Listed> =
            serde_yaml::from_str(include_str!("../../../bench/targets.yaml"))?;
        let own = listed.into_iter().filter(|listed| device.contains(&listed.device));
        Ok(Targets { api, wanted: own.flat_map(|listed| listed.wanted).collect() })
    }

    /// Says how each way of a row does.
    pub fn judge(&self, row: &mut Row) {
        let verdicts: Vec<_> = row.ways.iter().map(|way| verdict(row, way)).collect();
        let median = |verdict: &Option<Verdict>| verdict.as_ref().map(|v| v.rate.median);
        let rates = verdicts.iter().map(median);
        let fastest = rates.enumerate().filter_map(|(number, rate)| Some((number, rate?)));
        let fastest = fastest.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number);
        let targets: Vec<_> = (0..)
            .zip(&verdicts)
            .map(|(number, verdict)| {
                self.target(row, number, Some(number) == fastest, verdict.as_ref()?)
            })
            .collect();
        for ((way, verdict), target) in row.ways.iter_mut().zip(verdicts).zip(targets) {
            way.verdict = verdict.map(|verdict| Verdict { target, ..verdict });
        }
    }

    /// The highest target of one way.
    fn target(&self, row: &Row, way: usize, fastest: bool, verdict: &Verdict) -> Option<Target> {
        let precision = row.ways.get(way)?.precision;
        let fitting = self.wanted.iter().filter(|wanted| {
            let own = match &wanted.precision {
                Some(own) => own == precision.name(),
                None => fastest,
            };
            own && wanted.fits(self.api, row)
        });
        let targets = fitting.filter_map(|wanted| wanted.target(row, verdict));
        targets.max_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

impl Wanted {
    fn fits(&self, api: Api, row: &Row) -> bool {
        let shape = |own: &String| own.parse() == Ok::<Shape, String>(row.shape);
        self.on.contains(&api)
            && self.kind == row.kind
            && self.m.is_none_or(|m| m == row.m)
            && self.shape.as_ref().is_none_or(shape)
            && self.formats.as_ref().is_none_or(|formats| formats.contains(&row.format))
    }

    fn target(&self, row: &Row, verdict: &Verdict) -> Option<Target> {
        let (_, unit) = row.unit();
        let time = |microseconds: f64| row.work() / (microseconds * 1e-6) / unit;
        let target = |rate, reason| Some(Target { rate, reason });
        if let Some(part) = self.of_ceiling {
            let ceiling = verdict.rate.median / verdict.of_ceiling?.median;
            let name = &row.ceiling.as_ref()?.name;
            return target(part * ceiling, format!("{:.0}% of {name}", part * 100.0));
        }
        if let Some(tflops) = self.tflops {
            return target(tflops, format!("{tflops} TFLOPS"));
        }
        if let Some(limit) = self.microseconds {
            return target(time(limit), format!("{limit} µs"));
        }
        let rival = self.rival.as_ref()?;
        if let Some(theirs) = rival.rate.get(&row.format) {
            return target(
                theirs * rival.faster,
                format!("{} {theirs} {}", rival.name, row.unit().0),
            );
        }
        let theirs = rival.microseconds.get(&row.format)?;
        let limit = theirs / rival.faster;
        target(time(limit), format!("{limit:.1} µs, {} {theirs}", rival.name))
    }
}

/// What the samples of a way say; none without samples.
fn verdict(row: &Row, way: &Way) -> Option<Verdict> {
    let (_, unit) = row.unit();
    let work = row.work();
    let ceiling = row.ceiling.as_ref();
    let of_ceiling = ceiling.and_then(|ceiling| {
        let pairs = way.seconds.iter().zip(&ceiling.seconds);
        Spread::of(pairs.map(|(own, best)| work / own / (ceiling.bytes as f64 / best)))
    });
    Some(Verdict {
        microseconds: Spread::of(way.seconds.iter().map(|seconds| seconds * 1e6))?,
        rate: Spread::of(way.seconds.iter().map(|seconds| work / seconds / unit))?,
        of_ceiling,
        target: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::gpu::options::Precision;
    use crate::bench::gpu::report::Samples;

    /// A row of the first format that an entry names, whose launches took so many seconds.
    fn row(wanted: &Wanted, seconds: f64) -> Row {
        let shape = wanted.shape.as_ref().and_then(|shape| shape.parse().ok());
        let named = wanted.formats.iter().flatten().next();
        let rivals = wanted.rival.iter().flat_map(Rival::formats);
        let format = named.into_iter().chain(rivals).next();
        let samples = Samples { name: "read".into(), bytes: 1000, seconds: vec![seconds] };
        Row {
            format: format.cloned().unwrap_or_default(),
            kind: wanted.kind,
            shape: shape.unwrap_or(Shape { n: 64, k: 512 }),
            m: wanted.m.unwrap_or_default(),
            bytes: 1000,
            ceiling: wanted.of_ceiling.map(|_| Samples { seconds: vec![1e-9], ..samples }),
            rounding: vec![],
            ways: vec![Way {
                precision: Precision::Exact,
                seconds: vec![seconds],
                nmse: None,
                problem: None,
                verdict: None,
            }],
        }
    }

    #[test]
    fn every_target_is_met_and_missed() -> Result<()> {
        let devices = ["NVIDIA H200 (Vulkan)", "NVIDIA H100 80GB HBM3 (sm_90)"];
        let all: Vec<_> = devices
            .map(|device| Targets::of(Api::Wgpu, device))
            .into_iter()
            .collect::<Result<_>>()?;
        assert!(all.iter().all(|targets| !targets.wanted.is_empty()));
        for wanted in all.iter().flat_map(|targets| &targets.wanted) {
            let named = wanted.formats.iter().flatten();
            let rivals = wanted.rival.iter().flat_map(Rival::formats);
            for name in named.chain(rivals) {
                quantloom::Format::named(name)?;
            }
            let ways = [wanted.of_ceiling, wanted.tflops, wanted.microseconds]
                .into_iter()
                .flatten()
                .count();
            assert_eq!(ways + usize::from(wanted.rival.is_some()), 1, "{wanted:?}");
            // With its own precision, which this build may not know.
            let own = Wanted { precision: None, ..wanted.clone() };
            for (seconds, met) in [(1e-9, true), (1.0, false)] {
                let mut row = row(wanted, seconds);
                for &api in &wanted.on {
                    Targets { api, wanted: vec![own.clone()] }.judge(&mut row);
                    let verdict = row.ways[0].verdict.as_ref();
                    assert_eq!(verdict.and_then(Verdict::met), Some(met), "{wanted:?}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_rival_is_to_be_beaten_by_a_third() -> Result<()> {
        let rival = Rival {
            name: "somebody".to_owned(),
            faster: 1.333,
            microseconds: [("made_up".to_owned(), 20.0)].into(),
            rate: BTreeMap::new(),
        };
        let wanted = Wanted {
            on: vec![Api::Cuda],
            kind: Kind::Matvec,
            m: None,
            shape: None,
            formats: None,
            precision: None,
            of_ceiling: None,
            tflops: None,
            microseconds: None,
            rival: Some(rival),
        };
        let targets = Targets { api: Api::Cuda, wanted: vec![wanted] };
        for (seconds, met) in [(14.9e-6, true), (15.1e-6, false)] {
            let mut row = row(&targets.wanted[0], seconds);
            targets.judge(&mut row);
            assert_eq!(row.ways[0].verdict.as_ref().and_then(Verdict::met), Some(met));
        }
        Ok(())
    }
}
