//! Updates as Telegram sends them, and what is made of each.

use serde_json::{Value, json};

use super::*;

fn me() -> Me {
    Me { id: 7, username: "Tally_Bot".into() }
}

fn incoming(kind: &str, content: Value) -> Option<Incoming> {
    let update = json!({"update_id": 1, kind: content}).to_string();
    read(serde_json::from_str(&update).expect("every update can be read"), &me())
}

/// A message in a private chat (111) or in a group, with more fields.
fn message(chat: i64, fields: Value) -> Value {
    let kind = match chat {
        111.. => json!({"id": chat, "type": "private", "first_name": "Ana"}),
        -100 => json!({"id": chat, "type": "group", "title": "Us"}),
        _ => json!({"id": chat, "type": "supergroup", "title": "Us", "is_forum": true}),
    };
    let mut message = json!({
        "message_id": 5, "date": 1_790_000_000, "chat": kind,
        "from": {"id": 111, "is_bot": false, "first_name": "Ana", "language_code": "pt-br"},
    });
    let more = fields.as_object().expect("fields").clone();
    message.as_object_mut().expect("an object").extend(more);
    message
}

fn said(chat: i64, fields: Value) -> Option<Incoming> {
    incoming("message", message(chat, fields))
}

fn text_of(incoming: Option<Incoming>) -> Option<(String, bool)> {
    match incoming? {
        Incoming { what: What::Said { text, .. }, to_us, .. } => Some((text, to_us)),
        _ => None,
    }
}

#[test]
fn a_private_message_is_said_to_the_bot_by_somebody_somewhere() {
    let hello = said(111, json!({"text": "hello @tally_bot"})).expect("it is for us");
    assert_eq!(hello.spot, Spot { chat: 111, thread: None });
    assert_eq!(hello.from, Sender { id: 111, lang: Some(Lang::Pt) });
    assert_eq!((hello.message, hello.to_us), (5, true));
    assert_eq!(text_of(Some(hello)), Some(("hello @tally_bot".into(), true)));
    let edited = incoming("edited_message", message(111, json!({"text": "hi", "edit_date": 1_790_000_001})));
    assert!(edited.is_some_and(|edited| edited.what == What::Edited { text: "hi".into() }));
}

#[test]
fn in_a_group_commands_mentions_and_replies_are_said_to_the_bot_and_nothing_else() {
    let by_us = json!({"message_id": 4, "date": 1, "text": "x", "chat": {"id": -100, "type": "group", "title": "Us"},
                       "from": {"id": 7, "is_bot": true, "first_name": "Tally"}});
    let reply = |text: &str| json!({"text": text, "reply_to_message": by_us});
    for (fields, text, to_us) in [
        (json!({"text": "good morning"}), "good morning", false),
        (json!({"text": "/stats"}), "/stats", true),
        (json!({"text": "/stats@tally_bot hoy"}), "/stats@tally_bot hoy", true),
        (json!({"text": "/stats@other_bot"}), "/stats@other_bot", false),
        (json!({"text": "@tally_bot, what is this?"}), "what is this?", true),
        (json!({"text": "what is this, @TALLY_BOT?"}), "what is this, ?", true),
        (json!({"text": "ask @tally_bot2"}), "ask @tally_bot2", false),
        (json!({"text": "mail me@tally_bot"}), "mail me@tally_bot", false),
        (json!({"text": "/etc/hosts is a file"}), "/etc/hosts is a file", false),
        (reply("and why?"), "and why?", true),
        (reply("/stats@other_bot"), "/stats@other_bot", false),
        (json!({"text": "ñ @tally_bot ñ"}), "ñ ñ", true),
    ] {
        assert_eq!(text_of(said(-100, fields)), Some((text.into(), to_us)), "{text}");
    }
}

#[test]
fn a_topic_is_a_place_of_its_own_and_a_chain_of_replies_is_none() {
    let spot = |fields: Value| said(-1001, fields).map(|incoming| incoming.spot.key().id);
    assert_eq!(spot(json!({"text": "/id", "message_thread_id": 9, "is_topic_message": true})), Some("-1001/9".into()));
    assert_eq!(spot(json!({"text": "/id", "message_thread_id": 9})), Some("-1001".into()));
}

