//! AArch64: four registers hold the 16 rows. Levels differ in how they multiply bytes.

use super::{Floats, Kernel, Line, Simd};
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// Proof that the processor has NEON and the dot products `D`.
#[derive(Clone, Copy)]
pub(in super::super) struct Neon<D>(D);

impl<D: Dot> Neon<D> {
    pub fn detect() -> Option<Neon<D>> {
        D::detect().map(Neon)
    }
}

/// An expression of intrinsics.
macro_rules! intrinsics {
    ($expression:expr) => {{
        // SAFETY: a value of `Neon` or of its products exists, and only `detect` makes one, so there are
        // the instructions; pointers come from references to as many bytes as are read or written.
        unsafe { $expression }
    }};
}

/// The same for all four registers.
macro_rules! each {
    (|$part:ident| $expression:expr) => {
        intrinsics!([
            {
                let $part = 0;
                $expression
            },
            {
                let $part = 1;
                $expression
            },
            {
                let $part = 2;
                $expression
            },
            {
                let $part = 3;
                $expression
            }
        ])
    };
}

/// Products of four signed bytes `x` with four bytes of codes, summed.
pub(in super::super) trait Dot: Copy + Send + Sync + 'static {
    /// Whether codes are signed too, so that those from 128 on need a detour.
    const SIGNED: bool;

    /// Its instructions, and NEON's.
    fn detect() -> Option<Self>;
    /// Runs a kernel in a function of its own: inlined into each other, kernels spill registers.
    fn vectorize<K: Kernel>(simd: Neon<Self>, kernel: K) -> K::Output;
    /// Adds to every lane of `sum`. No byte of `x` is -128.
    fn dot(self, sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t;
}

/// Level `neon`: products in 16 bits, where two of them have room.
#[derive(Clone, Copy)]
pub(in super::super) struct Products(());

impl Dot for Products {
    const SIGNED: bool = true;

