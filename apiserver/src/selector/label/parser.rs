//! Reads requirements from tokens. The messages are Kubernetes' own, word for word: people search for them.

use std::collections::BTreeSet;

use super::lexer::{Token, tokens};
use super::{Operator, Requirement};

/// The longest label value, and the longest name part of a key.
const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;

/// Whether `in` and `notin` are words of the language here, or plain values.
#[derive(Clone, Copy)]
enum Context {
    KeyAndOperator,
    Values,
}

struct Parser {
    tokens: Vec<(Token, String)>,
    position: usize,
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        let (token, written) = parser.peek(Context::Values);
        match token {
            Token::End => return Ok(requirements),
            Token::Identifier | Token::Not => {
                let requirement = parser.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
                requirements.push(requirement);
                match parser.next(Context::Values) {
                    (Token::End, _) => return Ok(requirements),
                    (Token::Comma, _) => {
                        let (token, written) = parser.peek(Context::Values);
                        if !matches!(token, Token::Identifier | Token::Not) {
                            return Err(format!("found '{written}', expected: identifier after ','"));
                        }
                    }
                    (_, written) => return Err(format!("found '{written}', expected: ',' or 'end of string'")),
                }
            }
            _ => return Err(format!("found '{written}', expected: !, identifier, or 'end of string'")),
        }
    }
}

impl Parser {
    fn peek(&self, context: Context) -> (Token, String) {
        let (token, written) = self.tokens.get(self.position).cloned().unwrap_or((Token::End, String::new()));
        match (context, token) {
            (Context::Values, Token::In | Token::NotIn) => (Token::Identifier, written),
            _ => (token, written),
        }
    }

    fn next(&mut self, context: Context) -> (Token, String) {
        let next = self.peek(context);
        self.position += 1;
        next
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next(Context::Values);
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next(Context::Values);
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        check_key(&key)?;
        if negated {
            return Ok(Requirement { key, operator: Operator::DoesNotExist, values: BTreeSet::new() });
        }
        if matches!(self.peek(Context::Values).0, Token::End | Token::Comma) {
            return Ok(Requirement { key, operator: Operator::Exists, values: BTreeSet::new() });
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        check_values(&key, operator, &values)?;
        Ok(Requirement { key, operator, values })
    }

    fn operator(&mut self) -> Result<Operator, String> {
        match self.next(Context::KeyAndOperator) {
            (Token::In, _) => Ok(Operator::In),
            (Token::NotIn, _) => Ok(Operator::NotIn),
            (Token::Equals, _) => Ok(Operator::Equals),
            (Token::DoubleEquals, _) => Ok(Operator::DoubleEquals),
            (Token::NotEquals, _) => Ok(Operator::NotEquals),
            (Token::GreaterThan, _) => Ok(Operator::GreaterThan),
            (Token::LessThan, _) => Ok(Operator::LessThan),
            (_, written) => Err(format!("found '{written}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    /// The one value of a comparison; nothing is the empty value.
    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek(Context::Values).0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next(Context::Values) {
            (Token::Identifier, written) => Ok(written),
            (_, written) => Err(format!("found '{written}', expected: identifier")),
        }
    }

    /// `(a,b)`; an empty place is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, written) = self.next(Context::Values);
        if token != Token::Open {
            return Err(format!("found '{written}' expected: '('"));
        }
        let (token, written) = self.peek(Context::Values);
        match token {
            Token::Close => {
                self.next(Context::Values);
                Ok(BTreeSet::new())
            }
            Token::Identifier | Token::Comma => self.listed_values(),
            _ => Err(format!("found '{written}', expected: ',', ')' or identifier")),
        }
    }

    fn listed_values(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek(Context::Values) {
                (Token::Identifier, written) => {
                    self.next(Context::Values);
                    written
                }
                (Token::Comma | Token::Close, _) => String::new(),
                (_, written) => return Err(format!("found '{written}', expected: ',', or identifier")),
            };
            values.insert(value);
            match self.next(Context::Values) {
                (Token::Comma, _) => {}
                (Token::Close, _) => return Ok(values),
                (_, written) => return Err(format!("found '{written}', expected: ',' or ')'")),
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let bad = |why: &str| Err(format!("key: Invalid value: {key:?}: {why}"));
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return bad("prefix part must be non-empty");
        }
        if prefix.len() > MAX_PREFIX || !prefix.split('.').all(is_dns_label) {
            return bad(
                "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                 and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            );
        }
    }
    if name.is_empty() {
        return bad("name part must be non-empty");
    }
    if name.len() > MAX_NAME {
        return bad("name part must be no more than 63 bytes");
    }
    if !is_label_text(name) {
        return bad(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        );
    }
    Ok(())
}

fn check_values(key: &str, operator: Operator, values: &BTreeSet<String>) -> Result<(), String> {
    if matches!(operator, Operator::In | Operator::NotIn) && values.is_empty() {
        return Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".to_owned());
    }
    for (index, value) in values.iter().enumerate() {
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err() {
            return Err(format!(
                "values[{index}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            ));
        }
        let why = if value.len() > MAX_NAME {
            "must be no more than 63 bytes"
        } else if value.is_empty() || is_label_text(value) {
            continue;
        } else {
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        };
        return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {why}"));
    }
    Ok(())
}

fn is_dns_label(part: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !part.is_empty()
        && part.bytes().all(|b| inside(b) || b == b'-')
        && part.bytes().next().is_some_and(inside)
        && part.bytes().last().is_some_and(inside)
}

fn is_label_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric())
}
