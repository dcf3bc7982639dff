//! What only real devices have: streams and memory of the caller's, kernels kept on disk, code from
//! elsewhere. On the devices that are there, and on libraries that stand in for them.

mod memory;
mod stand_in;

use crate::engine::skip;
use crate::seed::rng;
use crate::stand_in::stands_in;
use crate::subject::{Subject, subjects};
use crate::{Failed, passed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::Device;
use quantloom::artifact::{Backend, Element, Kind};
use quantloom::hip::{Compiler, Hip, View};
use quantloom::verify::Case;
use std::collections::HashSet;
use std::thread;

/// A vendor's devices.
struct Vendor {
    /// Its name in tests and in `REQUIRE`.
    name: &'static str,
    open: fn(usize) -> quantloom::Result<Hip>,
    compiler: fn() -> quantloom::Result<Compiler>,
    /// What an error names where it has no driver.
    library: &'static str,
    /// Tests of formats that its stand-in runs: all, and for what differs from that one, some.
    group: &'static str,
}

const VENDORS: [Vendor; 2] = [
    Vendor {
        name: "amd",
        open: Hip::amd,
        compiler: Compiler::amd,
        library: "libamdhip64.so",
        group: "",
    },
    Vendor {
        name: "cuda",
        open: Hip::cuda,
        compiler: Compiler::cuda,
        library: "libcuda.so",
        group: "verify",
    },
];

type Test = fn(&Vendor) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for vendor in &VENDORS {
        let own = |what: &str| format!("drivers/{}/{what}", vendor.name);
        let name = format!("drivers/says_what_is_missing_{}", vendor.name);
        trials.push(test(name, || says_what_is_missing(vendor)));
        let tests: [(&str, Test); 6] = [
            ("streams_and_memory", memory::streams_and_memory),
            ("events", events),
            ("arguments", arguments),
            ("small_limits", small_limits),
            ("code_from_elsewhere", code_from_elsewhere),
            ("every_device_from_several_threads", several_threads),
        ];
        for (what, test) in tests {
            trials.push(Trial::ignorable_test(own(what), move || match (vendor.open)(0) {
                Ok(_) => test(vendor).map(|()| Completion::Completed),
                Err(reason) => skip(vendor.name, &reason.to_string()),
            }));
        }
        let name = format!("drivers/stand_in_{}", vendor.name);
        trials.push(Trial::ignorable_test(name, || stand_in::stand_in(vendor)));
    }
    trials
}

/// Formats that differ in how their bytes come to a device, or kernels to their tables.
fn various() -> impl Iterator<Item = &'static Subject> {
    let mut known = HashSet::new();
    subjects().iter().filter(move |subject| {
        let artifact = subject.built_in().ok();
        artifact.is_some_and(|artifact| {
            let streams = artifact.streams.len().min(3);
            let block = artifact.weights.min(4);
            known.insert((streams, block, artifact.is_plain(), artifact.tables.is_empty()))
        })
    })
}

