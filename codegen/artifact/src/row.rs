//! A row of the table of kernels.

use crate::{Activations, Artifact, Backend, Element, Kernel, Kind};

/// What tells a kernel of a format from its others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
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
}

impl Row {
    /// One that takes f32 activations and needs nothing that a device may lack.
    pub const fn exact(backend: Backend, kind: Kind, output: Element) -> Row {
        Row { backend, kind, output, activations: Activations::F32, subgroups: false, matrix: 0 }
    }

    /// The kernel's name without its format: `{kind}_{element}[_{variant}]`. Names are built here alone;
    /// nothing parses them back.
    pub fn word(&self) -> String {
        let kind = self.kind.word();
        let element = match self.kind {
            Kind::Dequant | Kind::Gather => self.output.word(),
            Kind::Quantize => Activations::Int8.word(),
            _ => self.activations.word(),
        };
        match (self.subgroups, self.matrix) {
            (true, 0) => format!("{kind}_{element}_subgroups"),
            (_, 0) => format!("{kind}_{element}"),
            (_, matrix) => format!("{kind}_{element}_matrix{matrix}"),
        }
    }

    /// The kernel's name: its entry point, and the name of a file with it alone.
    pub fn name(&self, format: &str) -> String {
        format!("{format}_{}", self.word())
    }
}

impl Kernel {
    /// Its row in the table of kernels.
    pub fn row(&self) -> Row {
        let Kernel { backend, kind, output, activations, subgroups, matrix, .. } = *self;
        let subgroups = subgroups && matrix == 0;
        Row { backend, kind, output, activations, subgroups, matrix }
    }
}

impl Artifact {
    /// The kernel of a row; a format need not have it.
    pub fn of(&self, row: Row) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.row() == row)
    }
}
