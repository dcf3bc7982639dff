//! What callers hand in has the sizes it should.

use crate::{Error, Result};

/// Activations are `[m, k]` with `m` at least 1.
pub(crate) fn check_activations(tensor: &str, x: &[f32], m: usize, k: usize) -> Result<()> {
    if m >= 1 && m.checked_mul(k) == Some(x.len()) {
        return Ok(());
    }
    let problem = if m == 0 {
        "0 rows; m must be at least 1".to_owned()
    } else {
        format!("{} values; [m, k] = [{m}, {k}] are {}", x.len(), m as u128 * k as u128)
    };
    Err(Error::Argument { what: "activations", tensor: tensor.to_owned(), problem })
}

/// Rows that are gathered must be there.
pub(crate) fn check_rows(tensor: &str, rows: &[u32], n: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= n) {
        None => Ok(()),
        Some(row) => Err(Error::Argument {
            what: "rows",
            tensor: tensor.to_owned(),
            problem: format!("row {row} of {n}"),
        }),
    }
}

/// There are as many values as there should be.
pub(crate) fn check_values(
    tensor: &str,
    what: &'static str,
    got: usize,
    wanted: u128,
) -> Result<()> {
    match got as u128 == wanted {
        true => Ok(()),
        false => Err(Error::Argument {
            what,
            tensor: tensor.to_owned(),
            problem: format!("{got} values; they must be {wanted}"),
        }),
    }
}
