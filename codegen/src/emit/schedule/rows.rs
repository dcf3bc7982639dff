//! Schedules of products with 8-bit activations, row by row.

use super::{Numbers, WORKGROUP_BYTES, refused, within};
use crate::Error;
use crate::artifact::{Activations, Backend, Kind};

/// How many rows a workgroup has, and how many invocations share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit) struct Rows {
    /// Invocations, which share the weights of every row.
    pub workgroup: u32,
    /// Weight rows.
    pub rows: u32,
    /// Activation rows.
    pub columns: u32,
}

impl Rows {
    /// The schedule of kernels with so many bytes of tables in workgroup memory.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or needs more workgroup memory than there is.
    pub fn new(
        backend: Backend,
        kind: Kind,
        tables: u32,
        numbers: &Numbers,
    ) -> Result<Rows, Error> {
        let activations = Activations::Int8;
        numbers.check(kind, activations)?;
        let (rows, columns) = match kind {
            Kind::Batch => (2, 16),
            _ => (4, 1),
        };
        let own = Rows {
            workgroup: numbers.workgroup.unwrap_or(64),
            rows: numbers.rows.unwrap_or(rows),
            columns: numbers.columns.unwrap_or(columns),
        };
        let Rows { workgroup, rows, columns } = own;
        let sums = match backend {
            // Sums of an invocation are a vector.
            Backend::Wgsl if !(2..=4).contains(&rows) => {
                let problem = format!("`rows` is {rows}; in WGSL it must be 2 to 4");
                return Err(refused(kind, activations, problem));
            }
            Backend::Wgsl => workgroup * columns * rows.next_power_of_two(),
            // Every output is stored by an invocation of its own.
            Backend::Hip if rows * columns > workgroup => {
                let problem = format!("`rows` x `columns` is more than `workgroup`, {workgroup}");
                return Err(refused(kind, activations, problem));
            }
            Backend::Hip => workgroup / 32 * columns * rows,
        };
        within(WORKGROUP_BYTES, 4 * sums + tables, kind, activations)?;
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_replace_the_compilers() {
        let numbers = Numbers { rows: Some(3), workgroup: Some(128), ..Numbers::NONE };
        let with = |numbers: &Numbers| Rows::new(Backend::Wgsl, Kind::Batch, 0, numbers).unwrap();
        assert_eq!(with(&Numbers::NONE), Rows { workgroup: 64, rows: 2, columns: 16 });
        let numbers = Numbers { columns: Some(8), ..numbers };
        assert_eq!(with(&numbers), Rows { workgroup: 128, rows: 3, columns: 8 });
    }

    #[test]
    fn what_no_device_takes_is_refused() {
        let none = Numbers::NONE;
        let wide = Numbers { workgroup: Some(128), ..none };
        let many = Numbers { rows: Some(16), ..none };
        let refusals = [
            (Backend::Wgsl, Kind::Matvec, 0, Numbers { rows: Some(1), ..none }, "2 to 4"),
            (Backend::Wgsl, Kind::Matvec, 0, many, "2 to 4"),
            (Backend::Wgsl, Kind::Batch, 16, wide, "16400 bytes of workgroup memory"),
            (Backend::Wgsl, Kind::Batch, 0, Numbers { workgroup: Some(256), ..none }, "32768"),
            (Backend::Hip, Kind::Batch, 0, many, "more than `workgroup`"),
        ];
        for (backend, kind, tables, numbers, says) in refusals {
            let error = Rows::new(backend, kind, tables, &numbers).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("i8"), "{error}");
        }
        assert!(Rows::new(Backend::Wgsl, Kind::Batch, 0, &wide).is_ok());
        assert!(Rows::new(Backend::Hip, Kind::Matvec, 0, &many).is_ok());
    }
}
