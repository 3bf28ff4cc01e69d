//! The syntax tree of a condition, before names are resolved.

use std::fmt;

use crate::domain::rules::predicate::error::Span;

/// A part of a condition. Equality ignores places.
#[derive(Clone, Debug)]
pub struct Expr {
    pub span: Span,
    pub node: Node,
}

/// The kinds of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Name(String),
    /// Bytes: an escape can write any of them.
    String(Vec<u8>),
    /// A text in single quotes, which conditions do not support; without the quotes.
    SingleQuoted(String),
    Int(i64),
    Float,
    /// `base.name`
    Member(Box<Expr>, String),
    /// `base[key]`
    Index(Box<Expr>, Box<Expr>),
    /// `callee(arguments)`
    Call(Box<Expr>, Vec<Expr>),
    Not(Box<Expr>),
    /// `a == b`, or `a != b` where the flag is set.
    Equal(Box<Expr>, Box<Expr>, bool),
    /// `a && b && …`, two at least.
    And(Vec<Expr>),
    /// `a || b || …`, two at least.
    Or(Vec<Expr>),
    /// `(inner)`; a name in it does not start a path.
    Paren(Box<Expr>),
    /// A Go expression that conditions do not support, with the operands that are checked before it is rejected.
    Refused(&'static str, Vec<Expr>),
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Expr {
    /// Returns the names of a path such as `a.b.c`; nothing for anything else.
    pub(super) fn path(&self) -> Option<String> {
        match &self.node {
            Node::Name(name) => Some(name.clone()),
            Node::Member(base, name) => Some(format!("{}.{name}", base.path()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Expr {
    /// Writes the condition so that reading it again gives the same tree.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Name(name) => f.write_str(name),
            Node::String(bytes) => quoted(bytes).fmt(f),
            Node::SingleQuoted(text) => write!(f, "'{text}'"),
            Node::Int(number) => write!(f, "{number}"),
            Node::Float => f.write_str("1.5"),
            Node::Member(base, name) => write!(f, "{base}.{name}"),
            Node::Index(base, key) => write!(f, "{base}[{key}]"),
            Node::Call(callee, arguments) => {
                write!(f, "{callee}(")?;
                list(f, arguments, ", ")?;
                f.write_str(")")
            }
            Node::Not(operand) => write!(f, "!{operand}"),
            Node::Equal(left, right, negated) => {
                let sign = if *negated { "!=" } else { "==" };
                write!(f, "{left} {sign} {right}")
            }
            Node::And(operands) => list(f, operands, " && "),
            Node::Or(operands) => list(f, operands, " || "),
            Node::Paren(inner) => write!(f, "({inner})"),
            Node::Refused(what, _) => write!(f, "/* {what} */"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

/// Writes a text in double quotes.
pub(super) fn quoted(bytes: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| quote(f, bytes))
}

fn quote(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                '\n' => f.write_str("\\n")?,
                letter if letter.is_control() || letter == '\u{feff}' => write!(f, "\\U{:08x}", u32::from(letter))?,
                letter => write!(f, "{letter}")?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_str("\"")
}
