//! What a model writes, which is Markdown more or less, as the HTML Telegram reads. Whatever comes in, the HTML is whole:
//! marks that are no pairs stay text, and what Telegram cannot show is shown as text.

mod markup;
mod table;
#[cfg(test)]
pub(in crate::channels::telegram) mod tests;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::conversation::PrivateText;
use markup::{Markup, Mono, Style};
use table::Table;

/// Longer addresses are shown as text.
const MAX_URL_BYTES: usize = 2_048;

/// Longer names of a language are none.
const MAX_LANGUAGE_BYTES: usize = 32;

/// A text in both forms in which it can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// For `parse_mode` HTML.
    pub html: PrivateText,
    /// The same without any style, for when Telegram refuses the HTML and while an answer is still growing.
    pub plain: PrivateText,
}

impl Formatted {
    /// What counts against Telegram's 4,096: Unicode code points of what is seen.
    pub fn length(&self) -> usize {
        self.plain.chars().count()
    }
}

/// Both forms of what a model wrote. Both are empty if nothing of it can be seen.
pub fn format(markdown: &str) -> Formatted {
    let markup = read(markdown);
    Formatted { html: markup.html().into(), plain: markup.text().into() }
}

/// What a model wrote, without any mark: what [`Formatted::plain`] is.
pub fn plain(markdown: &str) -> PrivateText {
    read(markdown).text().into()
}

/// The events of a Markdown text with their places in it, as every part of this channel reads it.
pub(super) fn events(markdown: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    Parser::new_ext(markdown, options).into_offset_iter()
}

fn read(markdown: &str) -> Markup {
    let mut reader = Reader::new(markdown);
    for (event, place) in events(markdown) {
        reader.event(event, place);
    }
    reader.skipped(markdown.len());
    reader.markup
}

struct Reader<'a> {
    source: &'a str,
    markup: Markup,
    style: Style,
    /// Styles to go back to, one for each open element.
    outer: Vec<Style>,
    /// Line breaks that stand between what was written and what comes next.
    breaks: usize,
    /// Right behind a bullet: the item's first block needs no break.
    at_bullet: bool,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The links and images that are open.
    links: Vec<Link>,
    /// How often text was shown.
    texts: usize,
    /// For each open emphasis, its marks if they are text after all.
    literal: Vec<Option<&'a str>>,
    table: Option<Table>,
    /// Which code, quote or block comes next; only to tell neighbours apart.
    count: usize,
    /// Elements that are open.
    depth: usize,
    /// Up to where the source is shown.
    shown: usize,
}

