//! Programs broken by hand: the verifier refuses each, and says why.

use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom_codegen::artifact::{Dims, Extent, Order, Stream, Units};
use quantloom_codegen::ir::{
    Binary, Decoder, Entries, Lanes, Let, Op, Quad, Table, Type, Unary, Value, Verified, interpret,
};

pub fn trials() -> Vec<Trial> {
    let broken = BROKEN.iter().map(|&(name, breaks, reason)| {
        test(format!("verifier/{name}"), move || refused(breaks, reason))
    });
    [test("verifier/sound_program", sound)].into_iter().chain(broken).collect()
}

const BLOCK: Value = Value(0);
const STRIP: Value = Value(1);
const TWO: Value = Value(2);
const START: Value = Value(3);
const OFFSET: Value = Value(4);
const READ: Value = Value(5);
const MASK: Value = Value(6);
const CODE: Value = Value(7);
const FLOAT: Value = Value(8);
const LEVEL: Value = Value(9);
const WEIGHT: Value = Value(10);
const BIG: Value = Value(11);
const THIRTY_TWO: Value = Value(12);

/// A sound program: 4 weights in 2 strips, out of blocks of 8 bytes.
fn program() -> Decoder {
    let lets = [
        (Op::Block, Type::U32),
        (Op::Strip, Type::U32),
        (Op::U32(2), Type::U32),
        (Op::Binary(Binary::Mul, STRIP, TWO), Type::U32),
        (Op::Binary(Binary::Add, START, TWO), Type::U32),
        (Op::Load { stream: 0, bits: 16, unit: BLOCK, offset: OFFSET, align: 2 }, Type::U32),
        (Op::U32(15), Type::U32),
        (Op::Binary(Binary::And, READ, MASK), Type::U32),
        (Op::Unary(Unary::ToF32, CODE), Type::F32),
        (Op::Lookup { table: 0, index: CODE }, Type::F32),
        (Op::Binary(Binary::Mul, FLOAT, LEVEL), Type::F32),
        (Op::U32(1 << 31), Type::U32),
        (Op::U32(32), Type::U32),
    ];
    let units = Units::BLOCKS;
    Decoder {
        format: "by_hand".into(),
        weights: 4,
        run: 1,
        strips: 2,
        rows: 1,
        streams: vec![Stream { name: "blocks".into(), bytes: 8, units }],
        tables: vec![Table {
            name: "levels".into(),
            at: None,
            entries: Entries::F32((0..16).map(|level| level as f32 / 2.0).collect()),
        }],
        lets: lets.into_iter().map(|(op, ty)| Let { op, ty, name: String::new() }).collect(),
        quads: vec![Quad { start: START, lanes: Lanes::Weights(vec![WEIGHT, FLOAT]) }],
    }
}

/// The program that is broken below passes, and does what it says.
fn sound() -> Result<(), Failed> {
    let verified = Verified::new(program())?;
    let mut weights = [0.0; 4];
    let block = [0xff, 0xff, 0xf3, 0xff, 0x05, 0x00, 0xff, 0xff];
    let dims = Dims { n: 1, blocks: 1, sizes: [0; 2] };
    interpret(&verified, &[&block], &dims, 0, &mut weights);
    match weights {
        [4.5, 3.0, 12.5, 5.0] => Ok(()),
        other => Err(format!("decoded to {other:?}").into()),
    }
}

fn refused(breaks: Break, reason: &str) -> Result<(), Failed> {
    let mut decoder = program();
    breaks(&mut decoder);
    match Verified::new(decoder) {
        Ok(_) => Err("the verifier lets it pass".into()),
        Err(error) if error.message.contains(reason) && error.format == "by_hand" => Ok(()),
        Err(error) => Err(format!("refused for another reason than `{reason}`: {error}").into()),
    }
}

/// Adds a value, which nothing uses.
fn push(decoder: &mut Decoder, ty: Type, op: Op) -> Value {
    decoder.lets.push(Let { op, ty, name: String::new() });
    Value(decoder.lets.len() as u32 - 1)
}

fn push_u32(decoder: &mut Decoder, op: Op) {
    push(decoder, Type::U32, op);
}

fn load(decoder: &mut Decoder, bits: u32, offset: u32, align: u32) {
    let offset = push(decoder, Type::U32, Op::U32(offset));
    push_u32(decoder, Op::Load { stream: 0, bits, unit: BLOCK, offset, align });
}

type Break = fn(&mut Decoder);

