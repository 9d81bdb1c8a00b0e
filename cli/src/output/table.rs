//! Lays out aligned columns. Knows widths and truncation; knows neither terminals nor where the text goes.

use super::escape;

/// Meaning of a cell, which the printer turns into a colour. Tables read the same without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Title, or name of a field.
    Title,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Less important.
    Faint,
}

/// Text of one cell; made safe when the cell is made, so that no caller can forget it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: escape::line(text.as_ref()), tone: Tone::Plain }
    }

    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { tone, ..Self::new(text) }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    /// Narrowest width, kept even if all cells are shorter.
    min: usize,
    /// May be cut to `min` (at least 8) where the terminal is narrow.
    shrinks: bool,
}

impl Column {
    pub(crate) const fn left(title: &'static str) -> Self {
        Self { title, right: false, min: 0, shrinks: false }
    }

    pub(crate) const fn right(title: &'static str) -> Self {
        Self { title, right: true, min: 0, shrinks: false }
    }

    pub(crate) const fn at_least(mut self, min: usize) -> Self {
        self.min = min;
        self
    }

    pub(crate) const fn shrinking(mut self) -> Self {
        self.shrinks = true;
        self
    }
}

const GAP: usize = 2;
const NARROWEST: usize = 8;

/// Widths of columns for the rows at hand. Rows that come later are cut to them.
#[derive(Clone, Debug)]
pub(crate) struct Layout<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    /// Cut cells that are too long. Off where the output is no terminal: programs and files get everything.
    cut: bool,
}

impl<'a> Layout<'a> {
    pub(crate) fn fit(columns: &'a [Column], rows: &[Vec<Cell>], terminal: Option<usize>) -> Self {
        let mut widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| escape::width(&cell.text));
                cells.max().unwrap_or(0).max(column.title.len()).max(column.min)
            })
            .collect();
        if let Some(terminal) = terminal {
            let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            while total(&widths) > terminal {
                let narrowest = |i: usize| {
                    if columns[i].min > 0 { columns[i].min.min(NARROWEST) } else { NARROWEST }
                };
                let candidates = (0..widths.len()).filter(|&i| columns[i].shrinks && widths[i] > narrowest(i));
                let Some(widest) = candidates.max_by_key(|&i| widths[i]) else {
                    break;
                };
                widths[widest] -= 1;
            }
        }
        Self { columns, widths, cut: terminal.is_some() }
    }

    pub(crate) fn header(&self, paint: &dyn Fn(&str, Tone) -> String) -> String {
        let titles: Vec<Cell> = self.columns.iter().map(|c| Cell::toned(c.title, Tone::Title)).collect();
        self.row(&titles, paint)
    }

    pub(crate) fn row(&self, cells: &[Cell], paint: &dyn Fn(&str, Tone) -> String) -> String {
        let mut line = String::new();
        for (i, cell) in cells.iter().enumerate().take(self.columns.len()) {
            let (column, width) = (self.columns[i], self.widths[i]);
            let text = if self.cut && column.shrinks { escape::truncate(&cell.text, width) } else { cell.text.clone() };
            let pad = width.saturating_sub(escape::width(&text));
            let last = i + 1 == cells.len();
            if column.right {
                line.extend(std::iter::repeat_n(' ', pad));
            }
            line.push_str(&paint(&text, cell.tone));
            if !last {
                line.extend(std::iter::repeat_n(' ', if column.right { GAP } else { pad + GAP }));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::right("ID"), Column::left("HOST").shrinking(), Column::left("PATH").shrinking()];

    fn render(rows: &[Vec<Cell>], terminal: Option<usize>) -> Vec<String> {
        let plain = |text: &str, _| text.to_owned();
        let layout = Layout::fit(&COLUMNS, rows, terminal);
        std::iter::once(layout.header(&plain)).chain(rows.iter().map(|row| layout.row(row, &plain))).collect()
    }

    fn row(cells: [&str; 3]) -> Vec<Cell> {
        cells.into_iter().map(Cell::from).collect()
    }

    #[test]
    fn columns_align_and_no_line_ends_in_blanks() {
        let lines = render(&[row(["7", "a.example", "/"]), row(["1200", "b", ""])], None);
        assert_eq!(lines, ["  ID  HOST       PATH", "   7  a.example  /", "1200  b"]);
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column_first() {
        let long = "/".repeat(100);
        let lines = render(&[row(["7", "host.example", &long])], Some(40));
        assert!(lines.iter().all(|line| escape::width(line) <= 40), "{lines:?}");
        assert!(lines[1].contains("host.example") && lines[1].ends_with('…'), "{lines:?}");
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        let long = "/".repeat(300);
        assert!(render(&[row(["7", "h", &long])], None)[1].ends_with(&long));
    }

    #[test]
    fn hostile_cells_cannot_break_a_line() {
        let lines = render(&[row(["7", "h\x1b[31m", "/a\nb"])], None);
        assert_eq!(lines[1], " 7  h\\x1b[31m  /a\\x0ab");
    }
}
