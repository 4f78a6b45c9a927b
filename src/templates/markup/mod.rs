//! Markup, said neutrally in the templates and written out in the form of each surface.
//!
//! On a chat's surface a filter puts marks around its text, two characters of Unicode that no text holds; when all is
//! rendered, [`written`] turns marks into tags or asterisks and escapes everything else. So neither a value nor the
//! words of a template can be taken for markup, and every tag is closed.
//!
//! | filter | Telegram | WhatsApp | plain |
//! |--|--|--|--|
//! | `bold`, `italic` | `<b>`, `<i>` | `*…*`, `_…_` | the text |
//! | `code`: a literal within a sentence | `<code>` | `` `…` `` | `` `…` `` |
//! | `copy`: something to be copied by a tap | `<code>` | the text | the text |
//! | `{% filter mono %}`: columns | `<pre>` | ```` ```…``` ```` | the lines |
//! | `{% filter fold %}`: details | `<blockquote expandable>` | the lines | the lines |

use minijinja::Environment;
use minijinja::value::Value;

use super::Surface;

/// One kind of markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Bold,
    Italic,
    Code,
    Mono,
    Fold,
}

/// The first of the characters that Unicode leaves to a program's own use.
const FIRST_MARK: char = '\u{fdd0}';

impl Mark {
    const ALL: [Mark; 5] = [Mark::Bold, Mark::Italic, Mark::Code, Mark::Mono, Mark::Fold];

    fn begin(self) -> char {
        char::from_u32(u32::from(FIRST_MARK) + 2 * self as u32).expect("ten characters from the first")
    }

    fn end(self) -> char {
        char::from_u32(u32::from(FIRST_MARK) + 2 * self as u32 + 1).expect("ten characters from the first")
    }

    fn begun_by(c: char) -> Option<Mark> {
        if is_mark(c) { Mark::ALL.into_iter().find(|mark| mark.begin() == c) } else { None }
    }

    fn ended_by(c: char) -> Option<Mark> {
        if is_mark(c) { Mark::ALL.into_iter().find(|mark| mark.end() == c) } else { None }
    }

    /// What is inside is taken letter by letter.
    fn is_literal(self) -> bool {
        matches!(self, Mark::Code | Mark::Mono)
    }

    fn tags(self) -> (&'static str, &'static str) {
        match self {
            Mark::Bold => ("<b>", "</b>"),
            Mark::Italic => ("<i>", "</i>"),
            Mark::Code => ("<code>", "</code>"),
            Mark::Mono => ("<pre>", "</pre>"),
            Mark::Fold => ("<blockquote expandable>", "</blockquote>"),
        }
    }
}

/// Whether a character is one of the marks, which no text from outside may hold.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}')
}

/// The characters of a text that are seen.
pub(super) fn width(text: &str) -> usize {
    text.chars().filter(|c| !is_mark(*c)).count()
}

/// Gives an environment the markup filters of a surface.
pub(super) fn add_filters(env: &mut Environment<'static>, surface: Surface) {
    let inline = |mark: Mark| move |text: Value| marked(surface, mark, &text);
    env.add_filter("bold", inline(Mark::Bold));
    env.add_filter("italic", inline(Mark::Italic));
    env.add_filter("code", inline(Mark::Code));
    env.add_filter("copy", move |text: Value| match surface {
        Surface::Telegram => marked(surface, Mark::Code, &text),
        Surface::Plain | Surface::WhatsApp => marked(Surface::Plain, Mark::Bold, &text),
    });
    env.add_filter("mono", move |text: &str| block(surface, Mark::Mono, text));
    env.add_filter("fold", move |text: &str| block(surface, Mark::Fold, text));
}

/// A text within a line; nothing stays nothing.
fn marked(surface: Surface, mark: Mark, text: &Value) -> String {
    let text = if text.is_none() || text.is_undefined() { String::new() } else { text.to_string() };
    match (surface, mark) {
        _ if text.is_empty() => text,
        (Surface::Plain, Mark::Code) => format!("`{text}`"),
        (Surface::Plain, _) => text,
        _ => format!("{}{text}{}", mark.begin(), mark.end()),
    }
}

