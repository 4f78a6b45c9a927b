//! The law of the tone: every message, in every language, says something whole, and says it in that language.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::conversation::AlertDone;
use crate::conversation::commands::{BotNames, COMMANDS, Command, Input, Place, parse};
use crate::conversation::words;
use crate::conversation::{HealthView, LastError, ListedGroup, ListedPerson, ListedRole, PlaceHealth, ProviderHealth};
use crate::conversation::{HelpLine, Instead, LimitView, ModelChoice, ModelLine, ReceiptView};
use crate::reports::View;
use crate::stats::Period;
use crate::templates::messages::MESSAGES;
use crate::templates::{LINE_WIDTH, fold};
use crate::usage::{ErrorKind, Money, Timestamp};

pub(super) fn templates() -> Arc<Templates> {
    Arc::new(Templates::load(None).expect("the built-in texts are whole"))
}

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::new(1_795_377_800_000_000 + secs * 1_000_000, -6 * 3600)
}

fn local() -> ModelChoice {
    ModelChoice { provider: "ollama".into(), model: "llama3.2".into(), local: true, demo: false }
}

fn cloud() -> ModelChoice {
    ModelChoice { provider: "github".into(), model: "gpt-4o".into(), local: false, demo: false }
}

fn demo() -> ModelChoice {
    ModelChoice { provider: "demo".into(), model: "demo".into(), local: true, demo: true }
}

pub(super) fn receipts() -> [ReceiptView; 4] {
    let free = ReceiptView {
        choice: local(),
        prompt_tokens: Some(150),
        cached_tokens: None,
        completion_tokens: Some(320),
        total_tokens: Some(470),
        estimated: false,
        cost_usd: Some(Money::ZERO),
        latency_ms: 2450,
    };
    let paid = ReceiptView {
        choice: cloud(),
        prompt_tokens: Some(1500),
        cached_tokens: Some(1200),
        estimated: true,
        cost_usd: Some(Money::from_pico_usd(6_950_000_000)),
        ..free.clone()
    };
    let unpriced = ReceiptView { cost_usd: None, estimated: false, ..paid.clone() };
    let uncounted = ReceiptView {
        prompt_tokens: None,
        cached_tokens: None,
        completion_tokens: None,
        total_tokens: None,
        ..unpriced.clone()
    };
    [free, paid, unpriced, uncounted]
}

fn limits() -> [LimitView; 11] {
    let minute = LimitView {
        limit: "requests_per_minute".into(),
        scope: Some("provider:github".into()),
        own: None,
        used: 15,
        max: 15,
        figures: true,
        resets_at: Some(at(20)),
        resets_in_seconds: Some(20),
        now: at(0),
        never_fits: false,
        learned: false,
        stopped: false,
        held: false,
        local_model: Some("llama3.2".into()),
        raise: None,
    };
    let day = LimitView {
        limit: "tokens_per_day".into(),
        scope: None,
        used: 99_500,
        max: 100_000,
        resets_at: Some(at(50_000)),
        resets_in_seconds: Some(50_000),
        local_model: None,
        ..minute.clone()
    };
    let open_ended = LimitView { resets_at: None, resets_in_seconds: None, ..day.clone() };
    let never = LimitView { limit: "tokens_per_minute".into(), max: 1000, never_fits: true, ..open_ended.clone() };
    let money = LimitView {
        limit: "usd_per_day".into(),
        own: Some("user"),
        used: 4_980_000_000_000,
        max: 5_000_000_000_000,
        local_model: Some("llama3.2".into()),
        raise: Some("/budget user:111 +20%".into()),
        ..day.clone()
    };
    let prepaid = LimitView { limit: "usd_prepaid".into(), own: None, raise: None, resets_at: None, ..money.clone() };
    let too_dear = LimitView { never_fits: true, own: Some("team"), ..prepaid.clone() };
    let in_group = LimitView { own: Some("team"), figures: false, raise: None, ..money.clone() };
    let learned = LimitView { learned: true, scope: Some("provider:github".into()), ..day.clone() };
    let stopped = LimitView { stopped: true, own: Some("user"), ..day.clone() };
    let held = LimitView { held: true, own: Some("team"), ..day.clone() };
    [minute, day, open_ended, never, money, prepaid, too_dear, in_group, learned, stopped, held]
}

