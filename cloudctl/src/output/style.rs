//! Decides what colours mean. Text without colour is the same text.

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Good, added.
    Green,
    /// Bad, removed.
    Red,
    /// Under way, take care.
    Yellow,
    /// A place or a heading.
    Cyan,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

/// Puts colour on text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// With or without colour.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// The text in a colour.
    pub(crate) fn colour(self, colour: Colour, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Dim => "2",
            Colour::Bold => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The text in the colour of what it says about an object, under a heading such as `PHASE` or `READY`.
    pub(crate) fn state(self, heading: &str, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let colour = match (heading, text.trim()) {
            ("PHASE" | "STATUS" | "READY" | "AVAILABLE" | "TYPE", word) => match word {
                "Running" | "Ready" | "Active" | "Bound" | "Available" | "Succeeded" | "True" => Colour::Green,
                "Failed" | "Error" | "False" | "Warning" => Colour::Red,
                "Pending" | "Provisioning" | "Creating" | "Terminating" | "Unknown" => Colour::Yellow,
                "Stopped" | "Paused" | "Normal" | "<none>" => Colour::Dim,
                _ => return text.to_owned(),
            },
            _ => return text.to_owned(),
        };
        self.colour(colour, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_text_is_untouched() {
        assert_eq!(Paint::new(false).colour(Colour::Red, "x"), "x");
        assert_eq!(Paint::new(false).state("PHASE", "Failed"), "Failed");
    }

    #[test]
    fn states_have_colours_only_under_headings_that_are_states() {
        let paint = Paint::new(true);
        assert_eq!(paint.state("PHASE", "Running"), "\x1b[32mRunning\x1b[0m");
        assert_eq!(paint.state("NAME", "Running"), "Running");
    }
}