/// A link or an image while its text is read.
struct Link {
    url: String,
    /// The address needs no words of its own.
    is_shown: bool,
    /// [`Reader::texts`] at its beginning.
    begun: usize,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Reader<'a> {
        Reader {
            source,
            markup: Markup::default(),
            style: Style::default(),
            outer: Vec::new(),
            breaks: 0,
            at_bullet: false,
            lists: Vec::new(),
            links: Vec::new(),
            texts: 0,
            literal: Vec::new(),
            table: None,
            count: 0,
            depth: 0,
            shown: 0,
        }
    }

    fn event(&mut self, event: Event<'a>, place: Range<usize>) {
        if self.depth == 0 {
            self.skipped(place.start);
            self.shown = place.end;
        }
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.outer.push(self.style);
                self.start(tag, place);
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                self.end(tag);
                self.style = self.outer.pop().unwrap_or_default();
            }
            Event::Text(text) => self.text(&text),
            Event::Code(code) => {
                let (mono, before) = (Mono::Code(self.next()), self.style);
                self.style.mono = self.style.mono.or(Some(mono));
                self.text(&code);
                self.style = before;
            }
            Event::InlineHtml(tag) if is_line_break(&tag) => self.text("\n"),
            Event::Html(html) | Event::InlineHtml(html) => self.text(&html),
            Event::SoftBreak | Event::HardBreak => self.text("\n"),
            Event::Rule => {
                self.block(place.start);
                self.text("———");
            }
            Event::TaskListMarker(done) => self.text(if done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text),
        }
    }

    fn start(&mut self, tag: Tag<'a>, place: Range<usize>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block(place.start),
            Tag::Heading { .. } => {
                self.block(place.start);
                self.breaks = self.breaks.max(if self.at_bullet { 0 } else { 2 });
                self.style.bold = true;
            }
            Tag::BlockQuote(_) => {
                self.block(place.start);
                let number = self.next();
                self.style.quote = self.style.quote.or(Some(number));
            }
            Tag::CodeBlock(kind) => self.code_block(kind, &place),
            Tag::List(first) => self.lists.push(first),
            Tag::Item => self.item(place.start),
            Tag::Table(alignments) => {
                self.block(place.start);
                self.table = Some(Table::new(alignments));
            }
            Tag::TableHead | Tag::TableRow => self.in_table(Table::begin_row),
            Tag::TableCell => self.in_table(Table::begin_cell),
            Tag::Emphasis => self.emphasis(&place, 1, |style| style.italic = true),
            Tag::Strong => self.emphasis(&place, 2, |style| style.bold = true),
            Tag::Strikethrough => self.style.strike = true,
            Tag::Link { link_type, dest_url, .. } => self.link(link_type, &dest_url),
            Tag::Image { dest_url, .. } => self.link(LinkType::Inline, &dest_url),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::HtmlBlock | TagEnd::Item => self.at_least_one_break(),
            TagEnd::BlockQuote(_) | TagEnd::CodeBlock => self.at_least_one_break(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.at_least_one_break();
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.style.mono = Some(self.markup.pre(None));
                    self.text(&table.lines());
                }
                self.at_least_one_break();
            }
            TagEnd::Emphasis | TagEnd::Strong => self.emphasis_ends(),
            TagEnd::Link | TagEnd::Image => {
                if let Some(link) = self.links.pop() {
                    self.link_ends(&link);
                }
            }
            _ => {}
        }
    }

    /// Shows text in the present style, behind the breaks that are due.
    fn text(&mut self, text: &str) {
        self.texts += 1;
        if let Some(table) = &mut self.table {
            table.push(text);
            return;
        }
        if text.is_empty() {
            return;
        }
        // A block of code ends with its last line, a message begins with its first.
        let (text, trailing) = match self.style.mono {
            Some(Mono::Pre(_)) => text.strip_suffix('\n').map_or((text, 0), |text| (text, 1)),
            _ => (text, 0),
        };
        if !self.markup.is_empty() && self.breaks > 0 {
            let (before, now) = (self.markup.last_style().unwrap_or_default(), self.style);
            let between = match (before.mono, now.mono) {
                (Some(Mono::Pre(last)), Some(Mono::Pre(next))) if last == next => now,
                _ => Style { quote: before.quote.filter(|quote| now.quote == Some(*quote)), ..Style::default() },
            };
            self.markup.push(&"\n".repeat(self.breaks), between);
        }
        self.breaks = trailing;
        self.at_bullet = false;
        self.markup.push(text, self.style);
    }

    /// A block begins: as many breaks before it as the source has, up to an empty line.
    fn block(&mut self, start: usize) {
        if !self.at_bullet {
            self.breaks = self.breaks.max(breaks_before(self.source, start)).min(2);
        }
    }

    fn at_least_one_break(&mut self) {
        if !self.at_bullet {
            self.breaks = self.breaks.max(1);
        }
    }

    fn item(&mut self, start: usize) {
        self.at_bullet = false;
        self.at_least_one_break();
        self.block(start);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(8));
        let bullet = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{indent}{}. ", *number - 1)
            }
            _ => format!("{indent}• "),
        };
        self.text(&bullet);
        self.at_bullet = true;
    }

    fn code_block(&mut self, kind: CodeBlockKind<'a>, place: &Range<usize>) {
        self.at_bullet = false;
        self.at_least_one_break();
        self.block(place.start);
        // An indented line of a model is rarely code: more often a list whose first level stands in another message.
        if let CodeBlockKind::Fenced(info) = kind {
            let language = language(&info);
            // Words that are no language, or have nothing below them, are what somebody wanted to say.
            let is_text = language.is_none() || !self.source[place.clone()].contains('\n');
            self.style.mono = Some(self.markup.pre(language));
            if is_text && !info.trim().is_empty() {
                self.text(&format!("{info}\n"));
            }
        }
    }

    fn in_table(&mut self, change: fn(&mut Table)) {
        if let Some(table) = &mut self.table {
            change(table);
        }
    }

    /// Marks with a letter or digit on both their outer sides, as in `2*3*4`, are text; those of `__init__` too.
    fn emphasis(&mut self, place: &Range<usize>, width: usize, change: fn(&mut Style)) {
        let source = self.source;
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && c < '\u{2E80}');
        let before = source[..place.start].chars().next_back();
        let is_joined = joins(before) && joins(source[place.end..].chars().next());
        let is_name =
            |text: &str| text.starts_with("__") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_text = is_joined || is_name(&source[place.clone()]);
        let marks = source.get(place.start..place.start + width).filter(|_| is_text);
        self.literal.push(marks);
        match marks {
            Some(marks) => self.text(marks),
            None => change(&mut self.style),
        }
    }

    fn emphasis_ends(&mut self) {
        if let Some(Some(marks)) = self.literal.pop() {
            self.text(marks);
        }
    }

    fn link(&mut self, kind: LinkType, url: &str) {
        let shows_itself = matches!(kind, LinkType::Autolink | LinkType::Email) || url.is_empty();
        let is_shown = shows_itself || self.style.link.is_some();
        let is_link = !is_shown && is_allowed(url) && self.table.is_none();
        if is_link {
            self.style.link = Some(self.markup.link(url));
        }
        self.links.push(Link { url: url.to_owned(), is_shown: is_shown || is_link, begun: self.texts });
    }

    /// An address stands behind its text where it cannot stand under it, and in its place where there is none.
    fn link_ends(&mut self, link: &Link) {
        if link.begun == self.texts {
            self.text(&link.url);
        } else if !link.is_shown {
            self.text(&format!(" ({})", link.url));
        }
    }

    /// What no event stands for between the blocks, such as definitions of links, is shown as it is.
    fn skipped(&mut self, start: usize) {
        let skipped = self.source.get(self.shown..start).unwrap_or_default();
        if !skipped.trim().is_empty() {
            let begins = self.shown + skipped.len() - skipped.trim_start().len();
            self.block(begins);
            self.at_least_one_break();
            self.text(skipped.trim());
            self.breaks = 1;
        }
    }

    fn next(&mut self) -> usize {
        self.count += 1;
        self.count
    }
}

