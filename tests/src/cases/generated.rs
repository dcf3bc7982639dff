//! The checked-in kernels and manifest are what the compiler makes of formats/, on every run, and
//! other compilers take them.

use crate::amdgpu::{Clang, TARGETS};
use crate::descriptors;
use crate::engine::skip;
use crate::nvptx;
use crate::subject::{Subject, repository, subjects};
use crate::vendors::{self, VENDORS, Vendor};
use crate::{Failed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::hip::Compiler;
use quantloom_codegen::artifact::{Activations, Artifact, Backend, Kind, Row};
use quantloom_codegen::{compile, compile_with, emit, lower, quantizers, validate};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test("generated/up_to_date", up_to_date),
        test("generated/every_kernel_of_every_format", every_kernel),
        test("generated/every_int8_kernel_of_every_format", every_int8_kernel),
        test("generated/no_kernel_names_another_format", no_other_format),
        amdgpu("amdgpu/refuses_broken_kernels".into(), refuses_broken_kernels),
        amdgpu("amdgpu/any_name".into(), any_name),
    ];
    for subject in subjects() {
        trials.push(test(format!("generated/{}/same_every_time", subject.name), || same(subject)));
        trials.push(test(format!("generated/{}/valid_wgsl", subject.name), || valid(subject)));
        // Formats that share a descriptor differ in numbers: one is enough for other compilers.
        if subject.leads_family() {
            let name = format!("amdgpu/{}", subject.name);
            trials.push(amdgpu(name, |clang| compiles(subject, clang)));
            let name = format!("nvptx/{}", subject.name);
            trials.push(amdgpu(name, |clang| compiles_for_nvidia(subject, clang)));
        }
        for own in &VENDORS {
            let name = format!("{}/{}", own.name, subject.name);
            trials.push(vendor(own, name, |compiler| compiles_with(own, subject, compiler)));
        }
    }
    trials
}

fn artifacts() -> Result<Vec<Artifact>, Failed> {
    subjects().iter().map(|s| Ok(compile_with(&s.text, &s.name, &s.params)?.artifact)).collect()
}

/// The tree under formats/generated, file by file.
fn up_to_date() -> Result<(), Failed> {
    let compiled = subjects().iter().map(|s| compile_with(&s.text, &s.name, &s.params));
    let compiled = compiled.collect::<Result<Vec<_>, _>>()?;
    let wanted = emit::tree(&compiled, &quantizers()?, "..")?;
    let root = repository("formats/generated");
    let mut found = BTreeMap::new();
    for path in files(&root)? {
        let name = path.strip_prefix(&root)?.display().to_string();
        found.insert(name, fs::read_to_string(&path)?);
    }
    let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let differing: Vec<&str> = (names.into_iter())
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(String::as_str)
        .collect();
    match differing.as_slice() {
        [] => Ok(()),
        files => Err(format!("run `cargo xtask gen`: out of date are {}", files.join(", ")).into()),
    }
}

/// All files below a folder.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

/// What the runtime has built in is what the compiler makes, and complete.
fn every_kernel() -> Result<(), Failed> {
    let artifacts = artifacts()?;
    if quantloom::formats().len() != artifacts.len() {
        return Err("the runtime's formats are not those of formats/".into());
    }
    for (wanted, built_in) in artifacts.iter().zip(quantloom::formats()) {
        let same = wanted.name == built_in.name
            && wanted.title == built_in.title
            && wanted.gguf == built_in.gguf
            && wanted.weights == built_in.weights
            && wanted.streams == built_in.streams
            && wanted.indices == built_in.indices
            && (&wanted.family, &wanted.params) == (&built_in.family, &built_in.params)
            && (&wanted.sizes, &wanted.tables) == (&built_in.sizes, &built_in.tables)
            && wanted.kernels == built_in.kernels
            && wanted.descriptor == built_in.descriptor
            && built_in.cpu.is_some();
        if !same {
            return Err(format!("{} is built in differently", wanted.name).into());
        }
        let exact = |row: &&Row| row.activations == Activations::F32;
        if let Some(row) = emit::TABLE.iter().filter(exact).find(|row| wanted.of(**row).is_none()) {
            return Err(format!("{}: no {row:?}", wanted.name).into());
        }
    }
    Ok(())
}

