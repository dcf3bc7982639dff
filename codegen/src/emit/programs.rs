//! A format lowered as its kernels want it, each way once, and each decoder written once a backend.

use super::decoder::Decoder;
use super::dialect::{self, Dialect};
use super::runs::Runs;
use super::widths::Widths;
use super::{QUADS, strips};
use crate::Error;
use crate::artifact::{Activations, Backend, Kind};
use crate::format::{Format, gcd};
use crate::ir::{self, Verified};
use crate::lower::{self, Dots};
use std::cell::OnceCell;

/// A program, and the decoders it becomes.
pub(super) struct Program<P> {
    pub own: P,
    decoders: [OnceCell<Decoder>; 2],
}

/// What a kernel's decoder is made of.
pub(super) enum Lowered<'a> {
    Weights(&'a Program<Verified<ir::Decoder>>),
    Dots(&'a Program<Dots>),
}

/// The programs of a format.
pub(super) struct Programs<'a> {
    format: &'a Format,
    row: Program<Verified<ir::Decoder>>,
    /// As many blocks at once as make a four, where whole fours are stored.
    flat: Widths<Program<Verified<ir::Decoder>>>,
    unit: Option<Format>,
    long: Widths<Program<Verified<ir::Decoder>>>,
    dots: Widths<Option<Program<Dots>>>,
    /// With runs as long as can be; `None` where those of the others are as long.
    long_dots: Option<Program<Dots>>,
}

impl<P> Program<P> {
    fn new(own: P) -> Program<P> {
        Program { own, decoders: [OnceCell::new(), OnceCell::new()] }
    }

    fn written(
        &self,
        backend: Backend,
        write: impl FnOnce(&P, &Dialect) -> Result<Decoder, Error>,
    ) -> Result<&Decoder, Error> {
        let (cell, dialect) = match backend {
            Backend::Wgsl => (&self.decoders[0], &dialect::WGSL),
            Backend::Hip => (&self.decoders[1], &dialect::HIP),
        };
        if let Some(decoder) = cell.get() {
            return Ok(decoder);
        }
        let decoder = write(&self.own, dialect)?;
        Ok(cell.get_or_init(|| decoder))
    }
}

impl Lowered<'_> {
    /// The program itself.
    pub fn program(&self) -> &Verified<ir::Decoder> {
        match self {
            Lowered::Weights(program) => &program.own,
            Lowered::Dots(program) => &program.own.program,
        }
    }

    /// The decoder in the language of a backend.
    pub fn decoder(&self, format: &Format, backend: Backend) -> Result<&Decoder, Error> {
        match self {
            Lowered::Weights(program) => {
                program.written(backend, |own, dialect| Decoder::of_weights(format, own, dialect))
            }
            Lowered::Dots(program) => {
                program.written(backend, |own, dialect| strips::decoder(format, own, dialect))
            }
        }
    }
}

impl<'a> Programs<'a> {
    /// Of a format whose weights `row` hands out.
    pub fn new(format: &'a Format, row: &Verified<ir::Decoder>) -> Result<Programs<'a>, Error> {
        // Dequantized weights are stored in fours: take as many blocks at once as make a four.
        let unit = format.repeated(4 / gcd(format.weights, 4));
        // Of longer units the last may end beyond the output, however that is rounded up.
        let whole = !format.is_plain() || unit.weights == 4 || unit.weights == format.weights;
        let dots = lower::wide_dots(format, lower::DOT_QUADS).transpose()?;
        let long_dots = match &dots {
            Some(_) => lower::long_dots(format).transpose()?,
            None => None,
        };
        // The scale of a run is multiplied in once for all its dot products: longer runs pay.
        let longer = |long: &Dots| {
            let quads = |dots: &Dots| Runs::of(&dots.program).quads;
            dots.as_ref().is_some_and(|dots| quads(long) > quads(dots))
        };
        Ok(Programs {
            format,
            row: Program::new(lower::for_gpus(row)?),
            flat: Widths::default(),
            unit: whole.then_some(unit),
            long: Widths::default(),
            long_dots: long_dots.filter(longer).map(Program::new),
            dots: Widths::of(lower::DOT_QUADS, dots.map(Program::new)),
        })
    }

    /// The program that such a kernel decodes by, in strips of so many quads where it says; `None` where there
    /// are no 8-bit codes.
    pub fn of(
        &mut self,
        kind: Kind,
        activations: Activations,
        quads: Option<u32>,
    ) -> Result<Option<Lowered<'_>>, Error> {
        let format = self.format;
        let wide = |format: &Format, quads: u32| -> Result<_, Error> {
            Ok(Program::new(lower::for_gpus(&lower::wide_weights(format, quads)?)?))
        };
        Ok(Some(match (activations, kind) {
            (Activations::Int8, Kind::Matmul) if self.long_dots.is_some() => {
                return Ok(self.long_dots.as_ref().map(Lowered::Dots));
            }
            (Activations::Int8, _) => {
                let lowered = self.dots.get(quads.unwrap_or(lower::DOT_QUADS), |quads| {
                    Ok(lower::wide_dots(format, quads).transpose()?.map(Program::new))
                })?;
                return Ok(lowered.as_ref().map(Lowered::Dots));
            }
            (_, Kind::Dequant) => match &self.unit {
                Some(unit) => Lowered::Weights(
                    self.flat.get(quads.unwrap_or(QUADS / 2), |quads| wide(unit, quads))?,
                ),
                None => Lowered::Weights(&self.row),
            },
            (_, Kind::Matvec | Kind::MatvecExperts) => Lowered::Weights(
                self.long.get(quads.unwrap_or(QUADS), |quads| wide(format, quads))?,
            ),
            _ => Lowered::Weights(&self.row),
        }))
    }
}
