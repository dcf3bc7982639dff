//! The devices that this machine has.

use quantloom::Device;
use std::io::Write;
use std::sync::LazyLock;

type Opened = LazyLock<Result<Device, String>>;

static DEVICES: [(&str, Opened); 4] = [
    ("cpu", LazyLock::new(|| Ok(Device::cpu()))),
    ("reference", LazyLock::new(|| Ok(Device::reference()))),
    ("wgsl", LazyLock::new(|| Device::wgpu().map_err(|error| error.to_string()))),
    ("hip", LazyLock::new(|| Device::hip_host().map_err(|error| error.to_string()))),
];

/// Those of the named devices that can be used here. What is missing is said, and a failure where
/// the environment's `REQUIRE` names it (`REQUIRE=wgsl,hip`).
pub fn devices(names: &[&str]) -> Vec<Device> {
    let required = std::env::var("REQUIRE").unwrap_or_default();
    let named = DEVICES.iter().filter(|(name, _)| names.contains(name));
    let opened = named.filter_map(|(name, device)| match &**device {
        Ok(device) => Some(device.clone()),
        Err(reason) if required.split(',').any(|required| required.trim() == *name) => {
            panic!("REQUIRE names {name}, but: {reason}")
        }
        Err(reason) => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Unlike a print, this is seen though the test passes.
            let _ = writeln!(std::io::stderr(), "{test} is skipped on {name}: {reason}");
            None
        }
    });
    opened.collect()
}
