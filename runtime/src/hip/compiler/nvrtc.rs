//! NVIDIA's compiler as a library, through cudarc.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};
use std::marker::PhantomData;
use std::ptr;

use cudarc::nvrtc::sys::{self, nvrtcProgram, nvrtcResult};

use super::{Library, Refusal};
use crate::hip::driver::cuda::{has, lists, missing};
use crate::hip::driver::{Failure, words};

/// Calls a function of the compiler, one of [`FUNCTIONS`]; its name goes into the failure.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {{
        const { assert!(lists(&FUNCTIONS, stringify!($function))) };
        check(stringify!($function), sys::$function($($argument),*))
    }};
}

fn check(call: &'static str, code: nvrtcResult) -> Result<(), Failure> {
    if code == nvrtcResult::NVRTC_SUCCESS {
        return Ok(());
    }
    // SAFETY: takes any code, and returns a constant.
    let text = unsafe { words(sys::nvrtcGetErrorString(code)) };
    Err(Failure { call, code: code as i64, text })
}

/// What is called here. cudarc panics where the library is too old to have one of them.
const FUNCTIONS: [&str; 13] = [
    "nvrtcVersion",
    "nvrtcGetErrorString",
    "nvrtcGetNumSupportedArchs",
    "nvrtcGetSupportedArchs",
    "nvrtcCreateProgram",
    "nvrtcDestroyProgram",
    "nvrtcCompileProgram",
    "nvrtcGetProgramLogSize",
    "nvrtcGetProgramLog",
    "nvrtcGetCUBINSize",
    "nvrtcGetCUBIN",
    "nvrtcGetPTXSize",
    "nvrtcGetPTX",
];

pub(super) struct Nvrtc {
    version: String,
    /// Numbers of the targets that it knows, as in `sm_90`, in rising order.
    targets: Vec<c_int>,
}

impl Nvrtc {
    pub fn open() -> Result<Nvrtc, String> {
        // SAFETY: libnvrtc is NVIDIA's compiler; it does nothing when it is loaded.
        if !unsafe { sys::is_culib_present() } {
            return Err(missing("nvrtc"));
        }
        // SAFETY: as above; it is there, so this does not panic.
        let library = unsafe { sys::culib() };
        has(library, &FUNCTIONS)
            .map_err(|problem| format!("libnvrtc was loaded, but {problem}"))?;
        let known = || Ok(Nvrtc { version: version()?, targets: targets()? });
        known().map_err(|failure: Failure| failure.to_string())
    }
}

fn version() -> Result<String, Failure> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes two numbers.
    unsafe { call!(nvrtcVersion(&mut major, &mut minor)) }?;
    Ok(format!("NVRTC {major}.{minor}"))
}

fn targets() -> Result<Vec<c_int>, Failure> {
    let mut count = 0;
    // SAFETY: writes one number.
    unsafe { call!(nvrtcGetNumSupportedArchs(&mut count)) }?;
    let mut targets = vec![0; count.max(0) as usize];
    // SAFETY: writes as many numbers as it said.
    unsafe { call!(nvrtcGetSupportedArchs(targets.as_mut_ptr())) }?;
    targets.sort_unstable();
    Ok(targets)
}

impl Library for Nvrtc {
    fn version(&self) -> &str {
        &self.version
    }

    fn options(&self, target: &str) -> Result<Vec<String>, String> {
        let number = target.strip_prefix("sm_").and_then(|number| number.parse().ok());
        let number: c_int =
            number.ok_or_else(|| format!("target `{target}`; it must be one as `sm_90`"))?;
        let architecture = match self.targets.iter().rev().find(|&&known| known <= number) {
            Some(&known) if known == number => format!("sm_{number}"),
            Some(older) => format!("compute_{older}"),
            None => {
                return Err(format!(
                    "this compiler knows no target as old as {target}; install an older one"
                ));
            }
        };
        // The text demands that nothing is contracted.
        let others = ["--std=c++17", "--fmad=false"].map(str::to_owned);
        Ok([vec![format!("--gpu-architecture={architecture}")], others.into()].concat())
    }

    fn compile(
        &self,
        name: &CString,
        text: &CString,
        options: &[CString],
    ) -> Result<Vec<u8>, Refusal> {
        let program = Program::new(name, text)?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = options.len() as c_int;
        // SAFETY: the program is alive, and so are the options.
        match unsafe { call!(nvrtcCompileProgram(program.0, count, options.as_ptr())) } {
            Ok(()) => program.code().map_err(Refusal::from),
            Err(failure) => Err(Refusal { failure, log: program.log() }),
        }
    }
}

/// A program, which lasts as long as this, and as its name and text at most.
struct Program<'a>(nvrtcProgram, PhantomData<&'a CString>);

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: made by nvrtcCreateProgram, and not used any more.
        let _ = unsafe { call!(nvrtcDestroyProgram(&mut self.0)) };
    }
}

impl<'a> Program<'a> {
    fn new(name: &'a CString, text: &'a CString) -> Result<Program<'a>, Failure> {
        let mut program = ptr::null_mut();
        let (text, name) = (text.as_ptr(), name.as_ptr());
        let none = ptr::null();
        // SAFETY: writes one handle; both texts end with a 0 and outlive the program, as its type says.
        unsafe { call!(nvrtcCreateProgram(&mut program, text, name, 0, none, none)) }?;
        Ok(Program(program, PhantomData))
    }

    /// The cubin; the PTX where the target was no real one, which has no cubin.
    fn code(&self) -> Result<Vec<u8>, Failure> {
        let mut size = 0;
        // SAFETY: the program is alive; writes one number.
        unsafe { call!(nvrtcGetCUBINSize(self.0, &mut size)) }?;
        if size > 0 {
            let mut code = vec![0u8; size];
            // SAFETY: writes as many bytes as it said.
            unsafe { call!(nvrtcGetCUBIN(self.0, code.as_mut_ptr().cast())) }?;
            return Ok(code);
        }
        // SAFETY: the program is alive; writes one number.
        unsafe { call!(nvrtcGetPTXSize(self.0, &mut size)) }?;
        let mut code = vec![0u8; size];
        // SAFETY: writes as many bytes as it said, a 0 at the end.
        unsafe { call!(nvrtcGetPTX(self.0, code.as_mut_ptr().cast())) }?;
        Ok(code)
    }

    /// The diagnostics, or nothing where they cannot be had.
    fn log(&self) -> String {
        let mut size = 0;
        // SAFETY: the program is alive; writes one number.
        let known = unsafe { call!(nvrtcGetProgramLogSize(self.0, &mut size)) };
        let mut log = vec![0u8; size];
        let to = log.as_mut_ptr().cast();
        // SAFETY: writes as many bytes as it said.
        let read = known.and_then(|()| unsafe { call!(nvrtcGetProgramLog(self.0, to)) });
        let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
        read.map(|()| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }
}