/// Formats with 8-bit codes have every kernel that multiplies 8-bit activations, others none.
fn every_int8_kernel() -> Result<(), Failed> {
    let (mut with, mut without) = (0, 0);
    for subject in subjects() {
        let coded = lower::dots(&subject.format).is_some();
        *(if coded { &mut with } else { &mut without }) += 1;
        let artifact = subject.built_in()?;
        for (backend, subgroups) in
            [(Backend::Wgsl, false), (Backend::Wgsl, true), (Backend::Hip, false)]
        {
            for kind in [Kind::Matvec, Kind::Batch, Kind::Matmul] {
                let found = artifact.int8_kernel(backend, kind, subgroups);
                let right = found.map(|kernel| (kernel.kind, kernel.subgroups));
                // Nothing is summed over the invocations of a tile.
                let sums = subgroups && kind != Kind::Matmul;
                if right != coded.then_some((kind, sums)) {
                    return Err(format!(
                        "{}: {backend:?} {kind:?}, subgroups {subgroups}: {right:?}",
                        subject.name
                    )
                    .into());
                }
            }
        }
    }
    match quantloom::quantizers() == quantizers()? && with > 20 && without > 1 {
        true => Ok(()),
        false => Err(format!("{with} formats with 8-bit codes, {without} without").into()),
    }
}

/// Kernels carry their own format's name and no other's.
fn no_other_format() -> Result<(), Failed> {
    for artifact in artifacts()? {
        for kernel in artifact.kernels.iter() {
            let words = |text: &str| -> Vec<String> {
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                words.map(|word| format!("_{}_", word.to_lowercase())).collect()
            };
            let words = words(&kernel.source());
            for other in subjects().iter().filter(|s| *s.name != *artifact.name) {
                let types = ["f16", "bf16", "f32"].contains(&other.name.as_str())
                    || artifact.name.contains(&other.name);
                let name = format!("_{}_", other.name);
                if !types && words.iter().any(|word| word.contains(&name)) {
                    return Err(format!("{} names {}", kernel.name, other.name).into());
                }
            }
        }
    }
    Ok(())
}

fn same(subject: &Subject) -> Result<(), Failed> {
    let text =
        |_| Ok::<_, Failed>(format!("{:?}", compile_with(&subject.text, "file", &subject.params)?));
    let first = text(0)?;
    for round in 1..4 {
        if text(round)? != first {
            return Err("compiling it again gives something else".into());
        }
    }
    Ok(())
}

fn valid(subject: &Subject) -> Result<(), Failed> {
    let artifact = subject.built_in()?;
    validate::kernels(&artifact.kernels)?;
    // The validation itself can refuse.
    let mut broken = artifact.kernels.to_vec();
    for kernel in &mut broken {
        kernel.set_source(&format!("{}\nfn broken() -> u32 {{ return 1.5; }}\n", kernel.source()));
    }
    match validate::kernels(&broken) {
        Err(_) => Ok(()),
        Ok(()) => Err("a broken kernel passes".into()),
    }
}

/// A test that needs clang; `REQUIRE` calls it amdgpu.
fn amdgpu(name: String, test: impl FnOnce(&Clang) -> Result<(), Failed> + Send + 'static) -> Trial {
    static CLANG: LazyLock<Result<Clang, String>> = LazyLock::new(Clang::find);
    Trial::ignorable_test(name, move || match &*CLANG {
        Ok(clang) => test(clang).map(|()| Completion::Completed),
        Err(reason) => skip("amdgpu", reason),
    })
}

/// Every HIP kernel becomes a code object, with nothing kept in scratch memory and no sign of a zero lost:
/// for waves of both sizes, and those whose text differs by target, which use matrix units, for every
/// target.
fn compiles(subject: &Subject, clang: &Clang) -> Result<(), Failed> {
    let artifact = subject.built_in()?;
    let mut compiled = 0;
    for kernel in artifact.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip) {
        let source = kernel.source();
        let targets = if kernel.matrix == 0 { &TARGETS[..2] } else { &TARGETS[..] };
        for target in targets {
            let place = format!("{} for {target}", kernel.name);
            let object = clang.compile(&kernel.name, &source, target);
            let object = object.map_err(|message| format!("{place}: {message}"))?;
            if object.scratch > 0 {
                return Err(format!("{place}: {} bytes of scratch", object.scratch).into());
            }
            if let Some(instruction) = object.loses_signs() {
                return Err(format!("{place}: `{instruction}` loses the sign of a zero").into());
            }
            compiled += 1;
        }
    }
    if compiled == 0 { Err("it has no HIP kernel".into()) } else { Ok(()) }
}

