//! Alerts in the admins' chats, by the built program: told once in each one's language, with buttons that are obeyed once,
//! and told again under the same id when the program is killed before it was noted.

use std::time::Duration;

use super::bot::{Bot, config, until};
use super::{Chat, Message, Person};
use crate::providers::openai;

/// Admins, the language they choose, the word of a level, and the button that raises.
const ADMINS: [(i64, &str, &str, &str); 4] = [
    (301, "en", "used", "Raise"),
    (302, "es", "usado", "Ampliar"),
    (303, "pt", "usado", "Aumentar"),
    (304, "fr", "utilisé", "Relever"),
];

/// A day of five requests, of which four are 80 percent.
const FIVE_A_DAY: &str = "[[limits]]\nfor = { provider = \"cloud\" }\nrequests_per_day = 5\n";

async fn bot(limits: &str) -> Bot {
    let bot = Bot::new(openai::polite(&["m"], openai::chat(&["fine"], 20, 5)), "").await;
    let config = config(&bot.fake.url(), &bot.model.url(), limits);
    bot.home.configure(&config.replace("admins = [222]", "admins = [301, 302, 303, 304]"));
    bot
}

/// What the file of acts says so often.
fn acts_with(bot: &Bot, text: &str) -> usize {
    let acts = std::fs::read_to_string(bot.home.data().join("control.jsonl")).unwrap_or_default();
    acts.lines().filter(|act| act.contains(text)).count()
}

/// Asks a question and waits for its answer.
async fn asks(chat: &Chat, question: &str) {
    let asked = chat.says(question).message;
    chat.sees_after(asked, "fine").await;
}

/// The admins' chats, each in its language.
async fn admins(bot: &Bot) -> Vec<Chat> {
    let mut chats = Vec::new();
    for (id, lang, ..) in ADMINS {
        let chat = bot.fake.private(&Person::new(id, "Admin"));
        let asked = chat.says(&format!("/lang {lang}"));
        bot.fake.wait_until_confirmed(asked.update).await;
        chats.push(chat);
    }
    until(|| acts_with(bot, "\"language\"") >= 4).await;
    chats
}

/// The alerts with buttons that a chat was ever shown, as the data of their first button.
fn levels(chat: &Chat, button: &str) -> Vec<String> {
    chat.shows().iter().filter(|shown| shown.is_from_bot()).filter_map(|shown| shown.data_of(button)).collect()
}

