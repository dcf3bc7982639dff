//! AMD's GPUs: libamdhip64, loaded where it is installed.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;

use super::library::{functions, open};
use super::{Driver, Failure, Handle, numbered, words};

type Status = c_int;
type Pointer = *mut c_void;

functions! {
    /// The part of the HIP runtime's API that is used.
    struct Runtime {
        fn hipInit(c_uint) -> Status;
        fn hipGetDeviceCount(*mut c_int) -> Status;
        fn hipDeviceGetName(*mut c_char, c_int, c_int) -> Status;
        fn hipGetDevicePropertiesR0600 or hipGetDeviceProperties(Pointer, c_int) -> Status;
        fn hipRuntimeGetVersion(*mut c_int) -> Status;
        fn hipGetErrorName(Status) -> *const c_char;
        fn hipGetErrorString(Status) -> *const c_char;
        fn hipGetDevice(*mut c_int) -> Status;
        fn hipSetDevice(c_int) -> Status;
        fn hipMalloc(*mut Pointer, usize) -> Status;
        fn hipFree(Pointer) -> Status;
        fn hipMemcpyAsync(Pointer, *const c_void, usize, c_int, Pointer) -> Status;
        fn hipMemsetAsync(Pointer, c_int, usize, Pointer) -> Status;
        fn hipStreamCreateWithFlags(*mut Pointer, c_uint) -> Status;
        fn hipStreamSynchronize(Pointer) -> Status;
        fn hipStreamDestroy(Pointer) -> Status;
        fn hipDeviceSynchronize() -> Status;
        fn hipEventCreate(*mut Pointer) -> Status;
        fn hipEventRecord(Pointer, Pointer) -> Status;
        fn hipEventElapsedTime(*mut f32, Pointer, Pointer) -> Status;
        fn hipEventDestroy(Pointer) -> Status;
        fn hipModuleLoadData(*mut Pointer, *const c_void) -> Status;
        fn hipModuleUnload(Pointer) -> Status;
        fn hipModuleGetFunction(*mut Pointer, Pointer, *const c_char) -> Status;
        fn hipModuleLaunchKernel(
            Pointer, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Pointer, *mut Pointer,
            *mut Pointer
        ) -> Status;
    }
}

/// Calls a function of the runtime; its name goes into the failure.
macro_rules! call {
    ($runtime:expr, $function:ident($($argument:expr),*)) => {{
        let runtime: &Runtime = $runtime;
        let code = (runtime.$function)($($argument),*);
        runtime.check(stringify!($function), code)
    }};
}

/// Names of the runtime, the newest release last: a plain name is what the system prefers.
const NAMES: &[&str] = if cfg!(windows) {
    &["amdhip64.dll", "amdhip64_7.dll", "amdhip64_6.dll"]
} else {
    &["libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"]
};

/// Where ROCm lies when the system's loader does not know it.
pub(in crate::hip) fn directories() -> Vec<PathBuf> {
    let chosen = std::env::var_os("ROCM_PATH").filter(|path| !path.is_empty());
    match chosen {
        Some(path) => vec![PathBuf::from(path).join("lib")],
        None if cfg!(windows) => Vec::new(),
        None => vec![PathBuf::from("/opt/rocm/lib")],
    }
}

impl Runtime {
    /// The process's own, loaded once and never unloaded: drivers leave threads behind.
    fn get() -> Result<&'static Runtime, String> {
        static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
        let load = || {
            let library = open(NAMES, &directories())?;
            // SAFETY: the types are those of HIP's documentation, the same since ROCm 5.
            let runtime = unsafe { Runtime::load(library) };
            runtime.map_err(|problem| format!("libamdhip64 was loaded, but {problem}"))
        };
        RUNTIME.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn check(&self, call: &'static str, code: Status) -> Result<(), Failure> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: both take any number, and return constants.
        let (name, text) =
            unsafe { (words((self.hipGetErrorName)(code)), words((self.hipGetErrorString)(code))) };
        Err(Failure { call, code: code.into(), text: format!("{name}: {text}") })
    }
}

