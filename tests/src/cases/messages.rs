//! What is said about wrong descriptors, as text that a change must be seen to change: one snapshot
//! for each in tests/snapshots. `INSTA_UPDATE=always` writes them anew.

use crate::seed::{pick, rng, with_seed};
use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom_codegen::{Error, compile_bytes};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub fn trials() -> Vec<Trial> {
    let all = [(BASE, EDITED), (PLANAR, EDITED_PLANAR)];
    let edited = all.into_iter().flat_map(|(base, list)| list.iter().map(move |edit| (base, edit)));
    let edited = edited.map(|(base, &(name, from, to))| {
        test(format!("messages/{name}"), move || match base.matches(from).count() {
            1 => check(name, &format!("{from} -> {to}"), base.replacen(from, to, 1).as_bytes()),
            found => Err(format!("the text to edit stands {found} times").into()),
        })
    });
    let made = MADE
        .iter()
        .map(|&(name, make)| test(format!("messages/{name}"), move || check(name, "", &make())));
    let sound = |name: &str, base: &'static str, value: &'static str| {
        test(format!("messages/{name}"), move || {
            Ok(compile_bytes(base.replace(VALUE, value).as_bytes(), FILE).map(drop)?)
        })
    };
    static LONG: LazyLock<String> = LazyLock::new(|| format!("{VALUE}{}", " + d".repeat(90)));
    let sound = [
        sound("sound_descriptor", BASE, VALUE),
        sound("sound_descriptor_with_90_terms", BASE, &LONG),
        sound("sound_planar_descriptor", PLANAR, VALUE),
    ];
    sound
        .into_iter()
        .chain([test("messages/none_is_stale", none_is_stale)])
        .chain([test("messages/places_after_random_edits", places_after_random_edits)])
        .chain(edited)
        .chain(made)
        .collect()
}

/// Every recorded message belongs to a test.
fn none_is_stale() -> Result<(), Failed> {
    let edited = EDITED.iter().chain(EDITED_PLANAR).map(|(name, ..)| *name);
    let names: Vec<&str> = edited.chain(MADE.iter().map(|(name, _)| *name)).collect();
    for entry in std::fs::read_dir(SNAPSHOTS)? {
        let file = entry?.file_name().display().to_string();
        if !names.iter().any(|name| file == format!("{name}.snap")) {
            return Err(format!("tests/snapshots/{file} belongs to no test").into());
        }
    }
    Ok(())
}

/// Whatever is wrong, there is a message, and what it points at is in the text.
fn places_after_random_edits() -> Result<(), Failed> {
    let pieces = [
        "",
        "\n",
        "\r\n",
        "\t",
        " ",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ":",
        "-",
        "|",
        "&a ",
        "*a",
        "#",
        "(",
        ")",
        "%",
        "0",
        "9999999999",
        "日本",
        "\u{feff}",
        "\u{2028}",
        "e\u{301}",
        "q",
        "\0",
    ];
    let mut rng = rng("messages/places_after_random_edits");
    let mut wrong = 0;
    for _ in 0..1000 {
        let mut text = BASE.to_owned();
        for _ in 0..=rng.below(3) {
            let bounds: Vec<usize> = text.char_indices().map(|(byte, _)| byte).collect();
            let first = pick(&mut rng, &bounds);
            let last = pick(&mut rng, &bounds).clamp(first, first + 8);
            let last =
                (first..=last).rev().find(|&byte| text.is_char_boundary(byte)).unwrap_or(first);
            text.replace_range(first..last, pick(&mut rng, &pieces));
        }
        let Err(Error::Problems(problems)) = compile_bytes(text.as_bytes(), FILE) else { continue };
        wrong += 1;
        let message = problems.to_string();
        let refuse = |what: &str| with_seed(Err(format!("{what} in {text:?}:\n{message}").into()));
        if problems.list.is_empty() || !message.starts_with("error: ") {
            return refuse("nothing is said");
        }
        if text.starts_with('\u{feff}') {
            continue; // places count from behind it
        }
        for problem in &problems.list {
            let Some(range) = problem.range.clone() else { continue };
            let Some(before) = text.get(..range.start).filter(|_| text.get(range).is_some()) else {
                return refuse("a place is outside");
            };
            let line = before.split('\n').next_back().unwrap_or_default();
            let position = (before.matches('\n').count() + 1, line.chars().count() + 1);
            if problem.position != Some(position) {
                return refuse("a position is wrong");
            }
        }
    }
    match wrong {
        ..300 => Err(format!("only {wrong} edits made a mistake").into()),
        _ => Ok(()),
    }
}

