//! Decides how large what an expression makes can be, against the longest text and collection that it sees: texts and
//! lists that are put together, again and again, grow far beyond the object.

use kube_cel::cel::common::ast::operators;

/// A bound on a value, where W is the length of the longest collection that there was, and L that of the longest text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Its collections have at most `width * W` elements.
    pub(super) width: f64,
    /// Its texts have at most `times * W^loops * L^power` bytes.
    pub(super) times: f64,
    pub(super) loops: u32,
    pub(super) power: u32,
}

impl Growth {
    /// A number, a flag, a time.
    pub(super) const NONE: Self = Self { width: 0.0, times: 0.0, loops: 0, power: 0 };
    /// A collection with nothing in it yet.
    pub(super) const EMPTY: Self = Self { power: 1, ..Self::NONE };
    /// A part of the object.
    pub(super) const GIVEN: Self = Self { width: 1.0, times: 1.0, loops: 0, power: 1 };

    /// A text of so many bytes that is written in the expression.
    #[expect(clippy::cast_precision_loss, reason = "expressions are short")]
    pub(super) fn written(bytes: usize) -> Self {
        Self { times: bytes as f64, ..Self::NONE }
    }

    /// The same, of what is no collection.
    pub(super) fn of_text(self) -> Self {
        Self { width: 0.0, ..self }
    }

    /// Either of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            width: self.width.max(other.width),
            times: self.times.max(other.times),
            loops: self.loops.max(other.loops),
            power: self.power.max(other.power),
        }
    }

    /// Both, one behind the other.
    fn then(self, other: Self) -> Self {
        Self { width: self.width + other.width, times: self.times + other.times, ..self.or(other) }
    }

    /// A text in which another is in place of every letter.
    fn in_place_of_each(self, other: Self) -> Self {
        Self {
            width: self.width.max(other.width),
            times: self.times.max(1.0) * other.times.max(1.0),
            loops: self.loops + other.loops,
            power: self.power + other.power,
        }
    }

    /// The texts of a list behind each other, with another in between.
    fn joined(self, separator: Self) -> Self {
        let both = self.then(separator);
        Self { times: both.times * self.width.max(1.0), loops: both.loops + 1, ..both }
    }

    /// Lists, one behind the other: no text is made.
    pub(super) fn lists(operands: &[Self]) -> Self {
        let width = operands.iter().map(|operand| operand.width).sum();
        Self { width, ..operands.iter().copied().fold(Self::NONE, Self::or) }
    }

    /// What a function makes of its operands.
    pub(super) fn made_by(function: &str, operands: &[Self]) -> Self {
        let all = |put: fn(Self, Self) -> Self| operands.iter().copied().reduce(put).unwrap_or(Self::NONE);
        match function {
            operators::ADD => all(Self::then),
            "replace" => match *operands {
                [text, _, new, ..] => text.in_place_of_each(new),
                _ => all(Self::in_place_of_each),
            },
            "join" => match *operands {
                [list] => list.joined(Self::EMPTY),
                _ => all(Self::joined),
            },
            operators::INDEX
            | operators::OPT_INDEX
            | operators::CONDITIONAL
            | "trim"
            | "lowerAscii"
            | "upperAscii"
            | "substring"
            | "charAt"
            | "reverse"
            | "split"
            | "find"
            | "findAll"
            | "orValue"
            | "or"
            | "value"
            | "of"
            | "slice"
            | "sort"
            | "distinct"
            | "first"
            | "last"
            | "min"
            | "max"
            | "flatten" => all(Self::or),
            // Whatever it is, such as an encoding.
            _ => {
                let made = all(Self::then);
                Self { times: made.times * 4.0, ..made }
            }
        }
    }
}
