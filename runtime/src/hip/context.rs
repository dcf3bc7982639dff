//! An open device: its driver, its compiler, and what has been compiled for it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, OnceLock};

use super::cache::Cache;
use super::driver::{Driver, Failure, Handle};
use super::{Compiler, Vendor};
use crate::artifact::{Kernel, Text};
use crate::launch::locked;
use crate::{Error, Result};

/// A device, shared by everything that lies on it.
pub(super) struct Context {
    pub vendor: Vendor,
    driver: Box<dyn Driver>,
    /// The device, for people.
    pub name: String,
    /// For uploads and results.
    stream: Handle,
    compiler: OnceLock<Result<Compiler, String>>,
    cache: Cache,
    functions: Mutex<HashMap<(Text, String), Slot>>,
    modules: Mutex<Vec<Handle>>,
}

/// A kernel that is compiled by whoever comes first, while others wait.
type Slot = Arc<Mutex<Option<Arc<Function>>>>;

/// A kernel on the device.
pub(super) struct Function {
    pub handle: Handle,
}

impl Context {
    /// Opens a device whose driver has found it.
    pub fn new(vendor: Vendor, driver: impl Driver + 'static) -> Result<Context> {
        let name = format!("{} ({})", driver.name(), driver.target());
        let mut context = Context {
            vendor,
            driver: Box::new(driver),
            name,
            stream: Handle(std::ptr::null_mut()),
            compiler: OnceLock::new(),
            cache: Cache::of_environment(),
            functions: Mutex::default(),
            modules: Mutex::default(),
        };
        context.stream =
            context.call(|| "creating a stream".to_owned(), |driver| driver.stream())?;
        Ok(context)
    }

    /// For uploads and results.
    pub fn stream(&self) -> Handle {
        self.stream
    }

    /// What code is compiled for.
    pub fn target(&self) -> &str {
        self.driver.target()
    }

    /// Calls the driver with this device as the thread's own, which afterwards is what it was.
    pub fn call<T>(
        &self,
        during: impl Fn() -> String,
        call: impl FnOnce(&dyn Driver) -> Result<T, Failure>,
    ) -> Result<T> {
        let driver = &*self.driver;
        let called = driver.enter().and_then(|before| {
            let called = call(driver);
            if let Some(before) = before {
                driver.leave(before);
            }
            called
        });
        called.map_err(|failure| failure.error(&self.name, during()))
    }

    /// The kernel on this device: compiled once per process, and where it can be only once per user.
    pub fn function(&self, kernel: &Kernel) -> Result<Arc<Function>> {
        let slot = self.slot(kernel);
        let mut slot = locked(&slot);
        if let Some(function) = &*slot {
            return Ok(function.clone());
        }
        let compiler = self.compiler()?;
        let key = compiler.key(kernel, self.target());
        let known = key.as_ref().and_then(|key| self.cache.read(key));
        // SAFETY: entries are whole, as the cache checks.
        let loaded = known.and_then(|code| unsafe { self.load(&code, kernel) }.ok());
        let function = match loaded {
            Some(function) => function,
            // Not kept, or kept by a driver that this one does not understand.
            None => {
                let code = compiler.compile(kernel, self.target())?;
                // SAFETY: the compiler has just written it.
                let function = unsafe { self.load(&code, kernel) }?;
                if let Some(key) = &key {
                    self.cache.write(key, &code);
                }
                function
            }
        };
        Ok(slot.insert(Arc::new(function)).clone())
    }

    /// Takes kernels from code that somebody else compiled.
    ///
    /// # Safety
    /// As for [`Hip::load`](super::Hip::load).
    pub unsafe fn provide(&self, code: &[u8], kernels: &[&Kernel]) -> Result<()> {
        for kernel in kernels {
            // SAFETY: the caller's.
            let function = unsafe { self.load(code, kernel) }?;
            *locked(&self.slot(kernel)) = Some(Arc::new(function));
        }
        Ok(())
    }

    fn slot(&self, kernel: &Kernel) -> Slot {
        let key = (kernel.name.clone(), kernel.source());
        locked(&self.functions).entry(key).or_default().clone()
    }

    fn compiler(&self) -> Result<&Compiler> {
        let open = || self.vendor.compiler().map_err(|error| error.to_string());
        let opened = self.compiler.get_or_init(open).as_ref();
        opened.map_err(|problem| Error::Device {
            device: self.name.clone(),
            during: "compiling kernels".to_owned(),
            problem: format!("{problem}; or load code compiled elsewhere, with Hip::load"),
        })
    }

    /// # Safety
    /// The code is whole.
    unsafe fn load(&self, code: &[u8], kernel: &Kernel) -> Result<Function> {
        let during = || format!("loading `{}`", kernel.name);
        let name = CString::new(kernel.name.as_bytes()).map_err(|error| Error::Device {
            device: self.name.clone(),
            during: during(),
            problem: error.to_string(),
        })?;
        // SAFETY: the caller's; a module without the kernel is not used any more.
        let (module, handle) = self.call(during, |driver| unsafe {
            let module = driver.load(code)?;
            match driver.function(module, &name) {
                Ok(handle) => Ok((module, handle)),
                Err(failure) => driver.unload(module).and(Err(failure)),
            }
        })?;
        locked(&self.modules).push(module);
        Ok(Function { handle })
    }
}

impl Drop for Context {
    /// Nobody is left to be told of a failure.
    fn drop(&mut self) {
        let modules = std::mem::take(&mut *locked(&self.modules));
        // SAFETY: weights and streams hold the context, so all that used the stream and the modules
        // is gone; the device is waited for, as work may go on that was theirs.
        let _ = self.call(String::new, |driver| unsafe {
            driver.wait_for_all()?;
            modules.into_iter().try_for_each(|module| driver.unload(module))?;
            if self.stream.0.is_null() { Ok(()) } else { driver.destroy(self.stream) }
        });
    }
}
