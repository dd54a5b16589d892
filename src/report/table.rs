//! Plain tables: columns aligned by display width, no frame, readable without colour.

/// Lays out rows below a heading; a trailing empty cell costs nothing.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let columns = heading.len();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut laid_out = String::new();
        for (index, cell) in cells.enumerate() {
            if index + 1 == columns {
                laid_out.push_str(cell);
            } else {
                let padding = widths[index].saturating_sub(cell.chars().count()) + 2;
                laid_out.push_str(cell);
                laid_out.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push_str(laid_out.trim_end());
        text.push('\n');
    };
    line(&mut heading.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let rows = vec![vec!["test".to_owned(), "größe".to_owned(), String::new()], vec!["production".to_owned(), "x".to_owned(), "y".to_owned()]];
        assert_eq!(super::table(&["STAGE", "FREIGHT", "NOTE"], &rows), "STAGE       FREIGHT  NOTE\ntest        größe\nproduction  x        y\n");
    }
}
