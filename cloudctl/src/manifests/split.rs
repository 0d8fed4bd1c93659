//! Decides where one YAML document ends and the next begins, so that each can be named by number and line in an error, and
//! so that a mistake in one does not hide the others.

/// One document of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Which one, from 1; empty ones are not counted.
    pub(super) number: usize,
    /// The file's line of its first content.
    pub(super) line: usize,
    /// How many lines of the file come before `text`.
    pub(super) offset: usize,
    /// Its text.
    pub(super) text: String,
}

/// The documents of a file that hold anything but comments.
///
/// A line that starts with `---` or `...` at column 0 always ends a document in YAML, even inside a block of text.
pub(super) fn documents(text: &str) -> Vec<Document> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut current = String::new();
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match marker(line) {
            Some(rest) => {
                finish(&mut documents, std::mem::take(&mut current), offset);
                offset = index;
                // Blanks keep the columns of what follows the marker on its line.
                current.push_str("   ");
                current.push_str(rest);
            }
            None => current.push_str(line),
        }
    }
    finish(&mut documents, current, offset);
    documents
}

/// What follows a document marker on its line.
fn marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    rest.chars().next().is_none_or(char::is_whitespace).then_some(rest)
}

fn finish(documents: &mut Vec<Document>, text: String, offset: usize) {
    let content = text.lines().position(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && !line.starts_with("%YAML")
    });
    if let Some(first) = content {
        documents.push(Document { number: documents.len() + 1, line: offset + first + 1, offset, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, usize)> {
        documents(text).iter().map(|document| (document.number, document.line)).collect()
    }

    #[test]
    fn documents_know_their_lines() {
        assert_eq!(lines("a: 1\n---\nb: 2\n---\n# only a comment\n---\n\nc: 3\n"), [(1, 1), (2, 3), (3, 8)]);
    }

    #[test]
    fn leading_marker_and_byte_order_mark_are_no_document() {
        assert_eq!(lines("\u{feff}---\na: 1\n...\n"), [(1, 2)]);
        assert_eq!(lines(""), []);
        assert_eq!(lines("# nothing\n---\n"), []);
    }

    #[test]
    fn content_may_follow_the_marker() {
        let documents = documents("--- # first\na: 1\n--- {b: 2}\n");
        assert_eq!(documents[1].text.trim(), "{b: 2}");
        assert_eq!(documents.len(), 2);
    }

    #[test]
    fn dashes_that_are_no_marker_stay() {
        assert_eq!(lines("a: |\n  ---\n  x\n----: 1\n"), [(1, 1)]);
    }
}
