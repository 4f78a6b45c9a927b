//! The built-in demo model: a few canned words, the same for the same conversation, for trying tallybot without a model.
//!
//! It says what it is in the first reply of a conversation. Its counts are its own (four characters are a token), so
//! they are reported, and it runs here, so it is local.

use super::{ChatEvent, ChatRequest, Ending, Finish, ReportedUsage, Role};
use crate::templates::Lang;

/// The name of the only model.
pub const MODEL: &str = "demo";

const CHARS_PER_TOKEN: u64 = 4;

/// Its words, a line each: first what it says of itself, then what it says after that, in turn; the last two are about
/// one picture and about several.
fn words(lang: Lang) -> Vec<&'static str> {
    let words = match lang {
        Lang::En => include_str!("../../templates/en/demo.txt"),
        Lang::Es => include_str!("../../templates/es/demo.txt"),
        Lang::Pt => include_str!("../../templates/pt/demo.txt"),
        Lang::Fr => include_str!("../../templates/fr/demo.txt"),
    };
    words.lines().collect()
}

/// The whole answer to a conversation: its pieces, word by word, and its ending.
pub fn answer(request: &ChatRequest) -> (Vec<ChatEvent>, Ending) {
    let reply = &reply(request);
    let most_chars = request.max_output_tokens.map_or(u64::MAX, |tokens| tokens.saturating_mul(CHARS_PER_TOKEN));
    let end =
        reply.char_indices().nth(usize::try_from(most_chars).unwrap_or(usize::MAX)).map_or(reply.len(), |(at, _)| at);
    let said = &reply[..end];
    let prompt = request.messages.iter().map(|message| tokens(&message.content)).sum();
    let pieces: Vec<_> = said.split_inclusive(' ').map(|word| ChatEvent::Text(word.to_owned())).collect();
    let ending = Ending {
        finish: if end < reply.len() { Finish::Length } else { Finish::Stop },
        usage: ReportedUsage { prompt: Some(prompt), completion: Some(tokens(said)), ..ReportedUsage::default() },
        served_model: Some(MODEL.into()),
        service_tier: None,
        provider_request_id: None,
        http_status: 200,
        pieces: pieces.len() as u64,
        complete: true,
    };
    (pieces, ending)
}

/// The first reply says what it is; then a picture is answered with why it cannot be.
fn reply(request: &ChatRequest) -> String {
    let words = words(request.lang);
    let (talk, about_pictures) = words.split_at(words.len() - 2);
    let earlier_replies = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
    let pictures = match request.messages.last().map_or(0, |message| message.images().len()) {
        0 => None,
        1 => Some(about_pictures[0].to_owned()),
        several => Some(about_pictures[1].replace("{count}", &several.to_string())),
    };
    match (earlier_replies, pictures) {
        (0, None) => talk[0].to_owned(),
        (0, Some(pictures)) => format!("{} {pictures}", talk[0]),
        (_, Some(pictures)) => pictures,
        (n, None) => talk[1 + (n - 1) % (talk.len() - 1)].to_owned(),
    }
}

fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(CHARS_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ChatMessage, Image};

    fn answer_to(messages: &[(Role, &str)], max_output_tokens: Option<u64>) -> (String, Ending) {
        let messages = messages.iter().map(|&(role, content)| ChatMessage::new(role, content)).collect();
        let (events, ending) =
            answer(&ChatRequest { model: MODEL.to_owned(), messages, max_output_tokens, lang: Lang::En });
        let text = events.into_iter().map(|event| match event {
            ChatEvent::Text(text) | ChatEvent::Thinking(text) => text,
        });
        (text.collect(), ending)
    }

    #[test]
    fn the_first_reply_says_what_it_is_and_how_to_get_a_real_model() {
        let (text, ending) = answer_to(&[(Role::System, "Be kind."), (Role::User, "hello")], None);
        assert!(text.contains("demo model") && text.contains("Ollama") && text.contains("[[providers]]"));
        assert_eq!(ending.usage.prompt, Some(2 + 2));
        assert_eq!(ending.usage.completion, Some((text.len() as u64).div_ceil(4)));
        assert_eq!((ending.finish, ending.complete), (Finish::Stop, true));
    }

    #[test]
    fn later_replies_are_shorter_and_the_same_every_time() {
        let talk = [(Role::User, "hello"), (Role::Assistant, "…"), (Role::User, "and?")];
        assert_eq!(answer_to(&talk, None), answer_to(&talk, None));
        assert_eq!(answer_to(&talk, None).0, words(Lang::En)[1]);
    }

    #[test]
    fn it_says_that_it_sees_pictures_and_cannot_look_at_them() {
        let image = || Image::new(&b"\xff\xd8\xff\xe0SECRET"[..]).expect("a picture");
        let shown = |talk: &[(Role, &str)], count: usize| {
            let mut messages: Vec<_> = talk.iter().map(|&(role, content)| ChatMessage::new(role, content)).collect();
            let last = messages.pop().expect("a question");
            messages.push(last.with_images(vec![image(); count]).expect("few enough"));
            let request = ChatRequest { model: MODEL.to_owned(), messages, max_output_tokens: None, lang: Lang::En };
            let (events, ending) = answer(&request);
            assert!(!format!("{request:?}").contains("SECRET"));
            (events.len(), reply(&request), ending.usage.prompt)
        };
        let (_, first, prompt) = shown(&[(Role::User, "what is it?")], 1);
        assert!(first.starts_with(words(Lang::En)[0]) && first.ends_with(words(Lang::En)[4]), "{first}");
        assert_eq!(prompt, Some(3), "a picture it does not look at is no tokens");
        let (_, later, _) = shown(&[(Role::User, "hello"), (Role::Assistant, "…"), (Role::User, "")], 3);
        assert_eq!(later, words(Lang::En)[5].replace("{count}", "3"));
    }

    #[test]
    fn it_keeps_to_an_output_limit() {
        let (text, ending) = answer_to(&[(Role::User, "hello")], Some(3));
        assert_eq!((text.as_str(), ending.finish, ending.usage.completion), ("Hello! I am ", Finish::Length, Some(3)));
    }

    #[test]
    fn it_introduces_itself_in_every_language() {
        for lang in Lang::ALL {
            let said = words(lang);
            assert_eq!(said.len(), 6, "{lang}");
            assert!(said[5].contains("{count}") && !said[..5].concat().contains('{'), "{lang}");
            assert!(
                said[0].contains("Ollama") && said[0].contains("[[providers]]") && said[0].contains("/stats"),
                "{lang}"
            );
        }
    }
}