fn model_lists() -> [Message; 2] {
    let line = |number, choice, current| ModelLine { number, choice, current };
    let models = vec![line(1, local(), true), line(2, cloud(), false), line(3, demo(), false)];
    let silent = vec!["lab".into(), "home".into()];
    [
        Message::ModelList { current: local(), models, more: 7, silent },
        Message::ModelList { current: local(), models: Vec::new(), more: 0, silent: Vec::new() },
    ]
}

fn health() -> [HealthView; 2] {
    let provider = |name: &str, local, error: Option<ErrorKind>| ProviderHealth {
        name: name.into(),
        ok: error.is_none(),
        local,
        error,
    };
    let well = HealthView {
        version: "0.1.0".into(),
        uptime_seconds: Some(192_840),
        disk_free_bytes: Some(12_400_000_000),
        disk_total_bytes: Some(100_000_000_000),
        ledger_ok: true,
        ledger_trouble: None,
        records_waiting: 0,
        providers: vec![provider("ollama", Some(true), None), provider("github", Some(false), None)],
        places: vec![PlaceHealth { name: "webhook", failing_since: None, waiting: 0, dropped: 0 }],
        large_prompts: 0,
        last_error: None,
        now: at(0),
    };
    let ill = HealthView {
        ledger_ok: false,
        ledger_trouble: Some("No space left on device".into()),
        records_waiting: 3,
        providers: vec![provider("ollama", Some(true), Some(ErrorKind::Connect)), provider("lab", None, None)],
        places: vec![PlaceHealth { name: "mail", failing_since: Some(at(-3_600)), waiting: 4, dropped: 1 }],
        large_prompts: 12,
        last_error: Some(LastError { kind: ErrorKind::RateLimited, at: at(-90_000) }),
        ..well.clone()
    };
    [well, ill]
}

fn done_about_alerts() -> [AlertDone; 4] {
    let raised = AlertDone {
        done: "raise",
        scope: Some("team:sales".into()),
        limit: "tokens_per_day".into(),
        max: Some(120_000),
        max_usd: None,
        resets_at: Some(at(50_000)),
        now: at(0),
    };
    let paid =
        AlertDone { scope: None, max: None, max_usd: Some(Money::from_pico_usd(6_000_000_000_000)), ..raised.clone() };
    let stopped = AlertDone { done: "stop", ..raised.clone() };
    let muted = AlertDone { done: "mute", resets_at: None, ..raised.clone() };
    [raised, paid, stopped, muted]
}

/// What is said about who may speak, in line, of photos and at buttons.
fn house_messages() -> Vec<Message> {
    let (bot, id) = (|| "Raymundo".to_owned(), || "111".to_owned());
    let person = |id: &str, role, by_config| ListedPerson { id: id.into(), role, by_config };
    let people = vec![person("111", ListedRole::Admin, true), person("222", ListedRole::User, false)];
    let groups = vec![ListedGroup { id: "-1001234567890".into(), by_config: false }];
    let mut all = vec![Message::Queued { position: 1 }, Message::Queued { position: 12 }];
    all.extend([Message::QueueFull { waiting: 20 }, Message::Restarted, Message::Stopped]);
    all.push(Message::Stranger { id: id(), admin_hint: Some("@ana".into()) });
    all.push(Message::Stranger { id: id(), admin_hint: None });
    all.push(Message::GroupStranger { id: "-1001234567890".into() });
    all.extend([Message::ClaimDone { bot: bot() }, Message::ClaimWrong, Message::ClaimOver]);
    all.extend([Message::Paired { bot: bot() }, Message::PairingWrong, Message::CodeWait { retry_in_seconds: 2400 }]);
    all.extend([Message::IdExpected { command: "/allow" }, Message::PrivateOnly]);
    all.push(Message::AllowLink { link: "https://t.me/raymundo_bot?start=AbC-12_x".into(), valid_minutes: 60 });
    all.extend([false, true].map(|group| Message::Allowed { id: id(), group }));
    all.extend([Message::AlreadyAllowed { id: id() }, Message::Denied { id: id() }, Message::NotListed { id: id() }]);
    all.extend([Message::Configured { id: id() }, Message::AllowList { people, groups }]);
    all.push(Message::AllowList { people: Vec::new(), groups: Vec::new() });
    all.extend([Message::AdminOnly, Message::Unsupported, Message::PhotoTooLarge { max_mb: 10 }, Message::PhotoFailed]);
    all.push(Message::NoVision(local()));
    all.extend([Message::PressForeign, Message::PressOld]);
    all.extend(health().map(Message::Health));
    all.extend(done_about_alerts().map(Message::AlertDone));
    all
}

