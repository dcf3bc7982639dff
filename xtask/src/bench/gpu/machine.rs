//! What it takes to measure on a device. One module per way to a device implements it.

use super::options::Precision;
use crate::bench::Result;
use quantloom::Tensor;
use quantloom::artifact::Element;
use serde::{Deserialize, Serialize};

/// A device that times launches.
pub trait Machine {
    /// Weights on the device.
    type Weights;
    /// Activations or outputs on the device.
    type Memory;

    /// The device and the way to it, for people.
    fn name(&self) -> String;
    /// Its driver, where the way to it tells.
    fn driver(&self) -> Option<String> {
        None
    }
    /// Whose time it is.
    fn clock(&self) -> Clock;
    /// The ways in which products take activations; the first also dequantizes.
    fn precisions(&self) -> Vec<Precision>;
    /// Brings a tensor to the device.
    fn upload(&self, tensor: &Tensor, precision: Precision) -> Result<Self::Weights>;
    /// Memory that begins with these bytes and has so many.
    fn memory(&self, bytes: u64, begin: &[u8]) -> Result<Self::Memory>;
    /// The first bytes of memory, after all work.
    fn read(&self, memory: &Self::Memory, bytes: usize) -> Result<Vec<u8>>;
    /// Runs launches one after another and waits for the last alone. Seconds that all of them take.
    fn time(&self, launches: &[Launch<'_, Self>]) -> Result<f64>;
    /// Seconds of the host to record all of these and hand them to the device, which is waited for
    /// afterwards.
    fn record(&self, launches: &[Launch<'_, Self>]) -> Result<f64>;
}

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The device's own, before the first and after the last launch of a batch.
    Device,
    /// The host's, from the submission of a batch to its end: the device tells no time.
    Host,
}

/// One launch.
pub struct Launch<'a, M: Machine + ?Sized> {
    pub what: What,
    pub weights: &'a M::Weights,
    pub x: &'a M::Memory,
    pub y: &'a M::Memory,
}

/// What a launch computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Matvec,
    /// With so many activation rows.
    Matmul(u32),
    Dequantize(Element),
    /// Rounding so many activation rows to 8 bits, as products do that read them so.
    Round(u32),
}
