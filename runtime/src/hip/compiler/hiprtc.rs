//! AMD's compiler as a library.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Library, Refusal};
use crate::hip::driver::amd::{directories, version};
use crate::hip::driver::library::{functions, open};
use crate::hip::driver::{Failure, words};

type Status = c_int;
type Handle = *mut c_void;
type Texts = *const *const c_char;

functions! {
    /// The part of hipRTC's API that is used.
    struct Functions {
        fn hiprtcVersion(*mut c_int, *mut c_int) -> Status;
        fn hiprtcGetErrorString(Status) -> *const c_char;
        fn hiprtcCreateProgram(
            *mut Handle, *const c_char, *const c_char, c_int, Texts, Texts
        ) -> Status;
        fn hiprtcDestroyProgram(*mut Handle) -> Status;
        fn hiprtcCompileProgram(Handle, c_int, Texts) -> Status;
        fn hiprtcGetProgramLogSize(Handle, *mut usize) -> Status;
        fn hiprtcGetProgramLog(Handle, *mut c_char) -> Status;
        fn hiprtcGetCodeSize(Handle, *mut usize) -> Status;
        fn hiprtcGetCode(Handle, *mut c_char) -> Status;
    }
}

/// Calls a function of the compiler; its name goes into the failure.
macro_rules! call {
    ($functions:expr, $function:ident($($argument:expr),*)) => {{
        let functions: &Functions = $functions;
        let code = (functions.$function)($($argument),*);
        functions.check(stringify!($function), code)
    }};
}

/// Names of the compiler's library; the last ones are the runtime's, which held it once.
const NAMES: &[&str] = if cfg!(windows) {
    &["hiprtc.dll", "hiprtc0700.dll", "hiprtc0604.dll", "amdhip64.dll", "amdhip64_6.dll"]
} else {
    &[
        "libhiprtc.so",
        "libhiprtc.so.7",
        "libhiprtc.so.6",
        "libhiprtc.so.5",
        "libamdhip64.so",
        "libamdhip64.so.5",
    ]
};

impl Functions {
    /// The process's own, loaded once and never unloaded.
    fn get() -> Result<&'static Functions, String> {
        static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
        let load = || {
            let library = open(NAMES, &directories())?;
            // SAFETY: the types are those of hipRTC's documentation, the same since ROCm 5.
            let functions = unsafe { Functions::load(library) };
            functions.map_err(|problem| format!("hipRTC's library was loaded, but {problem}"))
        };
        FUNCTIONS.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn check(&self, call: &'static str, code: Status) -> Result<(), Failure> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: takes any number, and returns a constant.
        let text = unsafe { words((self.hiprtcGetErrorString)(code)) };
        Err(Failure { call, code: code.into(), text })
    }
}

pub(super) struct Hiprtc {
    functions: &'static Functions,
    version: String,
}

impl Hiprtc {
    pub fn open() -> Result<Hiprtc, String> {
        let functions = Functions::get()?;
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes two numbers.
        let known = unsafe { call!(functions, hiprtcVersion(&mut major, &mut minor)) };
        known.map_err(|failure| failure.to_string())?;
        // Its own version has stayed the same over releases of ROCm; the runtime's has not.
        let release = version().map(|release| format!(", HIP {release}")).unwrap_or_default();
        Ok(Hiprtc { functions, version: format!("hipRTC {major}.{minor}{release}") })
    }
}

/// A program, which lasts as long as this.
struct Program {
    functions: &'static Functions,
    handle: Handle,
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by hiprtcCreateProgram, and not used any more.
        let _ = unsafe { call!(self.functions, hiprtcDestroyProgram(&mut self.handle)) };
    }
}

impl Library for Hiprtc {
    fn version(&self) -> &str {
        &self.version
    }

    fn options(&self, target: &str) -> Result<Vec<String>, String> {
        let target = format!("--gpu-architecture={target}");
        // The text turns contraction off itself.
        Ok(vec![target, "-O3".to_owned(), "-std=c++17".to_owned()])
    }

    fn compile(
        &self,
        name: &CString,
        text: &CString,
        options: &[CString],
    ) -> Result<Vec<u8>, Refusal> {
        // Release 5.2 crashes where two threads compile at once.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let program = self.program(name, text)?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program is alive, and so are the options.
        let compiled = unsafe {
            let count = options.len() as c_int;
            call!(self.functions, hiprtcCompileProgram(program.handle, count, options.as_ptr()))
        };
        match compiled {
            Ok(()) => program.code().map_err(Refusal::from),
            Err(failure) => Err(Refusal { failure, log: program.log() }),
        }
    }
}

impl Hiprtc {
    fn program(&self, name: &CString, text: &CString) -> Result<Program, Failure> {
        let functions = self.functions;
        let mut handle = ptr::null_mut();
        let (text, name) = (text.as_ptr(), name.as_ptr());
        let none = ptr::null();
        // SAFETY: writes one handle; both texts end with a 0, and the program keeps copies.
        unsafe { call!(functions, hiprtcCreateProgram(&mut handle, text, name, 0, none, none)) }?;
        Ok(Program { functions, handle })
    }
}

impl Program {
    fn code(&self) -> Result<Vec<u8>, Failure> {
        let mut size = 0;
        // SAFETY: the program is alive; writes one number.
        unsafe { call!(self.functions, hiprtcGetCodeSize(self.handle, &mut size)) }?;
        let mut code = vec![0u8; size];
        // SAFETY: writes as many bytes as it said.
        unsafe { call!(self.functions, hiprtcGetCode(self.handle, code.as_mut_ptr().cast())) }?;
        Ok(code)
    }

    /// The diagnostics, or nothing where they cannot be had.
    fn log(&self) -> String {
        let mut size = 0;
        // SAFETY: the program is alive; writes one number.
        let known =
            unsafe { call!(self.functions, hiprtcGetProgramLogSize(self.handle, &mut size)) };
        let mut log = vec![0u8; size];
        let to = log.as_mut_ptr().cast();
        // SAFETY: writes as many bytes as it said.
        let read = known
            .and_then(|()| unsafe { call!(self.functions, hiprtcGetProgramLog(self.handle, to)) });
        let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
        read.map(|()| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }
}