fn instead() -> [Message; 2] {
    let limited = Instead { limited: Some("github".into()), until: Some(at(60)), now: at(0) };
    let spent = Instead { limited: None, until: None, now: at(0) };
    [(local(), limited), (cloud(), spent)].map(|(choice, instead)| Message::AnsweredInstead { choice, instead })
}

/// Every message but the errors, with what reaches each branch of its template.
fn messages(lang: Lang) -> Vec<Message> {
    let bot = || "Raymundo".to_owned();
    let rows = COMMANDS.iter().filter(|spec| spec.listed).map(|spec| HelpLine { name: spec.name, admin: false });
    let unknown = |word: &str, suggestion: Option<&str>, misused| Message::UnknownCommand {
        word: word.into(),
        suggestion: suggestion.map(str::to_owned),
        misused,
    };
    let id = |chat: &str, admin| Message::Id { id: "111".into(), chat: chat.into(), channel: "telegram", admin };
    let code = crate::conversation::commands::confirm_word(lang);
    let languages = Lang::ALL;
    let mut all = vec![
        Message::Welcome { bot: bot(), admin: true, choice: local() },
        Message::Welcome { bot: bot(), admin: false, choice: cloud() },
        Message::Welcome { bot: bot(), admin: false, choice: demo() },
        Message::Help { bot: bot(), commands: rows.collect() },
        unknown("/stast", Some("/stats"), None),
        unknown("/frobnicate", None, None),
        unknown("/stats 1999", None, Some("stats")),
    ];
    all.extend(receipts().map(Message::UsageFooter));
    all.extend(limits().map(Message::RefusedLimit));
    all.extend([1, 2, 3, 12, 1000].map(|position| Message::Waiting { position, next_at: Some(at(20)) }));
    all.extend([1, 12].map(|position| Message::Waiting { position, next_at: None }));
    all.extend(instead());
    all.extend([Message::CutOff, Message::Cancelled, Message::NothingToCancel, Message::Busy]);
    all.push(Message::TooLong { tokens: 50_000, max_tokens: 32_000 });
    all.extend([Message::RetryNothing, Message::NewConversation]);
    all.push(Message::ResetConfirm { command: format!("/reset_stats {code}"), code, valid_seconds: 60 });
    all.extend([Message::ResetDone { counting_since: at(0) }, Message::ResetDenied { id: "111".into() }]);
    all.extend([Message::ResetUndone { counting_since: at(0) }, Message::ResetNothingToUndo, Message::ResetKept]);
    all.extend(model_lists());
    all.extend([local(), cloud(), demo()].map(Message::ModelSwitched));
    all.push(Message::ModelUnknown { wanted: "gpt4".into(), suggestion: Some("gpt-4o".into()) });
    all.push(Message::ModelUnknown { wanted: "x".into(), suggestion: None });
    all.push(Message::LangSwitched { lang });
    all.push(Message::LangUnknown { wanted: Some("klingon".into()), lang, languages });
    all.push(Message::LangUnknown { wanted: None, lang, languages });
    all.extend([Message::UsageOn, Message::UsageOff]);
    all.extend(budget_tests::messages());
    all.extend([id("111", false), id("-100", true)]);
    all.extend([Message::InterruptedHint, Message::Goodbye]);
    all.extend(house_messages());
    all
}

/// Every class of error, with all that can be known of it and with nothing.
fn errors() -> impl Iterator<Item = Message> {
    ErrorKind::ALL.iter().flat_map(|&kind| {
        let (http_status, retry_in_seconds) = (Some(503), Some(20));
        [
            Message::Error { kind, http_status, retry_in_seconds, choice: Some(cloud()) },
            Message::Error { kind, http_status: None, retry_in_seconds: None, choice: None },
        ]
    })
}

