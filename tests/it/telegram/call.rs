//! One call of a bot: its method and parameters, whichever of the three encodings they came in.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

/// A call as it arrived, and how it was answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// 1 for the first call of all.
    pub number: usize,
    pub at: Instant,
    /// As the manual writes it (`sendMessage`), or `file` for a download.
    pub method: String,
    pub chat: Option<i64>,
    /// Decoded: objects and numbers are that, whether they came as JSON or as text in a form.
    pub params: Map<String, Value>,
    pub uploads: Vec<Upload>,
    pub answer: Answer,
}

/// A file that came with a call.
#[derive(Clone)]
pub struct Upload {
    pub field: String,
    pub file_name: String,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.field, self.file_name, self.bytes.len())
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Still worked on, or its connection was lost before.
    None,
    /// The result.
    Ok(Value),
    /// The code and the description.
    Refused(u16, String),
    /// The connection was closed, before or after the call was worked on.
    Dropped,
}

impl Call {
    /// Whether it was done.
    pub fn is_ok(&self) -> bool {
        matches!(self.answer, Answer::Ok(_))
    }

    /// A parameter as text; empty without it.
    pub fn text(&self, name: &str) -> String {
        match self.params.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// A parameter as a number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let value = self.params.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// Whether a parameter is set.
    pub fn flag(&self, name: &str) -> bool {
        ["true", "yes", "1"].contains(&self.text(name).to_lowercase().as_str())
    }

    /// A parameter that is an object or a list, unless it is missing or empty.
    pub fn json(&self, name: &str) -> Option<&Value> {
        self.params.get(name).filter(|value| value.is_object() || value.is_array())
    }

    /// Whether this call shows something new in a chat: what the flood limits count.
    pub fn is_counted(&self) -> bool {
        let shown = self.method.starts_with("send") || self.method.starts_with("edit");
        shown && !["sendChatAction", "sendMessageDraft"].contains(&self.method.as_str())
    }
}

/// The time from each of these calls to the next.
pub fn spacings(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).collect()
}

/// What a body holds.
#[derive(Debug, Default)]
pub struct Params {
    pub values: Map<String, Value>,
    pub uploads: Vec<Upload>,
}

/// Parameters whose text is no JSON, even when it looks like it.
const TEXTS: [&str; 14] = [
    "text",
    "caption",
    "parse_mode",
    "callback_query_id",
    "url",
    "secret_token",
    "language_code",
    "action",
    "file_id",
    "photo",
    "document",
    "description",
    "title",
    "file_path",
];

/// Reads a query and a body. `None` where the body is not what its type says.
pub fn decode(query: &str, content_type: &str, body: &[u8]) -> Option<Params> {
    let mut params = Params::default();
    params.read_form(query);
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind {
        "application/json" if body.is_empty() => {}
        "application/json" => match serde_json::from_slice(body).ok()? {
            Value::Object(values) => params.values.extend(values),
            _ => return None,
        },
        "application/x-www-form-urlencoded" => params.read_form(std::str::from_utf8(body).ok()?),
        "multipart/form-data" => {
            let boundary = content_type.split("boundary=").nth(1)?.split(';').next()?.trim_matches('"');
            params.read_parts(body, boundary)?;
        }
        _ => {}
    }
    params.values.retain(|_, value| !value.is_null());
    Some(params)
}

impl Params {
    fn insert(&mut self, name: String, text: String) {
        let json = || serde_json::from_str(&text).ok().filter(|_| !TEXTS.contains(&name.as_str()));
        let value = json().unwrap_or(Value::String(text.clone()));
        self.values.insert(name, value);
    }

    fn read_form(&mut self, form: &str) {
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.insert(unescape(&name.replace('+', " ")), unescape(&value.replace('+', " ")));
        }
    }

    fn read_parts(&mut self, body: &[u8], boundary: &str) -> Option<()> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter has no line break before it.
        let mut rest = body.strip_prefix(&delimiter[2..])?;
        while !rest.starts_with(b"--") {
            let end = find(rest, &delimiter)?;
            self.read_part(rest[..end].strip_prefix(b"\r\n")?)?;
            rest = &rest[end + delimiter.len()..];
        }
        Some(())
    }

    fn read_part(&mut self, part: &[u8]) -> Option<()> {
        let head_len = find(part, b"\r\n\r\n")?;
        let (head, content) = (String::from_utf8_lossy(&part[..head_len]), &part[head_len + 4..]);
        let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let attribute = |name: &str| {
            let (_, value) = disposition.split_once(&format!("; {name}=\""))?;
            Some(value.split('"').next().unwrap_or_default().to_owned())
        };
        let field = attribute("name")?;
        match attribute("filename") {
            Some(file_name) => self.uploads.push(Upload { field, file_name, bytes: content.to_vec() }),
            None => self.insert(field, String::from_utf8(content.to_vec()).ok()?),
        }
        Some(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Text of a URL without its `%XX`.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
