//! The peer ggml: its CPU backend through its C interface.

mod calls;
mod memory;

use crate::Result;
use crate::contender::{Activations, Contender, Engine, Held, Label};
use crate::weights::Weights;
use calls::{Dequantize, Product};
use llama_cpp_sys_2 as sys;
use memory::{Context, Matrix};
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

/// The CPU backend with a number of threads.
pub struct Ggml {
    backend: sys::ggml_backend_t,
    device: sys::ggml_backend_dev_t,
    /// Buffers that store weights in another order.
    extra: Vec<sys::ggml_backend_buffer_type_t>,
    threads: usize,
}

impl Ggml {
    pub fn new(threads: usize) -> Result<Ggml> {
        // SAFETY: the calls are in the order that ggml's interface wants; what it returns is checked
        // before it is used, and device and registry live as long as the process.
        unsafe {
            sys::ggml_log_set(Some(silence), null_mut());
            let backend = sys::ggml_backend_cpu_init();
            let registry = sys::ggml_backend_cpu_reg();
            if backend.is_null() || registry.is_null() {
                return Err("ggml has no CPU backend".into());
            }
            sys::ggml_backend_cpu_set_n_threads(backend, i32::try_from(threads)?);
            let device = sys::ggml_backend_reg_dev_get(registry, 0);
            Ok(Ggml { backend, device, extra: extra(registry, device), threads })
        }
    }

    /// The version, and the instructions it was built for.
    pub fn version() -> String {
        // SAFETY: a constant string, and questions without arguments.
        let (version, has) = unsafe {
            let has = [
                ("AVX2", sys::ggml_cpu_has_avx2()),
                ("AVX-512", sys::ggml_cpu_has_avx512()),
                ("VNNI", sys::ggml_cpu_has_avx512_vnni()),
                ("VBMI", sys::ggml_cpu_has_avx512_vbmi()),
                ("AMX", sys::ggml_cpu_has_amx_int8()),
                ("NEON", sys::ggml_cpu_has_neon()),
                ("dotprod", sys::ggml_cpu_has_dotprod()),
                ("i8mm", sys::ggml_cpu_has_matmul_int8()),
            ];
            (CStr::from_ptr(sys::ggml_version()).to_string_lossy(), has)
        };
        let has: Vec<&str> =
            has.iter().filter(|(_, has)| *has != 0).map(|(name, _)| *name).collect();
        let package = env!("GGML_CRATE_VERSION");
        format!("{version} (llama-cpp-sys-2 {package}), built with {}", has.join(" "))
    }

    /// Copies of a tensor in a plain buffer, and in the first repacked one that takes it.
    ///
    /// # Errors
    /// Where ggml does not know the format.
    pub fn prepare<'a>(&'a self, weights: &'a Weights, copies: usize) -> Result<Tensors<'a>> {
        let number = weights.format.gguf.ok_or("GGUF files have no number for the format")?;
        if number >= sys::GGML_TYPE_COUNT {
            return Err(format!("ggml has no type {number}").into());
        }
        let [bytes] = weights.streams.as_slice() else {
            return Err("stored in several tensors".into());
        };
        let matrices = |buffers| -> Result<Vec<Matrix>> {
            (0..copies).map(|_| Matrix::new(buffers, number, weights, bytes)).collect()
        };
        // SAFETY: the plain buffer type is a constant of ggml.
        let plain = matrices(unsafe { sys::ggml_backend_cpu_buffer_type() })?;
        let mut repacked = Vec::new();
        for &buffers in &self.extra {
            if repacked.is_empty() && self.takes(buffers, number, weights)? {
                repacked = matrices(buffers)?;
            }
        }
        Ok(Tensors { ggml: self, weights, number, plain, repacked })
    }

    /// Whether products of such a tensor are supported in buffers of this type.
    fn takes(
        &self,
        buffers: sys::ggml_backend_buffer_type_t,
        number: u32,
        weights: &Weights,
    ) -> Result<bool> {
        let matrix = Matrix::allocate(buffers, number, weights)?;
        let context = Context::new(1)?;
        // SAFETY: tensors of live contexts; the matrix lies in its buffer.
        unsafe {
            let x =
                sys::ggml_new_tensor_2d(context.0, sys::GGML_TYPE_F32, weights.shape.k as i64, 1);
            let y = sys::ggml_mul_mat(context.0, matrix.tensor, x);
            let chosen = !(*matrix.tensor).extra.is_null();
            Ok(chosen && sys::ggml_backend_dev_supports_op(self.device, y))
        }
    }
}

impl Drop for Ggml {
    fn drop(&mut self) {
        // SAFETY: made by ggml, freed once; tensors borrow this and are gone.
        unsafe { sys::ggml_backend_free(self.backend) }
    }
}

unsafe extern "C" fn silence(_: sys::ggml_log_level, _: *const c_char, _: *mut c_void) {}

/// The types of buffer that the CPU device offers beside the plain one.
///
/// # Safety
/// Registry and device are ggml's own.
unsafe fn extra(
    registry: sys::ggml_backend_reg_t,
    device: sys::ggml_backend_dev_t,
) -> Vec<sys::ggml_backend_buffer_type_t> {
    type Function =
        unsafe extern "C" fn(sys::ggml_backend_dev_t) -> *mut sys::ggml_backend_buffer_type_t;
    let name = c"ggml_backend_dev_get_extra_bufts";
    // SAFETY: under this name ggml returns a function of this type, or null; the function returns a
    // list that ends with null, or null.
    unsafe {
        let address = sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr());
        let function = std::mem::transmute::<*mut c_void, Option<Function>>(address);
        let mut list = function.map_or(null_mut(), |function| function(device));
        let mut types = Vec::new();
        while !list.is_null() && !(*list).is_null() {
            types.push(*list);
            list = list.add(1);
        }
        types
    }
}

/// Copies of a tensor in ggml's hands.
pub struct Tensors<'a> {
    ggml: &'a Ggml,
    weights: &'a Weights,
    number: u32,
    plain: Vec<Matrix>,
    /// Empty where no such buffer takes the format.
    repacked: Vec<Matrix>,
}

impl Tensors<'_> {
    fn label(&self, storage: &str, activations: Activations) -> Label {
        Label {
            engine: Engine::Ggml,
            storage: storage.to_owned(),
            activations,
            kernel: String::new(),
            threads: self.ggml.threads,
        }
    }
}

impl Held for Tensors<'_> {
    fn dequantize(&self, half: bool) -> Result<Vec<Contender<'_>>> {
        // SAFETY: the number is below ggml's count of types.
        let decoder = unsafe { (*sys::ggml_get_type_traits(self.number)).to_float };
        let (false, Some(decoder)) = (half, decoder) else { return Ok(Vec::new()) };
        let out = vec![0.0; self.weights.shape.n * self.weights.shape.k];
        let call = Box::new(Dequantize { tensors: self, decoder, out });
        Ok(vec![Contender { label: self.label("plain", Activations::None), call }])
    }

    fn product<'a>(&'a self, x: &'a [f32], m: usize) -> Result<Vec<Contender<'a>>> {
        let mut contenders = Vec::new();
        // SAFETY: the number is below ggml's count of types.
        if unsafe { (*sys::ggml_get_type_traits_cpu(self.number)).vec_dot.is_none() } {
            return Ok(contenders);
        }
        for (storage, matrices) in [("plain", &self.plain), ("repacked", &self.repacked)] {
            if !matrices.is_empty() {
                let call = Box::new(Product::new(self, matrices, x, m)?);
                contenders.push(Contender { label: self.label(storage, Activations::Int8), call });
            }
        }
        Ok(contenders)
    }
}