/// Names of a descriptor are none that C++ or a template has.
fn any_name(clang: &Clang) -> Result<(), Failed> {
    let artifact = compile(descriptors::NAMES, "names.yaml")?.artifact;
    for kernel in artifact.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip) {
        let object = clang.compile(&kernel.name, &kernel.source(), TARGETS[0]);
        object.map_err(|message| format!("{}: {message}", kernel.name))?;
        nvptx::compile(clang, &kernel.name, &kernel.source())?;
    }
    Ok(())
}

/// Every HIP kernel takes the way of nvcc and NVRTC too.
fn compiles_for_nvidia(subject: &Subject, clang: &Clang) -> Result<(), Failed> {
    let artifact = subject.built_in()?;
    for kernel in artifact.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip) {
        nvptx::compile(clang, &kernel.name, &kernel.source())
            .map_err(|error| format!("{}: {error}", kernel.name))?;
    }
    let broken = "extern \"C\" __attribute__((global)) void kernel(float* y) { y = 1; }";
    match nvptx::compile(clang, "kernel", broken) {
        Err(_) => Ok(()),
        Ok(_) => Err("a broken kernel passes".into()),
    }
}

/// A test that needs a vendor's own compiler.
fn vendor(
    vendor: &'static Vendor,
    name: String,
    test: impl FnOnce(&Compiler) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match &*vendor.compiler {
        Ok(compiler) => test(compiler).map(|()| Completion::Completed),
        Err(reason) => skip(vendor.name, reason),
    })
}

/// A vendor's own compiler makes code of every HIP kernel.
fn compiles_with(vendor: &Vendor, subject: &Subject, compiler: &Compiler) -> Result<(), Failed> {
    let artifact = subject.built_in()?;
    // Of formats that share a descriptor one is compiled for every target.
    let targets = if subject.leads_family() { vendor.targets } else { &vendor.targets[..1] };
    let hip = || artifact.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip);
    for kernel in hip() {
        vendors::compile(compiler, kernel, targets)?;
    }
    let mut broken = hip().next().cloned().ok_or("it has no HIP kernel")?;
    broken.set_source(&format!("{}\nfloat broken() {{ return nonsense; }}\n", broken.source()));
    match vendors::compile(compiler, &broken, &vendor.targets[..1]) {
        Err(message) if message.contains("nonsense") => Ok(()),
        Err(message) => Err(message.into()),
        Ok(()) => Err("a broken kernel passes".into()),
    }
}

fn refuses_broken_kernels(clang: &Clang) -> Result<(), Failed> {
    let text = |body: &str| {
        format!("extern \"C\" __attribute__((global)) void kernel(float* y) {{ {body} }}")
    };
    let fine = text("y[__builtin_amdgcn_workitem_id_x()] = 1;");
    if let Some(instruction) = clang.compile("kernel", &fine, "gfx1100")?.loses_signs() {
        return Err(format!("`{instruction}` is said to lose a sign").into());
    }
    // A compiler may stop doing this: then what hides the operand in `f32_to_f16` can go, too.
    let folded = text("*(_Float16*)y = (_Float16)((float)((_Float16*)y)[1] * y[2]);");
    if clang.compile("kernel", &folded, "gfx1100")?.loses_signs().is_none() {
        return Err("a zero that is added to a product is not found".into());
    }
    let broken = [
        ("kernel", text("y = 1;"), "gfx1100", "kernel.hip:1"),
        ("kernel", text("int unused;"), "gfx1100", "kernel.hip:1"),
        ("other", fine.clone(), "gfx1100", "no kernel `other`"),
        ("kernel", fine, "gfx1", "gfx1"),
    ];
    for (name, text, target, says) in broken {
        match clang.compile(name, &text, target) {
            Err(message) if message.contains(says) => {}
            other => return Err(format!("`{text}` for {target} gives {other:?}").into()),
        }
    }
    Ok(())
}