#[test]
fn the_largest_photo_that_is_not_too_large_is_taken() {
    let size = |id: &str, side: u32, bytes: u64| json!({"file_id": id, "file_unique_id": id, "width": side, "height": side, "file_size": bytes});
    let photo = |sizes: Value| match said(111, json!({"photo": sizes, "caption": "what?", "media_group_id": "13"})) {
        Some(Incoming { what: What::Said { text, photo, album }, .. }) => {
            assert_eq!((text.as_str(), album.as_deref()), ("what?", Some("13")));
            photo
        }
        _ => panic!("a photo is said"),
    };
    let both = json!([size("small", 90, 1_000), size("big", 900, 5_000_000), size("huge", 4_000, 9_000_000)]);
    assert!(photo(both) == Some(Sight::File("big".into())));
    assert!(photo(json!([size("huge", 4_000, 9_000_000)])) == Some(Sight::TooLarge));
    let file = json!({"file_id": "f", "file_unique_id": "f", "mime_type": "image/png", "file_size": 100});
    let as_file = said(111, json!({"document": file, "caption": ""}));
    assert!(as_file.is_some_and(|incoming| matches!(incoming.what, What::Said { photo: Some(Sight::File(_)), .. })));
}

#[test]
fn what_the_bot_has_no_use_for_is_unsupported_in_private_and_nothing_in_groups() {
    let voice = json!({"voice": {"file_id": "v", "file_unique_id": "v", "duration": 3}});
    let unknown = json!({"something_of_next_year": {"x": 1}});
    for fields in [voice, unknown] {
        let private = said(111, fields.clone()).expect("somebody sent something");
        assert!(private.to_us && private.what == What::Unsupported);
        assert!(said(-100, fields).is_none_or(|incoming| !incoming.to_us));
    }
    for service in [json!({"new_chat_title": "x"}), json!({"pinned_message": message(111, json!({"text": "x"}))})] {
        assert!(said(111, service).is_none());
    }
}

#[test]
fn other_bots_channels_and_unknown_updates_are_nothing() {
    let bot = json!({"text": "/stats", "from": {"id": 9, "is_bot": true, "first_name": "Other"}});
    assert!(said(-100, bot.clone()).is_none());
    let mut as_group = bot;
    as_group["sender_chat"] = json!({"id": -100, "type": "group", "title": "Us"});
    assert!(said(-100, as_group).is_some_and(|incoming| incoming.to_us), "an admin in the name of the group");
    let post = json!({"message_id": 1, "date": 1, "chat": {"id": -1009, "type": "channel", "title": "News"}, "text": "/stats"});
    assert!(incoming("channel_post", post).is_none());
    assert!(incoming("something_of_next_year", json!({"x": 1})).is_none());
    assert!(incoming("message", json!({"some fields": "are missing"})).is_none());
}

#[test]
fn a_press_says_which_button_of_which_message() {
    let ana = json!({"id": 111, "is_bot": false, "first_name": "Ana"});
    let query =
        |message: Value| json!({"id": "77", "from": ana, "chat_instance": "1", "data": "t1:x:1", "message": message});
    let shown = message(-1001, json!({"text": "x", "message_thread_id": 9, "is_topic_message": true}));
    let pressed = incoming("callback_query", query(shown)).expect("a press");
    assert_eq!((pressed.spot, pressed.message), (Spot { chat: -1001, thread: Some(9) }, 5));
    assert!(pressed.what == What::Pressed { press: "77".into(), data: "t1:x:1".into() });
    let gone = json!({"chat": {"id": 111, "type": "private", "first_name": "A"}, "message_id": 3, "date": 0});
    assert!(incoming("callback_query", query(gone)).is_some_and(|pressed| pressed.message == 3));
    let inline = json!({"id": "77", "from": ana, "chat_instance": "1", "data": "x", "inline_message_id": "y"});
    assert!(incoming("callback_query", inline).is_none());
}

#[test]
fn blocking_unblocking_and_moving_are_told() {
    let member = |status: &str| match status {
        "kicked" => json!({"status": "kicked", "user": {"id": 7, "is_bot": true, "first_name": "T"}, "until_date": 0}),
        _ => json!({"status": status, "user": {"id": 7, "is_bot": true, "first_name": "T"}}),
    };
    let change = |old: &str, new: &str| {
        let from = json!({"id": 111, "is_bot": false, "first_name": "Ana"});
        let chat = json!({"id": 111, "type": "private", "first_name": "Ana"});
        let change = json!({"chat": chat, "from": from, "date": 1, "old_chat_member": member(old),
                            "new_chat_member": member(new)});
        incoming("my_chat_member", change).map(|incoming| incoming.what)
    };
    assert!(change("member", "kicked") == Some(What::Left));
    assert!(change("kicked", "member") == Some(What::Joined));
    assert!(change("member", "member").is_none());
    let moved = said(-100, json!({"migrate_to_chat_id": -1_001_234}));
    assert!(moved.is_some_and(|moved| moved.what == What::Migrated { to: -1_001_234 }));
    assert!(said(-1001, json!({"migrate_from_chat_id": -100})).is_none());
}
