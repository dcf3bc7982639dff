//! NVIDIA's GPUs: libcuda through cudarc, which loads it where it is installed.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;

use cudarc::driver::sys::{self, CUcontext, CUdevice_attribute, CUresult};
use libloading::Library;

use super::{Driver, Failure, Handle, numbered, words};

/// Calls a function of the driver, one of [`FUNCTIONS`]; its name goes into the failure.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {{
        const { assert!(lists(&FUNCTIONS, stringify!($function))) };
        check(stringify!($function), sys::$function($($argument),*))
    }};
}

fn check(call: &'static str, code: CUresult) -> Result<(), Failure> {
    if code == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let (mut name, mut text) = (ptr::null(), ptr::null());
    // SAFETY: both take any code and write a pointer to a constant, or leave null.
    let (name, text) = unsafe {
        let _ = sys::cuGetErrorName(code, &mut name);
        let _ = sys::cuGetErrorString(code, &mut text);
        (words(name), words(text))
    };
    Err(Failure { call, code: code as i64, text: format!("{name}: {text}") })
}

/// What is called here. cudarc panics where the driver is too old to have one of them.
const FUNCTIONS: [&str; 28] = [
    "cuInit",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamSynchronize",
    "cuStreamDestroy_v2",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventElapsedTime",
    "cuEventDestroy_v2",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuLaunchKernel",
];

/// That cudarc finds no library of this name; with the names it looks for, but those that only Windows
/// knows.
pub(in crate::hip) fn missing(library: &str) -> String {
    let plain = format!("{library}{}", std::env::consts::DLL_SUFFIX);
    let mut names = cudarc::get_lib_name_candidates(library);
    names.retain(|name| cfg!(windows) || name.contains(&plain));
    format!("none of {} can be loaded", names.join(", "))
}

/// Whether functions that are looked for are among them: for the compiler to ask of each call.
pub(in crate::hip) const fn lists(functions: &[&str], name: &str) -> bool {
    let (mut number, name) = (0, name.as_bytes());
    while number < functions.len() {
        let (own, mut same) = (functions[number].as_bytes(), 0);
        while same < own.len() && same < name.len() && own[same] == name[same] {
            same += 1;
        }
        if same == own.len() && same == name.len() {
            return true;
        }
        number += 1;
    }
    false
}

/// Whether a library that is there has these functions.
pub(in crate::hip) fn has(library: &Library, functions: &[&str]) -> Result<(), String> {
    // SAFETY: the functions are only looked up.
    let lacks = |name: &&&str| unsafe { library.get::<unsafe extern "C" fn()>(**name) }.is_err();
    match functions.iter().find(lacks) {
        Some(name) => Err(format!("it has no function {name}")),
        None => Ok(()),
    }
}

/// A device of NVIDIA's, in its primary context: the one that CUDA's own runtime works in.
pub(in crate::hip) struct Cuda {
    device: sys::CUdevice,
    context: Handle,
    name: String,
    target: String,
}

impl Cuda {
    /// Device number `ordinal`.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::hip) fn open(ordinal: usize) -> Result<Cuda, String> {
        // SAFETY: libcuda is NVIDIA's driver, which every program for its GPUs loads.
        if !unsafe { sys::is_culib_present() } {
            return Err(missing(if cfg!(windows) { "nvcuda" } else { "cuda" }));
        }
        // SAFETY: as above; it is there, so this does not panic.
        let library = unsafe { sys::culib() };
        has(library, &FUNCTIONS).map_err(|problem| format!("libcuda was loaded, but {problem}"))?;
        let count = count().map_err(|failure| failure.to_string())?;
        let ordinal = numbered(ordinal, count)?;
        Cuda::retain(ordinal).map_err(|failure| failure.to_string())
    }

    fn retain(ordinal: c_int) -> Result<Cuda, Failure> {
        let mut device = 0;
        // SAFETY: writes one number.
        unsafe { call!(cuDeviceGet(&mut device, ordinal)) }?;
        let name = name(device)?;
        let major = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
        let minor = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
        let target = format!("sm_{}{}", attribute(device, major)?, attribute(device, minor)?);
        let mut context = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(cuDevicePrimaryCtxRetain(&mut context, device)) }?;
        Ok(Cuda { device, context: Handle(context.cast()), name, target })
    }

    fn context(&self) -> CUcontext {
        self.context.0.cast()
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        // SAFETY: retained once, when this was made. Nobody is left to be told of a failure.
        let _ = unsafe { call!(cuDevicePrimaryCtxRelease_v2(self.device)) };
    }
}

fn count() -> Result<c_int, Failure> {
    let mut count = 0;
    // SAFETY: the second call writes one number.
    unsafe {
        call!(cuInit(0))?;
        call!(cuDeviceGetCount(&mut count))?;
    }
    Ok(count)
}