async fn sees_level(chat: &Chat, button: &str, count: usize) -> Message {
    let newest = |shown: &[Message]| {
        let levels: Vec<_> = shown.iter().filter(|m| m.is_from_bot() && m.data_of(button).is_some()).collect();
        (levels.len() >= count).then(|| levels[levels.len() - 1].clone())
    };
    chat.wait_for(newest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn j9_every_admin_is_told_in_their_language_and_a_button_is_obeyed_once() {
    let bot = bot(FIVE_A_DAY).await;
    let app = bot.start().await;
    let (ana, admins) = (bot.chat(), admins(&bot).await);
    for question in ["one", "two", "three", "four"] {
        asks(&ana, question).await;
    }
    for (chat, (_, _, level, raise)) in admins.iter().zip(ADMINS) {
        let told = sees_level(chat, raise, 1).await;
        assert!(told.text.contains("80") && told.text.contains(level), "{}", told.text);
        assert_eq!(told.buttons()[0].len(), 3, "{:?}", told.buttons());
    }
    // Nobody but admins, whatever they send.
    let data = levels(&admins[0], "Raise").remove(0);
    let asked = ana.says("/id").message;
    let shown = ana.sees_after(asked, "111").await;
    assert_ne!(ana.toast(&ana.press_data(shown.id, &data)).await, "");
    assert_eq!(acts_with(&bot, "\"raise\""), 0);
    // The first to press raises; what the others still see is old.
    let screen = sees_level(&admins[1], "Ampliar", 1).await;
    assert_eq!(admins[1].toast(&admins[1].press("Ampliar")).await, "");
    let done = admins[1].sees("Ampliado").await;
    assert_eq!((done.id, done.buttons().len()), (screen.id, 0), "in place of the alert, without buttons");
    assert_ne!(admins[0].toast(&admins[0].press("Raise")).await, "");
    assert_ne!(admins[1].toast(&admins[1].press_data(screen.id, &data)).await, "", "pressed twice, obeyed once");
    assert_eq!((acts_with(&bot, "\"raise\""), acts_with(&bot, "\"more\":1")), (1, 1), "a fifth of five");
    // A button of an alert that never was.
    assert_ne!(admins[0].toast(&admins[0].press_data(screen.id, "t1:bm:0123456789abcdef")).await, "");
    assert_eq!(acts_with(&bot, "\"mute\""), 0);
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn j9_killed_before_it_was_noted_an_alert_comes_again_once_under_the_same_id() {
    let bot = bot(FIVE_A_DAY).await;
    let app = bot.start().await;
    let (ana, admins) = (bot.chat(), admins(&bot).await);
    for question in ["one", "two", "three", "four"] {
        asks(&ana, question).await;
    }
    sees_level(&admins[3], "Relever", 1).await;
    app.signal("KILL");
    tokio::task::block_in_place(|| app.wait());
    let noted = acts_with(&bot, "\"fired\"");
    for start in 0..3 {
        let app = bot.start().await;
        until(|| acts_with(&bot, "\"firing\"") > 0 && unconfirmed(&bot) == 0).await;
        // A look later there would be another one.
        let asked = ana.says("/id");
        bot.fake.wait_until_confirmed(asked.update).await;
        assert_eq!(app.stop().code(), Some(0), "start {start}");
    }
    for (chat, (.., raise)) in admins.iter().zip(ADMINS) {
        let told = levels(chat, raise);
        assert!((1..=2).contains(&told.len()), "{told:?}, {noted} were noted before the kill");
        assert!(told.iter().all(|data| *data == told[0]), "the same alert, whatever process told it: {told:?}");
    }
}

/// Alerts whose last act is that they fire.
fn unconfirmed(bot: &Bot) -> usize {
    let acts = std::fs::read_to_string(bot.home.data().join("control.jsonl")).unwrap_or_default();
    let mut firing = std::collections::BTreeSet::new();
    for act in acts.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let id = act["id"].as_str().unwrap_or_default().to_owned();
        match act["state"].as_str() {
            Some("firing") => drop(firing.insert(id)),
            Some("fired") => drop(firing.remove(&id)),
            _ => {}
        }
    }
    firing.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_who_blocked_the_bot_holds_no_alert_up() {
    let bot = bot(FIVE_A_DAY).await;
    let app = bot.start().await;
    let (ana, admins) = (bot.chat(), admins(&bot).await);
    admins[0].blocks_bot();
    for question in ["one", "two", "three", "four"] {
        asks(&ana, question).await;
    }
    sees_level(&admins[3], "Relever", 1).await;
    let is_told = async { until(|| acts_with(&bot, "\"fired\"") > 0 && unconfirmed(&bot) == 0).await };
    tokio::time::timeout(Duration::from_secs(15), is_told).await.expect("nobody waits for who does not listen");
    assert!(levels(&admins[0], "Raise").is_empty());
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_in_an_alert_are_about_whom_it_is_also_where_a_program_calls_people_by_numbers() {
    let bot = bot("[[limits]]\nfor = { user = \"*\" }\ntokens_per_day = 1000\n").await;
    let app = bot.start().await;
    let english = bot.fake.private(&Person::new(301, "Admin"));
    let call = r#"{"api_type":"openai","model":"m","prompt_tokens":960,"completion_tokens":0,"user":"111"}"#;
    let answer = tokio::task::block_in_place(|| app.ask("POST /v1/usage\nContent-Type: application/json", call));
    assert_eq!(answer.status(), 200, "{}", answer.body());
    let told = sees_level(&english, "Raise", 1).await;
    let offered = told.text.lines().find(|line| line.contains("/budget ")).expect("an order").to_owned();
    assert_eq!(offered, "/budget user:api:111 +20%", "111 is somebody else here");
    english.says(&offered);
    english.sees_after(told.id, "1,000 → 1,200").await;
    assert_eq!(app.stop().code(), Some(0));
}
