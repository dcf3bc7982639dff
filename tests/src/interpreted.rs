//! CPU functions that interpret a format's programs: what CPU kernels do with any format can be tested
//! without compiling its functions.

use quantloom::artifact::{Artifact, Coded, Cpu, Dims, Versions};
use quantloom_codegen::format::Formula;
use quantloom_codegen::ir::{Decoder, Verified, interpret, interpret_codes, interpret_scales};
use quantloom_codegen::{Format, lower};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

/// The programs that the functions run: pointers to functions carry nothing with them.
static PROGRAMS: RwLock<Option<Programs>> = RwLock::new(None);
/// Held by the test whose programs they are.
static TURN: Mutex<()> = Mutex::new(());

struct Programs {
    weights: Verified<Decoder>,
    coded: Option<lower::Coded>,
}

/// A format whose CPU functions run its programs; others wait until it is dropped.
pub struct Interpreted {
    /// The format.
    pub format: quantloom::Format,
    _turn: MutexGuard<'static, ()>,
}

impl Interpreted {
    /// A format without kernels whose functions interpret it.
    ///
    /// # Errors
    /// Where the format does not lower.
    pub fn new(format: &Format, descriptor: &str) -> Result<Interpreted, crate::Failed> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let weights = lower::weights(format, WORD)?;
        let coded = lower::coded(format, WORD).transpose()?;
        let functions = coded.as_ref().map(|coded| -> &'static Coded {
            let affine = &coded.coding.affine;
            // As long as the program: a few hundred bytes.
            Box::leak(Box::new(Coded {
                run: coded.coding.run,
                spans: coded.coding.spans.clone().into(),
                values: coded.coding.values.clone().into(),
                offset: affine.offset != Formula::Number(0.0),
                halved: affine.halved,
                codes: Versions::only(codes),
                scales: Versions::only(scales),
                header: None,
            }))
        });
        *PROGRAMS.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Programs { weights, coded });
        // SAFETY: the functions are safe code, whatever they are given, and write what they are given last.
        #[allow(unsafe_code)]
        let cpu = unsafe { Cpu::new(Versions::only(decode), functions) };
        let format = quantloom::Format::from(Artifact {
            name: format.name.clone().into(),
            family: format.family.clone().into(),
            params: format.params.clone().into(),
            weights: format.weights,
            streams: format.streams.iter().map(|stream| stream.artifact()).collect(),
            indices: format.indices().into(),
            sizes: format.sizes.clone().into(),
            cpu: Some(cpu),
            descriptor: descriptor.to_owned().into(),
            ..Artifact::default()
        });
        Ok(Interpreted { format, _turn: turn })
    }
}

/// Bytes of a strip.
const WORD: u32 = 16;

fn dims(&[n, blocks, first, second]: &[u32; 4]) -> Dims {
    Dims { n, blocks, sizes: [first, second] }
}

fn run(with: impl FnOnce(&Programs)) {
    if let Some(programs) = &*PROGRAMS.read().unwrap_or_else(PoisonError::into_inner) {
        with(programs);
    }
}

fn decode(streams: &[&[u8]], words: &[u32; 4], first: usize, weights: &mut [f32]) {
    run(|own| interpret(&own.weights, streams, &dims(words), first, weights));
}

fn codes(streams: &[&[u8]], words: &[u32; 4], first: usize, codes: &mut [u8]) {
    run(|own| {
        if let Some(coded) = &own.coded {
            interpret_codes(&coded.codes, streams, &dims(words), first, codes);
        }
    });
}

fn scales(
    streams: &[&[u8]],
    words: &[u32; 4],
    first: usize,
    scales: &mut [f32],
    offsets: &mut [f32],
) {
    run(|own| {
        let Some(coded) = &own.coded else { return };
        let mut runs = vec![(0.0, 0.0); scales.len()];
        interpret_scales(&coded.scales, streams, &dims(words), first, &mut runs);
        for ((scale, offset), run) in scales.iter_mut().zip(offsets).zip(runs) {
            (*scale, *offset) = run;
        }
    });
}
