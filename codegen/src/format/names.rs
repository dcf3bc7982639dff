//! Names a descriptor may use: identifiers that every backend can carry.

/// Lower-case letters, digits and single underscores, starting with a letter: what Rust, WGSL and
/// C++ all accept (double underscores are reserved in the latter two).
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !text.contains("__")
}

/// What [`is_name`] asks for, as help.
pub(super) const NAME_HELP: &str =
    "at most 32 lower-case letters, digits and single underscores, a letter first";
