//! Damage to text and bytes: what a slip of the hand, a bad disk or an enemy does.

use crate::seed::pick;
use quantloom::verify::random::Rng;

/// Numbers at which something may wrap, divide by zero or take all memory.
const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "16",
    "31",
    "32",
    "33",
    "64",
    "255",
    "256",
    "4095",
    "65535",
    "65536",
    "16777216",
    "2147483647",
    "2147483648",
    "4294967295",
    "18446744073709551615",
    "-1",
];

/// Changes a text in a few places: numbers, words, lines.
pub fn text(rng: &mut Rng, text: &str, others: &[&str]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..1 + rng.below(3) {
        if lines.is_empty() {
            break;
        }
        let at = rng.below(lines.len());
        match rng.below(10) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = rng.below(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let other: Vec<&str> = pick(rng, others).lines().collect();
                if !other.is_empty() {
                    lines[at] = pick(rng, &other).to_owned();
                }
            }
            4 => {
                let position = rng.below(lines[at].chars().count() + 1);
                let byte =
                    lines[at].char_indices().nth(position).map_or(lines[at].len(), |(i, _)| i);
                let piece = pick(
                    rng,
                    &[
                        "{", "}", "[", "]", ":", ",", "\"", "'", "#", "&a ", "*a", "-", " ", "é",
                        "\t",
                    ],
                );
                lines[at].insert_str(byte, piece);
            }
            5 => lines[at] = word(rng, &lines[at], text),
            _ => lines[at] = number(rng, &lines[at]),
        }
    }
    lines.join("\n") + "\n"
}

/// A line with one of its numbers replaced.
fn number(rng: &mut Rng, line: &str) -> String {
    let digits = |c: char| c.is_ascii_digit();
    replace(rng, line, digits, |rng, old| match rng.below(3) {
        0 => pick(rng, &NUMBERS).to_owned(),
        near => {
            let old: u64 = old.parse().unwrap_or(0);
            let near = if near == 1 { old.wrapping_add(1) } else { old.saturating_sub(1) };
            near.to_string()
        }
    })
}

/// A line with one of its words replaced by one of the text.
fn word(rng: &mut Rng, line: &str, text: &str) -> String {
    let letters = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c| !letters(c)).filter(|word| !word.is_empty()).collect();
    replace(rng, line, letters, |rng, _| match words.is_empty() {
        true => String::new(),
        false => pick(rng, &words).to_owned(),
    })
}

/// A line with one run of such characters replaced; the same where it has none.
fn replace(
    rng: &mut Rng,
    line: &str,
    of: impl Fn(char) -> bool,
    new: impl FnOnce(&mut Rng, &str) -> String,
) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, character) in line.char_indices().filter(|(_, character)| of(*character)) {
        let end = at + character.len_utf8();
        match runs.last_mut() {
            Some(last) if last.1 == at => last.1 = end,
            _ => runs.push((at, end)),
        }
    }
    if runs.is_empty() {
        return line.to_owned();
    }
    let (start, end) = pick(rng, &runs);
    let new = new(rng, &line[start..end]);
    format!("{}{new}{}", &line[..start], &line[end..])
}

/// Changes some bytes, or the length.
pub fn bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..1 + rng.below(2) {
        let at = rng.below(bytes.len().max(1));
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => {
                let number =
                    pick(rng, &[0, 1, u64::MAX, 1 << 31, 1 << 32, 1 << 62, i64::MAX as u64]);
                let number = number.to_le_bytes();
                let length = pick(rng, &[4, 8]);
                for (byte, new) in bytes.iter_mut().skip(at).zip(&number[..length]) {
                    *byte = *new;
                }
            }
            2 => {
                let copy: Vec<u8> =
                    bytes.iter().skip(at).take(1 + rng.below(40)).copied().collect();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), copy);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match rng.below(3) {
                        0 => rng.bits() as u8,
                        1 => byte.wrapping_add(1),
                        _ => *byte ^ 1 << rng.below(8),
                    };
                }
            }
        }
    }
}