    fn detect() -> Option<Products> {
        is_aarch64_feature_detected!("neon").then_some(Products(()))
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(simd: Neon<Products>, kernel: K) -> K::Output {
        #[inline(never)]
        #[target_feature(enable = "neon")]
        fn inner<K: Kernel>(simd: Neon<Products>, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        intrinsics!(inner(simd, kernel))
    }

    #[inline(always)]
    fn dot(self, sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t {
        intrinsics!({
            let codes = vreinterpretq_s8_u32(codes);
            let low = vmull_s8(vget_low_s8(codes), vget_low_s8(x));
            let high = vmull_high_s8(codes, x);
            vpadalq_s16(sum, vpaddq_s16(low, high))
        })
    }
}

/// Level `dotprod`: dot products of signed bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Dotprod(());

impl Dot for Dotprod {
    const SIGNED: bool = true;

    fn detect() -> Option<Dotprod> {
        let neon = is_aarch64_feature_detected!("neon");
        (neon && is_aarch64_feature_detected!("dotprod")).then_some(Dotprod(()))
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(simd: Neon<Dotprod>, kernel: K) -> K::Output {
        #[inline(never)]
        #[target_feature(enable = "neon,dotprod")]
        fn inner<K: Kernel>(simd: Neon<Dotprod>, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        intrinsics!(inner(simd, kernel))
    }

    #[inline(always)]
    fn dot(self, sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t {
        intrinsics!(sdot(sum, codes, x))
    }
}

/// `vdotq_s32`, which is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction belongs to dotprod, and reads and writes these registers alone.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {codes:v}.16b, {x:v}.16b",
            sum = inout(vreg) sum,
            codes = in(vreg) codes,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Level `i8mm`: dot products of unsigned with signed bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct I8mm(());

impl Dot for I8mm {
    const SIGNED: bool = false;

    fn detect() -> Option<I8mm> {
        let neon = is_aarch64_feature_detected!("neon");
        (neon && is_aarch64_feature_detected!("i8mm")).then_some(I8mm(()))
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(simd: Neon<I8mm>, kernel: K) -> K::Output {
        #[inline(never)]
        #[target_feature(enable = "neon,i8mm")]
        fn inner<K: Kernel>(simd: Neon<I8mm>, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        intrinsics!(inner(simd, kernel))
    }

    #[inline(always)]
    fn dot(self, sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t {
        intrinsics!(usdot(sum, codes, x))
    }
}

/// `vusdotq_s32`, which is not stable.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn usdot(mut sum: int32x4_t, codes: uint32x4_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction belongs to i8mm, and reads and writes these registers alone.
    unsafe {
        asm!(
            "usdot {sum:v}.4s, {codes:v}.16b, {x:v}.16b",
            sum = inout(vreg) sum,
            codes = in(vreg) codes,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

type Words = [uint32x4_t; 4];
type Lanes = [float32x4_t; 4];

/// Lane `i` of item `j` becomes lane `j` of item `i`.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_4([a, b, c, d]: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    let ab = [vtrn1q_u32(a, b), vtrn2q_u32(a, b)];
    let cd = [vtrn1q_u32(c, d), vtrn2q_u32(c, d)];
    let [ab_0, ab_1] = [vreinterpretq_u64_u32(ab[0]), vreinterpretq_u64_u32(ab[1])];
    let [cd_0, cd_1] = [vreinterpretq_u64_u32(cd[0]), vreinterpretq_u64_u32(cd[1])];
    [
        vreinterpretq_u32_u64(vtrn1q_u64(ab_0, cd_0)),
        vreinterpretq_u32_u64(vtrn1q_u64(ab_1, cd_1)),
        vreinterpretq_u32_u64(vtrn2q_u64(ab_0, cd_0)),
        vreinterpretq_u32_u64(vtrn2q_u64(ab_1, cd_1)),
    ]
}

impl<D: Dot> Simd for Neon<D> {
    type Words = Words;
    type Floats = Lanes;
    const NARROW: bool = D::SIGNED;
    const DIRECT: bool = false; // a chunk takes 32 registers, as many as there are
    // Of 32 registers 16 hold sums, 4 codes and 4 activations; totals wait in memory for the end of
    // a run.
    const TILE: usize = 4;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        D::vectorize(self, kernel)
    }

    #[inline(always)]
    fn load(self, from: &Line) -> Words {
        self.load_bytes(&from.0)
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u8; 64]) -> Words {
        let (parts, _) = from.as_chunks::<16>();
        each!(|part| vreinterpretq_u32_u8(vld1q_u8(parts[part].as_ptr())))
    }
    #[inline(always)]
    fn transpose(self, rows: [Words; 16]) -> [Words; 16] {
        // Squares of 4 by 4, which change places.
        let mut columns = rows;
        for (i, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
            let squares = each!(|part| {
                transpose_4([rows[0][part], rows[1][part], rows[2][part], rows[3][part]])
            });
            for (columns, square) in columns.as_chunks_mut::<4>().0.iter_mut().zip(squares) {
                for (column, lanes) in columns.iter_mut().zip(square) {
                    column[i] = lanes;
                }
            }
        }
        columns
    }
    #[inline(always)]
    fn store(self, words: Words, to: &mut Line) {
        let (parts, _) = to.0.as_chunks_mut::<16>();
        for (part, words) in parts.iter_mut().zip(words) {
            intrinsics!(vst1q_u8(part.as_mut_ptr(), vreinterpretq_u8_u32(words)));
        }
    }
    #[inline(always)]
    fn splat(self, number: i32) -> Words {
        intrinsics!([vdupq_n_u32(number as u32); 4])
    }
    #[inline(always)]
    fn and(self, a: Words, b: Words) -> Words {
        each!(|part| vandq_u32(a[part], b[part]))
    }
    #[inline(always)]
    fn or(self, a: Words, b: Words) -> Words {
        each!(|part| vorrq_u32(a[part], b[part]))
    }
    #[inline(always)]
    fn shl(self, a: Words, by: u32) -> Words {
        each!(|part| vshlq_u32(a[part], vdupq_n_s32(by as i32)))
    }
    #[inline(always)]
    fn shr(self, a: Words, by: u32) -> Words {
        each!(|part| vshlq_u32(a[part], vdupq_n_s32(-(by as i32))))
    }
    #[inline(always)]
    fn table(self, entries: &[u8; 16]) -> Words {
        intrinsics!([vreinterpretq_u32_u8(vld1q_u8(entries.as_ptr())); 4])
    }
    #[inline(always)]
    fn lookup(self, table: Words, bytes: Words) -> Words {
        each!(|part| {
            let (table, bytes) = (table[part], vreinterpretq_u8_u32(bytes[part]));
            vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(table), bytes))
        })
    }
    #[inline(always)]
    fn dot(self, sum: Words, codes: Words, x: i32) -> Words {
        each!(|part| {
            let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
            let sum = self.0.dot(vreinterpretq_s32_u32(sum[part]), codes[part], x);
            vreinterpretq_u32_s32(sum)
        })
    }
    #[inline(always)]
    fn dot_wide(self, sum: Words, codes: Words, x: i32) -> Words {
        if !D::SIGNED {
            return self.dot(sum, codes, x);
        }
        // Codes less 128 are signed bytes; what is missing then is 128 · Σx.
        let signs = self.splat(0x8080_8080_u32 as i32);
        let excess = self.dot(self.splat(0), signs, x);
        let sum = each!(|part| vsubq_u32(sum[part], excess[part]));
        let codes = each!(|part| veorq_u32(codes[part], signs[part]));
        self.dot(sum, codes, x)
    }
    #[inline(always)]
    fn to_floats(self, words: Words) -> Lanes {
        each!(|part| vcvtq_f32_s32(vreinterpretq_s32_u32(words[part])))
    }
    #[inline(always)]
    fn load_floats(self, from: &Floats) -> Lanes {
        self.load_row(&from.0)
    }
    #[inline(always)]
    fn load_row(self, from: &[f32; 16]) -> Lanes {
        let (parts, _) = from.as_chunks::<4>();
        each!(|part| vld1q_f32(parts[part].as_ptr()))
    }
    #[inline(always)]
    fn store_floats(self, floats: Lanes, to: &mut Floats) {
        let (parts, _) = to.0.as_chunks_mut::<4>();
        for (part, floats) in parts.iter_mut().zip(floats) {
            intrinsics!(vst1q_f32(part.as_mut_ptr(), floats));
        }
    }
    #[inline(always)]
    fn splat_float(self, number: f32) -> Lanes {
        intrinsics!([vdupq_n_f32(number); 4])
    }
    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        each!(|part| vaddq_f32(a[part], b[part]))
    }
    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        each!(|part| vmulq_f32(a[part], b[part]))
    }
    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        each!(|part| vfmaq_f32(c[part], a[part], b[part]))
    }
    #[inline(always)]
    fn lookup_float(self, table: Lanes, lanes: Words) -> Lanes {
        // Tables are of bytes: float `i` is bytes 4i to 4i + 3.
        let table = each!(|part| vreinterpretq_u8_f32(table[part]));
        let table = uint8x16x4_t(table[0], table[1], table[2], table[3]);
        each!(|part| {
            let lane = vandq_u32(lanes[part], vdupq_n_u32(15));
            let bytes = vmlaq_u32(vdupq_n_u32(0x0302_0100), lane, vdupq_n_u32(0x0404_0404));
            vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes)))
        })
    }
    #[inline(always)]
    fn prefetch(self, line: *const Line) {
        // SAFETY: a hint, which wrong addresses do not make fail; `_prefetch` is not stable.
        unsafe {
            asm!("prfm pldl1keep, [{}]", in(reg) line, options(readonly, nostack, preserves_flags));
        }
    }
}
