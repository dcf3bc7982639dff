//! Splits a text into tokens that a style sheet colours. A pattern per language says what they are;
//! what it does not name stays plain.

use regex_lite::Regex;
use serde::Serialize;
use std::sync::LazyLock;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// WebGPU shading language.
    Wgsl,
    /// C++ with the extensions of HIP.
    Hip,
    /// Descriptors.
    Yaml,
}

/// A run of letters of one kind; the class is empty where they are nothing special.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    class: &'static str,
    text: String,
}

/// The whole text, in order.
pub fn tokens(language: Language, text: &str) -> Vec<Token> {
    static GRAMMARS: LazyLock<Vec<(Language, Option<Grammar>)>> = LazyLock::new(|| {
        let all = [Language::Rust, Language::Wgsl, Language::Hip, Language::Yaml];
        all.map(|language| (language, Grammar::new(language))).into()
    });
    let grammar = GRAMMARS.iter().find(|(known, _)| *known == language);
    match grammar.and_then(|(_, grammar)| grammar.as_ref()) {
        Some(grammar) => grammar.tokens(text),
        None => vec![Token { class: "", text: text.to_owned() }],
    }
}

/// Kinds of tokens: their group in the pattern, and class.
const KINDS: [(&str, &str); 5] = [
    ("comment", "c"),
    ("string", "s"),
    ("attribute", "a"),
    ("number", "n"),
    ("word", ""), // looked up
];

struct Grammar {
    pattern: Regex,
    keywords: Vec<&'static str>,
    types: Vec<&'static str>,
}

impl Grammar {
    fn new(language: Language) -> Option<Grammar> {
        let number = r"\b0[xX][0-9a-fA-F_.]+(?:[pP][+-]?\d+)?\w*|\b\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?\w*";
        let string = r#""(?:[^"\\\n]|\\.)*""#;
        let code = |attribute: &str| {
            format!(
                r"(?<comment>//[^\n]*|/\*[\s\S]*?\*/)|(?<string>{string})|(?<attribute>{attribute})|(?<number>{number})|(?<word>[A-Za-z_]\w*)"
            )
        };
        let (pattern, keywords, types) = match language {
            Language::Rust => (
                code(r"#!?\[[^\]\n]*\]"),
                "as break const continue else enum false fn for if impl in let loop match mod mut pub ref return \
                 self static struct true type unsafe use where while",
                "bool f32 f64 i8 i16 i32 i64 isize str u8 u16 u32 u64 usize",
            ),
            Language::Wgsl => (
                code(r"@\w+"),
                "alias break case const continue default else enable false fn for if let loop override return \
                 storage struct switch true uniform var while workgroup read read_write",
                "array atomic bool f16 f32 i32 mat4x4 u32 vec2 vec3 vec4",
            ),
            Language::Hip => (
                code(r"#[^\n]*"),
                "break case const constexpr continue default do else extern false for if inline return sizeof \
                 static struct switch template true typedef typename union using while",
                "auto bool char double float float2 float4 int long short signed unsigned void",
            ),
            Language::Yaml => (
                format!(
                    r"(?<comment>#[^\n]*)|(?<string>{string})|(?<attribute>[A-Za-z_]\w*:)|(?<number>-?(?:{number}))|(?<word>[A-Za-z_]\w*)"
                ),
                "false true",
                "bf16 f16 f32 i8 i16 i32 pad u8 u16 u32",
            ),
        };
        let words = |list: &'static str| list.split_whitespace().collect();
        let pattern = Regex::new(&pattern).ok()?;
        Some(Grammar { pattern, keywords: words(keywords), types: words(types) })
    }

    fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut push = |class, text: Option<&str>| {
            let text = text.unwrap_or_default().to_owned();
            if !text.is_empty() {
                tokens.push(Token { class, text });
            }
        };
        let mut plain = 0;
        for captures in self.pattern.captures_iter(text) {
            let group = |(name, class): (&str, &'static str)| Some((captures.name(name)?, class));
            let Some((found, class)) = KINDS.into_iter().find_map(group) else { continue };
            let rest = text.get(found.end()..).unwrap_or_default();
            let class = match class {
                "" => self.class(found.as_str(), rest),
                class => class,
            };
            if class.is_empty() {
                continue;
            }
            push("", text.get(plain..found.start()));
            push(class, Some(found.as_str()));
            plain = found.end();
        }
        push("", text.get(plain..));
        tokens
    }

    /// The class of a word that `rest` follows.
    fn class(&self, word: &str, rest: &str) -> &'static str {
        let capital = word.starts_with(|c: char| c.is_ascii_uppercase());
        let shouted = !word.contains(|c: char| c.is_ascii_lowercase());
        match word {
            _ if self.keywords.contains(&word) => "k",
            _ if self.types.contains(&word) => "t",
            _ if rest.starts_with('(') => "f",
            _ if capital && !shouted => "t",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(language: Language, text: &str) -> String {
        let tokens = tokens(language, text);
        assert_eq!(tokens.iter().map(|token| &*token.text).collect::<String>(), text);
        let mark = |token: &Token| match token.class {
            "" => token.text.clone(),
            class => format!("{class}<{}>", token.text),
        };
        tokens.iter().map(mark).collect()
    }

    #[test]
    fn every_language_has_its_pattern() {
        for language in [Language::Rust, Language::Wgsl, Language::Hip, Language::Yaml] {
            assert!(Grammar::new(language).is_some(), "{language:?}");
        }
    }

    #[test]
    fn marks_what_stands_out() {
        assert_eq!(
            marked(Language::Wgsl, "@compute fn f(x: u32) -> Quad { // µ\n  return 0x1p-24f; }"),
            "a<@compute> k<fn> f<f>(x: t<u32>) -> t<Quad> { c<// µ>\n  k<return> n<0x1p-24f>; }"
        );
        assert_eq!(
            marked(Language::Rust, "#[inline]\nfor i in 0..4 { a[i] = 1e-3_f32 * SIZE; }"),
            "a<#[inline]>\nk<for> i k<in> n<0>..n<4> { a[i] = n<1e-3_f32> * SIZE; }"
        );
        assert_eq!(
            marked(Language::Hip, "#if A\nextern \"C\" void k(float* y) {}"),
            "a<#if A>\nk<extern> s<\"C\"> t<void> f<k>(t<float>* y) {}"
        );
        assert_eq!(
            marked(Language::Yaml, "block: {d: f16, q: \"u8[32]\"} # -1\nvalues: [-1.5, 2]"),
            "a<block:> {a<d:> t<f16>, a<q:> s<\"u8[32]\">} c<# -1>\na<values:> [n<-1.5>, n<2>]"
        );
    }
}
