//! Decides what of a cloud's state is compared between a schedule with accidents and without: not which address of a
//! Vpc a machine got, nor how often it was started. Pure.

use std::collections::BTreeMap;

/// Names in place of addresses.
pub(super) fn named(state: &str, addresses: &BTreeMap<String, String>) -> String {
    let mut text = String::with_capacity(state.len());
    let mut word = String::new();
    for letter in state.chars().chain(['\n']) {
        if letter.is_ascii_digit() || letter == '.' {
            word.push(letter);
            continue;
        }
        text.push_str(addresses.get(&word).unwrap_or(&word));
        word.clear();
        text.push(letter);
    }
    // Addresses are in the order of their numbers; names have another.
    let mut lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let things = lines.iter().position(|line| line.starts_with('{')).unwrap_or(lines.len());
    lines[..things].sort_unstable();
    lines.retain(|line| !is_history(line));
    // What is left out may have been the last of its object.
    lines.iter().map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join("\n")
}

/// Whether a line tells of the past.
fn is_history(line: &str) -> bool {
    let fields = [
        "restartCount",
        "crashCount",
        "nextRestart",
        "pullFailures",
        "nextPull",
        "startedAt",
        "consistency",
        "importFailures",
        "nextImport",
        // Of a Secret, where that is ignored: an accident has it begin with the last value.
        "changed",
        "changedAt",
    ];
    let Some(line) = line.trim_start().strip_prefix('"') else { return false };
    fields.iter().any(|field| line.strip_prefix(field).is_some_and(|rest| rest.starts_with('"')))
}

/// The first lines that differ, with some that don't before them.
pub(super) fn difference(wanted: &str, found: &str) -> String {
    const SHOWN: usize = 12;
    let (wanted, found): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), found.lines().collect());
    let at = wanted.iter().zip(&found).take_while(|(one, other)| one == other).count();
    let part = |lines: &[&str], sign: &str| {
        let lines = lines.iter().skip(at).take(SHOWN);
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    let before = wanted[at.saturating_sub(6)..at].iter().map(|line| format!("  {line}\n")).collect::<String>();
    format!("{before}{}{}", part(&wanted, "-"), part(&found, "+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_by_name_and_others_that_begin_like_them_do_not() {
        let addresses = BTreeMap::from([("10.0.0.2".to_owned(), "<web>".to_owned())]);
        assert_eq!(named("x 10.0.0.2 10.0.0.23 10.0.0.2:80\n", &addresses), "x <web> 10.0.0.23 <web>:80");
    }

    #[test]
    fn a_difference_shows_where_it_begins() {
        assert_eq!(difference("a\nb\nc", "a\nb\nd"), "  a\n  b\n- c\n+ d\n");
        assert_eq!(difference("a", "a\nb"), "  a\n+ b\n");
    }
}