const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots");
const FILE: &str = "formats/example.yaml";

/// A sound descriptor with a bit of everything.
const BASE: &str = r#"format: example
title: 5-bit codes with scales, offsets and a table
weights: 64
block:
  d: f16
  scales: u8[4]
  high: u8[8]
  low: u8[32]
  unused: pad[2]
fields:
  scale: {from: scales, bits: 6, k: "4:8", per: 16}
  shift: {from: scales, bits: 2, at: 6, k: "4:8", per: 16}
  q:
    bias: 16
    planes:
      - {from: low, bits: 4, k: "(32,2):(8,4)"}
      - {from: high, bits: 1, k: "64:1"}
tables:
  levels: {type: f32, values: [0.0, 0.5, 1.0, 1.5]}
value: d * scale * q - levels[shift]
"#;

/// The formula of [`BASE`].
const VALUE: &str = "d * scale * q - levels[shift]";

/// A name, the text that is changed, and what to.
#[rustfmt::skip]
const EDITED: &[(&str, &str, &str)] = &[
    ("unknown_key", "weights: 64", "weights: 64\nwieghts: 64"),
    ("unknown_key_of_a_field", "per: 16}\n  shift", "pre: 16}\n  shift"),
    ("unknown_key_of_a_plane", "{from: high, bits: 1", "{form: high, bits: 1"),
    ("unknown_key_of_a_table", "{type: f32, values", "{kind: f32, values"),
    ("key_stands_twice", "weights: 64", "weights: 64\nweights: 32"),
    ("member_stands_twice", "  low: u8[32]", "  low: u8[32]\n  low: u8[32]"),
    ("field_stands_twice", "  q:\n", "  shift: {from: scales}\n  q:\n"),
    ("key_is_missing", "title: 5-bit codes with scales, offsets and a table\n", ""),
    ("number_expected", "weights: 64", "weights: many"),
    ("number_is_negative", "at: 6", "at: -6"),
    ("list_expected", "values: [0.0, 0.5, 1.0, 1.5]", "values: 0.5"),
    ("text_expected", "value: d * scale * q - levels[shift]", "value: [d, q]"),
    ("bad_yaml", "scale: {from: scales, bits: 6", "scale: {from: scales, bits: 6]"),
    ("tab_as_indent", "  low: u8[32]", "\tlow: u8[32]"),
    ("overlapping_planes", "bits: 2, at: 6", "bits: 2, at: 5"),
    ("overlap_within_a_plane", "\"64:1\"", "\"(32,2):(1,16)\""),
    ("uncovered_bits", "bits: 2, at: 6", "bits: 1, at: 6"),
    ("uncovered_member", "  high: u8[8]", "  high: u8[8]\n  more: u16[2]"),
    ("plane_past_its_member", "\"64:1\"", "\"64:2\""),
    ("plane_before_its_member", "\"64:1\"", "\"64:-1\""),
    ("shape_product_off", "\"(32,2):(8,4)\"", "\"(32,4):(8,4)\""),
    ("shape_is_missing", ", k: \"64:1\"}", "}"),
    ("bad_layout", "\"64:1\"", "\"64\""),
    ("bad_layout_digits", "\"(32,2):(8,4)\"", "\"(32,2):(8,4,2)\""),
    ("bad_layout_number", "\"(32,2):(8,4)\"", "\"(32,x):(8,4)\""),
    ("bad_layout_parenthesis", "\"(32,2):(8,4)\"", "\"(32,2:(8,4)\""),
    ("per_does_not_divide", "at: 6, k: \"4:8\", per: 16", "at: 6, k: \"4:8\", per: 24"),
    ("per_is_zero", "at: 6, k: \"4:8\", per: 16", "at: 6, k: \"4:8\", per: 0"),
    ("undefined_name", "d * scale * q", "d * scala * q"),
    ("undefined_table", "levels[shift]", "lvls[shift]"),
    ("undefined_index", "levels[shift]", "levels[shfit]"),
    ("undefined_member", "{from: high, bits: 1", "{from: hi, bits: 1"),
    ("table_without_index", "levels[shift]", "levels"),
    ("index_of_a_field", "levels[shift]", "scale[shift]"),
    ("index_is_a_float", "levels[shift]", "levels[d]"),
    ("index_is_signed", "bits: 2, at: 6", "bits: 2, type: i, at: 6"),
    ("table_too_small", "[0.0, 0.5, 1.0, 1.5]", "[0.0, 0.5, 1.0]"),
    ("table_is_empty", "[0.0, 0.5, 1.0, 1.5]", "[]"),
    ("table_entry_not_finite", "[0.0, 0.5, 1.0, 1.5]", "[0.0, 0.5, 1.0, .inf]"),
    ("table_entry_not_i8", "{type: f32, values", "{type: i8, values"),
    ("table_type", "{type: f32, values", "{type: f64, values"),
    ("division_by_zero", "d * scale * q", "d * scale * q / 0"),
    ("division_by_3", "d * scale * q", "d * scale * q / 3"),
    ("division_by_a_field", "d * scale * q", "d / scale * q"),
    ("remainder", "d * scale * q", "d * scale % q"),
    ("call", "d * scale * q", "d * scale.max(q)"),
    ("not_an_expression", "d * scale * q", "d * * q"),
    ("unused_field", " - levels[shift]", ""),
    ("padding_in_the_value", "- levels[shift]", "- levels[shift] * unused"),
    ("padding_in_a_plane", "{from: high, bits: 1", "{from: unused, bits: 1"),
    ("type_of_a_member", "  low: u8[32]", "  low: byte[32]"),
    ("count_of_a_member", "  low: u8[32]", "  low: u8[0]"),
    ("count_is_huge", "  low: u8[32]", "  low: u8[4294967295]"),
    ("type_of_a_field", "bits: 2, at: 6", "bits: 2, type: uint, at: 6"),
    ("width_of_a_float", "bits: 2, at: 6", "bits: 2, type: f16, at: 6"),
    ("bias_of_a_float", "  q:\n", "  d2: {from: d, bias: 1, per: 64}\n  q:\n"),
    ("bits_of_a_plane", "{from: high, bits: 1", "{from: high, bits: 0"),
    ("from_and_planes", "    bias: 16", "    from: low"),
    ("neither_from_nor_planes", "{from: scales, bits: 2, at: 6, k: \"4:8\", per: 16}", "{per: 16}"),
    ("both_block_and_streams", "fields:\n", "streams:\n  more: {tile: {k: 64}, unit: {e: u8}}\nfields:\n"),
    ("weights_are_missing", "weights: 64\n", ""),
    ("weights_are_zero", "weights: 64", "weights: 0"),
    ("weights_are_too_many", "weights: 64", "weights: 4000000000"),
    ("no_storage", "block:\n", "blocks:\n"),
    ("name_of_the_format", "format: example", "format: Example 1"),
    ("name_of_a_field", "  shift: {", "  Shift: {"),
    ("value_is_empty", "value: d * scale * q - levels[shift]", "value: ''"),
    ("parenthesis_left_open", "d * scale * q", "(d * scale * q"),
    ("several_problems", "bits: 1, k: \"64:1\"}\ntables:\n  levels: {type: f32", "bits: 0, k: \"64:1\"}\ntables:\n  levels: {type: f64"),
];