/// Whole lines; the newline after them stays outside.
fn block(surface: Surface, mark: Mark, text: &str) -> String {
    let lines = text.trim_end_matches('\n').trim_start_matches('\n');
    match surface {
        _ if lines.is_empty() => String::new(),
        Surface::Plain => text.to_owned(),
        Surface::Telegram | Surface::WhatsApp => format!("{}{lines}{}\n", mark.begin(), mark.end()),
    }
}

/// A rendered text in the form of its surface.
pub(super) fn written(surface: Surface, rendered: String) -> String {
    match surface {
        Surface::Plain => rendered,
        Surface::Telegram => html(&rendered),
        Surface::WhatsApp => asterisks(&rendered),
    }
}

/// Telegram's HTML. Code holds no other markup, nothing stands in itself, and what was opened is closed.
fn html(rendered: &str) -> String {
    let mut out = String::with_capacity(rendered.len() + rendered.len() / 8);
    let mut open: Vec<Mark> = Vec::new();
    for c in rendered.chars() {
        if let Some(mark) = Mark::begun_by(c) {
            let is_apart = mark.is_literal() && open.iter().any(|outer| *outer != Mark::Fold);
            if !is_apart && !open.contains(&mark) && !open.iter().any(|outer| outer.is_literal()) {
                open.push(mark);
                out.push_str(mark.tags().0);
            }
        } else if let Some(mark) = Mark::ended_by(c) {
            if open.last() == Some(&mark) {
                open.pop();
                out.push_str(mark.tags().1);
            }
        } else {
            match c {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                c if !is_mark(c) => out.push(c),
                _ => {}
            }
        }
    }
    open.iter().rev().for_each(|mark| out.push_str(mark.tags().1));
    out
}

/// WhatsApp's marks. It has no way to escape them, so those in the text itself give way to their likes.
fn asterisks(rendered: &str) -> String {
    let mut layers: Vec<(Option<Mark>, String)> = vec![(None, String::new())];
    let mut before = ' ';
    let mut rest = rendered.chars().peekable();
    while let Some(c) = rest.next() {
        let is_literal = layers.iter().any(|(mark, _)| mark.is_some_and(Mark::is_literal));
        if let Some(mark) = Mark::begun_by(c) {
            if !is_literal && !layers.iter().any(|(outer, _)| *outer == Some(mark)) {
                layers.push((Some(mark), String::new()));
            }
        } else if let Some(mark) = Mark::ended_by(c) {
            if layers.last().is_some_and(|(top, _)| *top == Some(mark)) {
                close_layer(&mut layers);
            }
        } else if !is_mark(c)
            && let Some((_, text)) = layers.last_mut()
        {
            let after = rest.peek().copied().unwrap_or(' ');
            text.push(if is_literal && c != '`' { c } else { harmless(before, c, after) });
        }
        before = c;
    }
    while layers.len() > 1 {
        close_layer(&mut layers);
    }
    layers.pop().map(|(_, text)| text).unwrap_or_default()
}

/// Puts the innermost layer, in its marks, at the end of the one around it.
fn close_layer(layers: &mut Vec<(Option<Mark>, String)>) {
    let Some((mark, text)) = layers.pop() else { return };
    let text = match mark {
        Some(Mark::Bold) => each_line(&text, '*'),
        Some(Mark::Italic) => each_line(&text, '_'),
        Some(Mark::Code) => format!("`{text}`"),
        Some(Mark::Mono) => format!("```{text}```"),
        Some(Mark::Fold) | None => text,
    };
    if let Some((_, outer)) = layers.last_mut() {
        outer.push_str(&text);
    }
}

/// Marks end with their line, and hold only next to a letter.
fn each_line(text: &str, mark: char) -> String {
    let line = |line: &str| match line.trim() {
        "" => line.to_owned(),
        inner => line.replacen(inner, &format!("{mark}{inner}{mark}"), 1),
    };
    text.split('\n').map(line).collect::<Vec<String>>().join("\n")
}

/// A character of the text itself: one that could open or close markup becomes one that only looks like it.
fn harmless(before: char, c: char, after: char) -> char {
    let opens = !before.is_alphanumeric() && !after.is_whitespace();
    let closes = !before.is_whitespace() && !after.is_alphanumeric();
    match c {
        '*' if opens || closes => '∗',
        '_' if opens || closes => 'ˍ',
        '~' if closes => '∼',
        '`' => '\'',
        c => c,
    }
}

#[cfg(test)]
mod tests;
