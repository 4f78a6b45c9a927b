//! Telegram's HTML, read as Telegram reads it: the same few tags, the same refusals, offsets in UTF-16 units.
//!
//! What Telegram takes without a word although its manual forbids it (something inside code, a quote inside a quote, an
//! attribute nobody knows) is no refusal; it is listed in [`Formatted::oddities`].

use serde_json::{Value, json};

/// Text as people see it, and what is marked in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Formatted {
    pub text: String,
    /// `MessageEntity` objects, in the order of their start.
    pub entities: Vec<Value>,
    pub oddities: Vec<String>,
}

/// Beyond these, Telegram drops entities without a word.
const MAX_ENTITIES: usize = 100;

/// The type of the entity a tag makes. `span`, `code` and `blockquote` depend on their attributes too.
fn entity_of(tag: &str) -> Option<&'static str> {
    Some(match tag {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "span" | "tg-spoiler" => "spoiler",
        "a" => "text_link",
        "code" => "code",
        "pre" => "pre",
        "blockquote" => "blockquote",
        "tg-emoji" => "custom_emoji",
        "tg-time" => "date_time",
        _ => return None,
    })
}

/// The one attribute of a tag that means something.
fn attribute_of(tag: &str) -> &'static [&'static str] {
    match tag {
        "a" => &["href"],
        "code" | "span" => &["class"],
        "blockquote" => &["expandable"],
        "tg-emoji" => &["emoji-id"],
        "tg-time" => &["unix", "format"],
        _ => &[],
    }
}

struct Open {
    tag: String,
    attributes: Vec<(String, String)>,
    /// Where its text starts, in UTF-16 units.
    offset: usize,
}

struct Parser<'a> {
    html: &'a str,
    at: usize,
    out: Formatted,
    /// The length of the text so far, in UTF-16 units.
    offset: usize,
    open: Vec<Open>,
}

