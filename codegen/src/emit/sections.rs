//! Files of sections: where the pieces of kernels are checked in.

use crate::Error;
use crate::artifact::{Backend, Kernel, Kind, Row, as_section, section};
use std::collections::BTreeMap;

/// Sections by name, by the path of their file.
#[derive(Default)]
pub(super) struct Sections(BTreeMap<String, BTreeMap<String, String>>);

/// Where the pieces of a kernel stand.
pub(super) struct Places {
    pub helpers: String,
    pub decoders: String,
    pub kernels: String,
}

/// The files of a kernel, which belongs to this format.
pub(super) fn places(kernel: &Kernel, format: &str) -> Places {
    let backend = kernel.backend.word();
    let path = |folder: &str, name: &str| format!("{backend}/{folder}{name}.{backend}");
    Places {
        helpers: path("", "helpers"),
        decoders: path("decoders/", format),
        kernels: path("kernels/", &file(kernel.row())),
    }
}

/// The file of entry points of a row: those of other outputs are the same where weights are stored.
pub(super) fn file(row: Row) -> String {
    match row.kind {
        Kind::Dequant | Kind::Gather => row.kind.word().to_owned(),
        _ => row.word(),
    }
}

impl Sections {
    /// Adds the pieces of a kernel.
    ///
    /// # Errors
    /// Where another piece has the same name in the same file.
    pub fn add(&mut self, kernel: &Kernel, format: &str) -> Result<(), Error> {
        let Places { helpers, decoders, kernels } = places(kernel, format);
        let pieces = &kernel.pieces;
        for name in pieces.helpers() {
            self.section(&helpers, &name, &pieces.helpers)?;
        }
        for name in pieces.decoder() {
            self.section(&decoders, &name, &pieces.decoders)?;
        }
        self.section(&kernels, &pieces.kernel, &pieces.kernels)
    }

    /// Adds a section of a file of the kernel's own, unless it has none of this name.
    fn section(&mut self, file: &str, name: &str, from: &str) -> Result<(), Error> {
        let text = section(from, name);
        if text.is_empty() {
            return Ok(());
        }
        let sections = self.0.entry(file.to_owned()).or_default();
        let known = sections.entry(name.to_owned()).or_insert_with(|| text.to_owned());
        match known == text {
            true => Ok(()),
            false => Err(Error::Piece { file: file.to_owned(), name: name.to_owned() }),
        }
    }

    /// Paths of the files of a backend.
    pub fn files(&self, backend: Backend) -> impl Iterator<Item = &str> {
        let folder = format!("{}/", backend.word());
        self.0.keys().filter(move |path| path.starts_with(&folder)).map(String::as_str)
    }

    /// The text of a file: what `head` says of it, and its sections.
    pub fn text(&self, file: &str, head: &str) -> String {
        let sections = self.0.get(file).into_iter().flatten();
        let sections = sections.map(|(name, text)| format!("\n{}", as_section(name, text)));
        format!("// {head}\n{}", sections.collect::<String>())
    }
}
