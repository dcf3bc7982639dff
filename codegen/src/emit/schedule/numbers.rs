//! Numbers that kernels are compiled with: the compiler has its own; others can be chosen for a device.

use super::refused;
use crate::Error;
use crate::artifact::{Activations, Backend, Kind};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Numbers to compile kernels with. Kernels that none are given for have the compiler's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules(Vec<(Kernels, Numbers)>);

/// Backend, kind, and how activations are read.
type Kernels = (Backend, Kind, Activations);

/// Numbers of one kind of kernel; where one is missing, the compiler's own is taken.
///
/// What decodes or multiplies row by row has `workgroup`, `rows`, `columns` and `quads`; what multiplies
/// tiles by invocations `threads`, `each` and `step`; by matrix units `subgroups`, `matrices` and `step`.
/// [`Numbers::of`] lists those of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// Invocations per workgroup, a power of two from 32 to 256; of products they share the weights of a
    /// row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workgroup: Option<u32>,
    /// Weight rows per workgroup, 1 to 16; 2 to 4 in WGSL with 8-bit activations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Activation rows per workgroup, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
    /// Quads of weights in a strip, at most, 1 to 64. A format has the widest strips of 16, 8 or 4 bytes
    /// that have no more, and strips of a single quad where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quads: Option<u32>,
    /// Whether there is a kernel with subgroup operations, which devices that have them take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroups: Option<bool>,
    /// Invocations of a workgroup along weight rows; with `threads_m` 32 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_n: Option<u32>,
    /// Invocations of a workgroup along activation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads_m: Option<u32>,
    /// Outputs of an invocation along weight rows, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_n: Option<u32>,
    /// Outputs of an invocation along activation rows, 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_m: Option<u32>,
    /// Subgroups of 32 invocations along weight rows; with `subgroups_m` 1 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroups_n: Option<u32>,
    /// Subgroups along activation rows; even in HIP, where two of them may be one of 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroups_m: Option<u32>,
    /// Matrices of outputs of a subgroup along weight rows, 1 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrices_n: Option<u32>,
    /// Matrices of outputs of a subgroup along activation rows, 1 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrices_m: Option<u32>,
    /// Weights of a row in one step along k, 4 to 256; more where strips or matrices ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

impl Schedules {
    /// With these numbers for a backend's kernels of this kind that read activations so.
    pub fn with(
        mut self,
        backend: Backend,
        kind: Kind,
        activations: Activations,
        numbers: Numbers,
    ) -> Schedules {
        let kernels = (backend, kind, activations);
        self.0.retain(|(own, _)| *own != kernels);
        if numbers != Numbers::NONE {
            self.0.push((kernels, numbers));
        }
        self
    }

    /// Whether all numbers are the compiler's own.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses numbers for kernels that no format has.
    pub(in crate::emit) fn check(&self) -> Result<(), Error> {
        let unknown =
            |(_, kind, activations): &Kernels| Numbers::of(*kind, *activations).is_empty();
        match self.0.iter().find(|(kernels, _)| unknown(kernels)) {
            None => Ok(()),
            Some(((_, kind, activations), _)) => {
                Err(refused(*kind, *activations, "there are no such kernels".to_owned()))
            }
        }
    }

    /// The numbers for a backend's kernels of this kind that read activations so.
    pub fn numbers(&self, backend: Backend, kind: Kind, activations: Activations) -> Numbers {
        let own = self.0.iter().find(|(own, _)| *own == (backend, kind, activations));
        own.map(|(_, numbers)| *numbers).unwrap_or_default()
    }
}

impl Numbers {
    /// None given.
    pub const NONE: Numbers = Numbers {
        workgroup: None,
        rows: None,
        columns: None,
        quads: None,
        subgroups: None,
        threads_n: None,
        threads_m: None,
        each_n: None,
        each_m: None,
        subgroups_n: None,
        subgroups_m: None,
        matrices_n: None,
        matrices_m: None,
        step: None,
    };