/// A sound descriptor of streams, with what [`BASE`] has not.
const PLANAR: &str = r#"format: planar
title: 3-bit codes of a grid, gathered scales and zero points
sizes: {g: 64}
weights: 32
streams:
  words: {tile: {k: 32}, view: columns, word: 4, unit: {codes: "u32[3]"}}
  zeros: {tile: {k: g, n: 8}, view: columns, unit: {z: u32}}
  scales: {tile: {k: 2 * g}, view: columns, unit: {s: u8}}
  maps: {tile: {k: all, n: all}, unit: {entries: "f32[16]"}}
  groups: {tile: {k: 1, n: all}, view: columns, unit: {number: u32}}
fields:
  q: {from: codes, bits: 3, k: "32:3"}
  zero: {from: z, bits: 4, n: "(2,4):(16,4)", bias: -1, wrap: true, gather: group}
  scale: {from: s, type: {exponent: 4, mantissa: 3, bias: 7, signed: true, special: nan}}
  group: {from: number}
  lane: {index: "8:1"}
tables:
  grid: {type: i8, lanes: 8, levels: [-1, 0, 1], digits: "00000000 10000000 01000000 00100000 22222222 12222222 21222222 22122222"}
  map: {from: entries}
value: f16((grid[q][lane] - map[zero]) * scale)
"#;

