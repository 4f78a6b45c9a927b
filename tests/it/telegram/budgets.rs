//! What people are told of budgets and costs by the built program, and what admins do to them.

use super::bot::{Bot, GROUP, config, root};
use super::{Chat, Message, Person};
use crate::providers::openai;

/// One request a day for each person.
const ONE_A_DAY: &str = "[[limits]]\nfor = { user = \"*\" }\nrequests_per_day = 1\n";

/// A bot with people of four languages and more lines of configuration.
pub(super) async fn bot_with(lines: &str) -> Bot {
    let bot = Bot::saying(&["Here you are."]).await;
    let people = "users = [111, 301, 302, 303, 304]";
    let config = config(&bot.fake.url(), &bot.model.url(), "").replace("users = [111]", people);
    bot.home.configure(&format!("{config}{lines}"));
    bot
}

/// Says something and waits for what the bot says to it.
pub(super) async fn told(chat: &Chat, text: &str) -> Message {
    let sent = chat.says(text);
    let answer = |shown: &[Message]| {
        shown.iter().find(|m| m.is_from_bot() && m.id > sent.message && m.markup.is_none() && m.text != "…").cloned()
    };
    chat.wait_for(answer).await
}

pub(super) fn holds(message: &Message, parts: &[&str]) {
    for part in parts {
        assert!(message.text.contains(part), "`{part}` is not in:\n{}", message.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_to_do_next_in_four_languages() {
    let bot = bot_with(ONE_A_DAY).await;
    let _app = bot.start().await;
    for (id, code, refused, own, ask, left) in [
        (
            301,
            "en",
            "Limit reached: 1 of 1 requests/day",
            "your own",
            "An admin can raise it",
            "0 of 1 requests/day left",
        ),
        (302, "es", "Límite alcanzado: 1 de 1 solicitudes/día", "el tuyo", "Un administrador", "quedan 0 de 1"),
        (303, "pt", "Limite atingido: 1 de 1 requisições/dia", "o seu", "Um administrador", "restam 0 de 1"),
        (
            304,
            "fr",
            "Limite atteinte\u{202f}: 1 sur 1 requêtes/jour",
            "la tienne",
            "Un administrateur",
            "il reste 0 sur 1",
        ),
    ] {
        let chat = bot.fake.private(&Person::new(id, "Somebody").speaking(code));
        chat.says("hi");
        let answer = chat.sees("Here you are.").await;
        chat.wait_for(|shown| shown.iter().find(|m| m.id == answer.id && m.markup.is_none()).map(drop)).await;
        let refusal = told(&chat, "and again").await;
        holds(&refusal, &[refused, own, ask, "/budget"]);
        assert!(!refusal.text.contains("user:"), "nobody is a hash: {}", refusal.text);
        holds(&told(&chat, "/budget").await, &["1/1"]);
        let cost = chat.replying_to(answer.id);
        holds(&told(&cost, "/cost").await, &["20", left]);
        holds(&told(&chat, "/budget team:sales $5").await, &["admin"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sets_a_budget_by_words_and_it_is_an_act() {
    let bot = bot_with(ONE_A_DAY).await;
    let app = bot.start().await;
    let root = bot.fake.private(&root().speaking("en"));
    holds(&told(&root, "/budget").await, &["user:*", "1 each", "/budget team:sales $5 day"]);
    holds(&told(&root, "/budget team:sales").await, &["no such budget yet", "/budget team:sales $5 day"]);
    let set = told(&root, "/budget team:sales $5 day").await;
    holds(&set, &["team:sales", "per day", "no limit → $5.00", "Nobody has used this name so far"]);
    holds(&told(&root, "/presupuesto equipo:sales 8 $ al día").await, &["$5.00 → $8.00"]);
    holds(&told(&root, "/budget user:111 +1").await, &["user:111", "1 → 2", "this period only", "not written"]);
    holds(&told(&root, "/budget team:sales $1,500 day").await, &["two ways", "For example: /budget"]);
    holds(&told(&root, "/budget provider:clod $5 day").await, &["clod", "cloud"]);
    holds(&told(&root, "/budget user:ana $5 day").await, &["ana", "/id"]);
    holds(&told(&root, "/budget team:sales resume").await, &["nothing to take back"]);
    assert_eq!(app.stop().code(), Some(0));
    let control = std::fs::read_to_string(bot.home.data().join("control.jsonl")).expect("it is there");
    let acts: Vec<&str> = control.lines().filter(|line| line.contains("\"budget\"")).collect();
    assert_eq!(acts.len(), 3, "{control}");
    for part in ["\"subject\":\"team:sales\"", "\"limit\":\"usd_per_day\"", "\"amount\":8000000000000", "\"by\":\""] {
        assert!(acts[1].contains(part), "{}", acts[1]);
    }
    assert!(acts[2].contains("\"change\":\"raise\"") && !acts[2].contains("111"), "{}", acts[2]);
    let _app = bot.start().await;
    holds(&told(&root, "/budget team:sales $9 day").await, &["$8.00 → $9.00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_changed_by_admins_in_private_and_shown_to_nobody_else() {
    let bot = bot_with(ONE_A_DAY).await;
    let _app = bot.start().await;
    let group = bot.fake.supergroup(GROUP, "Us", &root().speaking("en"));
    holds(&told(&group, "/budget team:sales $5 day").await, &["private"]);
    let screen = told(&group, "/budget").await;
    assert!(!screen.text.contains("user:") && !screen.text.contains("/1"), "{}", screen.text);
    let ana = bot.chat();
    holds(&told(&ana, "/budget user:222").await, &["admin"]);
    holds(&told(&ana, "/budget").await, &["Yours", "requests/day", "0/1", "1 left"]);
    let stats = told(&ana, "/help").await;
    holds(&told(&ana.replying_to(stats.id), "/cost").await, &["don’t remember"]);
}
