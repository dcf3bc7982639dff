//! The engines that every format runs on, all behind the runtime's one API.

use crate::Failed;
use libtest_mimic::{Completion, Trial};
use quantloom::Device;
use quantloom::hip_host::HipHost;
use std::sync::LazyLock;

/// A way to decode and multiply.
pub struct Engine {
    /// Its name in tests and in `REQUIRE`.
    pub name: &'static str,
    device: LazyLock<Result<Device, String>>,
}

/// All engines: the interpreter of the IR, the CPU, WGSL through wgpu, HIP through the host shim, and
/// HIP on GPUs of AMD and NVIDIA.
pub static ENGINES: [Engine; 6] = [
    Engine { name: "reference", device: LazyLock::new(|| Ok(Device::reference())) },
    Engine { name: "cpu", device: LazyLock::new(|| Ok(Device::cpu())) },
    Engine { name: "wgsl", device: LazyLock::new(|| opened(Device::wgpu())) },
    Engine { name: "hip", device: LazyLock::new(|| HIP_HOST.clone().map(Device::from)) },
    Engine { name: "amd", device: LazyLock::new(|| opened(Device::amd())) },
    Engine { name: "cuda", device: LazyLock::new(|| opened(Device::cuda())) },
];

/// HIP through the host shim: what it has compiled serves exact products and 8-bit ones.
pub static HIP_HOST: LazyLock<Result<HipHost, String>> =
    LazyLock::new(|| HipHost::new().map_err(|error| error.to_string()));

/// Engines on hardware that few machines have.
const GPUS: [&str; 2] = ["amd", "cuda"];

/// A test for each GPU that is not there, in place of all those that need it: `trials` loses them.
pub fn without_absent(mut trials: Vec<Trial>) -> Vec<Trial> {
    for engine in ENGINES.iter().filter(|engine| GPUS.contains(&engine.name)) {
        if engine.device.is_err() {
            let whole = trials.len();
            trials.retain(|trial| trial.name().split('/').all(|part| part != engine.name));
            let lost = whole - trials.len();
            let name = format!("engines/{}, {lost} tests", engine.name);
            trials.push(trial(name, engine, |_| Ok(())));
        }
    }
    trials
}

fn opened(device: quantloom::Result<Device>) -> Result<Device, String> {
    device.map_err(|error| error.to_string())
}

/// A test on one engine. Where the engine is not present, the test is skipped with the reason, or
/// fails where the environment's `REQUIRE` names it (`REQUIRE=wgsl,hip`).
pub fn trial(
    name: String,
    engine: &'static Engine,
    test: impl FnOnce(&Device) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match &*engine.device {
        Ok(device) => test(device).map(|()| Completion::Completed),
        Err(reason) => skip(engine.name, reason),
    })
}

/// What a test comes to that needs something which is not present.
pub fn skip(name: &str, reason: &str) -> Result<Completion, Failed> {
    match required().iter().any(|required| required == name) {
        true => Err(format!("REQUIRE names {name}, but: {reason}").into()),
        false => Ok(Completion::ignored_with(reason)),
    }
}

/// What `REQUIRE` lists.
pub fn required() -> &'static [String] {
    static REQUIRED: LazyLock<Vec<String>> = LazyLock::new(|| {
        let list = std::env::var("REQUIRE").unwrap_or_default();
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect()
    });
    &REQUIRED
}
