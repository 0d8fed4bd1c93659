//! Reads a path. The grammar follows client-go's `jsonpath` package, which has no written one.

use serde_json::Value;

use super::{Comparison, Filter, Operand, Step};

/// Brackets and filters may not nest deeper than this: the parser recurses.
const MAX_DEPTH: usize = 16;

pub(super) fn path(text: &str) -> Result<Vec<Step>, String> {
    let text = text.trim();
    let text = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or("the closing `}` is missing")?.trim(),
        None => text,
    };
    let text = text.strip_prefix(['$', '@']).unwrap_or(text);
    let mut cursor = Cursor { text, position: 0, depth: 0 };
    let steps = cursor.steps(Cursor::at_end)?;
    Ok(steps)
}

struct Cursor<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Steps until `done` says so.
    fn steps(&mut self, done: impl Fn(&Self) -> bool) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        while !done(self) {
            if self.eat("..") {
                steps.push(Step::Descend);
                if !matches!(self.peek(), None | Some('[')) {
                    steps.push(self.key_or_star()?);
                }
            } else if self.eat(".") {
                // A lone dot is the object itself, and `.[0]` is `[0]`.
                if !done(self) && self.peek() != Some('[') {
                    steps.push(self.key_or_star()?);
                }
            } else if self.eat("[") {
                steps.push(self.bracket()?);
            } else if steps.is_empty() {
                steps.push(self.key_or_star()?);
            } else {
                return Err(format!("unexpected `{}`", self.rest()));
            }
        }
        Ok(steps)
    }

    /// A bare key: up to a character of the language, with `\` taking the next one as it is.
    fn key_or_star(&mut self) -> Result<Step, String> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let mut key = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.next();
                    key.push(self.next().ok_or("a `\\` at the end")?);
                }
                '.' | '[' | ']' | ')' | '(' | '=' | '!' | '<' | '>' | ',' | '{' | '}' | '|' => break,
                c if c.is_whitespace() => break,
                c => {
                    self.next();
                    key.push(c);
                }
            }
        }
        if key.is_empty() {
            return Err(match self.peek() {
                Some(c) => format!("a key is missing before `{c}`"),
                None => "a key is missing at the end".to_owned(),
            });
        }
        Ok(Step::Key(key))
    }

    /// What stands between `[` and `]`.
    fn bracket(&mut self) -> Result<Step, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} brackets inside each other"));
        }
        self.skip_spaces();
        let step = if self.eat("?(") { self.filter()? } else { self.subscripts()? };
        self.skip_spaces();
        if !self.eat("]") {
            return Err("the closing `]` is missing".to_owned());
        }
        self.depth -= 1;
        Ok(step)
    }

    fn subscripts(&mut self) -> Result<Step, String> {
        let mut steps = vec![self.subscript()?];
        self.skip_spaces();
        while self.eat(",") {
            self.skip_spaces();
            steps.push(self.subscript()?);
            self.skip_spaces();
        }
        Ok(match <[Step; 1]>::try_from(steps) {
            Ok([step]) => step,
            Err(steps) => Step::Union(steps),
        })
    }

    fn subscript(&mut self) -> Result<Step, String> {
        match self.peek() {
            Some('*') => {
                self.next();
                Ok(Step::Wildcard)
            }
            Some('\'' | '"') => Ok(Step::Key(self.quoted()?)),
            _ => {
                let end = self.rest().find([']', ',']).ok_or("the closing `]` is missing")?;
                let text = self.rest()[..end].trim().to_owned();
                self.position += end;
                index_or_slice(&text)
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.next().ok_or("a quote is missing")?;
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err("a quote is not closed".to_owned()),
                Some('\\') => text.push(self.next().ok_or("a `\\` at the end")?),
                Some(c) if c == quote => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn filter(&mut self) -> Result<Step, String> {
        let left = self.operand()?;
        self.skip_spaces();
        let comparison = match self.comparison() {
            None => None,
            Some(comparison) => Some((comparison, self.operand()?)),
        };
        self.skip_spaces();
        if !self.eat(")") {
            return Err(format!("the filter is not closed at `{}`", self.rest()));
        }
        Ok(Step::Filter(Filter { left, comparison }))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        COMPARISONS.iter().find(|(token, _)| self.eat(token)).map(|(_, comparison)| *comparison)
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.skip_spaces();
        let ends = |cursor: &Self| cursor.peek().is_none_or(|c| c.is_whitespace() || ")=!<>".contains(c));
        match self.peek() {
            Some('\'' | '"') => Ok(Operand::Literal(Value::String(self.quoted()?))),
            Some('@') => {
                self.next();
                Ok(Operand::Item(self.steps(ends)?))
            }
            Some('$') => {
                self.next();
                Ok(Operand::Root(self.steps(ends)?))
            }
            Some('.') => Ok(Operand::Item(self.steps(ends)?)),
            _ => {
                let end = self.rest().find(|c: char| c.is_whitespace() || ")=!<>".contains(c));
                let end = end.ok_or("the filter is not closed")?;
                let word = self.rest()[..end].to_owned();
                self.position += end;
                literal(&word)
            }
        }
    }
}

fn literal(word: &str) -> Result<Operand, String> {
    match serde_json::from_str::<Value>(word) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => Ok(Operand::Literal(value)),
        _ => Err(format!("`{word}` is neither a quoted text, a number, `true`, `false` nor a path")),
    }
}

fn index_or_slice(text: &str) -> Result<Step, String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("`{text}` is not an index"));
    let bound = |text: &str| if text.trim().is_empty() { Ok(None) } else { number(text).map(Some) };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [index] => Ok(Step::Index(number(index)?)),
        [start, end] => Ok(Step::Slice { start: bound(start)?, end: bound(end)?, step: 1 }),
        [start, end, step] => {
            let step = bound(step)?.unwrap_or(1);
            if step <= 0 {
                return Err("the step of a slice must be positive".to_owned());
            }
            Ok(Step::Slice { start: bound(start)?, end: bound(end)?, step })
        }
        _ => Err(format!("`{text}` is not an index")),
    }
}