/// Like [`EDITED`], of [`PLANAR`].
#[rustfmt::skip]
const EDITED_PLANAR: &[(&str, &str, &str)] = &[
    ("parameter_without_a_choice", "sizes: {g: 64}", "params: {b: [2, 3]}\nsizes: {g: 64}"),
    ("parameter_without_values", "sizes: {g: 64}", "params: {b: []}\nsizes: {g: 64}"),
    ("parameter_unknown", "bits: 3, k", "bits: b, k"),
    ("size_of_no_blocks", "sizes: {g: 64}", "sizes: {g: 48}"),
    ("sizes_are_three", "sizes: {g: 64}", "sizes: {g: 64, h: 64, i: 64}"),
    ("size_unknown", "{k: g, n: 8}", "{k: h, n: 8}"),
    ("tile_beside_the_block", "{tile: {k: 32}", "{tile: {k: 48}"),
    ("tile_of_no_rows", "{k: g, n: 8}", "{k: g, n: 0}"),
    ("size_too_large", "sizes: {g: 64}", "sizes: {g: 1073741856}"),
    ("tile_too_large", "{k: 2 * g}", "{k: 2147483648}"),
    ("tile_too_large_for_the_size", "{k: 2 * g}", "{k: 33554432 * g}"),
    ("tile_too_large_for_any_size", "{k: 2 * g}", "{k: 1073741824 * g}"),
    ("tile_of_more_sizes_than_32_bits", "{k: 2 * g}", "{k: 4294967296 * g}"),
    ("rows_rarely_begin_together", "{k: 2 * g}", "{k: 2 * g, n: 255}"),
    ("units_of_a_block_too_large", "{tile: {k: 2 * g}, view: columns, unit: {s: u8}}", "{tile: {k: 1}, unit: {s: \"u8[65536]\"}}"),
    ("view_unknown", "{k: 2 * g}, view: columns", "{k: 2 * g}, view: column"),
    ("view_flat_over_rows", "{k: g, n: 8}, view: columns", "{k: g, n: 8}, view: flat"),
    ("word_in_rows", "view: columns, word: 4", "word: 4"),
    ("word_of_2", "word: 4", "word: 2"),
    ("weights_of_streams", "weights: 32", "weights: 30"),
    ("rows_without_a_layout", ", n: \"(2,4):(16,4)\"", ""),
    ("rows_product_off", "\"(2,4):(16,4)\"", "\"(2,2):(16,4)\""),
    ("rows_past_their_member", "\"(2,4):(16,4)\"", "\"(2,4):(16,5)\""),
    ("rows_overlap", "\"(2,4):(16,4)\"", "\"(2,4):(16,3)\""),
    ("per_of_a_shared_unit", "{from: s, type", "{from: s, per: 32, type"),
    ("gather_by_nothing", "wrap: true, gather: group", "wrap: true, gather: groups"),
    ("gather_by_a_float", "wrap: true, gather: group", "wrap: true, gather: scale"),
    ("gather_with_per", "wrap: true, gather: group", "wrap: true, per: 8, gather: group"),
    ("wrap_of_a_float", "{from: s, type", "{from: s, wrap: true, type"),
    ("index_and_from", "{index: \"8:1\"}", "{from: codes, index: \"8:1\"}"),
    ("index_does_not_divide", "{index: \"8:1\"}", "{index: \"7:1\"}"),
    ("index_is_negative", "{index: \"8:1\"}", "{index: \"8:-1\"}"),
    ("float_of_other_width", "exponent: 4, mantissa: 3", "exponent: 4, mantissa: 4"),
    ("float_without_exponent", "exponent: 4, mantissa: 3", "exponent: 0, mantissa: 7"),
    ("float_out_of_range", "bias: 7, signed", "bias: 150, signed"),
    ("float_special_unknown", "special: nan", "special: inf"),
    ("float_key_unknown", "special: nan", "specials: nan"),
    ("float_value_of_no_code", "special: nan", "values: {256: 1.0}"),
    ("lanes_do_not_divide", "lanes: 8", "lanes: 7"),
    ("lane_is_missing", "grid[q][lane]", "grid[q]"),
    ("lane_out_of_range", "{index: \"8:1\"}", "{index: \"16:1\"}"),
    ("values_and_digits", "levels: [-1, 0, 1]", "values: [1], levels: [-1, 0, 1]"),
    ("table_from_nothing", "map: {from: entries}", "map: {from: entry}"),
    ("table_from_a_block", "map: {from: entries}", "map: {from: codes}"),
    ("table_from_and_type", "map: {from: entries}", "map: {type: f32, from: entries}"),
    ("piece_without_a_colon", "\"32:3\"", "\"16:3 | 16\""),
    ("piece_out_of_its_member", "\"32:3\"", "\"16:3 | 64+16:3\""),
    ("float_member_in_part", "{s: u8}", "{s: f16}"),
];