/// A name, what is broken, and what the verifier must say.
#[rustfmt::skip]
const BROKEN: &[(&str, Break, &str)] = &[
    ("load_past_the_block", |d| load(d, 8, 8, 1), "load: 8..=8 is not inside 0..=7"),
    ("wide_load_past_the_block", |d| load(d, 32, 5, 1), "load: 5..=5 is not inside 0..=4"),
    ("load_past_the_block_in_the_last_strip", |d| d.streams[0].bytes = 4, "strip 1: load: 4..=4 is not inside 0..=2"),
    ("load_from_what_was_read",
        |d| push_u32(d, Op::Load { stream: 0, bits: 8, unit: BLOCK, offset: CODE, align: 1 }), "load: 0..=15 is not inside 0..=7"),
    ("load_from_what_was_read_inside_the_block",
        |d| { d.streams[0].bytes = 64; push_u32(d, Op::Load { stream: 0, bits: 16, unit: BLOCK, offset: CODE, align: 2 }) }, "not aligned"),
    ("load_from_the_next_unit", |d| push_u32(d, Op::Load { stream: 0, bits: 8, unit: TWO, offset: STRIP, align: 1 }), "unit of `blocks`: 2..=2 is not inside 0..=0"),
    ("load_from_a_unit_that_was_read", |d| push_u32(d, Op::Load { stream: 0, bits: 8, unit: CODE, offset: STRIP, align: 1 }), "unit of `blocks`: 0..=15"),
    ("block_numbers_in_shared_units", |d| d.streams[0].units.blocks = Extent::Blocks(3), "unit of `blocks`: 1..=1 is not inside 0..=0"),
    ("block_numbers_in_sized_units", |d| d.streams[0].units.blocks = Extent::Sizes { size: 0, times: 1 }, "unit of `blocks`"),
    ("block_numbers_in_one_unit_a_row", |d| d.streams[0].units.blocks = Extent::Row, "unit of `blocks`"),
    ("block_numbers_in_flat_units", |d| { d.streams[0].units.order = Order::Flat; d.streams[0].units.blocks = Extent::Blocks(2); }, "unit of `blocks`"),
    ("third_size", |d| push_u32(d, Op::Size(2)), "cannot give U32"),
    ("f16_of_an_integer", |d| push_u32(d, Op::Unary(Unary::F16FromF32, CODE)), "cannot give U32"),
    ("u32_of_a_float", |d| push_u32(d, Op::Unary(Unary::ToU32, FLOAT)), "cannot give U32"),
    ("rounding_of_an_integer", |d| push_u32(d, Op::Unary(Unary::Rounded, CODE)), "cannot give U32"),
    ("smaller_of_two_floats", |d| { push(d, Type::F32, Op::Binary(Binary::Min, FLOAT, FLOAT)); }, "cannot give F32"),
    ("load_claims_more_than_its_offset_has", |d| load(d, 16, 3, 2), "not aligned to 2 bytes"),
    ("load_claims_more_than_its_block_has", |d| { d.streams[0].bytes = 10; load(d, 32, 4, 4) }, "not aligned to 4 bytes"),
    ("load_of_alignment_3", |d| load(d, 8, 3, 3), "not aligned to 3 bytes"),
    ("load_of_alignment_8", |d| load(d, 32, 0, 8), "not aligned to 8 bytes"),
    ("load_of_alignment_0", |d| load(d, 8, 0, 0), ""),
    ("load_of_24_bits", |d| load(d, 24, 0, 1), "cannot give U32"),
    ("load_of_a_missing_stream", |d| push_u32(d, Op::Load { stream: 1, bits: 8, unit: BLOCK, offset: STRIP, align: 1 }), "cannot give U32"),
    ("load_from_a_float", |d| push_u32(d, Op::Load { stream: 0, bits: 8, unit: BLOCK, offset: FLOAT, align: 1 }), "cannot give U32"),
    ("wrong_type", |d| d.lets[8].ty = Type::I32, "cannot give I32"),
    ("float_bits_by_mask", |d| { push(d, Type::F32, Op::Binary(Binary::And, FLOAT, FLOAT)); }, "cannot give F32"),
    ("sum_of_two_types", |d| { push(d, Type::F32, Op::Binary(Binary::Add, FLOAT, CODE)); }, "cannot give F32"),
    ("sign_of_an_integer", |d| { push(d, Type::F32, Op::Unary(Unary::Neg, CODE)); }, "cannot give F32"),
    ("signed_shift", |d| { push(d, Type::I32, Op::Binary(Binary::Shr, CODE, CODE)); }, "cannot give I32"),
    ("forward_reference", |d| d.lets[5].op = Op::Unary(Unary::ToI32, CODE), "not computed yet"),
    ("self_reference", |d| d.lets[5].op = Op::Binary(Binary::Add, READ, TWO), "not computed yet"),
    ("shift_right_by_32", |d| push_u32(d, Op::Binary(Binary::Shr, READ, THIRTY_TWO)), "shift: 32..=32 is not inside 0..=31"),
    ("shift_left_by_32", |d| push_u32(d, Op::Binary(Binary::Shl, READ, THIRTY_TWO)), "shift: 32..=32 is not inside 0..=31"),
    ("shift_by_what_was_read", |d| push_u32(d, Op::Binary(Binary::Shr, READ, READ)), "shift: 0..=65535 is not inside 0..=31"),
    ("lookup_past_the_table", |d| d.tables[0].entries = Entries::F32(vec![0.0; 15]), "lookup: 0..=15 is not inside 0..=14"),
    ("lookup_in_a_missing_table", |d| d.tables.clear(), "cannot give F32"),
    ("lookup_of_another_type", |d| d.tables[0].entries = Entries::I32(vec![0; 16]), "cannot give F32"),
    ("division_by_what_may_be_0", |d| push_u32(d, Op::Binary(Binary::Div, TWO, CODE)), "division: 0..=15 is not inside 1..="),
    ("remainder_by_what_may_be_0", |d| push_u32(d, Op::Binary(Binary::Rem, TWO, CODE)), "remainder: 0..=15 is not inside 1..="),
    ("sum_wraps", |d| push_u32(d, Op::Binary(Binary::Add, BIG, BIG)), "arithmetic wraps"),
    ("difference_wraps", |d| push_u32(d, Op::Binary(Binary::Sub, CODE, TWO)), "arithmetic wraps: -2..=13"),
    ("product_wraps_64_bits", |d| { let most = push(d, Type::U32, Op::U32(u32::MAX)); push_u32(d, Op::Binary(Binary::Mul, most, most)) }, "arithmetic wraps"),
    ("product_wraps_in_a_long_row", |d| push_u32(d, Op::Binary(Binary::Mul, BLOCK, BLOCK)), "block 0..=2147483647 of 1 x 2147483648"),
    ("product_wraps", |d| push_u32(d, Op::Binary(Binary::Mul, BIG, TWO)), "arithmetic wraps"),
    ("inexact_conversion", |d| { push(d, Type::F32, Op::Unary(Unary::ToF32, BIG)); }, "u32 as f32"),
    ("conversion_to_i32_wraps", |d| { push(d, Type::I32, Op::Unary(Unary::ToI32, BIG)); }, "u32 as i32"),
    ("sign_of_33_bits", |d| { push(d, Type::I32, Op::Unary(Unary::SignExtend(33), CODE)); }, "cannot give I32"),
    ("sign_of_0_bits", |d| { push(d, Type::I32, Op::Unary(Unary::SignExtend(0), CODE)); }, "cannot give I32"),
    ("weight_not_decoded", |d| d.quads[0].lanes = Lanes::Weights(vec![WEIGHT]), "weight 1 is not decoded"),
    ("weight_decoded_twice", |d| d.quads.push(d.quads[0].clone()), "weight 0 is decoded twice"),
    ("weight_past_the_block", |d| d.weights = 3, "weight 3 is past the block"),
    ("weight_in_no_fixed_place", |d| d.quads[0].start = CODE, "no fixed place"),
    ("quad_of_no_weights", |d| d.quads[0].lanes = Lanes::Weights(vec![]), "no fixed place"),
    ("quad_of_5_weights", |d| d.quads[0].lanes = Lanes::Weights(vec![WEIGHT; 5]), "no fixed place"),
    ("weight_that_is_no_float", |d| d.quads[0].lanes = Lanes::Weights(vec![CODE, FLOAT]), "not F32"),
    ("weight_that_is_missing", |d| d.quads[0].lanes = Lanes::Weights(vec![WEIGHT, Value(99)]), "missing"),
    ("start_that_is_missing", |d| d.quads[0].start = Value(99), "missing"),
    ("start_that_is_a_float", |d| d.quads[0].start = FLOAT, "not U32"),
    ("codes_that_are_no_integer", |d| d.quads[0].lanes = Lanes::Codes(FLOAT), "not U32"),
    ("scale_that_is_no_float", |d| d.quads[0].lanes = Lanes::Scale { scale: CODE, offset: FLOAT }, "not F32"),
    ("offset_that_is_no_float", |d| d.quads[0].lanes = Lanes::Scale { scale: FLOAT, offset: CODE }, "not F32"),
    ("run_of_no_weights", |d| d.run = 0, "no multiple of runs of 0"),
    ("run_that_does_not_divide_the_block", |d| d.run = d.weights + 1, "no multiple of runs of"),
    ("block_without_strips", |d| d.strips = 0, "weight 0 is not decoded"),
];
