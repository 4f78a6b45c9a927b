//! Code that is cut: its fence is closed in one message and opened again in the next.

use pulldown_cmark::{CodeBlockKind, Event, Tag};

use crate::channels::telegram::format;

/// A block of code that is open at a cut.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Fence {
    /// Its marks, three or more.
    marks: String,
    language: Option<String>,
    /// What stands before its marks: the indent of a list, the mark of a quote.
    before: String,
    /// The cut went through a line.
    in_line: bool,
}

/// The block of code around a place, if that is below the line that opens it.
pub(super) fn around(text: &str, at: usize) -> Option<Fence> {
    format::events(text).find_map(|(event, place)| match event {
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if place.start < at && at < place.end => {
            text[place.start..at].find('\n')?;
            let line = text[..place.start].rfind('\n').map_or(0, |line_break| line_break + 1);
            let opening = &text[line..];
            let mark = if text[place.start..].trim_start().starts_with('~') { '~' } else { '`' };
            let begin = opening.find(mark)?;
            let count = opening[begin..].chars().take_while(|c| *c == mark).count();
            Some(Fence {
                marks: mark.to_string().repeat(count),
                language: format::language(&info),
                before: opening[..begin].chars().map(|c| if c == '>' || c.is_whitespace() { c } else { ' ' }).collect(),
                in_line: !text[..at].ends_with('\n'),
            })
        }
        _ => None,
    })
}

/// The beginning of a text as Markdown of its own.
pub(super) fn closed(text: &str, open: Option<&Fence>) -> String {
    match open {
        None => text.trim_end().to_owned(),
        Some(fence) => {
            format!("{}\n{}{}", text.strip_suffix('\n').unwrap_or(text), fence.before, fence.marks)
        }
    }
}

/// What follows a cut as Markdown of its own.
pub(super) struct Continued {
    pub(super) text: String,
    /// How much of it is not in the source.
    pub(super) head: usize,
    /// Where each line of the source begins: in [`text`](Continued::text) and in the source, without its indent.
    lines: Vec<(usize, usize)>,
}

impl Continued {
    pub(super) fn new(open: Option<&Fence>, source: &str) -> Continued {
        let Some(fence) = open else { return Continued { text: source.to_owned(), head: 0, lines: vec![(0, 0)] } };
        let mut text = format!("{}{}\n", fence.marks, fence.language.as_deref().unwrap_or_default());
        let head = text.len();
        let (mut lines, mut at, mut in_code) = (Vec::new(), 0, true);
        for line in source.split_inclusive('\n') {
            let is_begun = at == 0 && fence.in_line;
            let indent = if in_code && !is_begun { fence.indent(line) } else { 0 };
            lines.push((text.len(), at + indent));
            text.push_str(&line[indent..]);
            at += line.len();
            in_code = in_code && (is_begun || !fence.is_closed_by(&line[indent..]));
        }
        Continued { text, head, lines }
    }

    /// The place in the source of a place in the text.
    pub(super) fn source_place(&self, at: usize) -> usize {
        let line = self.lines.partition_point(|(begin, _)| *begin < at).saturating_sub(1);
        self.lines.get(line).map_or(0, |(begin, source)| source + at.saturating_sub(*begin))
    }
}

impl Fence {
    /// How many bytes of a line stand where the fence itself has its indent.
    fn indent(&self, line: &str) -> usize {
        let same = line.bytes().zip(self.before.bytes());
        same.take_while(|(here, there)| here == there || (*here == b' ' && *there == b'\t')).count()
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.marks.len() && line.chars().all(|c| self.marks.starts_with(c))
    }
}