/// Line breaks right before a place, also across the marks of quotes; two stand for an empty line.
fn breaks_before(source: &str, start: usize) -> usize {
    let before = source[..start].bytes().rev().take_while(|b| matches!(b, b'\n' | b'\r' | b' ' | b'\t' | b'>'));
    before.filter(|b| *b == b'\n').count().min(2)
}

fn is_line_break(tag: &str) -> bool {
    ["<br>", "<br/>", "<br />"].iter().any(|br| tag.eq_ignore_ascii_case(br))
}

/// Whether Telegram makes a link of an address.
fn is_allowed(url: &str) -> bool {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let known = ["http", "https", "tg", "mailto"].iter().any(|allowed| scheme.eq_ignore_ascii_case(allowed));
    known && url.len() <= MAX_URL_BYTES && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// The language behind a fence, where attributes may follow it but no other words.
pub(super) fn language(info: &CowStr<'_>) -> Option<String> {
    let word = info.split(|c: char| c.is_whitespace() || c == ',' || c == '{').next()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '.' | '_');
    let is_attribute = |word: &str| word.contains(['=', '{', '}', ':']);
    let is_language = !word.is_empty() && word.len() <= MAX_LANGUAGE_BYTES && word.chars().all(is_name);
    (is_language && info.split_whitespace().skip(1).all(is_attribute)).then(|| word.to_owned())
}
