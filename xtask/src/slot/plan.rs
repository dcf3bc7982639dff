//! What is done, the most valuable first, and which share of the time each part has.

use super::job::{Check, Job, Part};
use crate::bench::Result;
use crate::bench::gpu::options::Kind;
use crate::bench::gpu::run::formats;
use crate::bench::options::Shape;
use std::time::Duration;

/// Parts after the first look, with their shares of what time is left then.
pub const SHARES: [(Part, f64); 3] =
    [(Part::Verify, 0.27), (Part::Bench, 0.60), (Part::Tune, 0.13)];

/// What a device gets of a part's time while others wait for theirs: HIP texts come first, and have more
/// kinds of kernels to run.
const FIRST: f64 = 0.6;

/// The time of one part, where these are to come.
pub fn share(left: Duration, parts: &[(Part, f64)]) -> Duration {
    let all: f64 = parts.iter().map(|(_, share)| share).sum();
    left.mul_f64(parts.first().map_or(1.0, |(_, share)| share / all))
}

/// The time of one device, where so many others are to come.
pub fn device_share(left: Duration, others: usize) -> Duration {
    left.mul_f64(if others == 0 { 1.0 } else { FIRST })
}

/// The formats that are verified.
pub fn verified() -> Result<Vec<String>> {
    Ok(serde_yaml::from_str(include_str!("../../slot/formats.yaml"))?)
}

/// Everything that is compared; with small tensors where the device is slow.
pub fn verify(small: bool) -> Result<Vec<Job>> {
    let formats = verified()?;
    let all = |checks: &[Check]| -> Vec<Job> {
        let of = |format: &String| {
            let format = format.clone();
            checks.iter().map(move |&check| Job::Verify { format: format.clone(), check, small })
        };
        formats.iter().flat_map(of).collect()
    };
    let first = all(&[Check::Golden, Check::Exact, Check::Int8, Check::F16]);
    Ok([first, all(&[Check::Large, Check::Grids, Check::Experts])].concat())
}

/// Everything that is measured; with small tensors where the device is slow.
pub fn bench(small: bool) -> Result<Vec<Job>> {
    let formats: Vec<String> =
        formats(&[])?.into_iter().map(|format| format.name.to_string()).collect();
    let (few, many) = match small {
        true => ([Shape { n: 256, k: 2048 }, Shape { n: 1024, k: 2048 }], 64),
        false => ([Shape { n: 4096, k: 14336 }, Shape { n: 16384, k: 14336 }], 512),
    };
    let [shape, large] = few;
    let mut jobs = Vec::new();
    let mut all = |shape, kind, m| {
        let job = |format: &String| Job::Bench { format: format.clone(), shape, kind, m, small };
        jobs.extend(formats.iter().map(job));
    };
    all(shape, Kind::Matvec, 1);
    all(shape, Kind::Matmul, 8);
    all(shape, Kind::Matmul, many);
    all(large, Kind::Matvec, 1);
    all(large, Kind::DequantizeF16, 0);
    all(large, Kind::Dequantize, 0);
    all(shape, Kind::Launch, 0);
    all(large, Kind::Matmul, 8);
    all(large, Kind::Matmul, many);
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_of_the_time() {
        let mut left = Duration::from_secs(100);
        for first in 0..SHARES.len() {
            left -= share(left, &SHARES[first..]);
        }
        assert!(left < Duration::from_millis(1), "{left:?}");
        assert_eq!(share(Duration::from_secs(100), &SHARES), Duration::from_secs(27));
        assert_eq!(device_share(Duration::from_secs(10), 1), Duration::from_secs(6));
        assert_eq!(device_share(Duration::from_secs(10), 0), Duration::from_secs(10));
    }

    #[test]
    fn what_is_verified_is_there() -> Result<()> {
        for name in verified()? {
            quantloom::Format::named(&name)?;
        }
        Ok(())
    }
}
