//! The drivers that stand in where there is no device.

use super::{Vendor, various};
use crate::Failed;
use crate::engine::skip;
use crate::stand_in::{StandIn, damage};
use libtest_mimic::Completion;

/// The tests that a machine with a device runs, with the libraries that stand in for it.
pub(super) fn stand_in(vendor: &Vendor) -> Result<Completion, Failed> {
    let stand_in = match StandIn::make()? {
        Ok(stand_in) => stand_in,
        Err(reason) => return skip("hip", &reason),
    };
    stand_in.test(&format!("drivers/{}/", vendor.name), vendor.name)?;
    stand_in.test(&format!("int8/activations/{}", vendor.name), vendor.name)?;
    for subject in various() {
        stand_in
            .test(&format!("{}/{}/{}", vendor.group, subject.name, vendor.name), vendor.name)?;
    }
    if stand_in.compiled() == 0 {
        return Err("no kernel was compiled".into());
    }
    kept(&stand_in, vendor).map(|()| Completion::Completed)
}

/// Kernels are compiled again where their files are damaged, and only there.
fn kept(stand_in: &StandIn, vendor: &Vendor) -> Result<(), Failed> {
    let subject = various().next().ok_or("no format")?;
    let run = || stand_in.test(&format!("verify/{}/{}", subject.name, vendor.name), vendor.name);
    run()?;
    match stand_in.compiled() {
        0 => {}
        compiled => return Err(format!("{compiled} kernels of the disk were compiled").into()),
    }
    std::fs::remove_dir_all(stand_in.cache())?;
    run()?;
    let fresh = stand_in.compiled();
    let damaged = damage(&stand_in.cache())?;
    run()?;
    let again = stand_in.compiled();
    run()?;
    let last = stand_in.compiled();
    match fresh > 0 && (fresh, fresh, 0) == (damaged, again, last) {
        true => Ok(()),
        false => Err(format!(
            "{fresh} kernels were compiled and {damaged} kept; when those were damaged {again} were compiled again, \
             then {last}"
        )
        .into()),
    }
}