/// The runtime's version, which tells the release of its compiler too; nothing where it has none.
pub(in crate::hip) fn version() -> Option<i32> {
    let mut version = 0;
    // SAFETY: writes one number.
    unsafe { call!(Runtime::get().ok()?, hipRuntimeGetVersion(&mut version)) }.ok()?;
    Some(version)
}

/// A device of AMD's.
pub(in crate::hip) struct Amd {
    runtime: &'static Runtime,
    ordinal: c_int,
    name: String,
    target: String,
}

impl Amd {
    /// Device number `ordinal`.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::hip) fn open(ordinal: usize) -> Result<Amd, String> {
        let runtime = Runtime::get()?;
        let found = || {
            let mut count = 0;
            // SAFETY: the second call writes one number.
            unsafe {
                call!(runtime, hipInit(0))?;
                call!(runtime, hipGetDeviceCount(&mut count))?;
            }
            Ok(count)
        };
        let count = found().map_err(|failure: Failure| failure.to_string())?;
        let ordinal = numbered(ordinal, count)?;
        let about = || Ok((name(runtime, ordinal)?, target(runtime, ordinal)?));
        let (name, target) = about().map_err(|failure: Failure| failure.to_string())?;
        let target =
            target.ok_or("hipGetDeviceProperties does not tell the device's gfx target")?;
        Ok(Amd { runtime, ordinal, name, target })
    }
}