/// Reads HTML; the error is what follows `can't parse entities: `.
pub fn parse(html: &str) -> Result<Formatted, String> {
    let mut parser = Parser { html, at: 0, out: Formatted::default(), offset: 0, open: Vec::new() };
    while let Some(c) = parser.peek() {
        match c {
            '<' if parser.html[parser.at + 1..].starts_with('/') => parser.end_tag()?,
            '<' => parser.start_tag()?,
            '&' => {
                let c = parser.reference(true)?;
                parser.push(c);
            }
            c => {
                parser.at += c.len_utf8();
                parser.push(c);
            }
        }
    }
    if let Some(open) = parser.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.tag));
    }
    let mut out = parser.out;
    // A language is of use to a block only.
    for code in out.entities.iter_mut().filter(|entity| entity["type"] == "code") {
        code.as_object_mut().expect("made as an object").remove("language");
    }
    out.entities.sort_by_key(|entity| (entity["offset"].as_u64(), std::cmp::Reverse(entity["length"].as_u64())));
    if out.entities.len() > MAX_ENTITIES {
        out.oddities.push(format!("{} entities: only {MAX_ENTITIES} are kept", out.entities.len()));
    }
    Ok(out)
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.html[self.at..].chars().next()
    }

    fn push(&mut self, c: char) {
        self.out.text.push(c);
        self.offset += c.len_utf16();
    }

    /// Takes characters while they are wanted.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let rest = &self.html[self.at..];
        let len = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += len;
        rest[..len].to_owned()
    }

    fn odd(&mut self, what: String) {
        self.out.oddities.push(what);
    }

    /// A character reference, or the `&` itself where there is none that Telegram knows.
    fn reference(&mut self, in_text: bool) -> Result<char, String> {
        let rest = &self.html[self.at + 1..];
        let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')];
        let name_len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(rest.len());
        let name = &rest[..name_len];
        let number = match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => digits.parse().ok(),
            },
            None => known.iter().find(|(known, _)| *known == name).map(|(_, c)| u32::from(*c)),
        };
        let Some(number) = number.filter(|number| (1..=0x10_ffff).contains(number)) else {
            if in_text {
                self.odd(format!(
                    "`&{}` stands in the text as it is: write `&amp;`",
                    rest.chars().take(8).collect::<String>()
                ));
            }
            self.at += 1;
            return Ok('&');
        };
        self.at += 1 + name_len + usize::from(rest[name_len..].starts_with(';'));
        char::from_u32(number).ok_or_else(|| {
            "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units"
                .to_owned()
        })
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let start = self.at;
        self.at += 1;
        let tag = self.take(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        if self.peek().is_none() {
            return Err(format!("Unclosed start tag at byte offset {start}"));
        }
        let Some(entity) = entity_of(&tag) else {
            return Err(format!("Unsupported start tag \"{tag}\" at byte offset {start}"));
        };
        let attributes = self.attributes(&tag, start)?;
        let class = attributes.iter().find(|(name, _)| name == "class").map(|(_, value)| value.as_str());
        if tag == "span" && class != Some("tg-spoiler") {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {start}"));
        }
        for parent in self.open.iter().map(|open| open.tag.clone()).collect::<Vec<_>>() {
            let is_code_block = [parent.as_str(), tag.as_str()] == ["pre", "code"];
            if ["code", "pre"].contains(&parent.as_str()) && !is_code_block {
                self.odd(format!("<{tag}> inside <{parent}>: code holds nothing else"));
            }
            if parent == "blockquote" && entity == "blockquote" {
                self.odd("a quote inside a quote".to_owned());
            }
        }
        self.open.push(Open { tag, attributes, offset: self.offset });
        Ok(())
    }

    /// What stands between the name of a tag and its `>`, which is taken too.
    fn attributes(&mut self, tag: &str, start: usize) -> Result<Vec<(String, String)>, String> {
        let mut attributes = Vec::new();
        loop {
            self.take(|c| c.is_ascii_whitespace());
            match self.peek() {
                None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {start}")),
                Some('>') => {
                    self.at += 1;
                    return Ok(attributes);
                }
                Some(_) => {}
            }
            let name = self.take(|c| !c.is_ascii_whitespace() && !"=>/\"'".contains(c)).to_ascii_lowercase();
            if name.is_empty() {
                return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {start}"));
            }
            if !attribute_of(tag).contains(&name.as_str()) {
                self.odd(format!("<{tag} {name}>: an attribute nobody reads"));
            }
            self.take(|c| c.is_ascii_whitespace());
            let value = match self.peek() {
                None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {start}")),
                Some('=') => {
                    self.at += 1;
                    self.value(tag, start)?
                }
                Some(_) => String::new(),
            };
            attributes.push((name, value));
        }
    }

    fn value(&mut self, tag: &str, start: usize) -> Result<String, String> {
        self.take(|c| c.is_ascii_whitespace());
        let Some(quote) = self.peek() else {
            return Err(format!("Unclosed start tag \"{tag}\" at byte offset {start}"));
        };
        let unclosed = format!("Unclosed start tag at byte offset {start}");
        if quote != '"' && quote != '\'' {
            let token_start = self.at;
            let value = self.take(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-').to_ascii_lowercase();
            return match self.peek() {
                Some(c) if c.is_ascii_whitespace() || c == '>' => Ok(value),
                _ => Err(format!("Unexpected end of name token at byte offset {token_start}")),
            };
        }
        self.at += 1;
        let mut value = String::new();
        loop {
            match self.peek() {
                None => return Err(unclosed),
                Some('&') => value.push(self.reference(false)?),
                Some(c) => {
                    self.at += c.len_utf8();
                    if c == quote {
                        break;
                    }
                    value.push(c);
                }
            }
        }
        if self.peek().is_none() { Err(unclosed) } else { Ok(value) }
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let start = self.at;
        let Some(open) = self.open.pop() else { return Err(format!("Unexpected end tag at byte offset {start}")) };
        self.at += 2;
        let tag = self.take(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        self.take(|c| c.is_ascii_whitespace());
        if self.peek() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {start}"));
        }
        self.at += 1;
        if !tag.is_empty() && tag != open.tag {
            let expected = open.tag;
            return Err(format!(
                "Unmatched end tag at byte offset {start}, expected \"</{expected}>\", found \"</{tag}>\""
            ));
        }
        if self.offset > open.offset {
            self.close(&open)?;
        }
        Ok(())
    }

    /// Adds the entity of a tag that holds text.
    fn close(&mut self, open: &Open) -> Result<(), String> {
        let attribute =
            |name: &str| open.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let (offset, length) = (open.offset, self.offset - open.offset);
        let mut entity = json!({"type": entity_of(&open.tag), "offset": offset, "length": length});
        match open.tag.as_str() {
            "a" => match attribute("href").as_deref().and_then(link) {
                Some(url) => entity["url"] = url.into(),
                None => {
                    self.odd("<a> without an address: plain text".to_owned());
                    return Ok(());
                }
            },
            "blockquote" if attribute("expandable").is_some() => entity["type"] = "expandable_blockquote".into(),
            "tg-emoji" => {
                match attribute("emoji-id").filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())) {
                    Some(id) => entity["custom_emoji_id"] = id.into(),
                    None => return Err("Invalid custom emoji identifier specified".to_owned()),
                }
            }
            "tg-time" => match attribute("unix").and_then(|unix| unix.parse::<i64>().ok()) {
                Some(unix) => {
                    entity["unix_time"] = unix.into();
                    entity["date_time_format"] = attribute("format").unwrap_or_default().into();
                }
                None => return Err("Invalid date-time specified".to_owned()),
            },
            "code" => {
                if let Some(language) =
                    attribute("class").and_then(|class| Some(class.strip_prefix("language-")?.to_owned()))
                {
                    entity["language"] = language.into();
                }
            }
            "pre" => {
                // `<pre><code class="language-x">` is one block with a language.
                let inner =
                    self.out.entities.last().filter(|inner| {
                        inner["type"] == "code" && inner["offset"] == offset && inner["length"] == length
                    });
                if let Some(language) = inner.and_then(|inner| inner.get("language").cloned()) {
                    self.out.entities.pop();
                    entity["language"] = language;
                }
            }
            _ => {}
        }
        self.out.entities.push(entity);
        Ok(())
    }
}

