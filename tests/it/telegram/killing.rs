//! Killed with -9 at random moments while several people write: each message is answered or apologised for once, and no
//! model is asked twice about one.
//!
//! For 500 rounds: `TALLYBOT_KILL_ROUNDS=500 cargo test --locked --test it telegram::killing -- --nocapture`
//! A failure prints its seed; `TALLYBOT_KILL_SEED` sets it.

use std::collections::BTreeMap;
use std::time::Duration;

use tallybot::app::random;

use super::bot::config;
use super::{Chat, FakeApi, Message, Person, Sent};
use crate::kill::{Chance, number};
use crate::providers::{Hit, Reply, ScriptedProvider, Step, openai};
use crate::running::Home;

const DEFAULT_ROUNDS: u64 = 12;
const PEOPLE: i64 = 6;

/// After so many restarts what is neither answered nor apologised for is lost.
const MANY_ROUNDS: u64 = 20;

/// What the model is asked in a call; empty for what is no call.
fn question(hit: &Hit) -> String {
    if hit.method == "GET" {
        return String::new();
    }
    let messages = hit.json()["messages"].clone();
    let last = messages.as_array().and_then(|all| all.last()).map(|last| last["content"].clone());
    last.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Says the question again and then `the end`: at once, or long enough later for a frame before it.
fn echo(hit: &Hit) -> Reply {
    let question = question(hit);
    if question.is_empty() {
        return openai::polite(&["m"], Reply::default())(hit);
    }
    let mut reply =
        openai::chat(&[&format!("You said {question}, and that is all there is to it: "), "the end."], 20, 5);
    if question.ends_with('7') {
        reply.steps.insert(3, Step::Wait(Duration::from_millis(1_100)));
    }
    reply
}

/// What a person wrote, and how it ended so far.
struct Written {
    round: u64,
    chat: usize,
    text: String,
    sent: Sent,
}

impl Written {
    fn is_answer(&self, shown: &Message) -> bool {
        let mine = format!("You said {},", self.text);
        let whole = shown.text.contains(&mine) && shown.text.ends_with("the end.") && shown.markup.is_none();
        shown.is_from_bot() && (whole || self.text.starts_with('/') && shown.text.contains(&format!("{}.", self.text)))
    }

    fn is_apology(&self, shown: &Message) -> bool {
        shown.is_from_bot() && shown.reply_to == Some(self.sent.message) && shown.text.contains("restarted")
    }

    fn outcomes(&self, shown: &[Message]) -> (usize, usize) {
        let answers = shown.iter().filter(|shown| self.is_answer(shown)).count();
        (answers, shown.iter().filter(|shown| self.is_apology(shown)).count())
    }

    fn is_settled(&self, shown: &[Message]) -> bool {
        self.outcomes(shown) != (0, 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_each_update_is_answered_or_apologised_for_once() {
    let seed = number("TALLYBOT_KILL_SEED", u64::from_le_bytes(random()[..8].try_into().expect("eight bytes")));
    let rounds = number("TALLYBOT_KILL_ROUNDS", DEFAULT_ROUNDS);
    println!("seed: TALLYBOT_KILL_SEED={seed}");
    let mut chance = Chance(seed);
    let fake = FakeApi::start().await;
    let model = ScriptedProvider::start(echo).await;
    let users: Vec<i64> = (1_001..=1_000 + PEOPLE).collect();
    let config = config(&fake.url(), &model.url(), "").replace("users = [111]", &format!("users = {users:?}"));
    let home =
        Home::new(&config).with_env("TELOXIDE_TOKEN", FakeApi::TOKEN).with_env("KEY", "sk-0123456789-0123456789");
    let chats: Vec<Chat> = users.iter().map(|id| fake.private(&Person::new(*id, "Somebody"))).collect();
    let (mut open, mut settled, mut number) = (Vec::<Written>::new(), Vec::new(), 0);
    for round in 0..rounds {
        let app = tokio::task::block_in_place(|| home.serve());
        let (now_settled, still_open) =
            open.into_iter().partition(|written: &Written| written.is_settled(&chats[written.chat].shows()));
        settled.extend::<Vec<Written>>(now_settled);
        open = still_open;
        if let Some(lost) = open.iter().find(|written| written.round + MANY_ROUNDS < round) {
            let shown = chats[lost.chat].shows();
            let inbox = std::fs::read_to_string(home.data().join("telegram.inbox")).expect("the inbox");
            let of_lost = inbox.lines().filter(|line| line.contains(&format!(" {} ", lost.sent.update)));
            let last = &shown[shown.len().saturating_sub(6)..];
            panic!("`{}` is lost; {last:#?}; the inbox: {:?}", lost.text, of_lost.collect::<Vec<_>>());
        }
        for (index, chat) in chats.iter().enumerate() {
            // Nobody writes again before they heard something.
            if open.iter().any(|written| written.chat == index) {
                continue;
            }
            number += 1;
            let text = if chance.below(4) == 0 { format!("/zq{number}") } else { format!("q{number}") };
            let sent = chat.says(&text);
            open.push(Written { round, chat: index, text, sent });
        }
        tokio::time::sleep(Duration::from_micros(chance.below(900_000))).await;
        app.signal("KILL");
        tokio::task::block_in_place(|| app.wait());
    }
    let app = tokio::task::block_in_place(|| home.serve());
    for written in &open {
        chats[written.chat].wait_for(|shown| written.is_settled(shown).then_some(())).await;
    }
    assert_eq!(app.stop().code(), Some(0));
    settled.extend(open);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for hit in model.hits() {
        *asked.entry(question(&hit)).or_default() += 1;
    }
    let (mut answered, mut apologised) = (0, 0);
    for written in &settled {
        let shown = chats[written.chat].shows();
        let (answers, apologies) = written.outcomes(&shown);
        assert_eq!(
            answers + apologies,
            1,
            "`{}`: {answers} answers and {apologies} apologies; {shown:#?}",
            written.text
        );
        let calls = asked.get(&written.text).copied().unwrap_or_default();
        assert!(calls <= 1, "`{}`: {calls} calls of the model", written.text);
        (answered, apologised) = (answered + answers, apologised + apologies);
    }
    println!("{rounds} kills, {number} messages: {answered} answered, {apologised} apologised for, 0 twice, 0 lost");
}