/// Writes a descriptor.
type Make = fn() -> Vec<u8>;

/// A name, and a text that is no edit of [`BASE`].
#[rustfmt::skip]
const MADE: &[(&str, Make)] = &[
    ("empty", Vec::new),
    ("not_a_mapping", || b"- a\n- b\n".to_vec()),
    ("not_utf8", || [&BASE.as_bytes()[..40], &[0xff, 0xfe], &BASE.as_bytes()[40..]].concat()),
    ("not_text", || (0..=255).collect()),
    ("ten_megabytes", || b"# a comment\n".repeat(10 << 20).into_iter().take(10 << 20).collect()),
    ("ten_thousand_levels", || [b"a: ".as_slice(), &b"[".repeat(10_000), &b"]".repeat(10_000)].concat()),
    ("ten_thousand_levels_in_a_known_key", || {
        [b"fields: ".as_slice(), &b"{q: ".repeat(10_000), b"1", &b"}".repeat(10_000)].concat()
    }),
    ("thousand_levels_by_indent", || {
        (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>().into_bytes()
    }),
    ("aliases_of_aliases", || {
        let mut text = String::from("a0: &a0 [x, x]\n");
        for level in 1..30 {
            let below = level - 1;
            text += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}]\n");
        }
        (text + "fields: *a29\n").into_bytes()
    }),
    ("aliases_of_aliases_in_a_known_key", || {
        let mut text = String::from("format: bomb\ntitle: &a0 x\ntables:\n  t0: {type: f32, values: &b0 [1.0, 1.0]}\n");
        for level in 1..30 {
            let below = level - 1;
            text += &format!("  t{level}: {{type: f32, values: &b{level} [*b{below}, *b{below}, *b{below}, *b{below}]}}\n");
        }
        text.into_bytes()
    }),
    ("ten_thousand_parentheses", || {
        BASE.replace("d * scale * q", &format!("{}d{} * scale * q", "(".repeat(10_000), ")".repeat(10_000))).into_bytes()
    }),
    ("ten_thousand_terms", || BASE.replace("d * scale * q", &format!("d * scale * q{}", " + d".repeat(10_000))).into_bytes()),
    ("hundreds_of_terms", || BASE.replace(VALUE, &format!("{VALUE}{}", " + d".repeat(480))).into_bytes()),
    ("many_minus_signs", || BASE.replace("d * scale * q", &format!("{}d * scale * q", "-".repeat(1_000))).into_bytes()),
    ("ten_thousand_members", || {
        let members: String = (0..10_000).map(|number| format!("  m{number}: u8\n")).collect();
        BASE.replace("  unused: pad[2]\n", &members).into_bytes()
    }),
    ("hundred_thousand_dashes", || b"- ".repeat(100_000)),
    ("integer_too_wide", || BASE.replace("pad[2]", "u32").replace(VALUE, &format!("{VALUE} * unused")).into_bytes()),
    ("digit_without_a_level", || BASE.replace("values: [0.0, 0.5, 1.0, 1.5]", "levels: [0, 1], digits: \"01 21\"").into_bytes()),
    ("level_not_finite", || BASE.replace("values: [0.0, 0.5, 1.0, 1.5]", "levels: [0, .nan], digits: \"01 11\"").into_bytes()),
    ("two_lanes_without_a_lane", || BASE.replace("values:", "lanes: 2, values:").into_bytes()),
    ("lane_of_a_scalar_table", || BASE.replace("levels[shift]", "levels[shift][q]").into_bytes()),
    ("division_by_a_broken_field", || BASE.replace("d * scale", "d / -scale").replace("{from: scales, bits: 6", "{from: scalas, bits: 6").into_bytes()),
    ("function_of_two", || BASE.replace("d * scale * q", "f16(d, scala) * q").into_bytes()),
    ("function_unknown", || BASE.replace("d * scale * q", "f32(d * scale) * q").into_bytes()),
    ("windows_line_ends", || BASE.replace("bits: 6", "bits: 60").replace('\n', "\r\n").into_bytes()),
    ("wide_characters", || BASE.replace("{from: high", "{from: \"高い\"").into_bytes()),
    ("wide_characters_before", || BASE.replace("scale: {from", "\"日本語\": {pre: 1, from").into_bytes()),
    ("byte_order_mark", || format!("\u{feff}{}", BASE.replace("format: ex", "format: Ex")).into_bytes()),
    ("value_over_lines", || BASE.replace(VALUE, ">-\n  d * scale * q\n  - lvls[shift]").into_bytes()),
    ("value_in_quotes", || BASE.replace(VALUE, "\"d * scala * q\n  - lvls[shift]\"").into_bytes()),
    ("ends_early", || b"format: example\nfields: {q: {from: d".to_vec()),
    ("value_of_a_million", || BASE.replace("weights: 64", &format!("weights: {}", "9".repeat(1_000_000))).into_bytes()),
    ("key_of_a_million", || BASE.replace("weights: 64", &format!("{}: 64", "w".repeat(1_000_000))).into_bytes()),
    ("long_line", || {
        let ty = |number| if number % 80 == 0 { "f64" } else { "f32" };
        let tables: String = (0..200).map(|number| format!("t{number}: {{type: {}, values: [{}1]}}, ", ty(number), "1, ".repeat(500))).collect();
        BASE.replace("tables:\n", &format!("tables: {{{tables}}}\n")).replace("  levels: {type: f32, values: [0.0, 0.5, 1.0, 1.5]}\n", "").into_bytes()
    }),
    ("keys_that_are_no_text", || b"? [a]\n: b\n".to_vec()),
    ("hundreds_of_fields", || {
        let fields: String = (0..300).map(|number| format!("  f{number}: {{from: low}}\n")).collect();
        BASE.replace("  q:\n", &format!("{fields}  q:\n")).into_bytes()
    }),
    ("ten_thousand_fields", || {
        let fields: String = (0..10_000).map(|number| format!("  f{number}: {{from: low}}\n")).collect();
        BASE.replace("  q:\n", &format!("{fields}  q:\n")).into_bytes()
    }),
];

/// The message is the recorded one, and does not take time that grows with the square of the text.
fn check(name: &str, edit: &str, descriptor: &[u8]) -> Result<(), Failed> {
    let start = Instant::now();
    let message = match compile_bytes(descriptor, FILE) {
        Err(Error::Problems(problems)) => problems.to_string(),
        Err(other) => {
            return Err(format!("not reported as a problem of the descriptor: {other}").into());
        }
        Ok(_) => return Err("the descriptor was accepted".into()),
    };
    let took = start.elapsed();
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(SNAPSHOTS);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    if !edit.is_empty() {
        settings.set_description(edit);
    }
    settings.bind(|| insta::assert_snapshot!(name, message));
    if !message.contains(FILE) {
        return Err(format!("the message does not name the file: {message}").into());
    }
    match took > Duration::from_secs(20) {
        true => Err(format!("it took {took:?} to refuse").into()),
        false => Ok(()),
    }
}
