//! Formats that Quantloom does not know, each by its descriptor alone. There is no `unsafe` here but what the
//! macro's items hold; `tests/forbid.rs` is a crate that cannot have those either.

#![deny(unsafe_code)]

quantloom_macros::include_format!("formats/three_bits.yaml");
quantloom_macros::include_format!("formats/split.yaml");
quantloom_macros::include_format!("formats/columns.yaml");
quantloom_macros::include_format!("formats/rounded.yaml");
quantloom_macros::include_format!("formats/grouped.yaml", b = 3);
quantloom_macros::include_format!("formats/lattice.yaml");
quantloom_macros::include_format!("formats/super4.yaml");
quantloom_macros::include_format!("formats/super6.yaml");
