//! The templates, embedded.

use crate::Error;
use crate::artifact::Backend;
use include_dir::{Dir, include_dir};
use serde::Serialize;
use std::sync::OnceLock;

static WGSL: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/wgsl");
static HIP: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/hip");

/// A piece of kernels' texts, and the name of its section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub name: String,
    /// Whole lines.
    pub text: String,
}

/// What texts without variables are rendered with.
#[derive(Serialize)]
pub(super) struct Nothing {}

/// A piece that is a template without variables, of the same name.
pub(super) fn plain(backend: Backend, name: &str) -> Result<Piece, Error> {
    piece(backend, name, name, Nothing {})
}

/// A piece with this name, from a template. It ends with its last line.
pub(super) fn piece(
    backend: Backend,
    name: &str,
    template: &str,
    context: impl Serialize,
) -> Result<Piece, Error> {
    let text = format!("{}\n", text(backend, template, context)?.trim_end());
    Ok(Piece { name: name.to_owned(), text })
}

/// Renders a template.
pub(super) fn text(backend: Backend, name: &str, context: impl Serialize) -> Result<String, Error> {
    static TEMPLATES: OnceLock<tera::TeraResult<[tera::Tera; 2]>> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(|| Ok([embedded(&WGSL)?, embedded(&HIP)?]));
    match (templates, backend) {
        (Ok([tera, _]), Backend::Wgsl) | (Ok([_, tera]), Backend::Hip) => {
            Ok(tera.render(name, &tera::Context::from_serialize(&context)?)?)
        }
        (Err(error), _) => Err(Error::Template(tera::Error::message(error))),
    }
}

/// The templates of a folder: a file `matvec.hip.tera` is called `matvec`.
fn embedded(folder: &Dir) -> tera::TeraResult<tera::Tera> {
    let texts = folder.files().filter_map(|file| {
        let name = file.path().file_stem()?.to_str()?;
        Some((name.rsplit_once('.')?.0, file.contents_utf8()?))
    });
    let mut tera = tera::Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_templates(texts)?;
    Ok(tera)
}
