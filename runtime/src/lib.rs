//! x
pub use quantloom_codegen::artifact;
