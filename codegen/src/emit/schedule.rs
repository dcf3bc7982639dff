//! The numbers of a kernel's schedule: how work is cut for a workgroup. The compiler has its own; others
//! can be chosen for a device.

use crate::Error;
use crate::artifact::{Backend, Kind};
use serde::{Deserialize, Serialize};

/// Numbers to compile kernels with. Kernels that none are given for have the compiler's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules(Vec<(Backend, Kind, Numbers)>);

/// Numbers of one kind of kernel; where one is missing, the compiler's own is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// Dequantization and matvec: invocations per workgroup, a power of two from 32 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workgroup: Option<u32>,
    /// Matvec: weight rows per workgroup, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Matmul: invocations of a workgroup along weight rows; with `threads_m` 32 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_n: Option<u32>,
    /// Matmul: invocations of a workgroup along activation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_m: Option<u32>,
    /// Matmul: outputs of an invocation along weight rows, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_n: Option<u32>,
    /// Matmul: outputs of an invocation along activation rows, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_m: Option<u32>,
    /// Matmul: weights of a row in one step along k, 4 to 256; more where a single strip has more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

impl Schedules {
    /// With these numbers for a backend's kernels of this kind.
    pub fn with(mut self, backend: Backend, kind: Kind, numbers: Numbers) -> Schedules {
        self.0.retain(|(own, of, _)| (*own, *of) != (backend, kind));
        if numbers != Numbers::default() {
            self.0.push((backend, kind, numbers));
        }
        self
    }

    /// Whether all numbers are the compiler's own.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers for a backend's kernels of this kind.
    pub fn numbers(&self, backend: Backend, kind: Kind) -> Numbers {
        let own = self.0.iter().find(|(own, of, _)| (*own, *of) == (backend, kind));
        own.map(|(_, _, numbers)| *numbers).unwrap_or_default()
    }
}

/// Numbers that the templates of all kinds draw from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Schedule {
    /// Invocations per workgroup.
    pub workgroup: u32,
    /// Weight rows per workgroup of a matvec.
    pub rows: u32,
    /// Outputs per workgroup of a matmul: weight rows by activation rows.
    pub tile_n: u32,
    pub tile_m: u32,
    /// Invocations along the two sides of a tile.
    pub threads_n: u32,
    pub threads_m: u32,
    /// Strips of a row in one step along k.
    pub chunk: u32,
    /// Distance of two rows of a tile in quads.
    pub pitch: u32,
}

/// WebGPU grants every device this much workgroup memory, in bytes.
const WORKGROUP_BYTES: u32 = 16384;
/// Weights of a row in one step along k; more where a single strip has more.
const STEP: u32 = 32;

impl Schedule {
    /// The schedule for strips of `quads` quads with `lanes` weights each.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or needs more workgroup memory than there is.
    pub fn new(kind: Kind, quads: u32, lanes: u32, numbers: &Numbers) -> Result<Schedule, Error> {
        numbers.check(kind)?;
        let strip = quads * lanes;
        let chunk = (numbers.step.unwrap_or(STEP) / strip).max(1);
        let pitch = (chunk * quads) | 1;
        let threads_n = numbers.threads_n.unwrap_or(8);
        let threads_m = numbers.threads_m.unwrap_or(16);
        let row_bytes = pitch * lanes * 4;
        let tile_m = numbers.each_m.unwrap_or(2) * threads_m;
        let lists = match kind {
            // A count of every invocation and all of them, and what is chosen.
            Kind::MatmulExperts => 4 * (threads_n * threads_m + 1 + tile_m),
            _ => 0,
        };
        let fits = |tile_n: &u32| (tile_n + tile_m) * row_bytes + lists <= WORKGROUP_BYTES;
        // 8 x 2 outputs an invocation; fewer where strips are so long that the tiles would not fit.
        let most = (1..=numbers.each_n.unwrap_or(8)).rev().map(|outputs| outputs * threads_n);
        let tile_n = match numbers.each_n {
            Some(each_n) => Some(each_n * threads_n).filter(fits),
            None => most.clone().find(fits).or(Some(threads_n)),
        };
        let rows = numbers.rows.unwrap_or(4);
        let workgroup = match kind {
            Kind::Matmul | Kind::MatmulExperts => threads_n * threads_m,
            _ => numbers.workgroup.unwrap_or(64),
        };
        let too_large = kind == Kind::Matvec && workgroup * rows * 4 > WORKGROUP_BYTES;
        match tile_n {
            Some(tile_n) if !too_large => {
                Ok(Schedule { workgroup, rows, tile_n, tile_m, threads_n, threads_m, chunk, pitch })
            }
            _ => {
                Err(refused(kind, format!("more than {WORKGROUP_BYTES} bytes of workgroup memory")))
            }
        }
    }
}

