//! What ggml allocates, freed with its owner: descriptions, buffers, weight matrices.

use crate::Result;
use crate::weights::Weights;
use llama_cpp_sys_2 as sys;
use std::ptr::null_mut;

/// Descriptions of tensors and graphs, without their bytes.
pub struct Context(pub *mut sys::ggml_context);

/// Nodes of a graph: the one product, and room.
pub const NODES: usize = 8;

impl Context {
    /// Room for so many products.
    pub fn new(products: usize) -> Result<Context> {
        // SAFETY: ggml allocates the memory itself.
        let context = unsafe {
            let tensors = (products + 2) * sys::ggml_tensor_overhead();
            let graphs = products * sys::ggml_graph_overhead_custom(NODES, false);
            sys::ggml_init(sys::ggml_init_params {
                mem_size: tensors + graphs,
                mem_buffer: null_mut(),
                no_alloc: true,
            })
        };
        if context.is_null() { Err("ggml has no memory".into()) } else { Ok(Context(context)) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by ggml, freed once.
        unsafe { sys::ggml_free(self.0) }
    }
}

/// Memory of ggml's.
pub struct Buffer(pub sys::ggml_backend_buffer_t);

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: made by ggml, freed once.
        unsafe { sys::ggml_backend_buffer_free(self.0) }
    }
}

/// A weight matrix in a buffer.
pub struct Matrix {
    pub tensor: *mut sys::ggml_tensor,
    _buffer: Buffer,
    _context: Context,
}

impl Matrix {
    pub fn new(
        buffers: sys::ggml_backend_buffer_type_t,
        number: u32,
        weights: &Weights,
        bytes: &[u8],
    ) -> Result<Matrix> {
        let matrix = Matrix::allocate(buffers, number, weights)?;
        // SAFETY: ggml reads exactly the tensor's bytes, of which there are as many.
        unsafe {
            if sys::ggml_nbytes(matrix.tensor) != bytes.len() {
                return Err("ggml counts other bytes".into());
            }
            sys::ggml_backend_tensor_set(matrix.tensor, bytes.as_ptr().cast(), 0, bytes.len());
        }
        Ok(matrix)
    }

    pub fn allocate(
        buffers: sys::ggml_backend_buffer_type_t,
        number: u32,
        weights: &Weights,
    ) -> Result<Matrix> {
        let context = Context::new(0)?;
        // SAFETY: the number is below ggml's count of types.
        let (known, block) = unsafe {
            let block = sys::ggml_blck_size(number);
            (!(*sys::ggml_get_type_traits(number)).type_name.is_null(), block)
        };
        if !known || block <= 0 || !weights.shape.k.is_multiple_of(block as usize) {
            return Err(format!("ggml has no type {number}").into());
        }
        // SAFETY: the context has room for two tensors, and rows are whole blocks.
        let (tensor, buffer) = unsafe {
            let (n, k) = (weights.shape.n as i64, weights.shape.k as i64);
            let tensor = sys::ggml_new_tensor_2d(context.0, number, k, n);
            (tensor, sys::ggml_backend_alloc_ctx_tensors_from_buft(context.0, buffers))
        };
        if buffer.is_null() {
            return Err("ggml has no memory".into());
        }
        Ok(Matrix { tensor, _buffer: Buffer(buffer), _context: context })
    }
}
