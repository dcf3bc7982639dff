//! A kernel text as native code.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use libloading::Library;

use super::compiler::{Compiler, error, unloadable};
use crate::Result;
use crate::artifact::{Backend, Kernel};

/// A HIP kernel, compiled for the CPU.
#[derive(Clone, Debug)]
pub struct HostKernel {
    facts: Kernel,
    /// Bytes of each argument.
    sizes: Vec<usize>,
    work: Work,
    /// Holds the code that `work` points to.
    _library: Arc<Library>,
}

/// One argument of a kernel.
#[derive(Debug)]
pub enum Argument<'a> {
    /// A pointer to memory that the kernel reads, aligned to 16 bytes.
    Read(&'a [u8]),
    /// A pointer to memory that the kernel writes, aligned to 16 bytes.
    Write(&'a mut [u8]),
    /// A value, as its bytes.
    Value(&'a [u8]),
}

/// The shim's launch: runs workgroups until none is left. 0 where memory is short.
type Work = unsafe extern "C" fn(*mut Launch, *mut *mut c_void) -> c_int;

/// What the shim calls `Launch`.
#[repr(C)]
struct Launch {
    groups_x: u32,
    groups_y: u32,
    threads: u32,
    failed: u32,
    next: u64,
    message: [u8; 256],
}

/// Most threads that a workgroup can have on GPUs.
const MAX_THREADS: u32 = 1024;

impl HostKernel {
    /// Compiles one kernel.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where there is no C++ compiler, or it refuses the
    /// text; with its diagnostics.
    ///
    /// # Safety
    /// As [`HostKernel::compile_all`].
    pub unsafe fn compile(kernel: &Kernel) -> Result<HostKernel> {
        // SAFETY: the caller's.
        let [compiled] = unsafe { HostKernel::compile_all(&[kernel]) }?
            .try_into()
            .map_err(|_| error("compiling a kernel", "the compiler made none of it".to_owned()))?;
        Ok(compiled)
    }

    /// Compiles kernels into one library, in much less time than one by one.
    ///
    /// # Errors
    /// As [`HostKernel::compile`]; also where a kernel is no HIP kernel, or two have one name.
    ///
    /// # Safety
    /// The texts become native code, which is loaded: they hold functions and constants only, as those of
    /// Quantloom's compiler do.
    pub unsafe fn compile_all(kernels: &[&Kernel]) -> Result<Vec<HostKernel>> {
        kernels.iter().try_for_each(|kernel| check(kernel))?;
        let during = "loading compiled kernels";
        let directory =
            tempfile::tempdir().map_err(|problem| error(during, problem.to_string()))?;
        let library = Compiler::find()?.compile(kernels, directory.path())?;
        // SAFETY: the library has just been made from the shim, which runs no code when loaded, and
        // from texts that run none either, as the caller knows.
        let library = unsafe { Library::new(&library) };
        let library = library
            .map_err(|problem| error(during, unloadable(directory.path(), &problem.to_string())));
        let library = Arc::new(library?);
        kernels.iter().map(|kernel| HostKernel::load(kernel, &library)).collect()
    }

    fn load(kernel: &Kernel, library: &Arc<Library>) -> Result<HostKernel> {
        let name = &kernel.name;
        let missing =
            |problem: libloading::Error| error(&format!("loading `{name}`"), problem.to_string());
        // SAFETY: the shim's macro QL_EXPORT defines both symbols with these types.
        let (sizes, work) = unsafe {
            let sizes =
                library.get::<unsafe extern "C" fn() -> *const u32>(format!("ql_sizes_{name}"));
            let work = library.get::<Work>(format!("ql_work_{name}"));
            (read_sizes(sizes.map_err(missing)?()), *work.map_err(missing)?)
        };
        Ok(HostKernel { facts: kernel.clone(), sizes, work, _library: library.clone() })
    }

    /// The launch facts it was compiled from.
    pub fn facts(&self) -> &Kernel {
        &self.facts
    }

    /// Runs the kernel over `grid` workgroups on all cores, with arguments in the order of its
    /// parameters, and waits for it.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the number, size or alignment of the arguments
    /// is not what the kernel takes, the grid has a third dimension, or threads of a workgroup part
    /// at a barrier or shuffle; the message says which, and where they wait.
    ///
    /// # Safety
    /// The kernel's text may be anything. For this grid and these arguments it must stay within the
    /// memory it is given, and neither write what it only reads nor race with itself.
    pub unsafe fn launch(&self, grid: [u32; 3], arguments: Vec<Argument<'_>>) -> Result<()> {
        let during = format!("launching `{}`", self.facts.name);
        let fail = |problem: String| Err(error(&during, problem));
        let ([groups_x, groups_y, 1], [threads @ 1..=MAX_THREADS, 1, 1]) =
            (grid, self.facts.workgroup)
        else {
            return fail(format!(
                "grid {grid:?} of workgroups {:?}; grids have two dimensions, workgroups one of 1 to {MAX_THREADS}",
                self.facts.workgroup
            ));
        };
        let passed = match Passed::new(arguments, &self.sizes) {
            Ok(passed) => passed,
            Err(problem) => return fail(problem),
        };
        let mut launch =
            Launch { groups_x, groups_y, threads, failed: 0, next: 0, message: [0; 256] };
        let groups = u64::from(groups_x) * u64::from(groups_y);
        let workers = (system_threads() as u64).min(groups);
        let shared = Shared { launch: &raw mut launch, arguments: &raw const passed };
        let ready = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|_| thread::Builder::new().spawn_scoped(scope, move || shared.work(self.work)))
                .collect();
            // Where the system starts fewer threads, those share the work; none is an error.
            let ready = workers.into_iter().flatten().map(|worker| worker.join().unwrap_or(false));
            ready.fold(groups == 0, |any, ready| any | ready)
        });
        if !ready {
            return fail("no memory or no threads of the operating system".to_owned());
        }
        if launch.failed != 0 {
            let text = launch.message.split(|byte| *byte == 0).next().unwrap_or_default();
            return fail(String::from_utf8_lossy(text).into_owned());
        }
        Ok(())
    }
}

