//! Splits a label selector into tokens.

/// A token; what it read stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    End,
    Identifier,
    In,
    NotIn,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    GreaterThan,
    LessThan,
    Comma,
    Open,
    Close,
}

/// All tokens of a text, with what each was written as. The last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Vec<(Token, String)> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            break;
        }
        let (token, length) = special(rest).unwrap_or_else(|| word(rest));
        let (read, after) = rest.split_at(length);
        tokens.push((token, read.to_owned()));
        rest = after;
    }
    tokens.push((Token::End, String::new()));
    tokens
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '<' | '>')
}

/// The longest operator at the start.
fn special(text: &str) -> Option<(Token, usize)> {
    const OPERATORS: [(&str, Token); 9] = [
        ("==", Token::DoubleEquals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        (">", Token::GreaterThan),
        ("<", Token::LessThan),
        (",", Token::Comma),
        ("(", Token::Open),
        (")", Token::Close),
    ];
    OPERATORS.iter().find(|(operator, _)| text.starts_with(operator)).map(|(operator, token)| (*token, operator.len()))
}

fn word(text: &str) -> (Token, usize) {
    let end = text.find(|c: char| is_special(c) || matches!(c, ' ' | '\t' | '\r' | '\n')).unwrap_or(text.len());
    let token = match &text[..end] {
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ => Token::Identifier,
    };
    (token, end)
}
