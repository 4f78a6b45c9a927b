//! The fake held to Telegram's rules, with nothing but HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::html;
use super::rates::Rates;
use super::world::now;
use super::{Answer, Effect, FakeApi, Fault, Person};
use crate::providers::{Reply, ScriptedProvider};
use crate::running::{Answer as HttpAnswer, exchange};

/// A request of any kind.
fn send(api: &FakeApi, path: &str, content_type: &str, body: &[u8]) -> std::io::Result<HttpAnswer> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: fake\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    exchange(api.address().port(), &[head.as_bytes(), body].concat())
}

/// A call with JSON.
fn try_call(api: &FakeApi, method: &str, params: &Value) -> std::io::Result<HttpAnswer> {
    send(api, &format!("/bot{}/{method}", FakeApi::TOKEN), "application/json", params.to_string().as_bytes())
}

/// The result of a call that must be done.
fn call(api: &FakeApi, method: &str, params: Value) -> Value {
    let answer = try_call(api, method, &params).expect("an answer").json();
    assert_eq!(answer["ok"], true, "{method} {params}: {answer}");
    answer["result"].clone()
}

/// The description of a call that must be refused.
fn refused(api: &FakeApi, method: &str, params: Value) -> String {
    let answer = try_call(api, method, &params).expect("an answer");
    let body = answer.json();
    assert_eq!((&body["ok"], body["error_code"].as_u64()), (&json!(false), Some(answer.status().into())), "{method}");
    body["description"].as_str().unwrap_or_default().to_owned()
}

/// A multipart body: fields, then one file.
fn multipart(fields: &[(&str, &str)], file: &[u8]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let head = "--edge\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"chart.png\"\r\n\r\n";
    body.extend([head.as_bytes(), file, b"\r\n--edge--\r\n"].concat());
    ("multipart/form-data; boundary=edge".to_owned(), body)
}

/// The head of a PNG of this size, which is all the fake reads.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    [head.as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat()
}

fn ana() -> Person {
    Person::new(111, "Ana").speaking("es")
}

#[test]
fn html_is_read_as_telegram_reads_it() {
    for (html, text, entities) in [
        ("a &lt;b&gt; &amp;&quot; &#128512;", "a <b> &\" 😀", json!([])),
        ("😀 <b>bold <i>both</i></b>", "😀 bold both", json!([["bold", 3, 9], ["italic", 8, 4]])),
        ("<pre><code class=\"language-rust\">fn</code></pre>", "fn", json!([["pre", 0, 2]])),
        ("<blockquote expandable>folded</blockquote>", "folded", json!([["expandable_blockquote", 0, 6]])),
        ("<a href='https://a.example/?x=1&amp;y=2'>here</a>", "here", json!([["text_link", 0, 4]])),
        ("<tg-time unix=\"1647531900\" format=\"r\">later</tg-time>", "later", json!([["date_time", 0, 5]])),
        ("<span class=\"tg-spoiler\">x</span><b></b>", "x", json!([["spoiler", 0, 1]])),
    ] {
        let read = html::parse(html).unwrap_or_else(|error| panic!("{html}: {error}"));
        let seen = read.entities.iter().map(|entity| json!([entity["type"], entity["offset"], entity["length"]]));
        assert_eq!((read.text.as_str(), seen.collect::<Value>()), (text, entities), "{html}");
        assert_eq!(read.oddities, Vec::<String>::new(), "{html}");
    }
}

