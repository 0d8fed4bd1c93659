//! How a text is written: plain, in single or double quotes, or as a block of lines.

use super::{INDENT, Writer, plain};

/// Behind this column a line is folded at the next space.
const WIDTH: usize = 80;

/// The way a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Whether a text has line breaks.
pub(super) fn has_breaks(text: &str) -> bool {
    text.chars().any(is_break)
}

impl Style {
    /// The style of a value.
    pub(super) fn of(text: &str) -> Self {
        let seen = Looks::of(text);
        if text.contains('\n') {
            return if seen.fits_block { Self::Literal } else { Self::Double };
        }
        match plain::is_text(text) {
            false => Self::Double,
            true if seen.fits_plain => Self::Plain,
            true if seen.fits_single => Self::Single,
            true => Self::Double,
        }
    }

    /// The style of a key that shares its line with the value.
    pub(super) fn of_key(text: &str) -> Self {
        match Self::of(text) {
            Self::Plain if text.is_empty() => Self::Single,
            Self::Literal => Self::Double,
            style => style,
        }
    }
}

/// What decides where a text can stand.
struct Looks {
    fits_plain: bool,
    fits_single: bool,
    fits_block: bool,
}

impl Looks {
    fn of(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let at = |place: usize| letters.get(place).copied();
        let is_blank =
            |letter: Option<char>| letter.is_none_or(|letter| matches!(letter, ' ' | '\t') || is_break(letter));
        let means_more = |place: usize, letter: char| {
            let is_followed = is_blank(at(place + 1));
            match (place, letter) {
                (0, '-' | '?' | ':') => is_followed,
                (0, letter) => "#,[]{}&*!|>'\"%@`".contains(letter),
                (_, ':') => is_followed,
                (_, '#') => is_blank(at(place - 1)),
                _ => false,
            }
        };
        let is_marked = text.starts_with("---")
            || text.starts_with("...")
            || letters.iter().enumerate().any(|(place, letter)| means_more(place, *letter));
        let is_special = letters.iter().any(|letter| !is_printable(*letter));
        let is_edge = |letter: Option<&char>| letter.is_some_and(|letter| *letter == ' ' || is_break(*letter));
        let pairs = |first: fn(char) -> bool, second: fn(char) -> bool| {
            letters.windows(2).any(|pair| first(pair[0]) && second(pair[1]))
        };
        let is_space = |letter: char| letter == ' ';
        let break_space = pairs(is_break, is_space);
        let odd = is_special || pairs(is_space, is_break);
        let has_edges = is_edge(letters.first()) || is_edge(letters.last());
        Self {
            fits_plain: !(is_marked || odd || break_space || has_edges || has_breaks(text)),
            fits_single: !(odd || break_space),
            fits_block: !(odd || text.is_empty() || letters.last() == Some(&' ')),
        }
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && letter != '\u{feff}'
}

impl Writer {
    /// A text; its further lines are indented as said. Keys are never folded.
    pub(super) fn scalar(&mut self, text: &str, style: Style, indent: usize, folds: bool) {
        match style {
            Style::Plain => self.folded(text, indent, folds, |writer, letter| writer.letter(letter)),
            Style::Single => {
                self.put("'");
                self.folded(text, indent, folds, |writer, letter| {
                    if letter == '\'' {
                        writer.put("'");
                    }
                    writer.letter(letter);
                });
                self.put("'");
            }
            Style::Double => self.double(text, indent, folds),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn letter(&mut self, letter: char) {
        self.text.push(letter);
        self.column += 1;
    }

    fn fold(&mut self, indent: usize) {
        self.break_line();
        self.indent(indent);
    }

    /// Writes letter by letter; a single space far to the right becomes a line break.
    fn folded(&mut self, text: &str, indent: usize, folds: bool, write: impl Fn(&mut Self, char)) {
        let letters: Vec<char> = text.chars().collect();
        let mut was_space = false;
        for (place, letter) in letters.iter().enumerate() {
            let is_inside = place > 0 && place + 1 < letters.len();
            let is_single = *letter == ' ' && !was_space && letters.get(place + 1) != Some(&' ');
            if is_single && folds && is_inside && self.column > WIDTH {
                self.fold(indent);
            } else {
                write(self, *letter);
            }
            was_space = *letter == ' ';
        }
    }

    fn double(&mut self, text: &str, indent: usize, folds: bool) {
        self.put("\"");
        let letters: Vec<char> = text.chars().collect();
        let mut was_space = false;
        for (place, letter) in letters.iter().enumerate() {
            let is_inside = place > 0 && place + 1 < letters.len();
            match letter {
                ' ' if folds && !was_space && is_inside && self.column > WIDTH => {
                    self.fold(indent);
                    if letters[place + 1] == ' ' {
                        self.put("\\");
                    }
                }
                letter if is_printable(*letter) && !is_break(*letter) && !matches!(letter, '"' | '\\') => {
                    self.letter(*letter);
                }
                letter => self.put(&escaped(*letter)),
            }
            was_space = *letter == ' ';
        }
        self.put("\"");
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        if text.starts_with(' ') || text.starts_with(is_break) {
            self.put(&INDENT.to_string());
        }
        let mut from_the_end = text.chars().rev();
        match (from_the_end.next().is_some_and(is_break), from_the_end.next().map(is_break)) {
            (false, _) => self.put("-"),
            (true, None | Some(true)) => self.put("+"),
            (true, Some(false)) => {}
        }
        self.break_line();
        for letter in text.chars() {
            if is_break(letter) {
                self.text.push(letter);
                self.column = 0;
            } else {
                self.indent(indent);
                self.letter(letter);
            }
        }
    }
}

fn escaped(letter: char) -> String {
    let short = match letter {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
