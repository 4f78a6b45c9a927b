//! Slack's incoming webhooks: the text for notifications, and the same as a block.

use serde_json::json;

/// A section takes 3,000 characters, entities counted as they are written.
const MAX_CHARS: usize = 2_990;

/// The JSON of a text.
pub(super) fn body(text: &str) -> Vec<u8> {
    let text = escaped(text);
    let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}});
    json!({"text": text, "blocks": [section], "unfurl_links": false}).to_string().into_bytes()
}

/// Slack reads `<…>` as links and mentions, and asks for three entities; what is too long is cut before one.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut room = MAX_CHARS;
    for c in text.chars() {
        let entity = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let width = entity.len().max(1);
        if width > room {
            out.push('…');
            break;
        }
        room -= width;
        if entity.is_empty() { out.push(c) } else { out.push_str(entity) }
    }
    out
}
