//! Decides how rows become columns: each as wide as its widest cell, two spaces between, nothing at the end of a line.

use super::Paint;

/// Between two columns.
const GAP: &str = "  ";

/// The widths of columns, fixed from the rows that are known so far; a later row may still be wider.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    headings: Vec<String>,
    widths: Vec<usize>,
}

impl Layout {
    /// A layout for these headings and rows.
    pub(crate) fn new(headings: Vec<String>, rows: &[Vec<String>]) -> Self {
        let widths = headings.iter().map(|heading| heading.chars().count()).collect();
        let mut layout = Self { headings, widths };
        rows.iter().for_each(|row| layout.grow(row));
        layout
    }

    /// Makes room for a row, so that those that come after it are aligned with it.
    pub(crate) fn grow(&mut self, row: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// The line of headings.
    pub(crate) fn heading(&self) -> String {
        self.line(&self.headings, Paint::new(false))
    }

    /// The line of a row.
    pub(crate) fn line(&self, cells: &[String], paint: Paint) -> String {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (column, cell) in cells.iter().enumerate() {
            let cell = one_line(cell);
            let heading = self.headings.get(column).map(String::as_str).unwrap_or_default();
            line.push_str(&paint.state(heading, &cell));
            if column < last {
                let width = self.widths.get(column).copied().unwrap_or_default();
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
                line.push_str(GAP);
            }
        }
        line.trim_end().to_owned()
    }
}

/// A whole table as lines.
pub(crate) fn lines(headings: &[&str], rows: &[Vec<String>], paint: Paint) -> Vec<String> {
    let layout = Layout::new(headings.iter().map(|heading| (*heading).to_owned()).collect(), rows);
    std::iter::once(layout.heading()).chain(rows.iter().map(|row| layout.line(row, paint))).collect()
}

/// A cell must not break its row, nor send control sequences to the terminal.
fn one_line(cell: &str) -> String {
    if !cell.contains(char::is_control) {
        return cell.to_owned();
    }
    cell.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = lines(
            &["NAME", "PHASE", "IP"],
            &[row(&["web", "Running", "10.128.0.2"]), row(&["a-long-name", "Failed", ""])],
            Paint::new(false),
        );
        insta::assert_snapshot!(lines.join("\n"), @r"
        NAME         PHASE    IP
        web          Running  10.128.0.2
        a-long-name  Failed
        ");
    }

    #[test]
    fn colour_does_not_shift_columns() {
        let rows = [row(&["Running", "x"])];
        let layout = Layout::new(row(&["PHASE", "B"]), &rows);
        let plain = layout.line(&rows[0], Paint::new(false));
        let coloured = layout.line(&rows[0], Paint::new(true));
        assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), plain);
    }

    #[test]
    fn cell_cannot_break_its_row_or_move_the_cursor() {
        assert_eq!(one_line("a\nb\x1b[2J"), "a b [2J");
    }

    #[test]
    fn wider_row_that_comes_later_still_fits() {
        let mut layout = Layout::new(row(&["A", "B"]), &[]);
        assert_eq!(layout.line(&row(&["long", "x"]), Paint::new(false)), "long  x");
        layout.grow(&row(&["long", "x"]));
        assert_eq!(layout.line(&row(&["a", "x"]), Paint::new(false)), "a     x");
    }
}