/// What the threads of the operating system work on together.
#[derive(Clone, Copy)]
struct Shared<'a> {
    launch: *mut Launch,
    arguments: *const Passed<'a>,
}

// SAFETY: the shim changes the launch with atomic operations, but for the message, which the first
// to fail writes; arguments are only read. Both outlive the threads, which are scoped.
unsafe impl Send for Shared<'_> {}

impl Shared<'_> {
    fn work(self, work: Work) -> bool {
        // SAFETY: both pointers are valid, see above, and the number and sizes of the arguments are
        // those of the kernel, as `Passed::new` checked. The shim reads the array of pointers only.
        unsafe { work(self.launch, (*self.arguments).pointers.as_ptr().cast_mut()) != 0 }
    }
}

/// Arguments as the shim wants them: an array of pointers to them.
struct Passed<'a> {
    pointers: Vec<*mut c_void>,
    /// What `pointers` point to, for each argument an address or a value.
    _addresses: Vec<*mut c_void>,
    _values: Vec<Vec<u128>>,
    _memory: Vec<Argument<'a>>,
}

impl<'a> Passed<'a> {
    fn new(mut arguments: Vec<Argument<'a>>, sizes: &[usize]) -> Result<Passed<'a>, String> {
        if arguments.len() != sizes.len() {
            return Err(format!("{} arguments; the kernel takes {}", arguments.len(), sizes.len()));
        }
        let (mut addresses, mut values) = (Vec::new(), Vec::new());
        for (number, (argument, &size)) in arguments.iter_mut().zip(sizes).enumerate() {
            let given = argument.size();
            if given != size {
                return Err(format!(
                    "argument {number} has {given} bytes; the kernel takes {size}"
                ));
            }
            let (address, value) = argument.parts();
            if !address.addr().is_multiple_of(16) {
                return Err(format!("argument {number} is not aligned to 16 bytes"));
            }
            addresses.push(address);
            values.push(value);
        }
        let both = addresses.iter_mut().zip(&mut values);
        let pointers = both.map(|(address, value)| match value.is_empty() {
            true => (&raw mut *address).cast(),
            false => value.as_mut_ptr().cast(),
        });
        let pointers = pointers.collect();
        Ok(Passed { pointers, _addresses: addresses, _values: values, _memory: arguments })
    }
}

impl Argument<'_> {
    /// Bytes that the kernel receives.
    fn size(&self) -> usize {
        match self {
            Argument::Read(_) | Argument::Write(_) => size_of::<*mut c_void>(),
            Argument::Value(bytes) => bytes.len(),
        }
    }

    /// Its address and no value, or no address and a copy of its value.
    fn parts(&mut self) -> (*mut c_void, Vec<u128>) {
        match self {
            Argument::Read(bytes) => (bytes.as_ptr().cast_mut().cast(), Vec::new()),
            Argument::Write(bytes) => (bytes.as_mut_ptr().cast(), Vec::new()),
            Argument::Value(bytes) => {
                let mut value = vec![0u128; bytes.len().div_ceil(size_of::<u128>())];
                let copy = bytemuck::cast_slice_mut::<u128, u8>(&mut value).iter_mut();
                copy.zip(*bytes).for_each(|(to, from)| *to = *from);
                (std::ptr::null_mut(), value)
            }
        }
    }
}

/// The name becomes part of a C++ text and of a path.
fn check(kernel: &Kernel) -> Result<()> {
    let during = || format!("compiling `{}`", kernel.name);
    if kernel.backend != Backend::Hip {
        return Err(error(&during(), "it is not a HIP kernel".to_owned()));
    }
    let mut characters = kernel.name.chars();
    let first = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !first || !characters.all(|next| next.is_ascii_alphanumeric() || next == '_') {
        return Err(error(
            &during(),
            "its name is no C++ name; it must be letters, digits and underscores, a letter first"
                .to_owned(),
        ));
    }
    Ok(())
}

/// # Safety
/// `sizes` points to numbers that end with a 0.
unsafe fn read_sizes(sizes: *const u32) -> Vec<usize> {
    let mut read = Vec::new();
    loop {
        // SAFETY: no 0 came before this number, so it belongs to the list.
        let size = unsafe { *sizes.add(read.len()) };
        if size == 0 {
            return read;
        }
        read.push(size as usize);
    }
}

/// Threads of the operating system that a launch uses.
pub(super) fn system_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
