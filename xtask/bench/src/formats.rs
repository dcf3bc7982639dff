//! The list of formats that are measured.

use crate::Result;
use serde::Deserialize;

/// A format in the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub name: String,
    /// Weights that share scale and offset, where integer products exist.
    pub run: Option<u32>,
    /// candle's type of a block.
    pub candle: Option<String>,
}

/// The formats of these names; all of the list where there are none. Others than those of the list
/// have no target for products, and candle does not dequantize them.
pub fn listed(names: &[String]) -> Result<Vec<Listed>> {
    let list: Vec<Listed> = serde_yaml::from_str(include_str!("../formats.yaml"))?;
    if names.is_empty() {
        return Ok(list);
    }
    let find = |name: &String| {
        let found = list.iter().find(|listed| listed.name == *name).cloned();
        found.unwrap_or_else(|| Listed { name: name.clone(), run: None, candle: None })
    };
    Ok(names.iter().map(find).collect())
}

/// Refuses names that no format has.
pub fn check(names: &[String]) -> Result<()> {
    Ok(names.iter().try_for_each(|name| quantloom::Format::named(name).map(drop))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_listed_exist() -> Result<()> {
        let list = listed(&[])?;
        assert!(list.len() >= 10);
        for listed in list {
            quantloom::Format::named(&listed.name)?;
        }
        assert!(listed(&["no_such".to_owned()])?[0].run.is_none());
        Ok(())
    }
}
