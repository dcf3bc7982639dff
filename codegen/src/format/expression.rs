//! A formula as it is written: text into a tree that knows where each of its parts stands.

use std::ops::Range;

/// A part of a formula.
#[derive(Debug)]
pub(super) struct Expr {
    pub kind: Kind,
    /// Bytes of the formula, parentheses included.
    pub range: Range<usize>,
}

/// What a part of a formula is.
#[derive(Debug)]
pub(super) enum Kind {
    Number(f32),
    /// Its text is what stands there.
    Name,
    Negative(Box<Expr>),
    /// One of `+ - * /` between two parts.
    Binary(char, Box<Expr>, Box<Expr>),
    /// `table[index]`
    Index(Box<Expr>, Box<Expr>),
    /// `function(arguments)`
    Call(Box<Expr>, Vec<Expr>),
}

/// What does not belong where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Unexpected {
    pub range: Range<usize>,
    pub message: String,
}

/// Reads a formula. It goes as deep as there are operators and brackets: the caller bounds these.
pub(super) fn parse(text: &str) -> Result<Expr, Unexpected> {
    let mut parser = Parser { text, next: 0..0 };
    parser.advance();
    let expr = parser.sum()?;
    match parser.token() {
        "" => Ok(expr),
        bracket @ (")" | "]") => Err(parser.refuse(format!("nothing opens this `{bracket}`"))),
        _ => Err(parser.expected("an operator")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The next token; empty at the end.
    next: Range<usize>,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Expr, Unexpected> {
        let mut left = self.product()?;
        while let Some((operator, _)) = self.take(&['+', '-']) {
            left = binary(operator, left, self.product()?);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, Unexpected> {
        let mut left = self.signed()?;
        while let Some((operator, _)) = self.take(&['*', '/']) {
            left = binary(operator, left, self.signed()?);
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expr, Unexpected> {
        let Some((_, sign)) = self.take(&['-']) else { return self.selected() };
        let inner = self.signed()?;
        let range = sign.start..inner.range.end;
        Ok(Expr { kind: Kind::Negative(Box::new(inner)), range })
    }

    /// A value and the brackets behind it.
    fn selected(&mut self) -> Result<Expr, Unexpected> {
        let mut expr = self.value()?;
        while let Some((bracket, open)) = self.take(&['[', '(']) {
            let start = expr.range.start;
            let whole = Box::new(expr);
            let (kind, end) = if bracket == '[' {
                let index = self.sum()?;
                let end = self.close(']', open)?;
                (Kind::Index(whole, Box::new(index)), end)
            } else {
                let mut arguments = Vec::new();
                while self.token() != ")" {
                    arguments.push(self.sum()?);
                    if self.take(&[',']).is_none() {
                        break;
                    }
                }
                let end = self.close(')', open)?;
                (Kind::Call(whole, arguments), end)
            };
            expr = Expr { kind, range: start..end };
        }
        Ok(expr)
    }

    /// A number, a name, or anything in parentheses.
    fn value(&mut self) -> Result<Expr, Unexpected> {
        if let Some((_, open)) = self.take(&['(']) {
            let inner = self.sum()?;
            let range = open.start..self.close(')', open)?;
            return Ok(Expr { range, ..inner });
        }
        let token = self.token();
        let kind = if token.starts_with(is_digit) {
            match token.parse() {
                Ok(number) if f32::is_finite(number) => Kind::Number(number),
                Ok(_) => return Err(self.refuse(format!("{token} does not fit f32"))),
                Err(_) => return Err(self.refuse(format!("`{token}` is not a number"))),
            }
        } else if token.starts_with(is_letter) {
            Kind::Name
        } else {
            return Err(self.expected("a value"));
        };
        let range = self.next.clone();
        self.advance();
        Ok(Expr { kind, range })
    }

    /// Where the bracket ends that closes the one at `open`.
    fn close(&mut self, bracket: char, open: Range<usize>) -> Result<usize, Unexpected> {
        if let Some((_, range)) = self.take(&[bracket]) {
            return Ok(range.end);
        }
        Err(match self.token() {
            "" => {
                let opened = self.text.get(open.clone()).unwrap_or_default();
                Unexpected { message: format!("nothing closes this `{opened}`"), range: open }
            }
            _ => self.expected(&format!("an operator or `{bracket}`")),
        })
    }

    fn token(&self) -> &'a str {
        self.text.get(self.next.clone()).unwrap_or_default()
    }

    /// The next token and its place, where it is one of these symbols.
    fn take(&mut self, symbols: &[char]) -> Option<(char, Range<usize>)> {
        let symbol = self.token().chars().next().filter(|first| symbols.contains(first))?;
        let range = self.next.clone();
        self.advance();
        Some((symbol, range))
    }

    /// Moves to the token behind this one: a number, a name, or a single character.
    fn advance(&mut self) {
        let rest = self.text.get(self.next.end..).unwrap_or_default();
        let token = rest.trim_start();
        let start = self.text.len() - token.len();
        let number = token.starts_with(is_digit);
        let mut before = ' ';
        let more = |next: char| {
            let exponent = matches!(before, 'e' | 'E') && matches!(next, '+' | '-');
            before = next;
            is_letter(next) || next.is_ascii_digit() || number && (next == '.' || exponent)
        };
        let word = number || token.starts_with(is_letter);
        let length = match word {
            true => token.len() - token.trim_start_matches(more).len(),
            false => token.chars().next().map_or(0, char::len_utf8),
        };
        self.next = start..start + length;
    }

    fn refuse(&self, message: String) -> Unexpected {
        Unexpected { range: self.next.clone(), message }
    }

    fn expected(&self, what: &str) -> Unexpected {
        match self.token() {
            "" if self.text.trim().is_empty() => self.refuse("the formula is empty".into()),
            "" => {
                let end = self.text.trim_end().len();
                let message = format!("expected {what}, but the formula ends");
                Unexpected { range: end..end, message }
            }
            found => self.refuse(format!("expected {what}, found `{found}`")),
        }
    }
}

fn binary(operator: char, left: Expr, right: Expr) -> Expr {
    let range = left.range.start..right.range.end;
    Expr { kind: Kind::Binary(operator, Box::new(left), Box::new(right)), range }
}

/// What a name is made of, apart from digits.
fn is_letter(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

/// What a number starts with.
fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || character == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with a parenthesis around every part.
    fn tree(text: &str, expr: &Expr) -> String {
        let inner = |expr: &Expr| tree(text, expr);
        match &expr.kind {
            Kind::Number(number) => number.to_string(),
            Kind::Name => text[expr.range.clone()].to_owned(),
            Kind::Negative(value) => format!("(-{})", inner(value)),
            Kind::Binary(operator, left, right) => {
                format!("({}{operator}{})", inner(left), inner(right))
            }
            Kind::Index(table, index) => format!("{}[{}]", inner(table), inner(index)),
            Kind::Call(function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(inner).collect();
                format!("{}({})", inner(function), arguments.join(","))
            }
        }
    }

    #[test]
    fn binds_as_usual_and_to_the_left() {
        for (text, wanted) in [
            ("a - b - c", "((a-b)-c)"),
            ("a + b * c / 2 - d", "((a+((b*c)/2))-d)"),
            ("(a+b) * -c", "((a+b)*(-c))"),
            ("--a*b", "((-(-a))*b)"),
            ("- t[q][lane] * 1e-3", "((-t[q][lane])*0.001)"),
            ("f16(d * 0.5e+1, s,) - .25", "(f16((d*5),s)-0.25)"),
            ("e-1", "(e-1)"),
            (" a1\n*  b_2 ", "(a1*b_2)"),
        ] {
            assert_eq!(tree(text, &parse(text).unwrap()), wanted);
        }
    }

    #[test]
    fn parts_know_their_place() {
        let text = " (a + 日) * t[q]";
        let expr = parse(text).unwrap();
        assert_eq!(text[expr.range.clone()], text[1..]);
        let Kind::Binary('*', left, right) = expr.kind else { panic!("{expr:?}") };
        assert_eq!(&text[left.range], "(a + 日)");
        assert_eq!(&text[right.range], "t[q]");
    }

    #[test]
    fn what_does_not_belong_is_named_at_its_place() {
        for (text, place, message) in [
            ("", "", "the formula is empty"),
            ("a * * b", "*", "expected a value, found `*`"),
            ("a +", "", "expected a value, but the formula ends"),
            ("a b", "b", "expected an operator, found `b`"),
            ("a % b", "%", "expected an operator, found `%`"),
            ("(a * b", "(", "nothing closes this `(`"),
            ("t[a * (b)", "[", "nothing closes this `[`"),
            ("a * b)", ")", "nothing opens this `)`"),
            ("(a * b]", "]", "expected an operator or `)`, found `]`"),
            ("f(a b)", "b", "expected an operator or `)`, found `b`"),
            ("1x * a", "1x", "`1x` is not a number"),
            ("1.2.3", "1.2.3", "`1.2.3` is not a number"),
            ("a * 1e99", "1e99", "1e99 does not fit f32"),
            ("a.b", ".b", "expected an operator, found `.b`"),
            ("a == b", "=", "expected an operator, found `=`"),
            ("日 日", "日", "expected an operator, found `日`"),
            (")", ")", "expected a value, found `)`"),
        ] {
            let found = parse(text).unwrap_err();
            assert_eq!((&text[found.range], &*found.message), (place, message), "{text}");
        }
    }
}