fn name(device: sys::CUdevice) -> Result<String, Failure> {
    let mut name = [0u8; 256];
    let last = name.len() as c_int - 1;
    // SAFETY: writes at most so many bytes, and the one after them stays 0.
    unsafe { call!(cuDeviceGetName(name.as_mut_ptr().cast(), last, device)) }?;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

fn attribute(device: sys::CUdevice, which: CUdevice_attribute) -> Result<c_int, Failure> {
    let mut value = 0;
    // SAFETY: writes one number.
    unsafe { call!(cuDeviceGetAttribute(&mut value, which, device)) }?;
    Ok(value)
}

/// A stream that does not wait for the null stream.
const NON_BLOCKING: c_uint = 1;
/// An event that takes the time.
const WITH_TIME: c_uint = 0;

impl Driver for Cuda {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn enter(&self) -> Result<Option<Handle>, Failure> {
        let mut before = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(cuCtxGetCurrent(&mut before)) }?;
        if before == self.context() {
            return Ok(None);
        }
        // SAFETY: the context is retained as long as this lives.
        unsafe { call!(cuCtxSetCurrent(self.context())) }?;
        Ok(Some(Handle(before.cast())))
    }

    fn leave(&self, before: Handle) {
        // SAFETY: the context that the thread had, or none. Where the driver does not take it again,
        // every later call fails too, and says so.
        let _ = unsafe { call!(cuCtxSetCurrent(before.0.cast())) };
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Failure> {
        let mut address = 0;
        // SAFETY: writes one address.
        unsafe { call!(cuMemAlloc_v2(&mut address, bytes)) }?;
        Ok(address)
    }

    unsafe fn free(&self, address: u64) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuMemFree_v2(address)) }
    }

    unsafe fn write(
        &self,
        to: u64,
        from: *const u8,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, stream.0.cast())) }
    }

    unsafe fn read(
        &self,
        to: *mut u8,
        from: u64,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, stream.0.cast())) }
    }

    unsafe fn clear(&self, to: u64, bytes: usize, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuMemsetD8Async(to, 0, bytes, stream.0.cast())) }
    }

    fn stream(&self) -> Result<Handle, Failure> {
        let mut stream = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(cuStreamCreate(&mut stream, NON_BLOCKING)) }?;
        Ok(Handle(stream.cast()))
    }

    unsafe fn wait(&self, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuStreamSynchronize(stream.0.cast())) }
    }

    fn wait_for_all(&self) -> Result<(), Failure> {
        // SAFETY: takes nothing.
        unsafe { call!(cuCtxSynchronize()) }
    }

    unsafe fn destroy(&self, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuStreamDestroy_v2(stream.0.cast())) }
    }

    fn event(&self) -> Result<Handle, Failure> {
        let mut event = ptr::null_mut();
        // SAFETY: writes one pointer.
        unsafe { call!(cuEventCreate(&mut event, WITH_TIME)) }?;
        Ok(Handle(event.cast()))
    }

    unsafe fn record(&self, event: Handle, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuEventRecord(event.0.cast(), stream.0.cast())) }
    }

    unsafe fn elapsed(&self, from: Handle, to: Handle) -> Result<f32, Failure> {
        type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> CUresult;
        const NAME: &str = "cuEventElapsedTime";
        const { assert!(lists(&FUNCTIONS, NAME)) };
        // cudarc knows its second version alone, which drivers before 570 have not.
        // SAFETY: `open` found the library and the function in it, whose type has never changed.
        let elapsed = unsafe { sys::culib().get::<Elapsed>(NAME) };
        let elapsed = elapsed.map_err(|error| Failure {
            call: NAME,
            code: CUresult::CUDA_ERROR_NOT_FOUND as i64,
            text: error.to_string(),
        })?;
        let mut milliseconds = 0.0;
        // SAFETY: the caller's; writes one number.
        check(NAME, unsafe { elapsed(&mut milliseconds, from.0.cast(), to.0.cast()) })?;
        Ok(milliseconds)
    }

    unsafe fn destroy_event(&self, event: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuEventDestroy_v2(event.0.cast())) }
    }

    unsafe fn load(&self, code: &[u8]) -> Result<Handle, Failure> {
        let mut module = ptr::null_mut();
        // SAFETY: the caller's; writes one pointer.
        unsafe { call!(cuModuleLoadData(&mut module, code.as_ptr().cast())) }?;
        Ok(Handle(module.cast()))
    }

    unsafe fn unload(&self, module: Handle) -> Result<(), Failure> {
        // SAFETY: the caller's.
        unsafe { call!(cuModuleUnload(module.0.cast())) }
    }

    unsafe fn function(&self, module: Handle, name: &CStr) -> Result<Handle, Failure> {
        let mut found = ptr::null_mut();
        // SAFETY: the caller's; writes one pointer.
        unsafe { call!(cuModuleGetFunction(&mut found, module.0.cast(), name.as_ptr())) }?;
        Ok(Handle(found.cast()))
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
        let (function, stream) = (function.0.cast(), stream.0.cast());
        let (arguments, none) = (arguments.as_mut_ptr(), ptr::null_mut());
        // SAFETY: the caller's.
        unsafe {
            call!(cuLaunchKernel(
                function, x, y, z, threads_x, threads_y, threads_z, 0, stream, arguments, none
            ))
        }
    }
}