/// An address as Telegram keeps it; `None` for what it does not take for one.
fn link(href: &str) -> Option<String> {
    let (scheme, rest) = href.split_once("://").unwrap_or(("http", href));
    if !["http", "https", "tg", "ton"].contains(&scheme) {
        return None;
    }
    let host = rest.split(['/', '?', '#']).next()?;
    if scheme.starts_with("http") && (!host.contains('.') || host.contains(char::is_whitespace)) {
        return None;
    }
    let slash = if rest.len() == host.len() && scheme.starts_with("http") { "/" } else { "" };
    Some(format!("{scheme}://{rest}{slash}"))
}

impl Formatted {
    /// Text without any mark.
    pub fn plain(text: &str) -> Formatted {
        Formatted { text: text.to_owned(), ..Formatted::default() }
    }

    /// As it is kept: without white space around it.
    pub fn trimmed(mut self) -> Formatted {
        let lead: usize = self.text.chars().take_while(|c| c.is_whitespace()).map(char::len_utf16).sum();
        let text = self.text.trim().to_owned();
        let end = text.encode_utf16().count();
        for entity in &mut self.entities {
            let number = |name: &str| entity[name].as_u64().unwrap_or(0) as usize;
            let (from, to) = (number("offset"), number("offset") + number("length"));
            let (from, to) = (from.saturating_sub(lead).min(end), to.saturating_sub(lead).min(end));
            (entity["offset"], entity["length"]) = (from.into(), (to - from).into());
        }
        self.entities.retain(|entity| entity["length"] != 0);
        Formatted { text, ..self }
    }
}
