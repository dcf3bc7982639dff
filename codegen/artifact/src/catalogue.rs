//! Rows of a catalogue, which the checked-in lists of kernels are made of: a kernel is a skeleton around a
//! decoder.

use crate::{Activations, Backend, Binding, Element, Grid, Kernel, Kind, List, Pieces, Text};

/// What kernels of several formats have in common.
#[derive(Debug)]
pub struct Skeleton {
    /// See [`Kernel::backend`].
    pub backend: Backend,
    /// See [`Kernel::kind`].
    pub kind: Kind,
    /// See [`Kernel::output`].
    pub output: Element,
    /// See [`Kernel::activations`].
    pub activations: Activations,
    /// See [`Kernel::subgroups`].
    pub subgroups: bool,
    /// See [`Kernel::matrix`].
    pub matrix: u32,
    /// Invocations per workgroup.
    pub workgroup: u32,
    /// The grid; of [`Grid::Strips`] weights and strips are the decoder's where they are 0 here.
    pub grid: Grid,
    /// See [`Pieces::helpers`].
    pub helpers: &'static str,
    /// See [`Pieces::vocabulary`].
    pub vocabulary: &'static str,
    /// See [`Pieces::kernels`].
    pub kernels: &'static str,
    /// See [`Pieces::kernel`].
    pub kernel: &'static str,
}

/// What several kernels of a format have in common.
#[derive(Debug)]
pub struct Decoder {
    /// See [`Kernel::padding`].
    pub padding: u32,
    /// See [`Pieces::unit`].
    pub unit: [u32; 2],
    /// What kernels around it bind.
    pub bindings: &'static Bindings,
    /// See [`Pieces::decoders`].
    pub decoders: &'static str,
    /// See [`Pieces::decoder`].
    pub decoder: &'static str,
    /// See [`Pieces::calls`].
    pub calls: &'static str,
    /// See [`Pieces::filled`].
    pub filled: bool,
}

/// What kernels around decoders bind that read the same buffers, by the kernels' kinds.
#[derive(Debug)]
pub struct Bindings {
    /// See [`Pieces::buffers`].
    pub buffers: &'static str,
    /// Of [`Kind::Dequant`].
    pub dequant: &'static [Binding],
    /// Of [`Kind::Gather`].
    pub gather: &'static [Binding],
    /// Of products.
    pub product: &'static [Binding],
    /// Of products with matrices that activation rows choose.
    pub experts: &'static [Binding],
}

/// Of kernels that belong to no format and need no decoder.
const NONE: Decoder = Decoder {
    padding: 0,
    unit: [0; 2],
    bindings: &Bindings { buffers: "", dequant: &[], gather: &[], product: &[], experts: &[] },
    decoders: "",
    decoder: "",
    calls: "",
    filled: false,
};

impl Skeleton {
    /// The kernel with this decoder.
    pub const fn around(&self, decoder: &'static Decoder, name: &'static str) -> Kernel {
        let bound = match self.kind {
            Kind::Dequant => decoder.bindings.dequant,
            Kind::Gather => decoder.bindings.gather,
            Kind::Matvec | Kind::Batch | Kind::Matmul => decoder.bindings.product,
            Kind::MatvecExperts | Kind::MatmulExperts => decoder.bindings.experts,
            Kind::Quantize => &[],
        };
        self.kernel(name, bound, decoder)
    }

    /// The kernel, which belongs to no format.
    pub const fn alone(&self, bindings: &'static [Binding], name: &'static str) -> Kernel {
        self.kernel(name, bindings, &NONE)
    }

    const fn kernel(
        &self,
        name: &'static str,
        bindings: &'static [Binding],
        decoder: &Decoder,
    ) -> Kernel {
        let unit = decoder.unit;
        Kernel {
            name: Text::Borrowed(name),
            backend: self.backend,
            kind: self.kind,
            output: self.output,
            activations: self.activations,
            subgroups: self.subgroups,
            matrix: self.matrix,
            workgroup: [self.workgroup, 1, 1],
            bindings: List::Borrowed(bindings),
            grid: self.grid.of_unit(unit),
            padding: decoder.padding,
            pieces: Pieces {
                helpers: Text::Borrowed(self.helpers),
                decoders: Text::Borrowed(decoder.decoders),
                kernels: Text::Borrowed(self.kernels),
                vocabulary: Text::Borrowed(self.vocabulary),
                decoder: Text::Borrowed(decoder.decoder),
                calls: Text::Borrowed(decoder.calls),
                buffers: Text::Borrowed(decoder.bindings.buffers),
                filled: decoder.filled,
                unit,
                kernel: Text::Borrowed(self.kernel),
            },
        }
    }
}
