//! What people see of the built program: answers that grow, long ones, buttons, groups, strangers.

use std::time::Duration;

use super::bot::{Bot, GROUP, ana, root};
use super::self_tests::png;
use super::{Effect, Fault, Person, spacings};
use crate::providers::{Reply, openai};

/// A piece of an answer, then a pause, and so on.
fn slowly(pieces: &[&str], pause: Duration) -> Reply {
    let mut reply = openai::chat(pieces, 20, 5);
    let steps = std::mem::take(&mut reply.steps);
    reply.steps = steps.into_iter().flat_map(|step| [step, crate::providers::Step::Wait(pause)]).collect();
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_one_message_with_its_form_and_one_record() {
    let bot = Bot::saying(&["**Hello** Ana, ", "1 < 2 & `code`"]).await;
    let app = bot.start().await;
    let ana = bot.chat();
    let sent = ana.says("hi");
    let answer = ana.sees("code").await;
    assert_eq!(answer.text, "Hello Ana, 1 < 2 & code");
    assert!(answer.has("bold") && answer.has("code") && answer.buttons().is_empty());
    bot.fake.wait_until_confirmed(sent.update).await;
    assert_eq!(ana.reads().len(), 1);
    assert_eq!(app.stop().code(), Some(0));
    assert_eq!(bot.statuses(), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_grows_at_a_legal_pace_with_a_button_until_it_is_whole() {
    let pieces: Vec<String> = (0..16).map(|n| format!("sentence {n} of a long answer. ")).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let reply = slowly(&pieces, Duration::from_millis(250));
    let bot = Bot::new(openai::polite(&["m"], reply), "").await;
    bot.fake.enforce_limits();
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("go on");
    let growing = ana.sees("sentence 0").await;
    assert_eq!(growing.buttons(), [["⏹ Stop"]]);
    let whole = ana.wait_for(|shown| shown.iter().find(|m| m.is_from_bot() && m.markup.is_none()).cloned()).await;
    assert_eq!(whole.id, growing.id);
    assert!(whole.text.ends_with("sentence 15 of a long answer."));
    let shown = bot.fake.shown_in(111);
    assert!(shown.len() >= 3, "it grew: {}", shown.len());
    let frames = &shown[..shown.len() - 1];
    for gap in spacings(frames) {
        assert!(gap >= Duration::from_millis(1_400), "{gap:?}");
    }
    assert!(bot.fake.breaches().is_empty());
    assert!(!bot.fake.calls_of("sendChatAction").is_empty(), "it said that it types");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_is_several_messages_and_code_goes_on_as_code() {
    let line = "let answer = 42; // a line of code that is long enough to count\n";
    let text = format!("Here:\n```rust\n{}```\nThe end.", line.repeat(150));
    let bot = Bot::saying(&[&text]).await;
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("code please");
    ana.sees("The end.").await;
    let done = |shown: &[super::Message]| {
        let bots: Vec<_> = shown.iter().filter(|m| m.is_from_bot()).cloned().collect();
        (bots.iter().all(|m| m.markup.is_none()) && bots.len() >= 3).then_some(bots)
    };
    let messages = ana.wait_for(done).await;
    assert!(messages.iter().all(|message| message.has("pre") && message.text.chars().count() <= 4_096));
    let lines: usize = messages.iter().map(|message| message.text.matches("answer = 42").count()).sum();
    assert_eq!(lines, 150, "nothing is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_button_stops_and_counts_as_cancelled() {
    let held = openai::chat(&["This is the beginning of an answer that is long enough. ", "And its end."], 20, 5);
    let bot = Bot::new(openai::polite(&["m"], held.hold_before(3)), "").await;
    let app = bot.start().await;
    let ana = bot.chat();
    ana.says("tell me");
    ana.sees("the beginning").await;
    let press = ana.press("Stop");
    assert_ne!(ana.toast(&press).await, "");
    let stopped = ana.wait_for(|shown| shown.iter().find(|m| m.is_from_bot() && m.markup.is_none()).cloned()).await;
    assert!(stopped.text.starts_with("This is the beginning"));
    // A button of an answer that is over.
    app.stop();
    assert_eq!(bot.statuses(), ["cancelled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_have_buttons_that_change_the_same_message_and_are_the_askers() {
    let bot = Bot::saying(&["ok"]).await;
    let _app = bot.start().await;
    let (ana, root) = (bot.chat(), bot.fake.private(&root()));
    ana.says("/stats");
    let screen = ana.wait_for(|shown| shown.iter().find(|m| m.data_of("Models").is_some()).cloned()).await;
    assert!(screen.data_of("Reset").is_none(), "not for everybody");
    let press = ana.press("Models");
    assert_eq!(ana.toast(&press).await, "");
    ana.wait_for(|shown| shown.iter().find(|m| m.id == screen.id && m.data_of("• Models").is_some()).cloned()).await;
    assert_eq!(ana.reads().len(), 1, "the same message");
    root.says("/stats");
    root.wait_for(|shown| shown.iter().find(|m| m.data_of("Reset").is_some()).cloned()).await;
    root.press("Reset");
    root.wait_for(|shown| shown.iter().find(|m| m.data_of("Confirm").is_some()).cloned()).await;
    root.press("Confirm");
    root.sees("zero").await;
    let forged = ana.press_data(screen.id, "t1:ry:0");
    assert_ne!(ana.toast(&forged).await, "", "a press is judged by who presses");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reads_the_language_of_their_app_until_they_choose_another_for_the_chat() {
    let bot = Bot::saying(&["ok"]).await;
    let config = super::bot::config(&bot.fake.url(), &bot.model.url(), "");
    bot.home.configure(&config.replace("users = [111]", "users = [301, 302, 303, 304]"));
    let app = bot.start().await;
    let spoken = [
        (301, "en", "Working", "Models", "what Raymundo"),
        (302, "es-MX", "Funcionando", "Modelos", "entiende"),
        (303, "pt-br", "no ar", "Modelos", "entende"),
        (304, "fr", "En service", "Modèles", "comprend"),
    ];
    for (id, code, working, models, help) in spoken {
        let chat = bot.fake.private(&Person::new(id, "Somebody").speaking(code));
        chat.says("/raymundo estado");
        let screen = chat.sees(working).await;
        assert!(screen.data_of(models).is_some(), "{code}: {:?}", screen.buttons());
        chat.says("/help");
        chat.wait_for(|shown| shown.iter().find(|m| m.text.to_lowercase().contains(&help.to_lowercase())).map(drop))
            .await;
    }
    let chosen = bot.fake.private(&Person::new(301, "Somebody").speaking("en"));
    chosen.says("/lang fr");
    chosen.sees("français").await;
    assert_eq!(app.stop().code(), Some(0));
    let _app = bot.start().await;
    chosen.says("/stats");
    chosen.sees("En service").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_any_answer_is_told_in_reply_to_it() {
    let bot = Bot::new(
        |hit| {
            let long = String::from_utf8_lossy(&hit.body).contains("a long one");
            let reply = if long { openai::chat(&["Long."], 2_000, 500) } else { openai::chat(&["Short."], 20, 5) };
            openai::polite(&["m"], reply)(hit)
        },
        "",
    )
    .await;
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("a long one");
    let long = ana.sees("Long.").await;
    ana.wait_for(|shown| shown.iter().find(|m| m.id == long.id && m.markup.is_none()).map(drop)).await;
    ana.says("/new");
    ana.sees("conversation").await;
    ana.says("hi");
    ana.sees("Short.").await;
    ana.says("/cost");
    let last = ana.sees_after(long.id, "20").await;
    ana.replying_to(long.id).says("/cost");
    ana.sees_after(last.id, "2,000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_is_told_in_reply_to_any_message_of_an_answer_however_it_is_shown() {
    for streaming in ["edits", "drafts", "off"] {
        let bot = Bot::new(
            |hit| {
                let asked = hit.json()["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
                let long = asked.to_string().contains("a long one");
                let text = "A sentence of a long answer that goes on. ".repeat(250);
                let reply = if long { openai::chat(&[&text], 2_000, 500) } else { openai::chat(&["Short."], 20, 5) };
                openai::polite(&["m"], reply)(hit)
            },
            &format!("streaming = \"{streaming}\""),
        )
        .await;
        let app = bot.start().await;
        let ana = bot.chat();
        ana.says("a long one");
        let whole = |shown: &[super::Message]| {
            let bots: Vec<_> = shown.iter().filter(|m| m.is_from_bot() && m.markup.is_none()).map(|m| m.id).collect();
            (bots.len() == 3).then_some(bots)
        };
        let parts = ana.wait_for(whole).await;
        ana.says("hi");
        ana.sees("Short.").await;
        for part in parts {
            let asked = ana.replying_to(part).says("/cost");
            let told =
                |shown: &[super::Message]| shown.iter().find(|m| m.id > asked.message && m.is_from_bot()).cloned();
            let told = ana.wait_for(told).await;
            assert!(told.text.contains("2,000"), "{streaming}: {}", told.text);
        }
        app.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_answered_when_it_speaks_to_the_bot_and_in_reply() {
    let bot = Bot::saying(&["Hello group"]).await;
    let _app = bot.start().await;
    bot.fake.privacy(false);
    let group = bot.fake.supergroup(GROUP, "Us", &Person::new(900, "Somebody"));
    group.says("nobody is asked");
    group.says("/stats@other_bot");
    group.says("/unknown_here");
    let asked = group.says("@fake_tallybot how are you?");
    let answer = group.sees("Hello group").await;
    assert_eq!(answer.reply_to, Some(asked.message));
    assert_eq!(bot.model.hits().iter().filter(|hit| hit.method == "POST").count(), 1);
    let question =
        bot.model.hits().iter().rfind(|hit| hit.method == "POST").map(|hit| hit.json()["messages"].to_string());
    assert!(question.is_some_and(|question| question.contains("how are you?") && !question.contains("fake_tallybot")));
    let again = group.replying_to(answer.id).says("and you?");
    group.wait_for(|shown| shown.iter().find(|m| m.reply_to == Some(again.message) && m.is_from_bot()).cloned()).await;
    // Another group hears nothing, from nobody.
    let other = bot.fake.supergroup(-1002, "Them", &ana());
    let ignored = other.says("/stats");
    bot.fake.wait_until_confirmed(ignored.update).await;
    group.says("/id");
    group.sees("900").await;
    assert!(other.reads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_answered_in_the_topic() {
    let bot = Bot::saying(&["In here"]).await;
    let _app = bot.start().await;
    let forum = bot.fake.forum(GROUP, "Forum", &[7, 9], &ana());
    let topic = forum.in_topic(7);
    topic.says("@fake_tallybot where are you?");
    let answer = topic.sees("In here").await;
    assert_eq!(answer.topic, Some(7));
    assert!(forum.in_topic(9).reads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_hears_their_id_once_and_the_claim_code_makes_an_admin() {
    let bot = Bot::saying(&["ok"]).await;
    bot.home.configure(&super::bot::config(&bot.fake.url(), &bot.model.url(), "").replace("admins = [222]", ""));
    let mut app = tokio::task::block_in_place(|| bot.home.start(&["serve"]));
    let line = tokio::task::block_in_place(|| app.line_with("/claim "));
    let code = line.split("/claim ").nth(1).and_then(|rest| rest.split('`').next()).expect("a code").to_owned();
    let stranger = bot.fake.private(&Person::new(333, "Stranger").speaking("es"));
    stranger.says("hola");
    stranger.sees("333").await;
    stranger.says("hola?");
    let sent = stranger.says("hola??");
    bot.fake.wait_until_confirmed(sent.update).await;
    stranger.says(&format!("/claim {code}"));
    stranger.wait_for(|shown| (shown.iter().filter(|m| m.is_from_bot()).count() == 2).then_some(())).await;
    stranger.says("/health");
    stranger.sees("tallybot").await;
    assert_eq!(bot.model.hits().iter().filter(|hit| hit.method == "POST").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_is_one_question_and_a_photo_reaches_the_model() {
    let bot = Bot::saying(&["Two pictures"]).await;
    let _app = bot.start().await;
    let ana = bot.chat();
    let (one, two) = (png(1280, 960), png(960, 1280));
    ana.sends_album(&[&one, &two], "what is this?");
    ana.sees("Two pictures").await;
    let asked: Vec<_> = bot.model.hits().into_iter().filter(|hit| hit.method == "POST").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].json().to_string().matches("data:image/png;base64").count(), 2);
    ana.sends_other(serde_json::json!({"voice": {"file_id": "v", "file_unique_id": "u", "duration": 3}}));
    ana.sees("only read text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_sees_no_pictures_is_named_and_not_asked_again() {
    let blind =
        openai::error(500, "server_error", "image input is not supported - hint: you may need to provide the mmproj");
    let bot = Bot::new(openai::polite(&["m"], blind), "").await;
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.sends_photo(&png(640, 480), "what is this?");
    ana.sees("cannot look at pictures").await;
    assert_eq!(bot.model.hits().iter().filter(|hit| hit.method == "POST").count(), 1);
    assert_eq!(bot.statuses(), ["error"]);
    ana.says("and without one?");
    ana.sees("Something broke").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_is_honoured_and_another_chat_does_not_wait() {
    let bot = Bot::saying(&["The whole answer"]).await;
    bot.fake.fault(Fault::on("sendMessage", Effect::retry_after(3)).to(111));
    let _app = bot.start().await;
    let (ana, root) = (bot.chat(), bot.fake.private(&root()));
    ana.says("hi");
    bot.fake.wait_for_calls("sendMessage", 1).await;
    root.says("hi");
    root.sees("The whole answer").await;
    assert!(ana.reads().is_empty(), "one waits, the other does not");
    ana.sees("The whole answer").await;
    let calls: Vec<_> = bot.fake.calls_of("sendMessage").into_iter().filter(|call| call.chat == Some(111)).collect();
    assert!(spacings(&calls)[0] >= Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn html_that_is_refused_is_sent_as_plain_text() {
    let bot = Bot::saying(&["**Hello**"]).await;
    bot.fake.fault(Fault::on("editMessageText", Effect::bad("can't parse entities: no reason")));
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("hi");
    assert!(!ana.sees("Hello").await.has("bold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_shown_where_there_are_any_and_edits_where_not() {
    for known in [true, false] {
        let held = openai::chat(&["The beginning of an answer that is long enough to show. ", "Its end."], 20, 5);
        let bot = Bot::new(openai::polite(&["m"], held.hold_before(3)), "streaming = \"drafts\"").await;
        if !known {
            bot.fake.without_drafts();
        }
        let app = bot.start().await;
        let ana = bot.chat();
        ana.says("tell me");
        bot.fake.wait_for_calls("sendMessageDraft", 1).await;
        assert_eq!(ana.draft().is_some(), known);
        assert!(ana.reads().is_empty(), "a draft that failed is a frame less and no message");
        bot.model.release();
        ana.sees("Its end.").await;
        assert_eq!(ana.draft(), None);
        ana.says("again");
        ana.wait_for(|shown| (shown.iter().filter(|m| m.text.contains("Its end.")).count() == 2).then_some(())).await;
        let drafts = bot.fake.calls_of("sendMessageDraft").len();
        assert!(known || drafts == 1, "not tried again: {drafts}");
        app.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streaming_an_answer_comes_whole() {
    let held = openai::chat(&["The beginning of an answer that is long enough to show. ", "Its end."], 20, 5);
    let bot = Bot::new(openai::polite(&["m"], held), "streaming = \"off\"").await;
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("tell me");
    bot.fake.wait_for_calls("sendMessage", 1).await;
    assert!(ana.sees("Its end.").await.edits.is_empty());
    assert_eq!(bot.fake.calls_of("editMessageText").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_question_is_asked_again() {
    let bot = Bot::saying(&["An answer"]).await;
    let _app = bot.start().await;
    let ana = bot.chat();
    let asked = ana.says("what is a mole?");
    ana.sees("An answer").await;
    ana.edits(asked.message, "what is a vole?");
    ana.wait_for(|shown| (shown.iter().filter(|m| m.text == "An answer").count() == 2).then_some(())).await;
    let asked: Vec<_> = bot.model.hits().into_iter().filter(|hit| hit.method == "POST").collect();
    assert!(!asked[1].json()["messages"].to_string().contains("mole"));
}