#[test]
fn broken_html_is_refused_in_telegrams_words() {
    for (html, error) in [
        ("a < b", "Unsupported start tag \"\" at byte offset 2"),
        ("é<br>", "Unsupported start tag \"br\" at byte offset 2"),
        ("x <b", "Unclosed start tag at byte offset 2"),
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("<i>a</i   ", "Unclosed end tag at byte offset 4"),
        ("<i   =aba>", "Empty attribute name in the tag \"i\" at byte offset 0"),
        ("<i aba = ", "Unclosed start tag \"i\" at byte offset 0"),
        ("<a href=x/>y</a>", "Unexpected end of name token at byte offset 8"),
        ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
    ] {
        assert_eq!(html::parse(html), Err(error.to_owned()), "{html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manual_forbids_is_remembered_when_telegram_takes_it() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    for html in
        ["<code><b>x</b></code>", "R&D", "<b id=1>x</b>", "<blockquote>a<blockquote>b</blockquote></blockquote>"]
    {
        call(&api, "sendMessage", json!({"chat_id": 111, "text": html, "parse_mode": "HTML"}));
        assert_eq!(api.odd().len(), 1, "{html}");
    }
    call(&api, "sendMessage", json!({"chat_id": 111, "text": "x", "reply_to": 3}));
    assert_eq!(api.odd(), ["sendMessage has no parameter `reply_to`"]);
    assert_eq!(chat.reads().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_opens_and_only_methods_that_exist_answer() {
    let api = FakeApi::start().await;
    let status = |path: &str| send(&api, path, "application/json", b"").expect("an answer").status();
    assert_eq!(status("/bot123:wrong/getMe"), 401);
    assert_eq!(status("/nothing"), 404);
    assert_eq!(refused(&api, "sendMassage", json!({})), "Not Found: method not found");
    assert_eq!(call(&api, "GETME", json!({}))["is_bot"], true);
    assert_eq!(api.calls().len(), 2, "calls without the token are nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_encodings_say_the_same() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let path = format!("/bot{}/sendMessage", FakeApi::TOKEN);
    let markup = r#"{"inline_keyboard":[[{"text":"Today","callback_data":"d"}]]}"#;
    let json = format!(r#"{{"chat_id":111,"text":"1 & 2","reply_markup":{markup}}}"#);
    let (parts, body) = multipart(&[("chat_id", "111"), ("text", "1 & 2"), ("reply_markup", markup)], b"");
    let form = format!("chat_id=111&text=1+%26+2&reply_markup={}", markup.replace('"', "%22"));
    for (content_type, body) in [
        ("application/json", json.into_bytes()),
        (parts.as_str(), body),
        ("application/x-www-form-urlencoded", form.into_bytes()),
    ] {
        assert_eq!(send(&api, &path, content_type, &body).expect("an answer").status(), 200, "{content_type}");
    }
    assert_eq!(chat.reads(), ["1 & 2"; 3]);
    let calls = api.calls_of("sendMessage");
    assert!(calls.iter().all(|call| call.params == calls[0].params && call.chat == Some(111)), "{calls:?}");
    assert_eq!(chat.shows()[2].buttons(), [["Today"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_counted_as_people_see_them() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let text = |text: &str| json!({"chat_id": 111, "text": text, "parse_mode": "HTML"});
    let sent = call(&api, "sendMessage", text(&format!("<b>{}</b>", "😀".repeat(4096))));
    assert_eq!(refused(&api, "sendMessage", text(&"x".repeat(4097))), "Bad Request: message is too long");
    assert_eq!(refused(&api, "sendMessage", text("")), "Bad Request: message text is empty");
    assert_eq!(refused(&api, "sendMessage", text("<b> </b>\n")), "Bad Request: text must be non-empty");
    let too_long = json!({"chat_id": 111, "message_id": sent["message_id"], "text": "x".repeat(4097)});
    assert_eq!(refused(&api, "editMessageText", too_long), "Bad Request: MESSAGE_TOO_LONG");
    let broken = "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"";
    assert_eq!(refused(&api, "sendMessage", text("<b>x")), broken);
    assert_eq!(refused(&api, "sendMessage", json!({"chat_id": 999, "text": "x"})), "Bad Request: chat not found");
    assert_eq!(chat.reads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_must_change_something_of_an_own_message() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let said = chat.says("hi").message;
    let keyboard = json!({"inline_keyboard": [[{"text": "Today", "callback_data": "d"}]]});
    let id =
        call(&api, "sendMessage", json!({"chat_id": 111, "text": "…", "reply_markup": keyboard}))["message_id"].clone();
    let edit = |id: &Value, text: &str, markup: &Value| json!({"chat_id": 111, "message_id": id, "text": text, "reply_markup": markup});
    let same = refused(&api, "editMessageText", edit(&id, "…", &keyboard));
    assert!(same.starts_with("Bad Request: message is not modified: "), "{same}");
    assert_eq!(
        refused(&api, "editMessageText", edit(&json!(77), "x", &keyboard)),
        "Bad Request: message to edit not found"
    );
    assert_eq!(
        refused(&api, "editMessageText", edit(&json!(said), "x", &keyboard)),
        "Bad Request: message can't be edited"
    );
    call(&api, "editMessageText", json!({"chat_id": 111, "message_id": id, "text": "Hello"}));
    let message = chat.sees("Hello").await;
    assert!(message.buttons().is_empty(), "an edit without a keyboard takes the old one away");
    assert_eq!(message.frames().iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["…", "Hello"]);
    call(&api, "editMessageReplyMarkup", json!({"chat_id": 111, "message_id": id, "reply_markup": keyboard}));
    assert_eq!(chat.sees("Hello").await.buttons(), [["Today"]]);
    call(&api, "deleteMessage", json!({"chat_id": 111, "message_id": id}));
    let again = refused(&api, "deleteMessage", json!({"chat_id": 111, "message_id": id}));
    assert_eq!(again, "Bad Request: message to delete not found");
    assert!(chat.reads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keyboards_replies_and_topics_are_checked() {
    let api = FakeApi::start().await;
    let chat = api.forum(-100_500, "Casa", &[7], &ana());
    let with = |name: &str, value: Value| json!({"chat_id": -100_500, "text": "x", name: value});
    let button = |data: &str| json!({"inline_keyboard": [[{"text": "a", "callback_data": data}]]});
    call(&api, "sendMessage", with("reply_markup", button(&"é".repeat(32))));
    let long = refused(&api, "sendMessage", with("reply_markup", button(&"é".repeat(33))));
    assert_eq!(long, "Bad Request: BUTTON_DATA_INVALID");
    let text_button = refused(&api, "sendMessage", with("reply_markup", json!({"inline_keyboard": [[{"text": "a"}]]})));
    assert!(text_button.contains("Text buttons are unallowed"), "{text_button}");
    let reply = refused(&api, "sendMessage", with("reply_parameters", json!({"message_id": 999})));
    assert_eq!(reply, "Bad Request: message to be replied not found");
    call(
        &api,
        "sendMessage",
        with("reply_parameters", json!({"message_id": 999, "allow_sending_without_reply": true})),
    );
    let topic = refused(&api, "sendMessage", with("message_thread_id", json!(8)));
    assert_eq!(topic, "Bad Request: message thread not found");
    assert_eq!(call(&api, "sendMessage", with("message_thread_id", json!(7)))["is_topic_message"], true);
    assert_eq!(chat.in_topic(7).reads(), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_come_until_they_are_confirmed() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let ids = |updates: &Value| -> Vec<i64> {
        updates.as_array().into_iter().flatten().filter_map(|update| update["update_id"].as_i64()).collect()
    };
    let (first, second) = (chat.says("one").update, chat.says("two").update);
    assert_eq!(ids(&call(&api, "getUpdates", json!({}))), [first, second]);
    assert_eq!(ids(&call(&api, "getUpdates", json!({"limit": 1}))), [first], "not confirmed: again");
    assert_eq!(ids(&call(&api, "getUpdates", json!({"offset": second}))), [second]);
    api.wait_until_confirmed(first).await;
    api.deliver_again(first);
    let asked = json!({"offset": second, "allowed_updates": ["message"]});
    assert_eq!(ids(&call(&api, "getUpdates", asked)), [first, second], "a duplicate");
    let sent = call(
        &api,
        "sendMessage",
        json!({
            "chat_id": 111, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "d"}]]},
        }),
    );
    chat.press("a");
    chat.edits(chat.says("three").message, "3");
    assert_eq!(sent["from"]["is_bot"], true);
    let updates = call(&api, "getUpdates", json!({"offset": second + 1, "timeout": 1}));
    assert_eq!(updates.as_array().map(Vec::len), Some(1), "`allowed_updates` stays as it was: {updates}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_wakes_at_once_and_a_second_one_ends_it() {
    let api = Arc::new(FakeApi::start().await);
    let chat = api.private(&ana());
    let poll = |api: &Arc<FakeApi>| {
        let api = Arc::clone(api);
        tokio::task::spawn_blocking(move || try_call(&api, "getUpdates", &json!({"timeout": 50})).expect("an answer"))
    };
    let first = poll(&api);
    api.wait_for_polls(1).await;
    let second = poll(&api);
    api.wait_for_polls(2).await;
    let first = first.await.expect("no panic");
    assert_eq!(first.status(), 409);
    assert!(first.text().contains("terminated by other getUpdates request"), "{first:?}");
    chat.says("hi");
    assert_eq!(second.await.expect("no panic").json()["result"][0]["message"]["text"], "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_updates_in_order_with_its_secret_until_it_takes_them() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let bot = ScriptedProvider::in_turn([Reply::json(500, "{}"), Reply::json(200, "{}")]).await;
    let plain = refused(&api, "setWebhook", json!({"url": "http://bot.example/hook"}));
    assert_eq!(plain, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook");
    let unknown = refused(&api, "setWebhook", json!({"url": "https://bot.example/hook"}));
    assert_eq!(unknown, "Bad Request: bad webhook: Failed to resolve host: Name or service not known");
    api.host("bot.example", bot.url().trim_start_matches("http://").parse().expect("an address"));
    let port = refused(&api, "setWebhook", json!({"url": "https://bot.example:8080/hook"}));
    assert_eq!(port, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443");
    call(&api, "setWebhook", json!({"url": "https://bot.example/hook", "secret_token": "s-1"}));
    assert!(refused(&api, "getUpdates", json!({})).starts_with("Conflict: can't use getUpdates method while webhook"));
    chat.says("one");
    api.wait_until_confirmed(chat.says("two").update).await;
    let texts: Vec<_> = bot.hits().iter().map(|hit| hit.json()["message"]["text"].clone()).collect();
    assert_eq!(texts, ["one", "one", "two"]);
    assert!(
        bot.hits()
            .iter()
            .all(|hit| hit.path == "/hook" && hit.header("x-telegram-bot-api-secret-token") == Some("s-1"))
    );
    let info = call(&api, "getWebhookInfo", json!({}));
    assert_eq!(info["last_error_message"], "Wrong response from the webhook: 500 Internal Server Error");
    call(&api, "deleteWebhook", json!({}));
    assert_eq!(call(&api, "getUpdates", json!({})), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_hit_the_calls_they_name() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let say = |text: &str| try_call(&api, "sendMessage", &json!({"chat_id": 111, "text": text}));
    api.fault(Fault::on("sendMessage", Effect::retry_after(3)).to(111).after(1).times(2));
    let statuses: Vec<u16> = ["a", "b", "c", "d"].map(|text| say(text).expect("an answer").status()).to_vec();
    assert_eq!(statuses, [200, 429, 429, 200]);
    api.fault(Fault::on("sendMessage", Effect::retry_after(3)));
    let limited = say("e").expect("an answer");
    assert_eq!(
        (limited.header("retry-after").as_deref(), &limited.json()["parameters"]),
        (Some("3"), &json!({"retry_after": 3}))
    );
    for (effect, status, words) in [
        (Effect::server_error(502), 502, "Bad Gateway"),
        (Effect::blocked(), 403, "Forbidden: bot was blocked by the user"),
        (Effect::migrated(-1_007), 400, "Bad Request: group chat was upgraded to a supergroup chat"),
        (Effect::bad("message to edit not found"), 400, "Bad Request: message to edit not found"),
    ] {
        api.fault(Fault::on("sendMessage", effect));
        let answer = say("f").expect("an answer");
        assert_eq!((answer.status(), answer.json()["description"].as_str()), (status, Some(words)));
    }
    api.fault(Fault::on("sendMessage", Effect::Page(502)));
    let page = say("g").expect("an answer");
    assert!(page.status() == 502 && page.body().starts_with("<html>"), "{page:?}");
    for (effect, is_shown) in [(Effect::DropBefore, false), (Effect::DropAfter, true)] {
        api.fault(Fault::on("sendMessage", effect));
        assert!(!say("dropped").is_ok_and(|answer| !answer.bytes.is_empty()));
        assert_eq!(api.calls().last().map(|call| call.answer.clone()), Some(Answer::Dropped));
        assert_eq!(chat.reads().contains(&"dropped".to_owned()), is_shown);
    }
    assert_eq!(chat.reads(), ["a", "d", "dropped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_waits_for_the_test() {
    let api = Arc::new(FakeApi::start().await);
    let chat = api.private(&ana());
    api.fault(Fault::on("sendMessage", Effect::Held));
    let caller = Arc::clone(&api);
    let held = tokio::task::spawn_blocking(move || call(&caller, "sendMessage", json!({"chat_id": 111, "text": "x"})));
    api.wait_for(|calls| (calls.len() == 1).then_some(())).await;
    assert!(chat.reads().is_empty());
    api.release();
    held.await.expect("no panic");
    assert_eq!(chat.reads(), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_limits_are_always_counted_and_refused_on_demand() {
    let api = FakeApi::start().await;
    api.private(&ana());
    let say = || try_call(&api, "sendMessage", &json!({"chat_id": 111, "text": "x"})).expect("an answer");
    for _ in 0..4 {
        assert_eq!(say().status(), 200);
    }
    assert_eq!(api.breaches().len(), 1, "the fourth within three seconds");
    api.enforce_limits();
    let refused = say();
    assert_eq!(refused.status(), 429);
    let seconds = refused.json()["parameters"]["retry_after"].as_u64();
    assert!(seconds.is_some_and(|seconds| (1..=3).contains(&seconds)), "{refused:?}");
}

#[test]
fn a_group_has_twenty_a_minute_and_the_bot_thirty_a_second() {
    let start = now();
    let (mut group, mut bot) = (Rates::default(), Rates::default());
    (group.enforced, bot.enforced) = (true, true);
    for second in 0..20 {
        assert_eq!(group.count(-5, true, start + Duration::from_secs(second)), None, "{second}");
    }
    assert_eq!(group.count(-5, true, start + Duration::from_secs(20)), Some(40));
    assert_eq!(group.count(-5, true, start + Duration::from_secs(60)), None);
    assert!((0..30).all(|chat| bot.count(chat, false, start).is_none()));
    assert_eq!(bot.count(30, false, start), Some(1));
    assert_eq!(bot.count(30, false, start + Duration::from_secs(1)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_answered_once_and_in_time() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let keyboard = json!({"inline_keyboard": [[{"text": "• Today", "callback_data": "s1:p=1"}]]});
    call(&api, "sendMessage", json!({"chat_id": 111, "text": "x", "reply_markup": keyboard}));
    let press = chat.press("Today");
    let query = call(&api, "getUpdates", json!({}))[0]["callback_query"].clone();
    assert_eq!((&query["id"], &query["data"]), (&json!(press), &json!("s1:p=1")));
    let answer = json!({"callback_query_id": press, "text": "done"});
    call(&api, "answerCallbackQuery", answer.clone());
    assert_eq!(chat.toast(&press).await, "done");
    let too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(refused(&api, "answerCallbackQuery", answer), too_old);
    let shown = chat.sees("x").await.id;
    call(&api, "deleteMessage", json!({"chat_id": 111, "message_id": shown}));
    chat.press_data(shown, "s1:p=1");
    assert_eq!(
        call(&api, "getUpdates", json!({"offset": -1}))[0]["callback_query"]["message"]["date"],
        0,
        "it is gone"
    );
    call(&api, "sendMessage", json!({"chat_id": 111, "text": "x", "reply_markup": keyboard}));
    api.press_life(Duration::ZERO);
    let late = chat.press("Today");
    assert_eq!(refused(&api, "answerCallbackQuery", json!({"callback_query_id": late})), too_old);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_kept_by_scope_and_language() {
    let api = FakeApi::start().await;
    api.private(&ana());
    let set = |name: &str, description: &str, language: &str| json!({"commands": [{"command": name, "description": description}], "language_code": language});
    call(&api, "setMyCommands", set("stats", "numbers", ""));
    call(&api, "setMyCommands", set("stats", "números", "es"));
    let mut own = set("allow", "let somebody in", "");
    own["scope"] = json!({"type": "chat", "chat_id": 111});
    call(&api, "setMyCommands", own.clone());
    assert_eq!(api.commands("default", "es"), [("stats".to_owned(), "números".to_owned())]);
    assert_eq!(api.commands("chat:111", "").len(), 1);
    assert_eq!(refused(&api, "setMyCommands", set("estadísticas", "x", "")), "Bad Request: BOT_COMMAND_INVALID");
    assert_eq!(refused(&api, "setMyCommands", set("stats", "", "")), "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID");
    assert_eq!(
        refused(&api, "setMyCommands", set("stats", "x", "es-MX")),
        "Bad Request: invalid language code specified"
    );
    own["scope"]["chat_id"] = json!(999);
    assert_eq!(refused(&api, "setMyCommands", own), "Bad Request: chat not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_files_go_both_ways_within_their_sizes() {
    let api = FakeApi::start().await;
    let chat = api.private(&ana());
    let path = format!("/bot{}/sendPhoto", FakeApi::TOKEN);
    let post = |picture: &[u8], caption: &str| {
        let (content_type, body) = multipart(&[("chat_id", "111"), ("caption", caption)], picture);
        send(&api, &path, &content_type, &body).expect("an answer").json()
    };
    assert_eq!(post(&png(800, 600), "a chart")["result"]["photo"][2]["width"], 800);
    assert_eq!(post(&png(8000, 2001), "")["description"], "Bad Request: PHOTO_INVALID_DIMENSIONS");
    assert_eq!(post(&png(2100, 100), "")["description"], "Bad Request: PHOTO_INVALID_DIMENSIONS");
    assert_eq!(post(b"no picture", "")["description"], "Bad Request: IMAGE_PROCESS_FAILED");
    assert_eq!(post(&png(8, 8), &"x".repeat(1025))["description"], "Bad Request: message caption is too long");
    assert!(chat.sees("a chart").await.is_photo());

    let picture = [png(1280, 960), b"the rest of it".to_vec()].concat();
    chat.sends_photo(&picture, "what is this?");
    chat.sends_document("huge.pdf", b"", Some(21 << 20), "");
    let updates = call(&api, "getUpdates", json!({}));
    let file = call(&api, "getFile", json!({"file_id": updates[0]["message"]["photo"][2]["file_id"]}));
    let path = file["file_path"].as_str().expect("a path").replace('/', "%2F");
    let url = format!("/file/bot{}/{path}", FakeApi::TOKEN);
    let downloaded = send(&api, &url, "text/plain", b"").expect("an answer").bytes;
    assert!(downloaded.ends_with(&picture));
    let huge = refused(&api, "getFile", json!({"file_id": updates[1]["message"]["document"]["file_id"]}));
    assert_eq!(huge, "Bad Request: file is too big");
    let album = chat.sends_album(&[&picture, &picture], "two of them");
    let messages = album.iter().map(|sent| chat.message(sent.message));
    let groups: Vec<_> = messages.map(|message| message.media["media_group_id"].clone()).collect();
    assert!(groups[0] == groups[1] && groups[0].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_for_private_chats_and_end_with_a_message() {
    let api = FakeApi::start().await;
    let (chat, group) = (api.private(&ana()), api.group(-5, "Casa", &ana()));
    let draft = |chat: i64, id: i64| json!({"chat_id": chat, "draft_id": id, "text": "Hel"});
    call(&api, "sendMessageDraft", draft(111, 1));
    assert_eq!(chat.draft().as_deref(), Some("Hel"));
    assert!(chat.reads().is_empty());
    call(&api, "sendMessage", json!({"chat_id": 111, "text": "Hello"}));
    assert_eq!(chat.draft(), None);
    refused(&api, "sendMessageDraft", draft(group.id(), 1));
    refused(&api, "sendMessageDraft", draft(111, 0));
    api.without_drafts();
    assert_eq!(refused(&api, "sendMessageDraft", draft(111, 1)), "Not Found: method not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_keep_most_of_their_talk_from_the_bot() {
    let api = FakeApi::start().await;
    let group = api.group(-5, "Casa", &ana());
    assert_eq!(group.says("good morning").update, 0);
    assert_eq!(group.says("/stats@other_bot").update, 0);
    assert_ne!(group.says("/stats@fake_tallybot").update, 0);
    let id = call(&api, "sendMessage", json!({"chat_id": -5, "text": "x"}))["message_id"].as_i64().expect("an id");
    assert_ne!(group.replying_to(id).says("and yesterday?").update, 0);
    api.privacy(false);
    assert_ne!(group.as_person(&Person::new(9, "Zoe")).says("good evening").update, 0);

    let upgraded = api.upgrade(&group, -100_600);
    let moved = try_call(&api, "sendMessage", &json!({"chat_id": -5, "text": "x"})).expect("an answer").json();
    assert_eq!(moved["parameters"]["migrate_to_chat_id"], -100_600);
    upgraded.blocks_bot();
    let kicked = refused(&api, "sendMessage", json!({"chat_id": -100_600, "text": "x"}));
    assert_eq!(kicked, "Forbidden: bot was kicked from the supergroup chat");
    let chat = api.private(&ana());
    chat.blocks_bot();
    let blocked = refused(&api, "sendMessage", json!({"chat_id": 111, "text": "x"}));
    assert_eq!(blocked, "Forbidden: bot was blocked by the user");
    chat.says("/start");
    call(&api, "sendChatAction", json!({"chat_id": 111, "action": "typing"}));
    assert!(chat.action().is_some_and(|(action, _)| action == "typing"));
}
