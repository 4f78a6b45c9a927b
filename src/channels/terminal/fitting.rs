//! Texts on a narrow terminal: their lines are broken between words, where the terminal would break them within.

use std::io;

use unicode_width::UnicodeWidthStr;

/// On fewer columns nothing fits anyway.
const LEAST_COLUMNS: usize = 20;

/// What continues a line of a list, a table or of facts stands further in than its beginning.
const HANGING: usize = 2;

/// How many columns standard output has; `None` where it is no terminal, or does not say.
pub fn columns_of_stdout() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= LEAST_COLUMNS)
}

/// The text with no line wider than so many columns, as far as its words allow.
pub fn fitted(text: &str, columns: usize) -> String {
    let mut fitted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_end_matches('\n').width() <= columns {
            fitted.push_str(line)
        } else {
            fit(line, columns, &mut fitted)
        }
    }
    fitted
}

fn fit(line: &str, columns: usize, fitted: &mut String) {
    let indent = line.bytes().take_while(|byte| *byte == b' ').count();
    let is_prose = indent == 0 && !["  ", " · "].iter().any(|gap| line.contains(gap));
    let hanging = if is_prose { 0 } else { (indent + HANGING).min(columns / 2) };
    let (mut used, mut begins) = (0, true);
    for word in line.split_inclusive(' ') {
        let (width, shown) = (word.width(), word.trim_end().width());
        if !begins && shown > 0 && used + shown > columns {
            fitted.truncate(fitted.trim_end_matches(' ').len());
            fitted.push('\n');
            fitted.push_str(&" ".repeat(hanging));
            used = hanging;
        }
        begins &= shown == 0;
        fitted.push_str(word);
        used += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_go_on_further_in() {
        let text = "A short line.\nA longer line, in which somebody says something.\n  /stats [today|7d]   what was used, \
                    and what is left of it\n\nwordthatislongerthanthecolumns and more\n";
        let expected = "A short line.\nA longer line, in which\nsomebody says something.\n  /stats [today|7d]   what\n    \
                        was used, and what is\n    left of it\n\nwordthatislongerthanthecolumns\nand more\n";
        assert_eq!(fitted(text, 26), expected);
        assert_eq!(fitted(text, 80), text);
        assert_eq!(fitted("日本語 日本語 日本語\n", 14), "日本語 日本語\n日本語\n");
        assert_eq!(fitted("12 requests · 3 people · 4 groups", 24), "12 requests · 3 people ·\n  4 groups");
        assert_eq!(fitted("no newline at the end", 12), "no newline\nat the end");
    }
}
