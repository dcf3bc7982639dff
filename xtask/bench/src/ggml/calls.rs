//! Calls of ggml that are timed.

use super::memory::{Buffer, Context, Matrix, NODES};
use super::{Ggml, Tensors};
use crate::Result;
use crate::contender::Call;
use llama_cpp_sys_2 as sys;
use rayon::prelude::*;
use std::ffi::c_void;

/// ggml decodes with one thread; rows are shared out among threads for it.
pub struct Dequantize<'a> {
    pub tensors: &'a Tensors<'a>,
    pub decoder: unsafe extern "C" fn(*const c_void, *mut f32, i64),
    pub out: Vec<f32>,
}

impl Call for Dequantize<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let weights = self.tensors.weights;
        // SAFETY: a tensor in a plain buffer holds its bytes as they were set.
        let bytes = unsafe {
            let data = (*self.tensors.plain[copy].tensor).data.cast::<u8>();
            std::slice::from_raw_parts(data, weights.bytes())
        };
        let decoder = self.decoder;
        let rows = weights.shape.n.div_ceil(self.tensors.ggml.threads);
        let bytes = bytes.par_chunks(bytes.len() / weights.shape.n * rows);
        let out = self.out.par_chunks_mut(rows * weights.shape.k);
        bytes.zip(out).for_each(|(bytes, out)| {
            // SAFETY: `bytes` are whole rows and `out` has room for as many.
            unsafe { decoder(bytes.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) };
        });
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}

/// A graph with one product for each copy; activations and output are shared.
pub struct Product<'a> {
    ggml: &'a Ggml,
    graphs: Vec<*mut sys::ggml_cgraph>,
    y: *mut sys::ggml_tensor,
    _buffer: Buffer,
    _context: Context,
}

impl<'a> Product<'a> {
    pub fn new(
        tensors: &'a Tensors,
        matrices: &[Matrix],
        x: &[f32],
        m: usize,
    ) -> Result<Product<'a>> {
        let context = Context::new(matrices.len())?;
        let mut graphs = Vec::with_capacity(matrices.len());
        // SAFETY: the context has room for a product and a graph per matrix; the buffer has room for
        // activations and one output at ggml's alignment, which all products write in turn.
        unsafe {
            let k = tensors.weights.shape.k as i64;
            let input = sys::ggml_new_tensor_2d(context.0, sys::GGML_TYPE_F32, k, m as i64);
            let products: Vec<_> =
                matrices.iter().map(|w| sys::ggml_mul_mat(context.0, w.tensor, input)).collect();
            let &y = products.first().ok_or("no copy of the weights")?;
            let buffers = sys::ggml_backend_cpu_buffer_type();
            let aligned = sys::ggml_nbytes(input)
                .next_multiple_of(sys::ggml_backend_buft_get_alignment(buffers));
            let buffer =
                sys::ggml_backend_buft_alloc_buffer(buffers, aligned + sys::ggml_nbytes(y));
            if buffer.is_null() {
                return Err("ggml has no memory".into());
            }
            let buffer = Buffer(buffer);
            let base = sys::ggml_backend_buffer_get_base(buffer.0).cast::<u8>();
            sys::ggml_backend_tensor_alloc(buffer.0, input, base.cast());
            sys::ggml_backend_tensor_set(input, x.as_ptr().cast(), 0, size_of_val(x));
            for product in products {
                sys::ggml_backend_tensor_alloc(buffer.0, product, base.add(aligned).cast());
                let graph = sys::ggml_new_graph_custom(context.0, NODES, false);
                sys::ggml_build_forward_expand(graph, product);
                graphs.push(graph);
            }
            Ok(Product { ggml: tensors.ggml, graphs, y, _buffer: buffer, _context: context })
        }
    }
}

impl Call for Product<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        // SAFETY: graph, tensors and backend live.
        let status =
            unsafe { sys::ggml_backend_graph_compute(self.ggml.backend, self.graphs[copy]) };
        if status == sys::GGML_STATUS_SUCCESS { Ok(()) } else { Err("ggml failed".into()) }
    }

    fn output(&self) -> Result<Vec<f32>> {
        // SAFETY: the output has exactly as many bytes.
        unsafe {
            let mut y = vec![0.0f32; sys::ggml_nbytes(self.y) / size_of::<f32>()];
            sys::ggml_backend_tensor_get(self.y, y.as_mut_ptr().cast(), 0, size_of_val(&*y));
            Ok(y)
        }
    }
}
