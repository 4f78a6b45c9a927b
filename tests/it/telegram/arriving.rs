//! How updates reach the built program, and what becomes of them when something goes wrong.

use std::time::Duration;

use super::bot::{Bot, GROUP, ana, config, until};
use super::{Effect, FakeApi, Fault, spacings};
use crate::providers::openai;

/// A bot whose model shows the beginning of an answer and keeps its end back.
async fn bot_that_stops_in_the_middle() -> Bot {
    let held = openai::chat(&["The beginning of an answer that is long enough to show. ", "Its end."], 20, 5);
    Bot::new(openai::polite(&["m"], held.hold_before(3)), "").await
}

fn asked(bot: &Bot) -> usize {
    bot.model.hits().iter().filter(|hit| hit.method == "POST").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_poller_is_explained_once_and_waited_out() {
    let bot = Bot::saying(&["Here I am"]).await;
    bot.fake.fault(Fault::on("getUpdates", Effect::conflict()).times(2));
    let app = tokio::task::block_in_place(|| bot.home.serve());
    bot.fake.wait_for_calls("getUpdates", 2).await;
    let ana = bot.chat();
    ana.says("hi");
    ana.sees("Here I am").await;
    app.signal("TERM");
    let said = tokio::task::block_in_place(|| app.wait()).err;
    let log = said + &std::fs::read_to_string(bot.home.data().join("token_debug.log")).expect("a log");
    assert_eq!(log.matches("another program polls with this token").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_network_waits_for_it() {
    let bot = Bot::saying(&["Back"]).await;
    bot.fake.fault(Fault::on("getMe", Effect::DropBefore).times(2));
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("hi");
    ana.sees("Back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_telegram_asks_for_is_kept_at_the_start_too() {
    let bot = Bot::saying(&["Here"]).await;
    bot.fake.fault(Fault::on("getMe", Effect::retry_after(3)));
    bot.fake.fault(Fault::on("setMyCommands", Effect::retry_after(2)).after(1));
    let _app = bot.start().await;
    assert!(spacings(&bot.fake.calls_of("getMe"))[0] >= Duration::from_secs(3));
    // For everybody and for one admin: each in four languages and for all others. One of these was refused at first.
    bot.fake.wait_for_calls("setMyCommands", 11).await;
    assert!(spacings(&bot.fake.calls_of("setMyCommands"))[1] >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_ends_the_channel_and_not_the_service() {
    let bot = Bot::saying(&["?"]).await;
    let home = crate::running::Home::new(&config(&bot.fake.url(), &bot.model.url(), ""))
        .with_env("TELOXIDE_TOKEN", "7000000001:AAWrong-token_of-a-test-bot_012345678")
        .with_env("KEY", "sk-0123456789-0123456789");
    let app = tokio::task::block_in_place(|| home.serve());
    let log = home.data().join("token_debug.log");
    let told = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("does not know this token"));
    until(told).await;
    assert_eq!(app.ask("GET /health", "").status(), 200);
    assert!(!std::fs::read_to_string(&log).expect("a log").contains("AAWrong"));
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_comes_twice_is_answered_once() {
    let bot = Bot::saying(&["Once"]).await;
    let app = bot.start().await;
    let ana = bot.chat();
    let sent = ana.says("hi");
    ana.sees("Once").await;
    bot.fake.deliver_again(sent.update);
    let other = ana.says("/id");
    ana.sees("111").await;
    bot.fake.wait_until_confirmed(other.update).await;
    app.stop();
    let _again = bot.start().await;
    bot.fake.deliver_again(sent.update);
    let last = ana.says("/id");
    bot.fake.wait_until_confirmed(last.update).await;
    ana.wait_for(|shown| (shown.iter().filter(|m| m.is_from_bot()).count() == 3).then_some(())).await;
    assert_eq!(asked(&bot), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_answers_it_apologises_once_and_asks_no_model_again() {
    let bot = bot_that_stops_in_the_middle().await;
    let app = bot.start().await;
    let ana = bot.chat();
    let sent = ana.says("tell me");
    ana.sees("The beginning").await;
    bot.fake.wait_until_confirmed(sent.update).await;
    app.signal("KILL");
    tokio::task::block_in_place(|| app.wait());
    for _ in 0..2 {
        let again = bot.start().await;
        let apology = ana.sees("restarted").await;
        assert_eq!(apology.reply_to, Some(sent.message));
        let last = ana.says("/id");
        bot.fake.wait_until_confirmed(last.update).await;
        ana.sees_after(last.message, "111").await;
        again.stop();
    }
    assert_eq!(ana.reads().iter().filter(|text| text.contains("restarted")).count(), 1);
    assert_eq!(asked(&bot), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_last_edit_there_is_nothing_to_apologise_for() {
    let bot = bot_that_stops_in_the_middle().await;
    let app = bot.start().await;
    let ana = bot.chat();
    bot.fake.fault(Fault::on("editMessageText", Effect::DropAfter).always());
    ana.says("tell me");
    ana.sees("The beginning").await;
    bot.model.release();
    ana.wait_for(|shown| shown.iter().find(|m| m.is_from_bot() && m.markup.is_none()).cloned()).await;
    app.signal("KILL");
    tokio::task::block_in_place(|| app.wait());
    bot.fake.no_more_faults();
    let _again = bot.start().await;
    bot.fake.wait_for_calls("editMessageReplyMarkup", 1).await;
    let last = ana.says("/id");
    bot.fake.wait_until_confirmed(last.update).await;
    ana.sees_after(last.message, "111").await;
    assert_eq!(ana.reads().len(), 2, "{:?}", ana.reads());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_takes_updates_with_the_secret_only() {
    let bot = Bot::saying(&["By post"]).await;
    let telegram = "webhook_url = \"https://bot.example.com/telegram/hook\"";
    bot.home.configure(&config(&bot.fake.url(), &bot.model.url(), telegram));
    let app = tokio::task::block_in_place(|| bot.home.serve());
    bot.fake.host("bot.example.com", ([127, 0, 0, 1], app.port()).into());
    let ana = bot.chat();
    ana.says("hi");
    ana.sees("By post").await;
    let webhook = bot.fake.webhook().expect("it was set");
    assert!(webhook.secret.as_ref().is_some_and(|secret| secret.len() >= 32));
    let post = |secret: &str| {
        let head = format!("POST /telegram/hook\nx-telegram-bot-api-secret-token: {secret}");
        app.ask(&head, "{\"update_id\":1}").status()
    };
    assert_eq!((post("wrong"), post("")), (401, 401));
    assert_eq!(post(&webhook.secret.expect("seen")), 200);
    assert_eq!(app.ask("GET /telegram/hook", "").status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_blocks_the_bot_is_not_answered_any_more() {
    let bot = bot_that_stops_in_the_middle().await;
    let app = bot.start().await;
    let ana = bot.chat();
    ana.says("tell me");
    ana.sees("The beginning").await;
    ana.blocks_bot();
    let cancelled = || bot.statuses() == ["cancelled"];
    until(cancelled).await;
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_throws_the_bot_out_of_a_group_stops_the_answers_there() {
    let bot = bot_that_stops_in_the_middle().await;
    let app = bot.start().await;
    let group = bot.fake.supergroup(GROUP, "Us", &ana());
    group.says("@fake_tallybot tell us");
    group.sees("The beginning").await;
    group.blocks_bot();
    until(|| bot.statuses() == ["cancelled"]).await;
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_closed_closes_no_other() {
    let bot = bot_that_stops_in_the_middle().await;
    let app = bot.start().await;
    let forum = bot.fake.forum(GROUP, "Forum", &[7, 9], &ana());
    let (closing, open) = (forum.in_topic(7), forum.in_topic(9));
    open.says("@fake_tallybot tell us");
    open.sees("The beginning").await;
    bot.fake.fault(Fault::on("sendMessage", Effect::bad("TOPIC_CLOSED")).to(GROUP));
    let sent = bot.fake.calls_of("sendMessage").len();
    closing.says("/id");
    bot.fake.wait_for_calls("sendMessage", sent + 1).await;
    bot.model.release();
    open.sees("Its end.").await;
    until(|| bot.statuses() == ["ok"]).await;
    assert!(closing.shows().iter().all(|message| !message.is_from_bot()));
    // Whoever speaks there again is answered.
    closing.says("/id");
    closing.sees("111").await;
    assert_eq!(app.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_becomes_a_supergroup_goes_on() {
    let bot = Bot::saying(&["Still here"]).await;
    let _app = bot.start().await;
    let group = bot.fake.group(GROUP, "Us", &ana());
    group.says("@fake_tallybot hi");
    group.sees("Still here").await;
    let upgraded = bot.fake.upgrade(&group, -1_001_999);
    let asked = upgraded.says("@fake_tallybot hi again");
    upgraded.wait_for(|shown| shown.iter().find(|m| m.reply_to == Some(asked.message)).cloned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_sends_what_is_left() {
    let slow = openai::chat(&["The last words"], 20, 5).after(Duration::from_millis(800));
    let bot = Bot::new(openai::polite(&["m"], slow), "").await;
    let app = bot.start().await;
    let ana = bot.chat();
    ana.says("hi");
    bot.fake.wait_for_calls("sendChatAction", 1).await;
    assert_eq!(tokio::task::block_in_place(|| app.stop()).code(), Some(0));
    assert_eq!(ana.reads(), ["The last words"]);
    assert_eq!(bot.statuses(), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere() {
    let bot = Bot::saying(&["ok"]).await;
    bot.fake.fault(Fault::on("sendMessage", Effect::DropBefore).times(2));
    bot.fake.fault(Fault::on("getUpdates", Effect::server_error(502)));
    let app = bot.start().await;
    let ana = bot.chat();
    ana.says("hi");
    ana.sees("ok").await;
    let ended = app.stop();
    let secret = FakeApi::TOKEN.split(':').nth(1).expect("two parts");
    assert!(!ended.err.contains(secret));
    for (path, content) in bot.home.written() {
        assert!(!String::from_utf8_lossy(&content).contains(secret), "{path:?}");
    }
}