fn all_messages(lang: Lang) -> Vec<Message> {
    messages(lang).into_iter().chain(errors()).collect()
}

#[test]
fn every_message_as_people_read_it() {
    let renderer = TemplateRenderer::new(templates());
    for lang in Lang::ALL {
        let show = |message: Message| format!("── {}\n{}\n", message.template(), renderer.render(lang, &message));
        let page: String = all_messages(lang).into_iter().map(show).collect();
        insta::assert_snapshot!(format!("every_message_{lang}"), page);
    }
}

#[test]
fn every_message_as_a_chat_shows_it() {
    for surface in [Surface::Telegram, Surface::WhatsApp] {
        let renderer = TemplateRenderer::new(templates()).on(surface);
        for lang in Lang::ALL {
            let show = |message: Message| format!("── {}\n{}\n", message.template(), renderer.render(lang, &message));
            let page: String = messages(lang).into_iter().map(show).collect();
            insta::assert_snapshot!(format!("every_message_{surface}_{lang}"), page);
        }
    }
}

#[test]
fn a_toast_is_short_enough_for_a_button() {
    const MAX_TOAST_CHARS: usize = 200;
    let renderer = TemplateRenderer::new(templates());
    for lang in Lang::ALL {
        for toast in [Message::PressForeign, Message::PressOld, Message::Stopped, Message::AdminOnly] {
            let text = renderer.render(lang, &toast);
            assert!(text.chars().count() <= MAX_TOAST_CHARS, "{lang}: {text}");
        }
    }
}

#[test]
fn menus_and_buttons_fit_where_they_stand() {
    let templates = templates();
    for lang in Lang::ALL {
        for command in templates.commands(lang) {
            let description = command.description_on(Surface::Telegram);
            assert!((1..=256).contains(&description.chars().count()) && !description.contains("Ctrl"), "{description}");
        }
        for name in ["today", "7d", "30d", "all", "models", "types", "limits", "users", "refresh", "csv", "reset"] {
            let label = templates.button(lang, name);
            assert!(label.chars().count() <= 20 && (label != name || name == "types"), "{lang}: {label}");
        }
    }
}

#[test]
fn every_message_is_whole_and_in_its_own_language() {
    let renderer = TemplateRenderer::new(templates());
    let english: Vec<String> =
        all_messages(Lang::En).iter().map(|message| renderer.render(Lang::En, message)).collect();
    for lang in Lang::ALL {
        for (message, english) in all_messages(lang).iter().zip(&english) {
            let (name, text) = (message.template(), renderer.render(lang, message));
            assert!(!text.trim().is_empty() && text != format!("[{name}]"), "{lang}/{name} says nothing");
            assert!(!text.contains("none") && !text.contains("  ("), "{lang}/{name}:\n{text}");
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= LINE_WIDTH + 8, "{lang}/{name} has a line of {widest} characters:\n{text}");
            // A line that is only names, numbers or something to type may be the same in two languages.
            let is_sentence = |line: &&str| {
                line.split(' ').filter(|word| !word.is_empty() && word.chars().all(char::is_alphabetic)).count() > 2
            };
            let left = text.lines().find(|line| is_sentence(line) && english.lines().any(|other| other == *line));
            assert!(lang == Lang::En || left.is_none(), "{lang}/{name} is left in English: {left:?}");
            assert!(lang == Lang::En || text != *english, "{lang}/{name} is left in English:\n{text}");
        }
    }
}

#[test]
fn a_message_carries_the_fields_of_its_contract_and_no_others() {
    let mut carried: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in all_messages(Lang::En) {
        let fields = carried.entry(message.template().into_owned()).or_default();
        if let serde_json::Value::Object(context) = serde_json::to_value(&message).expect("plain data") {
            fields.extend(context.into_iter().map(|(name, _)| name));
        }
    }
    let contract = |name: &str| crate::templates::messages::message(name).map(|message| message.fields);
    for (name, fields) in &carried {
        let expected = contract(name).unwrap_or_else(|| panic!("`{name}` has no contract"));
        assert_eq!(*fields, expected.iter().map(|field| (*field).to_owned()).collect(), "{name}");
    }
    let is_said = |name: &str| !["stats", "part/", "alert"].iter().any(|start| name.starts_with(start));
    for message in MESSAGES.iter().filter(|message| is_said(message.name)) {
        assert!(carried.keys().any(|name| name.starts_with(message.name)), "nothing says `{}`", message.name);
    }
}

