//! Splits `Accept` and `Content-Type` values into media types with their parameters. Lenient as the clients need it:
//! what can't be read is skipped, never an error.

/// One media type with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Media {
    /// `application`, or `*`; lower case.
    pub(super) main: String,
    /// `json`, or `*`; lower case.
    pub(super) sub: String,
    parameters: Vec<(String, String)>,
    /// The weight, from 0 to 1.
    pub(super) quality: f32,
}

impl Media {
    /// A parameter's value; names are lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether this range covers a media type such as `application/json`.
    pub(super) fn covers(&self, media_type: &str) -> bool {
        let (main, sub) = media_type.split_once('/').unwrap_or((media_type, ""));
        (self.main == "*" || self.main == main) && (self.sub == "*" || self.sub == sub)
    }

    /// The type without parameters.
    pub(super) fn essence(&self) -> String {
        format!("{}/{}", self.main, self.sub)
    }
}

/// The type in front of its parameters, as it is written.
pub(super) fn bare(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_matches(' ')
}

/// Reads one media type; `None` where it isn't one.
pub(super) fn parse(text: &str) -> Option<Media> {
    let mut parts = split(text, ';').into_iter();
    let name = parts.next()?.trim().to_ascii_lowercase();
    let (main, sub) = match name.split_once('/') {
        Some((main, sub)) if !main.is_empty() && !sub.is_empty() => (main.to_owned(), sub.to_owned()),
        // Java's URLConnection sends a bare star.
        None if name == "*" => ("*".to_owned(), "*".to_owned()),
        _ => return None,
    };
    let mut media = Media { main, sub, parameters: Vec::new(), quality: 1.0 };
    for part in parts {
        let Some((key, value)) = part.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches('"').to_owned();
        if key == "q" {
            media.quality = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
        } else {
            media.parameters.push((key, value));
        }
    }
    Some(media)
}

/// Reads an `Accept` list: highest weight first, ties in the client's order, refused ones (`q=0`) left out.
pub(super) fn parse_list(header: &str) -> Vec<Media> {
    let mut list: Vec<Media> =
        split(header, ',').into_iter().filter_map(parse).filter(|media| media.quality > 0.0).collect();
    list.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    list
}

/// Splits at a separator outside double quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
    .collect()
}
