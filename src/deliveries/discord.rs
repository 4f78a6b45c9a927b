//! Discord's webhooks: one text, which mentions nobody.

use serde_json::json;

use super::parcel::cut;

/// A message holds so many characters.
const MAX_CHARS: usize = 2_000;

/// The JSON of a text.
pub(super) fn body(text: &str) -> Vec<u8> {
    let content = cut(&escaped(text), MAX_CHARS);
    // 4: links are not shown with what they lead to.
    json!({"content": content, "allowed_mentions": {"parse": []}, "flags": 4}).to_string().into_bytes()
}

/// Names of models hold `_` and `*`, which Discord would take for markup. Code in the text stays code.
fn escaped(text: &str) -> String {
    let mut is_code = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '`' {
            is_code = !is_code;
        } else if !is_code && matches!(c, '*' | '_' | '~' | '|' | '>' | '#' | '\\' | '[' | '<') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
