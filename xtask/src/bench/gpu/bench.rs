//! Rows of the table, measured on one machine: tensors stay there for further rows.

use super::case::{Case, Checked};
use super::ceiling::{self, Ceiling};
use super::machine::{Machine, What};
use super::options::{Kind, Precision};
use super::report::{Row, Samples, Way};
use crate::bench::Result;
use crate::bench::options::Shape;
use crate::bench::timing::{Call, Plan, measure};
use crate::bench::weights::Weights;
use quantloom::Format;
use quantloom::artifact::Element;
use std::time::Duration;

/// A machine, what is measured on it, and the tensors that it holds.
pub struct Bench<'a, M: Machine> {
    machine: &'a M,
    precisions: Vec<Precision>,
    budget: Duration,
    rotate: u64,
    held: Vec<Held<M>>,
}

/// A tensor with copies for products of each precision.
struct Held<M: Machine> {
    weights: Weights,
    copies: Vec<(Precision, Vec<M::Weights>)>,
}

/// Weight rows of the tensor whose launches are recorded: what is launched does not matter.
const FEW: usize = 64;

impl<'a, M: Machine> Bench<'a, M> {
    /// In those of these precisions that the machine has; `budget` for a row, after preparation, and
    /// `rotate` bytes of copies of a tensor at least.
    pub fn new(
        machine: &'a M,
        precisions: &[Precision],
        budget: Duration,
        rotate: u64,
    ) -> Bench<'a, M> {
        let own = machine.precisions().into_iter().filter(|own| precisions.contains(own));
        Bench { machine, precisions: own.collect(), budget, rotate, held: vec![] }
    }

    /// Measures one kind of launch, of products with `m` activation rows.
    ///
    /// # Errors
    /// Where the tensor cannot be made or the machine fails. A wrong result is none: the row says so.
    pub fn row(&mut self, format: &Format, shape: Shape, kind: Kind, m: u32) -> Result<Row> {
        let shape = if kind == Kind::Launch { Shape { n: FEW, ..shape } } else { shape };
        let of =
            |held: &Held<M>| held.weights.format.name == format.name && held.weights.shape == shape;
        let place = match self.held.iter().position(of) {
            Some(place) => place,
            None => {
                let weights = Weights::random(format, shape)?;
                self.held.push(Held { weights, copies: vec![] });
                self.held.len() - 1
            }
        };
        self.hold(place, kind, m)?;
        self.measure(&self.held[place], kind, m)
    }

    /// Frees what the machine holds.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// The precisions in which a kind of launch is measured.
    fn ways(&self, format: &Format, kind: Kind, m: u32) -> Vec<Precision> {
        let has = |own: &&Precision| {
            let mut kernels = format.kernels.iter();
            own.serves(m) && kernels.any(|kernel| kernel.activations == own.activations())
        };
        let mut ways: Vec<Precision> = self.precisions.iter().filter(has).copied().collect();
        if matches!(kind, Kind::Dequantize | Kind::DequantizeF16) {
            // How activations are taken makes no difference to decoding.
            ways.truncate(1);
        }
        ways
    }

    /// Makes sure of copies for every precision.
    fn hold(&mut self, place: usize, kind: Kind, m: u32) -> Result<()> {
        let Held { weights, copies } = &self.held[place];
        let held = |own: &Precision| copies.iter().any(|(precision, _)| precision == own);
        let mut missing = self.ways(&weights.format, kind, m);
        missing.retain(|own| !held(own));
        if missing.is_empty() {
            return Ok(());
        }
        let tensor = weights.tensor()?;
        let count = match kind {
            Kind::Launch => 1,
            _ => self.rotate.div_ceil(weights.bytes() as u64).max(2),
        };
        for precision in missing {
            let upload = || (0..count).map(|_| self.machine.upload(&tensor, precision)).collect();
            let copies: Result<Vec<_>> = upload();
            let copies = copies.or_else(|_| {
                // Other tensors may take the room.
                let others = self.held.iter_mut().enumerate().filter(|(other, _)| *other != place);
                others.for_each(|(_, held)| held.copies.clear());
                upload()
            });
            self.held[place].copies.push((precision, copies?));
        }
        Ok(())
    }

    fn measure(&self, held: &Held<M>, kind: Kind, m: u32) -> Result<Row> {
        let Held { weights, copies } = held;
        let what = match kind {
            Kind::Matvec | Kind::Launch => What::Matvec,
            Kind::Matmul => What::Matmul(m),
            Kind::Dequantize => What::Dequantize(Element::F32),
            Kind::DequantizeF16 => What::Dequantize(Element::F16),
        };
        let mut row = Row {
            format: weights.format.name.to_string(),
            kind,
            shape: weights.shape,
            m,
            bytes: weights.bytes() as u64,
            ceiling: None,
            rounding: vec![],
            ways: vec![],
        };
        let case = Case::new(self.machine, weights, what, self.rotate)?;
        let ceiling = Ceiling::new(self.machine, kind, row.work() as u64, self.rotate)?;
        let mut turns = ceiling.as_ref().map_or(1, Ceiling::turns);
        let mut timed: Vec<Box<dyn Call + '_>> = Vec::new();
        let mut rounds = None;
        for precision in self.ways(&weights.format, kind, m) {
            let own = copies.iter().find(|(own, _)| *own == precision);
            let (_, copies) = own.ok_or("a tensor is not on the machine")?;
            let Checked { nmse, problem } = case.check(copies, precision);
            if problem.is_none() {
                turns = turns.max(case.turns(copies.len()));
                timed.push(Box::new(case.call(copies, kind == Kind::Launch)));
                if precision == Precision::Int8 && matches!(kind, Kind::Matvec | Kind::Matmul) {
                    rounds = Some(case.rounding(copies, m));
                }
            }
            row.ways.push(Way { precision, seconds: vec![], nmse, problem, verdict: None });
        }
        let rounds = rounds.map(|call| timed.push(Box::new(call)));
        timed.extend(
            ceiling.as_ref().map(|own| Box::new(own.call(self.machine)) as Box<dyn Call + '_>),
        );
        // Nothing is dropped: a row's ceiling is there to be far ahead.
        let plan = Plan {
            budget: self.budget,
            warm: Duration::ZERO,
            copies: turns,
            behind: f64::INFINITY,
        };
        let mut samples = measure(&mut timed, &plan)?.into_iter();
        for way in row.ways.iter_mut().filter(|way| way.problem.is_none()) {
            way.seconds = samples.next().unwrap_or_default();
        }
        row.rounding = rounds.and_then(|()| samples.next()).unwrap_or_default();
        row.ceiling = ceiling.as_ref().zip(ceiling::name(kind)).map(|(ceiling, name)| Samples {
            name: name.into(),
            bytes: ceiling.bytes,
            seconds: samples.next().unwrap_or_default(),
        });
        Ok(row)
    }
}