impl Numbers {
    fn check(&self, kind: Kind) -> Result<(), Error> {
        let ranges = [
            ("workgroup", self.workgroup, 32..=256),
            ("rows", self.rows, 1..=16),
            ("threads_n", self.threads_n, 1..=256),
            ("threads_m", self.threads_m, 1..=256),
            ("each_n", self.each_n, 1..=16),
            ("each_m", self.each_m, 1..=16),
            ("step", self.step, 4..=256),
        ];
        for (name, number, range) in ranges {
            if let Some(number) = number.filter(|number| !range.contains(number)) {
                let (least, most) = range.into_inner();
                let problem = format!("`{name}` is {number}; it must be {least} to {most}");
                return Err(refused(kind, problem));
            }
        }
        if let Some(number) = self.workgroup.filter(|number| !number.is_power_of_two()) {
            return Err(refused(
                kind,
                format!("`workgroup` is {number}; it must be a power of two"),
            ));
        }
        let threads = self.threads_n.unwrap_or(8) * self.threads_m.unwrap_or(16);
        if !(32..=256).contains(&threads) {
            let problem = format!("`threads_n` x `threads_m` is {threads}; it must be 32 to 256");
            return Err(refused(kind, problem));
        }
        Ok(())
    }
}

fn refused(kind: Kind, problem: String) -> Error {
    Error::Schedule { kind: kind.word(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILES: Numbers = Numbers {
        workgroup: None,
        rows: None,
        threads_n: Some(16),
        threads_m: Some(16),
        each_n: Some(4),
        each_m: Some(4),
        step: Some(32),
    };

    #[test]
    fn numbers_replace_the_compilers() {
        let own = Schedule::new(Kind::Matmul, 2, 4, &Numbers::default()).unwrap();
        assert_eq!((own.workgroup, own.tile_n, own.tile_m, own.chunk), (128, 64, 32, 4));
        let other =
            Schedule::new(Kind::Matmul, 2, 4, &Numbers { each_n: Some(2), ..TILES }).unwrap();
        assert_eq!((other.workgroup, other.tile_n, other.tile_m, other.chunk), (256, 32, 64, 4));
        let rows = Numbers { workgroup: Some(128), rows: Some(4), ..Numbers::default() };
        let matvec = Schedule::new(Kind::Matvec, 2, 4, &rows).unwrap();
        assert_eq!((matvec.workgroup, matvec.rows), (128, 4));
    }

    #[test]
    fn what_no_device_takes_is_refused() {
        let none = Numbers::default();
        let refusals = [
            (Kind::Matvec, Numbers { workgroup: Some(48), ..none }, "power of two"),
            (Kind::Matvec, Numbers { workgroup: Some(512), ..none }, "32 to 256"),
            (Kind::Matvec, Numbers { rows: Some(0), ..none }, "`rows` is 0"),
            (Kind::Matmul, Numbers { threads_n: Some(2), threads_m: Some(8), ..none }, "is 16"),
            (Kind::Matmul, Numbers { step: Some(256), each_n: Some(16), ..TILES }, "16384 bytes"),
        ];
        for (kind, numbers, says) in refusals {
            let error = Schedule::new(kind, 2, 4, &numbers).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(Schedules::default().with(Backend::Hip, Kind::Matvec, none).is_empty());
    }
}
