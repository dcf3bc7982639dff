//! The calls that weights of all GPUs have, on memory of the caller's.

/// Adds methods to weights whose `$execute` executes a call: how people call that, where it goes, and the
/// names of the methods.
macro_rules! calls {
    (
        $weights:ident, $does:literal, ($into:ident: $target:ty), $execute:ident,
        [$matvec:ident, $matvec_with:ident, $matmul:ident, $matmul_with:ident],
        [$experts:ident, $experts_with:ident], $gather:ident, $dequant:ident, $rounding:ident
    ) => {
        impl $weights {
            #[doc = concat!($does, " `y[n] = weights · x[k]`.")]
            ///
            /// Both views hold f32, and are as [`View`] says; `x` has at least `k` elements and `y` at least `n`,
            /// both counts rounded up to a multiple of 4. The rounding elements of `x` may be anything but may
            /// be read; those of `y` may be overwritten.
            ///
            /// # Errors
            /// Where a view is too small or cannot be bound, or `y` shares bytes with what is read: nothing is
            /// computed then. [`Error::Device`](crate::Error::Device) where the device refuses the kernel.
            pub fn $matvec<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
            ) -> Result<()> {
                self.$matvec_with($into, x, y, Epilogue::default())
            }

            #[doc = concat!($does, " a matvec with an epilogue, whose bias has `n` f32.")]
            ///
            /// # Errors
            /// As without; also [`Error::Missing`](crate::Error::Missing) where the format's kernels have no
            /// such epilogue.
            pub fn $matvec_with<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                epilogue: Epilogue<View<'a>>,
            ) -> Result<()> {
                self.$matmul_with($into, x, y, 1, epilogue)
            }

            #[doc = concat!($does, " `y[m, n] = x[m, k] · weightsᵀ`, all row-major.")]
            /// The views are as for a matvec, with `m · k` and `m · n` elements.
            ///
            /// # Errors
            /// As for a matvec, and where `m` is 0.
            pub fn $matmul<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                m: u32,
            ) -> Result<()> {
                self.$matmul_with($into, x, y, m, Epilogue::default())
            }

            #[doc = concat!($does, " a matmul with an epilogue, whose bias has `n` f32.")]
            ///
            /// # Errors
            /// As without; also [`Error::Missing`](crate::Error::Missing) where the format's kernels have no
            /// such epilogue.
            pub fn $matmul_with<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                m: u32,
                epilogue: Epilogue<View<'a>>,
            ) -> Result<()> {
                let (x, y) = (Some(x.into()), Some(y.into()));
                let operands = Operands { x, indices: None, y, epilogue };
                self.$execute($into, &Call::Product { m }, operands)
            }

            #[doc = concat!($does, " `y[m, used, n / matrices]` = each row of `x[m, k]` times the matrices")]
            /// that `indices[m, used]`, u32, names for it. For [`Experts::NONE`] `y` gets 0, or nothing is added;
            /// where there is no matrix of a number, `y` gets NaN. `x` and `y` are as for a matvec. Where many
            /// rows choose few matrices, those with the same one are collected, so that its weights are read
            /// once for several.
            ///
            /// # Errors
            /// As for a matvec; also where a number of `experts` is 0, or `matrices` does not divide `n`.
            pub fn $experts<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                indices: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                experts: Experts,
            ) -> Result<()> {
                self.$experts_with($into, x, indices, y, experts, Epilogue::default())
            }

            #[doc = concat!($does, " a product with chosen matrices and an epilogue, whose bias has a value")]
            /// for each row of each matrix, `n` in all.
            ///
            /// # Errors
            /// As without; also [`Error::Missing`](crate::Error::Missing) where the format's kernels have no
            /// such epilogue.
            pub fn $experts_with<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                indices: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                experts: Experts,
                epilogue: Epilogue<View<'a>>,
            ) -> Result<()> {
                let (x, indices, y) = (Some(x.into()), Some(indices.into()), Some(y.into()));
                let operands = Operands { x, indices, y, epilogue };
                self.$execute($into, &Call::Experts(experts), operands)
            }

            #[doc = concat!($does, " decoding single rows into `y[rows, k]`, row-major, of f32 or f16:")]
            /// the look-up of embeddings. `indices` has a u32 for each, the number of a weight row; where there
            /// is no such row, `y` gets NaN. `y` is as for a matvec, with `rows · k` elements.
            ///
            /// # Errors
            /// As for a matvec.
            pub fn $gather<'a>(
                &self,
                $into: $target,
                indices: impl Into<View<'a>>,
                y: impl Into<View<'a>>,
                rows: u32,
                element: Element,
            ) -> Result<()> {
                let (indices, y) = (Some(indices.into()), Some(y.into()));
                let operands = Operands { indices, y, ..Operands::default() };
                self.$execute($into, &Call::Gather { rows, element }, operands)
            }

            #[doc = concat!($does, " decoding into `y[n, k]`, row-major, of f32 or f16.")]
            /// `y` is as for a matvec, with `n · k` elements; it may be larger than a binding.
            ///
            /// # Errors
            /// As for a matvec; also where the tensor is split so that a part's output cannot be bound.
            pub fn $dequant<'a>(
                &self,
                $into: $target,
                y: impl Into<View<'a>>,
                element: Element,
            ) -> Result<()> {
                let operands = Operands { y: Some(y.into()), ..Operands::default() };
                self.$execute($into, &Call::Dequant { element }, operands)
            }

            #[doc = concat!($does, " what a product of `m` activation rows does first where it rounds them")]
            /// to 8 bits, and no more: to time it apart. `x` is as for a matmul.
            ///
            /// # Errors
            /// As for a matmul.
            pub fn $rounding<'a>(
                &self,
                $into: $target,
                x: impl Into<View<'a>>,
                m: u32,
            ) -> Result<()> {
                let operands = Operands { x: Some(x.into()), ..Operands::default() };
                self.$execute($into, &Call::Rounding { m }, operands)
            }
        }
    };
}

pub(crate) use calls;
