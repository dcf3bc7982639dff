//! Formats at compile time: a descriptor in, CPU functions and kernels out.
//!
//! ```ignore
//! quantloom_macros::include_format!("formats/my_format.yaml");
//!
//! let mut weights = vec![0.0; MyFormat::WEIGHTS];
//! MyFormat::decode(&[&bytes], &mut weights);
//! let kernels = &MyFormat::ARTIFACT.kernels;
//! ```
//!
//! Paths are relative to the directory of the invoking package's `Cargo.toml`. The crate is built
//! again when a descriptor changes, and whatever is wrong with one is a compile error that names its
//! line and what would be right.

use proc_macro::TokenStream;
use quantloom_codegen::artifact::Param;
use quantloom_codegen::emit::items;
use quantloom_codegen::{Error, Format, Params, compile_with, text};
use quote::{quote, quote_spanned};
use std::path::{Path, PathBuf};
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitInt, LitStr, Token};

/// Compiles a descriptor into a unit struct named like the format in camel case (`my_format`:
/// `MyFormat`).
///
/// It has `decode`, `CPU` with all functions for CPUs, the facts (`NAME`, `WEIGHTS`, `BYTES`, `STREAM_BYTES`,
/// `BITS_PER_WEIGHT`, `GROUP`, `DESCRIPTOR`) and `ARTIFACT`, which holds all kernel texts with their
/// launch facts and is what `quantloom::Format::from` takes. The items refer to the crate
/// `quantloom`, which the invoking package depends on.
///
/// That functions and artifact are the compiler's is said by two `unsafe` expressions within the items. Crates
/// that forbid unsafe code cannot have them: `quantloom::Format::compile` is for those.
///
/// Values of a descriptor's parameters follow the path: `include_format!("my_format.yaml", b = 3)`.
///
#[proc_macro]
pub fn include_format(input: TokenStream) -> TokenStream {
    expand(input, format_items, |errors| errors)
}

/// Compiles a descriptor into its functions for CPUs: a constant expression of type [`Cpu`] that
/// refers to the crate `quantloom`. Values of parameters follow the path, as in [`include_format`].
///
/// [`Cpu`]: quantloom_codegen::artifact::Cpu
#[proc_macro]
pub fn cpu(input: TokenStream) -> TokenStream {
    expand(input, cpu_expression, |errors| quote!({ #errors }))
}

/// A descriptor, and what it was asked for with.
struct Source<'a> {
    text: &'a str,
    /// The path in the invocation, for messages.
    file: &'a str,
    /// The absolute path.
    path: &'a str,
    params: &'a Params,
}

type Emit = fn(Source) -> Result<proc_macro2::TokenStream, Error>;

fn format_items(source: Source) -> Result<proc_macro2::TokenStream, Error> {
    items::format(&compile_with(source.text, source.file, source.params)?, source.path)
}

/// Needs no kernels, which take most of the time.
fn cpu_expression(source: Source) -> Result<proc_macro2::TokenStream, Error> {
    items::cpu(&Format::parse_with(source.text, source.file, source.params)?, source.path)
}

/// `"path", name = number, ...`
struct Input {
    path: LitStr,
    params: Params,
}

impl Parse for Input {
    fn parse(input: ParseStream) -> syn::Result<Input> {
        let path: LitStr = input.parse().map_err(|error| {
            let hint = "expected the path of a descriptor in quotes, relative to Cargo.toml";
            syn::Error::new(error.span(), hint)
        })?;
        let mut params = Params::default();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let name: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let value = input.parse::<LitInt>()?.base10_parse()?;
            params.0.push(Param { name: name.to_string().into(), value });
        }
        Ok(Input { path, params })
    }
}

/// `wrap` makes of a list of errors what may stand in place of the expansion.
fn expand(
    input: TokenStream,
    emit: Emit,
    wrap: fn(proc_macro2::TokenStream) -> proc_macro2::TokenStream,
) -> TokenStream {
    let Input { path, params } = match syn::parse(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error().into(),
    };
    let tokens = compile(&path.value(), &params, emit).unwrap_or_else(|messages| {
        let errors = messages.iter();
        wrap(quote_spanned!(path.span() => #(::core::compile_error! { #errors })*))
    });
    tokens.into()
}

/// Reads the file and makes the one call into the compiler; the error is a message per problem.
fn compile(
    file: &str,
    params: &Params,
    emit: Emit,
) -> Result<proc_macro2::TokenStream, Vec<String>> {
    let path = absolute(file);
    let descriptor = std::fs::read(&path).map_err(|error| {
        let path = path.display();
        vec![format!("{file}: cannot read {path}: {error}\n= help: paths start at Cargo.toml")]
    })?;
    let path =
        path.to_str().ok_or_else(|| vec![format!("{file}: its absolute path is not UTF-8")])?;
    let tokens = text(&descriptor, file)
        .map_err(Error::from)
        .and_then(|text| emit(Source { text, file, path, params }));
    tokens.map_err(|error| match error {
        Error::Problems(problems) => problems.messages(),
        defect => vec![defect.to_string()],
    })
}

/// The path seen from the package that is being compiled.
fn absolute(file: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    Path::new(&root).join(file)
}

#[cfg(test)]
mod tests {
    use super::{Params, compile, cpu_expression, format_items};

    #[test]
    fn problems_come_with_file_line_path_and_help() {
        let file = "../tests/outside/broken/three_bits.yaml";
        let messages = compile(file, &Params::default(), format_items).map(|_| ()).unwrap_err();
        assert_eq!(messages.len(), 2, "{messages:?}");
        let places = [(12, 16, "fields.q.planes[0].from"), (13, 34, "fields.q.planes[1].k")];
        for (message, (line, column, path)) in messages.iter().zip(places) {
            let lines: Vec<&str> = message.lines().collect();
            assert!(!lines[0].starts_with("error"), "{message}");
            assert_eq!(lines[1].trim_start(), format!("--> {file}:{line}:{column}"));
            assert!(lines[3].starts_with(&format!("{line} |       - {{from: ")), "{message}");
            assert!(lines[4].ends_with(&format!("^ {path}")), "{message}");
            assert!(lines[6].trim_start().starts_with("= help: "), "{message}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let messages = compile("formats/missing.yaml", &Params::default(), cpu_expression)
            .map(|_| ())
            .unwrap_err();
        let [message] = messages.as_slice() else { panic!("{messages:?}") };
        assert!(message.starts_with("formats/missing.yaml: cannot read "), "{message}");
        assert!(message.ends_with("\n= help: paths start at Cargo.toml"), "{message}");
    }

    #[test]
    fn what_a_descriptor_compiles_to_parses() {
        let file = "../tests/outside/formats/three_bits.yaml";
        let items = compile(file, &Params::default(), format_items).unwrap();
        let file: syn::File = syn::parse2(items).unwrap();
        assert!(matches!(&file.items[0], syn::Item::Struct(own) if own.ident == "ThreeBits"));
    }
}