fn name(runtime: &Runtime, ordinal: c_int) -> Result<String, Failure> {
    let mut name = [0u8; 256];
    let last = name.len() as c_int - 1;
    // SAFETY: writes at most so many bytes, and the one after them stays 0.
    unsafe { call!(runtime, hipDeviceGetName(name.as_mut_ptr().cast(), last, ordinal)) }?;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// The target as in `gfx90a:sramecc+:xnack-`. Releases have it at different places of a struct whose
/// other texts, but for the name at its beginning, do not look like one.
fn target(runtime: &Runtime, ordinal: c_int) -> Result<Option<String>, Failure> {
    const NAME: usize = 256;
    // `hipDeviceProp_tR0600` has 1472 bytes, earlier structs fewer.
    let mut properties = [0u64; 2048];
    let to = properties.as_mut_ptr().cast();
    // SAFETY: writes one struct of the release, a tenth of these bytes at most.
    unsafe { call!(runtime, hipGetDevicePropertiesR0600(to, ordinal)) }?;
    let bytes: &[u8] = bytemuck::cast_slice(&properties);
    let rest = bytes.get(NAME..).unwrap_or_default();
    let mut texts = rest.split(|&byte| byte == 0);
    let named = texts.find(|text| text.len() > 4 && text.starts_with(b"gfx"));
    Ok(named.map(|text| String::from_utf8_lossy(text).into_owned()))
}

/// A number as a handle.
fn handle(ordinal: c_int) -> Handle {
    Handle(ptr::without_provenance_mut(ordinal as usize))
}

/// Directions of a copy.
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;
/// A stream that does not wait for the null stream.
const NON_BLOCKING: c_uint = 1;

fn pointer(address: u64) -> Pointer {
    ptr::without_provenance_mut(address as usize)
}

impl Driver for Amd {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn enter(&self) -> Result<Option<Handle>, Failure> {
        let mut before = 0;
        // SAFETY: writes one number.
        unsafe { call!(self.runtime, hipGetDevice(&mut before)) }?;
        if before == self.ordinal {
            return Ok(None);
        }
        // SAFETY: `open` found a device of this number.
        unsafe { call!(self.runtime, hipSetDevice(self.ordinal)) }?;
        Ok(Some(handle(before)))
    }

    fn leave(&self, before: Handle) {
        // SAFETY: the number of the device that the thread had. That the runtime takes it again can
        // only fail where every later call fails too, and says so.
        let _ = unsafe { call!(self.runtime, hipSetDevice(before.0.addr() as c_int)) };
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Failure> {
        let mut memory = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(self.runtime, hipMalloc(&mut memory, bytes)) }?;
        Ok(memory.expose_provenance() as u64)
    }

    unsafe fn free(&self, address: u64) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipFree(pointer(address))) }
    }

    unsafe fn write(
        &self,
        to: u64,
        from: *const u8,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure> {
        let (to, from) = (pointer(to), from.cast());
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipMemcpyAsync(to, from, bytes, TO_DEVICE, stream.0)) }
    }

    unsafe fn read(
        &self,
        to: *mut u8,
        from: u64,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure> {
        let (to, from) = (to.cast(), pointer(from));
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipMemcpyAsync(to, from, bytes, TO_HOST, stream.0)) }
    }

    unsafe fn clear(&self, to: u64, bytes: usize, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipMemsetAsync(pointer(to), 0, bytes, stream.0)) }
    }

    fn stream(&self) -> Result<Handle, Failure> {
        let mut stream = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(self.runtime, hipStreamCreateWithFlags(&mut stream, NON_BLOCKING)) }?;
        Ok(Handle(stream))
    }

    unsafe fn wait(&self, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipStreamSynchronize(stream.0)) }
    }

    fn wait_for_all(&self) -> Result<(), Failure> {
        // SAFETY: takes nothing.
        unsafe { call!(self.runtime, hipDeviceSynchronize()) }
    }

    unsafe fn destroy(&self, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipStreamDestroy(stream.0)) }
    }

    fn event(&self) -> Result<Handle, Failure> {
        let mut event = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(self.runtime, hipEventCreate(&mut event)) }?;
        Ok(Handle(event))
    }

    unsafe fn record(&self, event: Handle, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipEventRecord(event.0, stream.0)) }
    }

    unsafe fn elapsed(&self, from: Handle, to: Handle) -> Result<f32, Failure> {
        let mut milliseconds = 0.0;
        // SAFETY: the caller's; writes one number.
        unsafe {
            call!(self.runtime, hipEventElapsedTime(&mut milliseconds, from.0, to.0))?;
        }
        Ok(milliseconds)
    }

    unsafe fn destroy_event(&self, event: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipEventDestroy(event.0)) }
    }

    unsafe fn load(&self, code: &[u8]) -> Result<Handle, Failure> {
        let mut module = ptr::null_mut();
        // SAFETY: the caller's; writes one pointer.
        unsafe { call!(self.runtime, hipModuleLoadData(&mut module, code.as_ptr().cast())) }?;
        Ok(Handle(module))
    }

    unsafe fn unload(&self, module: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(self.runtime, hipModuleUnload(module.0)) }
    }

    unsafe fn function(&self, module: Handle, name: &CStr) -> Result<Handle, Failure> {
        let mut found = ptr::null_mut();
        // SAFETY: the caller's; writes one pointer.
        unsafe { call!(self.runtime, hipModuleGetFunction(&mut found, module.0, name.as_ptr())) }?;
        Ok(Handle(found))
    }

    unsafe fn launch(
        &self,
        function: Handle,
        grid: [u32; 3],
        workgroup: [u32; 3],
        arguments: &mut [*mut c_void],
        stream: Handle,
    ) -> Result<(), Failure> {
        let ([x, y, z], [threads_x, threads_y, threads_z]) = (grid, workgroup);
        let (arguments, none) = (arguments.as_mut_ptr(), ptr::null_mut());
        // SAFETY: the caller's.
        unsafe {
            call!(
                self.runtime,
                hipModuleLaunchKernel(
                    function.0, x, y, z, threads_x, threads_y, threads_z, 0, stream.0, arguments,
                    none
                )
            )
        }
    }
}
