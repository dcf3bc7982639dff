//! Models in several files: `NAME-00001-of-00003.gguf` and so on, each a GGUF file that says which of
//! how many parts it is.

use std::path::{Path, PathBuf};

use super::directory::TensorInfo;
use super::part::Part;
use crate::Result;

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

/// A part and the tensors in it.
pub(super) type Opened = (Part, Vec<TensorInfo>);

/// What a part says of the whole.
#[derive(Clone, Copy, Debug)]
struct Split {
    /// Which part it is, from 1.
    part: u64,
    /// How many there are.
    parts: u64,
    /// Tensors in all parts, where that is said.
    tensors: Option<u64>,
}

/// Missing parts that an error lists.
const LISTED: usize = 8;
/// Names have five digits for a part's number.
const MOST: u64 = 99_999;

impl Split {
    /// `None` of a file that is the whole model.
    fn of(part: &Part) -> Result<Option<Split>> {
        let number = |key: &str| {
            let value = part.get(key);
            value.map(|value| {
                value.as_u64().ok_or_else(|| {
                    part.error(format!("key `{key}`"), format!("is {value:?}; a count is expected"))
                })
            })
        };
        let parts = number(COUNT).transpose()?.unwrap_or(1);
        if parts <= 1 {
            return Ok(None);
        }
        let at = number(NUMBER).transpose()?.unwrap_or(0);
        if at >= parts || parts > MOST {
            return Err(part.error(
                format!("key `{NUMBER}`"),
                format!("is {at} and `{COUNT}` is {parts}; parts are counted from 0, up to {MOST}"),
            ));
        }
        Ok(Some(Split { part: at + 1, parts, tensors: number(TENSORS).transpose()? }))
    }

    /// Which part this is, in words.
    fn shown(&self) -> String {
        let tensors = self.tensors.map(|count| format!("; the model has {count} tensors"));
        format!("part {} of {}{}", self.part, self.parts, tensors.unwrap_or_default())
    }
}

/// All parts of the model that a file belongs to, by its name; the file alone where it is whole.
pub(super) fn open(
    path: &Path,
    first: Opened,
    open: impl Fn(&Path) -> Result<Opened>,
) -> Result<Vec<Opened>> {
    let Some(split) = Split::of(&first.0)? else { return Ok(vec![first]) };
    let error = |problem: String| Err(first.0.error(split.shown(), problem));
    let Some((name, part, parts)) = named(path) else {
        return error(format!(
            "the other parts are looked for by names such as `NAME-00001-of-{:05}.gguf`, and this \
             file has another",
            split.parts
        ));
    };
    if (part, parts) != (split.part, split.parts) {
        return error(format!(
            "its name says part {part} of {parts}; rename it, or copy the right file there"
        ));
    }
    let path = |part: u64| path.with_file_name(format!("{name}-{part:05}-of-{parts:05}.gguf"));
    let missing: Vec<PathBuf> = (1..=parts).map(path).filter(|path| !path.exists()).collect();
    if !missing.is_empty() {
        let listed = missing.iter().take(LISTED).map(|path| format!("`{}`", path.display()));
        let more = match missing.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed = crate::format::list(listed);
        return error(format!("{listed}{more} must lie beside it and cannot be found"));
    }
    let others = (1..=parts).filter(|&part| part != split.part);
    let others = others.map(|part| open(&path(part)));
    ordered([Ok(first)].into_iter().chain(others).collect::<Result<_>>()?)
}

/// Parts in any order, by their numbers; or the single one that is the whole model.
///
/// # Errors
/// Where one is missing, comes twice or belongs to another model.
pub(super) fn ordered(parts: Vec<Opened>) -> Result<Vec<Opened>> {
    let several = parts.len() > 1;
    let mut numbered: Vec<(Split, Opened)> = Vec::new();
    for opened in parts {
        match Split::of(&opened.0)? {
            Some(split) => numbered.push((split, opened)),
            None if !several => return Ok(vec![opened]),
            None => {
                let problem = "it is no part of a split model; open it alone".to_owned();
                return Err(opened.0.error(format!("key `{COUNT}`"), problem));
            }
        }
    }
    numbered.sort_by_key(|(split, _)| split.part);
    let found: u64 = numbered.iter().map(|(_, (_, tensors))| tensors.len() as u64).sum();
    let all = numbered.len() as u64;
    let first = numbered.first().map(|(split, _)| *split);
    for (wanted, (split, (part, _))) in (1..).zip(&numbered) {
        let error = |problem: String| Err(part.error(split.shown(), problem));
        let other = |first: Split| (first.parts, first.tensors) != (split.parts, split.tensors);
        if let Some(first) = first.filter(|&first| other(first)) {
            return error(format!("another part says {}: it is another model's", first.shown()));
        }
        if split.part < wanted {
            return error("this part is there twice".to_owned());
        }
        if split.part > wanted {
            return error(format!("part {wanted} is missing"));
        }
        if wanted == all && all < split.parts {
            return error(format!("part {} is missing", all + 1));
        }
    }
    for (split, (part, _)) in &numbered {
        if split.tensors.is_some_and(|tensors| tensors != found) {
            return Err(part.error(split.shown(), format!("all parts together have {found}")));
        }
    }
    Ok(numbered.into_iter().map(|(_, opened)| opened).collect())
}

/// Name, part and number of parts that a path says.
fn named(path: &Path) -> Option<(&str, u64, u64)> {
    let number = |digits: &str| {
        let digits = Some(digits).filter(|digits| digits.len() == 5)?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (rest, parts) = path.file_name()?.to_str()?.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (name, part) = rest.rsplit_once('-')?;
    Some((name, number(part)?, number(parts)?))
}