#[test]
fn help_describes_every_command_in_every_language() {
    let templates = templates();
    let listed: BTreeSet<&str> = COMMANDS.iter().filter(|spec| spec.listed).map(|spec| spec.name).collect();
    for lang in Lang::ALL {
        let shown: BTreeSet<&str> = templates.commands(lang).iter().map(|command| command.name.as_str()).collect();
        assert!(listed.is_subset(&shown), "{lang}: {shown:?}");
    }
}

#[test]
fn the_words_that_are_shown_are_understood() {
    let templates = templates();
    for lang in Lang::ALL {
        let command = |name: &str| {
            let found = templates.commands(lang).iter().find(|command| command.name == name);
            found.unwrap_or_else(|| panic!("{lang} describes /{name}"))
        };
        let args = |name: &str| command(name).args.trim_matches(['[', ']']).split('|');
        let periods: Vec<Period> = args("stats").filter_map(|word| words::period(&fold(word))).collect();
        assert_eq!(periods, Period::ALL, "{lang}");
        assert_eq!(args("stats").count(), periods.len(), "{lang}");
        let said = command("stats").description.split(|c: char| !c.is_alphabetic());
        let views: Vec<View> = said.filter_map(|word| words::view(&fold(word))).collect();
        assert_eq!(views, [View::Models, View::Types, View::Limits, View::Users], "{lang}");
        assert_eq!(args("lang").filter_map(Lang::parse).collect::<Vec<_>>(), Lang::ALL, "{lang}");
        assert!(args("usage").all(|word| words::switch(&fold(word)).is_some()), "{lang}");
    }
}

#[test]
fn what_a_text_tells_people_to_type_can_be_typed() {
    let templates = templates();
    let renderer = TemplateRenderer::new(Arc::clone(&templates));
    let names = BotNames { name: "Raymundo".into(), handles: Vec::new() };
    let is_known = |typed: &str| match parse(typed, &names, Place::Console, true) {
        Input::Command(_) => true,
        Input::Misused { .. } => false,
        Input::Unknown { .. } => ["/stast", "/frobnicate"].contains(&typed),
        Input::Text(_) | Input::Nothing => false,
    };
    for lang in Lang::ALL {
        for message in all_messages(lang) {
            let text = renderer.render(lang, &message);
            if let Message::ResetConfirm { command, .. } = &message {
                let read = parse(command, &names, Place::Chat, true);
                assert_eq!(read, Input::Command(Command::ResetStats { confirmed: true }), "{command}");
                assert!(text.lines().any(|line| line == command), "on a line of its own, to be copied:\n{text}");
            }
            if message.template() == "error/limit" {
                let (_, rest) = text.split_once("/stats ").expect("it says where to look");
                let view = rest.split(|c: char| !c.is_alphabetic()).next().expect("a word");
                assert_eq!(words::view(&fold(view)), Some(View::Limits), "{text}");
            }
            let starts = text.split(|c: char| c.is_whitespace() || "(«“".contains(c));
            for word in starts.filter(|word| word.starts_with('/')) {
                let typed = word.trim_end_matches(|c: char| !c.is_alphabetic() && c != '_');
                let is_described = templates.commands(lang).iter().any(|command| typed == format!("/{}", command.name));
                let is_known = is_described || is_known(typed) || message.template() == "unknown_command";
                assert!(is_known, "{lang}/{} tells people to type `{typed}`", message.template());
            }
        }
    }
}

#[test]
fn a_time_is_shown_in_the_zone_it_carries() {
    let renderer = TemplateRenderer::new(templates());
    let text = renderer.render(Lang::En, &Message::ResetDone { counting_since: at(0) });
    assert!(text.ends_with(", 14:03."), "{text}");
}
