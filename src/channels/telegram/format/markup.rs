//! Text with styles, and the HTML Telegram reads: tags are balanced and nested as it wants them because they are written
//! from the styles of each run, never copied from anywhere.

use std::fmt::Write;

/// Telegram keeps about a hundred entities of a message and ignores the rest or refuses it; what comes after is plain.
const MAX_ENTITIES: usize = 100;

/// How a run of text looks. Numbers tell neighbours of one kind apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// The quote it stands in. Quotes do not nest in Telegram: the outermost counts.
    pub(super) quote: Option<usize>,
    /// Where it leads, as a number in [`Markup::urls`].
    pub(super) link: Option<usize>,
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) strike: bool,
    pub(super) mono: Option<Mono>,
}

/// Text in a fixed width, which holds no other style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mono {
    /// A word or two in a line.
    Code(usize),
    /// A block; its language is in [`Markup::languages`].
    Pre(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Quote(usize),
    Link(usize),
    Mono(Mono),
    Bold,
    Italic,
    Strike,
}

impl Style {
    /// The tags around a run of this style, outermost first. Code takes no other style than a quote, and gives way to a
    /// link.
    fn tags(self) -> Vec<Tag> {
        let quote = self.quote.map(Tag::Quote);
        match (self.mono, self.link) {
            (Some(mono @ Mono::Pre(_)), _) | (Some(mono), None) => quote.into_iter().chain([Tag::Mono(mono)]).collect(),
            _ => {
                let looks = [(self.bold, Tag::Bold), (self.italic, Tag::Italic), (self.strike, Tag::Strike)];
                let looks = looks.into_iter().filter_map(|(on, tag)| on.then_some(tag));
                quote.into_iter().chain(self.link.map(Tag::Link)).chain(looks).collect()
            }
        }
    }
}

/// Runs of text in their order.
#[derive(Default)]
pub(super) struct Markup {
    runs: Vec<(String, Style)>,
    urls: Vec<String>,
    languages: Vec<Option<String>>,
}

impl Markup {
    /// Adds text; what is no text, such as control characters, is left out.
    pub(super) fn push(&mut self, text: &str, style: Style) {
        let shown = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
        match self.runs.last_mut() {
            Some((run, same)) if *same == style => run.extend(shown),
            _ => self.runs.push((shown.collect(), style)),
        }
    }

    /// A new link, for [`Style::link`].
    pub(super) fn link(&mut self, url: &str) -> usize {
        self.urls.push(url.to_owned());
        self.urls.len() - 1
    }

    /// A new block of code, for [`Style::mono`].
    pub(super) fn pre(&mut self, language: Option<String>) -> Mono {
        self.languages.push(language);
        Mono::Pre(self.languages.len() - 1)
    }

    pub(super) fn last_style(&self) -> Option<Style> {
        self.runs.last().map(|(_, style)| *style)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.iter().all(|(text, _)| text.is_empty())
    }

    /// What a reader sees, without any style.
    pub(super) fn text(&self) -> String {
        self.runs.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// The same as Telegram HTML.
    pub(super) fn html(&self) -> String {
        let mut html = String::new();
        let mut open: Vec<Tag> = Vec::new();
        let mut entities = 0;
        for (text, style) in self.runs.iter().filter(|(text, _)| !text.is_empty()) {
            let wanted = style.tags();
            let kept = open.iter().zip(&wanted).take_while(|(open, wanted)| open == wanted).count();
            self.close(&mut html, &mut open, kept);
            for tag in &wanted[kept..] {
                if entities < MAX_ENTITIES {
                    entities += 1;
                    self.open(&mut html, *tag);
                    open.push(*tag);
                }
            }
            escape(&mut html, text);
        }
        self.close(&mut html, &mut open, 0);
        html
    }

    fn open(&self, html: &mut String, tag: Tag) {
        match tag {
            Tag::Quote(_) => html.push_str("<blockquote>"),
            Tag::Link(number) => {
                html.push_str("<a href=\"");
                escape_attribute(html, &self.urls[number]);
                html.push_str("\">");
            }
            Tag::Mono(Mono::Code(_)) => html.push_str("<code>"),
            Tag::Mono(Mono::Pre(number)) => {
                html.push_str("<pre>");
                if let Some(language) = &self.languages[number] {
                    html.push_str("<code class=\"language-");
                    escape_attribute(html, language);
                    html.push_str("\">");
                }
            }
            Tag::Bold => html.push_str("<b>"),
            Tag::Italic => html.push_str("<i>"),
            Tag::Strike => html.push_str("<s>"),
        }
    }

    fn close(&self, html: &mut String, open: &mut Vec<Tag>, keep: usize) {
        while open.len() > keep {
            let Some(tag) = open.pop() else { return };
            let name = match tag {
                Tag::Quote(_) => "blockquote",
                Tag::Link(_) => "a",
                Tag::Mono(Mono::Code(_)) => "code",
                Tag::Mono(Mono::Pre(number)) if self.languages[number].is_some() => "code></pre",
                Tag::Mono(Mono::Pre(_)) => "pre",
                Tag::Bold => "b",
                Tag::Italic => "i",
                Tag::Strike => "s",
            };
            // A String takes everything.
            let _ = write!(html, "</{name}>");
        }
    }
}

/// Adds text as Telegram HTML: `<`, `>` and `&` are the only characters it wants escaped.
pub(super) fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            c => html.push(c),
        }
    }
}

fn escape_attribute(html: &mut String, text: &str) {
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            html.push_str("&quot;");
        }
        escape(html, part);
    }
}
