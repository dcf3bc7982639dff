//! What is measured, whoever made it.

use crate::Result;
pub use crate::timing::Call;
use serde::{Deserialize, Serialize};

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    Ours,
    Ggml,
    Candle,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Ours => "ours",
            Engine::Ggml => "ggml",
            Engine::Candle => "candle",
        }
    }
}

/// What a contender is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub engine: Engine,
    /// How weights lie: native, prepared; a peer's plain, repacked.
    pub storage: String,
    /// How ours takes activations; peers quantize them to 8 bits wherever they can.
    pub activations: Activations,
    /// The kernel that was chosen, as far as an engine tells.
    pub kernel: String,
    pub threads: usize,
}

/// How activations enter a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activations {
    /// Not at all: weights are dequantized.
    None,
    /// Quantized to 8 bits.
    Int8,
    /// As they are.
    F32,
}

/// A call with its name.
pub struct Contender<'a> {
    pub label: Label,
    pub call: Box<dyn Call + 'a>,
}

/// An engine that holds copies of a tensor.
pub trait Held {
    /// Ways to decode all weights, to f16 or to f32.
    fn dequantize(&self, half: bool) -> Result<Vec<Contender<'_>>>;

    /// Ways to multiply with activations `x: [m, k]`.
    fn product<'a>(&'a self, x: &'a [f32], m: usize) -> Result<Vec<Contender<'a>>>;
}
