//! A model's name taken apart: publisher prefixes and dated snapshots. Knows no prices.

/// A model's name as callers and providers write it, and what it may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModelName<'a> {
    /// As written: `openai/gpt-4o-2024-08-06`.
    pub(super) whole: &'a str,
    /// Without prefixes that name a publisher or a collection: `gpt-4o-2024-08-06`.
    pub(super) bare: &'a str,
    /// The publisher among those prefixes: `openai`.
    pub(super) publisher: Option<&'a str>,
    /// The bare name without its date: `gpt-4o`.
    pub(super) family: Option<&'a str>,
}

impl<'a> ModelName<'a> {
    /// Takes a name apart. A prefix is only taken off when each of its parts is a collection or `is_publisher`.
    pub(super) fn read(whole: &'a str, is_publisher: impl Fn(&str) -> bool) -> ModelName<'a> {
        let mut name = ModelName { whole, bare: whole, publisher: None, family: None };
        if let Some((prefix, bare)) = whole.rsplit_once('/') {
            let collection = |part: &str| matches!(part, "models" | "publishers");
            if prefix.split('/').all(|part| collection(part) || is_publisher(part)) {
                name.bare = bare;
                name.publisher = prefix.split('/').find(|part| !collection(part));
            }
        }
        name.family = family(name.bare);
        name
    }
}

/// The name without a final `-2024-08-06`, `-20241022`, `@20241022`, `-latest` or `-001`.
fn family(name: &str) -> Option<&str> {
    let dated = |tail: &str| {
        let shape_fits = |shape: &str| {
            tail.len() == shape.len()
                && tail
                    .bytes()
                    .zip(shape.bytes())
                    .all(|(byte, shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
        };
        tail == "-latest"
            || shape_fits("-0000-00-00")
            || shape_fits("-00000000")
            || shape_fits("@00000000")
            || (shape_fits("-000") && tail.starts_with("-0"))
    };
    [11, 9, 7, 4].into_iter().find_map(|tail_bytes| {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(tail_bytes)?)?;
        (!head.is_empty() && dated(tail)).then_some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_taken_off_and_nothing_else() {
        for (name, expected) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-3-5-sonnet-20241022", Some("claude-3-5-sonnet")),
            ("claude-3-5-haiku-latest", Some("claude-3-5-haiku")),
            ("claude-opus-4-1@20250805", Some("claude-opus-4-1")),
            ("gemini-2.5-flash-001", Some("gemini-2.5-flash")),
            ("gpt-4o-mini", None),
            ("gpt-4-0613", None),
            ("gpt-4o-audio-preview", None),
            ("mistral-large-2512", None),
            ("model-123", None),
            ("-20241022", None),
            ("日本-20241022", Some("日本")),
            ("", None),
        ] {
            assert_eq!(family(name), expected, "{name}");
        }
    }

    #[test]
    fn only_known_prefixes_are_taken_off() {
        let read = |name| ModelName::read(name, |part| part == "google" || part == "openai");
        assert_eq!(
            (read("models/gemini-2.5-pro").bare, read("models/gemini-2.5-pro").publisher),
            ("gemini-2.5-pro", None)
        );
        let deep = read("publishers/google/models/gemini-2.5-pro");
        assert_eq!((deep.bare, deep.publisher), ("gemini-2.5-pro", Some("google")));
        assert_eq!(read("somebody/gpt-4o").bare, "somebody/gpt-4o");
    }
}