    /// Names of the numbers that kernels of this kind have which read activations so; none where there
    /// are no such kernels.
    pub fn of(kind: Kind, activations: Activations) -> &'static [&'static str] {
        match (activations, kind) {
            (Activations::F32, Kind::Gather) => &["workgroup"],
            (Activations::F32, Kind::Dequant) => &["workgroup", "quads"],
            (Activations::F32, Kind::Matvec | Kind::MatvecExperts) => {
                &["workgroup", "rows", "quads"]
            }
            (Activations::F32, Kind::Matmul | Kind::MatmulExperts)
            | (Activations::Int8, Kind::Matmul) => {
                &["threads_n", "threads_m", "each_n", "each_m", "step"]
            }
            (Activations::Int8, Kind::Matvec) => &["workgroup", "rows", "quads", "subgroups"],
            (Activations::Int8, Kind::Batch) => {
                &["workgroup", "rows", "columns", "quads", "subgroups"]
            }
            (Activations::F16, Kind::Matmul) => {
                &["subgroups_n", "subgroups_m", "matrices_n", "matrices_m", "step"]
            }
            _ => &[],
        }
    }

    /// Those that are given, by name; `subgroups` as 0 or 1.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let all = self.ranges();
        all.into_iter().filter_map(|(name, number, _)| Some((name, number?)))
    }

    fn ranges(&self) -> [(&'static str, Option<u32>, RangeInclusive<u32>); 14] {
        [
            ("workgroup", self.workgroup, 32..=256),
            ("rows", self.rows, 1..=16),
            ("columns", self.columns, 1..=16),
            ("quads", self.quads, 1..=64),
            ("subgroups", self.subgroups.map(u32::from), 0..=1),
            ("threads_n", self.threads_n, 1..=256),
            ("threads_m", self.threads_m, 1..=256),
            ("each_n", self.each_n, 1..=16),
            ("each_m", self.each_m, 1..=16),
            ("subgroups_n", self.subgroups_n, 1..=8),
            ("subgroups_m", self.subgroups_m, 1..=8),
            ("matrices_n", self.matrices_n, 1..=8),
            ("matrices_m", self.matrices_m, 1..=8),
            ("step", self.step, 4..=256),
        ]
    }

    /// Refuses numbers out of their range, and those that such kernels do not have.
    pub(in crate::emit) fn check(&self, kind: Kind, activations: Activations) -> Result<(), Error> {
        let refused = |problem: String| Err(refused(kind, activations, problem));
        let own = Numbers::of(kind, activations);
        for (name, number, range) in self.ranges() {
            let Some(number) = number else { continue };
            if !own.contains(&name) {
                return refused(format!("there is no `{name}`; there are {}", own.join(", ")));
            }
            if !range.contains(&number) {
                let (least, most) = range.into_inner();
                return refused(format!("`{name}` is {number}; it must be {least} to {most}"));
            }
        }
        match self.workgroup {
            Some(number) if !number.is_power_of_two() => {
                refused(format!("`workgroup` is {number}; it must be a power of two"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_a_kind_or_refused() {
        let none = Numbers::NONE;
        let (f32, int8, f16) = (Activations::F32, Activations::Int8, Activations::F16);
        let refusals = [
            (Kind::Matvec, f32, Numbers { workgroup: Some(48), ..none }, "power of two"),
            (Kind::Matvec, int8, Numbers { workgroup: Some(512), ..none }, "32 to 256"),
            (Kind::Matvec, f32, Numbers { rows: Some(0), ..none }, "`rows` is 0"),
            (Kind::Dequant, f32, Numbers { quads: Some(65), ..none }, "1 to 64"),
            (Kind::Dequant, f32, Numbers { rows: Some(2), ..none }, "there are workgroup, quads"),
            (Kind::Matvec, int8, Numbers { columns: Some(2), ..none }, "there is no `columns`"),
            (Kind::Matmul, f16, Numbers { threads_n: Some(8), ..none }, "there is no `threads_n`"),
            (Kind::Matmul, f16, Numbers { matrices_n: Some(9), ..none }, "1 to 8"),
        ];
        for (kind, activations, numbers, says) in refusals {
            let error = numbers.check(kind, activations).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(kind.word()), "{error}");
        }
    }

    #[test]
    fn every_number_belongs_to_a_kind() {
        let kinds = [Kind::Dequant, Kind::Matvec, Kind::Batch, Kind::Matmul];
        let activations = [Activations::F32, Activations::Int8, Activations::F16];
        for (name, ..) in Numbers::NONE.ranges() {
            let of = |kind| activations.iter().any(|own| Numbers::of(kind, *own).contains(&name));
            assert!(kinds.into_iter().any(of), "{name}");
        }
        let given = Numbers { rows: Some(2), subgroups: Some(false), ..Numbers::NONE };
        assert_eq!(given.given().collect::<Vec<_>>(), [("rows", 2), ("subgroups", 0)]);
    }

    #[test]
    fn schedules_keep_kernels_apart() {
        let rows = |rows| Numbers { rows: Some(rows), ..Numbers::NONE };
        let of = (Backend::Hip, Kind::Matvec);
        let both = Schedules::default().with(of.0, of.1, Activations::F32, rows(2)).with(
            of.0,
            of.1,
            Activations::Int8,
            rows(8),
        );
        assert_eq!(both.numbers(of.0, of.1, Activations::F32), rows(2));
        assert_eq!(both.numbers(of.0, of.1, Activations::Int8), rows(8));
        assert_eq!(both.numbers(Backend::Wgsl, of.1, Activations::F32), Numbers::NONE);
        let one = both.with(of.0, of.1, Activations::F32, Numbers::NONE);
        assert!(!one.is_empty() && one.check().is_ok());
        let none = one.clone().with(of.0, Kind::Quantize, Activations::F32, rows(2));
        let error = none.check().unwrap_err().to_string();
        assert!(error.contains("quantize") && error.contains("no such kernels"), "{error}");
        assert!(one.with(of.0, of.1, Activations::Int8, Numbers::NONE).is_empty());
    }
}
