//! Parses tokens into the tree.
//!
//! Source: the Go language specification, "Operators" and "Primary expressions"; conditions accept a subset, but
//! rejected operators have Go's precedence.

use crate::domain::rules::predicate::error::{Error, Span};
use crate::domain::rules::predicate::syntax::{Expr, Node};
use crate::domain::rules::predicate::token::{Token, tokens};

/// The longest condition in bytes; the longest one seen had 2 KB.
const LONGEST: usize = 100_000;

/// Maximum nesting. Teleport accepts 100,000 levels, which would overflow our stack; a chain of `&&` or `||` is one level,
/// whatever its length.
const DEEPEST: usize = 120;

/// Parses a condition without resolving its names.
///
/// # Errors
/// The first syntax error.
pub fn parse(text: &str) -> Result<Expr, Error> {
    if text.len() > LONGEST {
        let span = Span::new(0, 0);
        return Err(Error::parse(
            span,
            format!("the condition is longer than {LONGEST} bytes"),
        ));
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    if matches!(parser.peek(), Token::End) {
        return Err(
            Error::parse(parser.span(), "the condition is empty").with_hint("write true to match every request")
        );
    }
    let expr = parser.binary(1)?;
    if matches!(parser.peek(), Token::Newline) {
        parser.next += 1;
    }
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("the end or an operator")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    next: usize,
    depth: usize,
}

/// Go's precedence of an operator, and whether conditions support it.
fn binding(mark: &str) -> Option<u8> {
    match mark {
        "||" => Some(1),
        "&&" => Some(2),
        "==" | "!=" | "<" | "<=" | ">" | ">=" => Some(3),
        "+" | "-" | "|" | "^" => Some(4),
        "*" | "/" | "%" | "<<" | ">>" | "&" | "&^" => Some(5),
        _ => None,
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The last token is `End`, and the parser never moves beyond it.
        &self.tokens[self.next].0
    }

    fn span(&self) -> Span {
        self.tokens[self.next].1
    }

    fn eat(&mut self, mark: &str) -> Option<Span> {
        let span = self.span();
        matches!(self.peek(), Token::Mark(found) if *found == mark).then(|| {
            self.next += 1;
            span
        })
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let span = self.span();
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Newline => "the end of the line".to_owned(),
            _ => format!("`{}`", span.of(self.text)),
        };
        let error = Error::parse(span, format!("expected {wanted}, found {found}"));
        let word = span.of(self.text);
        match (self.peek(), word.as_str()) {
            (Token::Newline, _) => error.with_hint("a line may end behind an operator or a comma, not before one"),
            (_, "and") => error.with_hint("write &&"),
            (_, "or") => error.with_hint("write ||"),
            (_, "not") => error.with_hint("write !"),
            (_, "in") => error.with_hint("write set.contains(value)"),
            (_, "=") => error.with_hint("write =="),
            _ => error,
        }
    }

    /// Enters one level, up to the maximum nesting.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEEPEST {
            let message = format!("the condition is nested deeper than {DEEPEST} levels");
            return Err(Error::parse(self.span(), message));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn binary(&mut self, least: u8) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        let mut chain = 0;
        while let Token::Mark(mark) = *self.peek()
            && let Some(level) = binding(mark)
            && level >= least
        {
            self.next += 1;
            let right = self.deeper(|parser| parser.binary(level + 1))?;
            let span = left.span.to(right.span);
            let node = match (mark, left.node) {
                ("||", Node::Or(mut operands)) => {
                    operands.push(right);
                    Node::Or(operands)
                }
                ("&&", Node::And(mut operands)) => {
                    operands.push(right);
                    Node::And(operands)
                }
                (_, node) => {
                    chain += 1;
                    if self.depth + chain > DEEPEST {
                        return Err(Error::parse(span, "too many operators in a row"));
                    }
                    let left = Expr { span: left.span, node };
                    joined(mark, left, right)
                }
            };
            left = Expr { span, node };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let start = self.span();
        let Token::Mark(mark @ ("!" | "+" | "-" | "^" | "*" | "&" | "<-" | "~")) = *self.peek() else {
            return self.postfix();
        };
        self.next += 1;
        let operand = self.deeper(Self::unary)?;
        let span = start.to(operand.span);
        let node = match mark {
            "!" => Node::Not(Box::new(operand)),
            // Rejected before its operand, which is therefore omitted.
            "-" => Node::Refused("a sign before a number", Vec::new()),
            _ => Node::Refused("this operator", Vec::new()),
        };
        Ok(Expr { span, node })
    }

    fn postfix(&mut self) -> Result<Expr, Error> {
        let mut base = self.operand()?;
        let mut chain = 0;
        loop {
            let begun = base.span;
            let (end, node) = if self.eat(".").is_some() {
                let end = self.span();
                let Token::Name(name) = self.peek().clone() else {
                    return Err(self.unexpected("a name"));
                };
                self.next += 1;
                (end, Node::Member(Box::new(base), name))
            } else if self.eat("[").is_some() {
                let key = self.deeper(|parser| parser.binary(1))?;
                self.eat(",");
                let end = self.eat("]").ok_or_else(|| self.unexpected("`]`"))?;
                (end, Node::Index(Box::new(base), Box::new(key)))
            } else if self.eat("(").is_some() {
                let (arguments, end) = self.arguments()?;
                (end, Node::Call(Box::new(base), arguments))
            } else {
                return Ok(base);
            };
            base = Expr {
                span: begun.to(end),
                node,
            };
            chain += 1;
            if self.depth + chain > DEEPEST {
                return Err(Error::parse(base.span, "too many members or calls in a row"));
            }
        }
    }

    fn arguments(&mut self) -> Result<(Vec<Expr>, Span), Error> {
        let mut arguments = Vec::new();
        loop {
            if let Some(end) = self.eat(")") {
                return Ok((arguments, end));
            }
            arguments.push(self.deeper(|parser| parser.binary(1))?);
            // Teleport accepts a spread mark after the last argument and ignores it.
            let spread = self.eat("...").is_some();
            let more = self.eat(",").is_some();
            if let Some(end) = self.eat(")") {
                return Ok((arguments, end));
            }
            if spread || !more {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn operand(&mut self) -> Result<Expr, Error> {
        let (token, span) = self.tokens[self.next].clone();
        let node = match token {
            Token::Name(name) => Node::Name(name),
            Token::String(bytes) => Node::String(bytes),
            Token::Int(number) => Node::Int(number),
            Token::Float => Node::Float,
            Token::SingleQuoted(text) => Node::SingleQuoted(text),
            Token::Refused(what) => Node::Refused(what, Vec::new()),
            Token::Mark("(") => {
                self.next += 1;
                let inner = self.deeper(|parser| parser.binary(1))?;
                let end = self.eat(")").ok_or_else(|| self.unexpected("`)`"))?;
                return Ok(Expr {
                    span: span.to(end),
                    node: Node::Paren(Box::new(inner)),
                });
            }
            Token::Mark(_) | Token::Newline | Token::End => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(Expr { span, node })
    }
}

fn joined(mark: &'static str, left: Expr, right: Expr) -> Node {
    match mark {
        "||" => Node::Or(vec![left, right]),
        "&&" => Node::And(vec![left, right]),
        "==" => Node::Equal(Box::new(left), Box::new(right), false),
        "!=" => Node::Equal(Box::new(left), Box::new(right), true),
        "<" | "<=" | ">" | ">=" => Node::Refused("an order of values", vec![left, right]),
        _ => Node::Refused("arithmetic", vec![left, right]),
    }
}
