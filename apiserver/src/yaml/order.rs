//! The order of a mapping's keys: letters behind everything else, runs of digits by their value.

use std::cmp::Ordering;

/// Compares two keys.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let (left, right) = (a[at], b[at]);
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left.cmp(&right),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero counts for something only inside a number that has begun.
    let is_inside = (left == '0' || right == '0')
        && a[..at].iter().rev().take_while(|digit| digit.is_numeric()).any(|digit| *digit != '0');
    let (value, length) = number(&a[at..], is_inside);
    let (other, other_length) = number(&b[at..], is_inside);
    value.cmp(&other).then(length.cmp(&other_length)).then(left.cmp(&right))
}

/// The number that a text begins with, and how many digits it has.
fn number(text: &[char], is_inside: bool) -> (i64, usize) {
    let digits = text.iter().take_while(|digit| digit.is_numeric());
    digits.fold((i64::from(is_inside), 0), |(value, length), digit| {
        let digit = i64::from(u32::from(*digit)) - i64::from(u32::from('0'));
        (value.wrapping_mul(10).wrapping_add(digit), length + 1)
    })
}