fn says_what_is_missing(vendor: &Vendor) -> Result<(), Failed> {
    match (vendor.open)(0) {
        Ok(_) => {}
        // A driver without a device names its call.
        Err(error) => {
            let text = error.to_string();
            let says = [vendor.library, "Init returned", "finds no device"];
            if !says.iter().any(|says| text.contains(says)) || !text.contains("install") {
                return Err(format!("`{text}` does not say what is missing").into());
            }
        }
    }
    match (vendor.open)(1000) {
        Ok(_) => Err("there is a device of number 1000".into()),
        Err(quantloom::Error::NoAdapter { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A tensor of a format and its product with `m` activation rows.
fn case(subject: &Subject, purpose: &str, n: usize, m: usize) -> Result<Case, Failed> {
    let block = subject.format.weights as usize;
    subject.case(n, 300usize.div_ceil(block) * block, m, &mut rng(purpose))
}

/// Times by the device's clock: more work takes longer, and what has not happened has no time.
fn events(vendor: &Vendor) -> Result<(), Failed> {
    let (gpu, other) = ((vendor.open)(0)?, (vendor.open)(0)?);
    let subject = various().next().ok_or("no format")?;
    let case = case(subject, "events", 64, 1)?;
    let weights = gpu.upload(case.tensor())?;
    let (x, y) = (gpu.buffer(4 * weights.k())?, gpu.buffer(4 * 64)?);
    weights.prepare(Kind::Matvec, Element::F32)?;
    let stream = gpu.stream()?;
    x.write(&stream, &vec![0; 4 * case.tensor().k()])?;
    let [start, middle, end] = [gpu.event()?, gpu.event()?, gpu.event()?];
    let never = end.since(&start);
    stream.record(&start)?;
    weights.launch_matvec(&stream, &x, &y)?;
    stream.record(&middle)?;
    (0..100).try_for_each(|_| weights.launch_matvec(&stream, &x, &y))?;
    stream.record(&end)?;
    stream.synchronize()?;
    let [all, first, rest] = [(&end, &start), (&middle, &start), (&end, &middle)]
        .map(|(to, from)| to.since(from).map(|time| time.as_secs_f64()));
    let (all, first, rest) = (all?, first?, rest?);
    if first <= 0.0 || rest <= first || (all - first - rest).abs() > 1e-3 * all {
        return Err(format!("{first} s and {rest} s of {all} s").into());
    }
    let foreign = other.event()?;
    let refusals = [never.map(drop), stream.record(&foreign), end.since(&foreign).map(drop)];
    match refusals.iter().position(Result::is_ok) {
        Some(number) => Err(format!("call {number} is no error").into()),
        None => Ok(()),
    }
}

/// Everything that is wrong is told of, and nothing is launched.
#[allow(unsafe_code)]
fn arguments(vendor: &Vendor) -> Result<(), Failed> {
    let (gpu, other) = ((vendor.open)(0)?, (vendor.open)(0)?);
    let subject = various().next().ok_or("no format")?;
    let case = case(subject, "arguments", 8, 1)?;
    let weights = gpu.upload(case.tensor())?;
    let k = case.tensor().k() as u64;
    let (x, y) = (gpu.buffer(4 * k)?, gpu.buffer(32)?);
    let (stream, foreign) = (gpu.stream()?, other.stream()?);
    let foreign_y = other.buffer(32)?;
    let short = View::from(&x).slice(0..4 * k - 16).ok_or("no view")?;
    let odd = View::from(&x).slice(8..4 * k).ok_or("no view")?;
    let mut broken = case.tensor().format().kernels.to_vec();
    for kernel in &mut broken {
        kernel.set_source(&kernel.source().replace("const QlShape shape", "const Nonsense shape"));
    }
    let broken = quantloom::artifact::Artifact {
        kernels: broken.into(),
        ..(**case.tensor().format()).clone()
    };
    let streams = case.tensor().streams().to_vec();
    let tensor = |format| quantloom::Tensor::new("broken", format, 8, k as usize, streams.clone());
    let broken = quantloom::Format::from(broken);
    match gpu.upload(&tensor(broken.clone())?) {
        Err(error) if error.to_string().contains("vouch for it with `Format::trusted`") => {}
        other => return Err(format!("a changed text is taken: {:?}", other.map(drop)).into()),
    }
    // SAFETY: no compiler takes the texts.
    let broken = gpu.upload(&tensor(unsafe { broken.trusted() })?)?;
    let refusals = [
        (weights.launch_matvec(&stream, short, &y), "rounded up to a multiple of 4, take"),
        (weights.launch_matvec(&stream, odd, &y), "rounded up to a multiple of 4, take"),
        (weights.launch_matvec(&stream, &y, &x), "activations of tensor"),
        (weights.launch_matmul(&stream, &x, &y, 0), "m must be at least 1"),
        (weights.launch_matmul(&stream, &x, &y, 2), "take"),
        (weights.launch_dequant(&stream, &y, Element::F32), "output of tensor"),
        (weights.launch_matvec(&foreign, &x, &y), "another device"),
        (weights.launch_matvec(&stream, &x, &foreign_y), "another device"),
        (y.write(&stream, &[0; 33]), "the buffer has 32 bytes"),
        (y.read(&foreign, &mut [0; 4]), "another device"),
        (broken.launch_matvec(&stream, &x, &y), "Nonsense"),
        (broken.launch_matvec(&stream, &x, &y), "CompileProgram returned 6"),
        (gpu.buffer(1 << 60).map(drop), "out of memory"),
        (gpu.buffer(u64::MAX).map(drop), "out of memory"),
    ];
    for (number, (result, says)) in refusals.into_iter().enumerate() {
        match result {
            Err(error) if error.to_string().contains(says) => {}
            other => return Err(format!("call {number}: {other:?} does not say `{says}`").into()),
        }
    }
    let whole = gpu.buffer(4 * k + 16)?;
    let odd = View::from(&whole).slice(8..4 * k + 8).ok_or("no view")?;
    match weights.launch_matvec(&stream, odd, &y) {
        Err(error) if error.to_string().contains("must begin at a multiple of 16") => Ok(()),
        other => Err(format!("an address that is not aligned: {other:?}").into()),
    }
}

/// Tensors in parts, and grids of two dimensions.
fn small_limits(vendor: &Vendor) -> Result<(), Failed> {
    let gpu = (vendor.open)(0)?;
    for subject in various().filter(|subject| subject.format.is_plain()) {
        let case = case(subject, "small_limits", 307, 3)?;
        let limit = (case.tensor().bytes() as u64 / 3).max(16 << 10);
        let small = gpu.clone().with_binding_limit(limit).with_workgroup_limit(40);
        let parts = small.upload(case.tensor())?.parts();
        if (parts > 1) != (case.tensor().bytes() as u64 > limit) {
            return Err(format!("{}: {parts} parts", subject.name).into());
        }
        // Decoded weights take more than a binding of this size, and come in pieces.
        let limit = limit.max(4 * case.tensor().k() as u64 * 64);
        passed(case.check(&Device::from(gpu.clone().with_binding_limit(limit))))?;
    }
    Ok(())
}

/// Kernels that were compiled before are taken as they are.
#[allow(unsafe_code)]
fn code_from_elsewhere(vendor: &Vendor) -> Result<(), Failed> {
    let compiler = (vendor.compiler)()?;
    let gpu = (vendor.open)(0)?;
    let subject = various().next().ok_or("no format")?;
    let case = case(subject, "code_from_elsewhere", 33, 2)?;
    let format = case.tensor().format();
    for kernel in format.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip) {
        let code = compiler.compile(kernel, gpu.target())?;
        // SAFETY: the compiler has just written it, from this kernel.
        unsafe { gpu.load(&code, &[kernel]) }?;
        let mut other = kernel.clone();
        other.name = "not_there".into();
        // SAFETY: as above; the name is looked up and not found.
        match unsafe { gpu.load(&code, &[&other]) } {
            Err(error) if error.to_string().contains("loading `not_there`") => {}
            other => return Err(format!("a kernel that is not there: {other:?}").into()),
        }
    }
    if stands_in() {
        // SAFETY: these libraries look before they read.
        let refused = unsafe { gpu.load(&[0; 64], &[&format.kernels[0]]) };
        let says = refused.err().map(|error| error.to_string()).unwrap_or_default();
        if !says.contains("returned 200 (STAND_IN_INVALID_IMAGE") {
            return Err(format!("no code at all: {says}").into());
        }
    }
    passed(case.check(&Device::from(gpu)))
}

/// A thread has the device it had before, whatever is done here meanwhile.
fn several_threads(vendor: &Vendor) -> Result<(), Failed> {
    let devices: Vec<Hip> = (0..).map_while(|ordinal| (vendor.open)(ordinal).ok()).collect();
    let subject = various().next().ok_or("no format")?;
    let case = case(subject, "several_threads", 64, 5)?;
    let check = |number: usize| -> quantloom::Result<()> {
        for turn in 0..2 * devices.len() {
            case.check(&devices[(number + turn) % devices.len()].clone().into())?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || check(number))).collect();
        let results = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread ended"));
        results.collect::<Vec<_>>().into_iter().try_for_each(|result| Ok(result??))
    })
}
