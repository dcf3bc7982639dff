//! The templates of pictures and pages, embedded. What they print is escaped.

use crate::failure::{Failure, Outcome};
use serde::Serialize;
use std::sync::LazyLock;
use tera::{Tera, TeraResult};

/// Renders a template. Only a defect of the template makes it fail.
pub fn render(name: &str, context: &impl Serialize) -> Outcome<String> {
    static TERA: LazyLock<TeraResult<Tera>> = LazyLock::new(|| {
        let mut tera = Tera::new();
        tera.autoescape_on(["svg", "html"]);
        tera.add_raw_templates(TEXTS)?;
        Ok(tera)
    });
    let defect = |error: &tera::Error| Failure::input(format!("template {name}: {error}"));
    let tera = TERA.as_ref().map_err(defect)?;
    let context = tera::Context::from_serialize(context).map_err(|error| defect(&error))?;
    tera.render(name, &context).map_err(|error| defect(&error))
}

const TEXTS: [(&str, &str); 8] = [
    ("bench.svg", include_str!("../templates/bench.svg.tera")),
    ("block.css", include_str!("../templates/block.css")),
    ("block.svg", include_str!("../templates/block.svg.tera")),
    ("head.html", include_str!("../templates/atlas/head.html.tera")),
    ("code.html", include_str!("../templates/atlas/code.html.tera")),
    ("index.html", include_str!("../templates/atlas/index.html.tera")),
    ("sort.js", include_str!("../templates/atlas/sort.js")),
    ("format.html", include_str!("../templates/atlas/format.html.tera")),
];
