//! Rust expressions with the parentheses a reader wants.

use crate::ir::{Binary, Type};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

/// A piece of text and how tightly its outermost operator binds.
pub(super) struct Expression {
    pub tokens: TokenStream,
    pub strength: Strength,
}

/// How tightly an operator binds, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    Or,
    Xor,
    And,
    Shift,
    Add,
    Mul,
    As,
    Neg,
    Atom,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Strength {
    pub fn of(op: Binary) -> Strength {
        match op {
            Binary::Or => Strength::Or,
            Binary::Xor => Strength::Xor,
            Binary::And => Strength::And,
            Binary::Shl | Binary::Shr => Strength::Shift,
            Binary::Add | Binary::Sub => Strength::Add,
            Binary::Mul | Binary::Div | Binary::Rem => Strength::Mul,
            Binary::Min => Strength::Atom,
        }
    }
}

impl Expression {
    pub fn atom(tokens: TokenStream) -> Expression {
        Expression { tokens, strength: Strength::Atom }
    }

    pub fn signed(negative: bool, magnitude: TokenStream) -> Expression {
        match negative {
            true => Expression { tokens: quote!(-#magnitude), strength: Strength::Neg },
            false => Expression::atom(magnitude),
        }
    }

    /// As an operand of an operator. Bit operators get more parentheses than Rust needs: few people
    /// know their order.
    pub fn inside(self, outer: Strength, side: Side) -> TokenStream {
        let inner = self.strength;
        let bare = match outer {
            _ if inner == Strength::Atom => true,
            Strength::Or | Strength::Xor | Strength::And | Strength::Shift => {
                inner == outer && side == Side::Left && outer != Strength::Shift
            }
            _ => inner > outer || (inner == outer && side == Side::Left),
        };
        let tokens = self.tokens;
        if bare { tokens } else { quote!((#tokens)) }
    }
}

pub(super) fn type_of(ty: Type) -> Ident {
    let name = match ty {
        Type::U32 => "u32",
        Type::I32 => "i32",
        Type::F32 => "f32",
    };
    Ident::new(name, Span::call_site())
}

pub(super) fn symbol(op: Binary) -> TokenStream {
    match op {
        Binary::Add => quote!(+),
        Binary::Sub => quote!(-),
        Binary::Mul => quote!(*),
        Binary::Div => quote!(/),
        Binary::Rem => quote!(%),
        Binary::Shl => quote!(<<),
        Binary::Shr => quote!(>>),
        Binary::And => quote!(&),
        Binary::Or => quote!(|),
        Binary::Xor => quote!(^),
        Binary::Min => quote!(.min),
    }
}

/// A number; masks in hexadecimal.
pub(super) fn unsigned(number: u32) -> TokenStream {
    let decimal = Literal::u32_unsuffixed(number);
    if number <= 0xffff {
        return quote!(#decimal);
    }
    let text = format!("0x{:04x}_{:04x}", number >> 16, number & 0xffff);
    match text.parse::<Literal>() {
        Ok(hexadecimal) => quote!(#hexadecimal),
        Err(_) => quote!(#decimal),
    }
}

/// A float that reads back as the same bits.
pub(super) fn float(number: f32) -> Expression {
    if !number.is_finite() {
        let bits = unsigned(number.to_bits());
        return Expression::atom(quote!(f32::from_bits(#bits)));
    }
    let magnitude = Literal::f32_unsuffixed(number.abs());
    Expression::signed(number.is_sign_negative(), quote!(#magnitude))
}
