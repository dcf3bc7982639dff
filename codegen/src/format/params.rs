//! Parameters and sizes: what a descriptor leaves open.

use super::build::Builder;
use super::names::{NAME_HELP, is_name};
use crate::artifact::{MOST_TILE, Param, Size};
use crate::descriptor::{Descriptor, Params};
use crate::problem::{Path, Problem};

/// Formats that one descriptor may stand for.
const MAX_CHOICES: usize = 64;
/// Shapes carry as many.
const MAX_SIZES: usize = 2;

impl Builder {
    /// Checks the choice of parameters against the descriptor. A parameter with a single value has it
    /// without being chosen; all end in the descriptor's order.
    pub(super) fn choice(&mut self, descriptor: &Descriptor) {
        for (name, values) in &descriptor.params {
            let chosen = self.params.0.iter().any(|param| param.name == name);
            if let (false, [value]) = (chosen, values.as_slice()) {
                self.params.0.push(Param { name: name.to_owned().into(), value: *value });
            }
        }
        let place =
            |param: &Param| descriptor.params.iter().position(|(name, _)| param.name == name);
        self.params.0.sort_by_key(place);
        for (name, values) in &descriptor.params {
            let chosen = self.params.0.iter().find(|param| param.name == name);
            let path = Path::of("params").key(name);
            let list = || values.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            match chosen {
                Some(param) if values.contains(&param.value) => {}
                Some(param) => {
                    let message = format!("`{name}` cannot be {}", param.value);
                    self.refuse(path, message, format!("it is one of {}", list()));
                }
                None if values.is_empty() => {
                    let message = format!("the parameter `{name}` has no values");
                    self.refuse(path, message, "list them, as in [2, 3, 4]");
                }
                None => {
                    let message = format!("no value of the parameter `{name}` is chosen");
                    self.refuse(path, message, format!("choose one of {}", list()));
                }
            }
        }
        let known = |name: &str| descriptor.params.iter().any(|(own, _)| own == name);
        let strange: Vec<_> = self.params.0.iter().filter(|p| !known(&p.name)).cloned().collect();
        for param in strange {
            let message = format!("the format has no parameter `{}`", param.name);
            let names: Vec<_> = descriptor.params.iter().map(|(name, _)| name).collect();
            let help = match names.as_slice() {
                [] => "it has none: leave the value out".to_owned(),
                names => format!("parameters are {}", names.join(", ")),
            };
            self.refuse(Path::of("params"), message, help);
        }
    }

    /// Sizes chosen with each tensor; known once the block is.
    pub(super) fn sizes(&mut self, descriptor: &Descriptor) {
        for (name, &(mut default)) in &descriptor.sizes {
            let path = Path::of("sizes").key(name);
            if !is_name(name) || self.params.0.iter().any(|param| param.name == name) {
                self.refuse(path.clone(), format!("`{name}` cannot name a size"), NAME_HELP);
            }
            if default == 0 || default > MOST_TILE || !default.is_multiple_of(self.weights.max(1)) {
                let message = format!("a size of {default} weights");
                let help = format!(
                    "a multiple of the block's {} weights, at most {MOST_TILE}",
                    self.weights
                );
                self.refuse(path.clone(), message, help);
                default = self.weights; // what is measured with it is no other mistake
            }
            if self.sizes.len() == MAX_SIZES {
                return self.refuse(path, "a third size", "a format has at most 2 sizes");
            }
            self.sizes.push(Size { name: name.to_owned().into(), default });
        }
    }
}

impl Descriptor {
    /// Every choice of parameters, in the descriptor's order; one empty choice where there are none.
    ///
    /// # Errors
    /// What is wrong with the parameters themselves.
    pub fn choices(&self) -> Result<Vec<Params>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut choices = vec![Params::default()];
        for (name, values) in &self.params {
            let path = Path::of("params").key(name);
            if !is_name(name) {
                let message = format!("`{name}` cannot name a parameter");
                problems.push(Problem::new(path.clone(), message, NAME_HELP));
            }
            let mut distinct = values.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if values.is_empty()
                || distinct.len() < values.len()
                || choices.len() * values.len() > MAX_CHOICES
            {
                let message = format!("`{name}` has no values, one twice, or too many");
                let help =
                    format!("list each value once, for at most {MAX_CHOICES} formats in all");
                problems.push(Problem::new(path, message, help));
                continue;
            }
            let with = |choice: &Params, &value: &u32| {
                let mut params = choice.0.clone();
                params.push(Param { name: name.to_owned().into(), value });
                Params(params)
            };
            choices = choices
                .iter()
                .flat_map(|choice| values.iter().map(move |value| with(choice, value)))
                .collect();
        }
        if problems.is_empty() { Ok(choices) } else { Err(problems) }
    }
}
