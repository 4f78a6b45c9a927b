//! The laws of `step`, as dialogues: what happens on the left, what is to be done on the right.

mod budgets;
mod messenger;

use super::*;
use crate::templates::Lang;
use crate::usage::{ErrorKind, Money, Now, Tick, Timestamp};

fn settings() -> Settings {
    Settings {
        names: BotNames { name: "raymundo".into(), handles: Vec::new() },
        system: None,
        choice: choice("ollama", "llama3.2"),
        footer: true,
        lang: Lang::En,
        place: Place::Console,
        bounds: Bounds { sessions: 2, ..Bounds::default() },
    }
}

fn choice(provider: &str, model: &str) -> ModelChoice {
    ModelChoice { provider: provider.into(), model: model.into(), local: provider == "ollama", demo: false }
}

fn chat(id: &str) -> ChatKey {
    ChatKey { channel: "terminal", id: id.into() }
}

fn at(secs: u64) -> Now {
    let unix_micros = 1_800_000_000_000_000 + secs as i64 * 1_000_000;
    Now { at: Timestamp::new(unix_micros, 0), tick: Tick(secs * 1_000_000) }
}

fn receipt(total_tokens: u64) -> ReceiptView {
    ReceiptView {
        choice: choice("ollama", "llama3.2"),
        prompt_tokens: Some(total_tokens / 2),
        cached_tokens: None,
        completion_tokens: Some(total_tokens - total_tokens / 2),
        total_tokens: Some(total_tokens),
        estimated: false,
        cost_usd: Some(Money::ZERO),
        latency_ms: 900,
    }
}

/// One chat with one person, an admin unless said otherwise; each event comes a second after the last.
struct Dialogue {
    conversation: Conversation,
    secs: u64,
    admin: bool,
}

impl Dialogue {
    fn new() -> Dialogue {
        Dialogue::with(settings())
    }

    fn with(settings: Settings) -> Dialogue {
        Dialogue { conversation: Conversation::new(settings), secs: 0, admin: true }
    }

    fn person(&self) -> Person {
        Person::new("111", self.admin)
    }

    fn step(&mut self, event: Event) -> String {
        self.secs += 1;
        let effects = self.conversation.step(event, at(self.secs));
        effects.iter().map(shown).collect::<Vec<_>>().join("; ")
    }

    fn says_in(&mut self, id: &str, text: &str) -> String {
        let person = self.person();
        self.step(Event::said(chat(id), person, text))
    }

    fn says(&mut self, text: &str) -> String {
        self.says_in("1", text)
    }

    fn interrupts(&mut self) -> String {
        let person = self.person();
        self.step(Event::Interrupt { chat: chat("1"), person })
    }

    fn answered(&mut self, job: u64, text: &str, result: Result<(), Problem>) -> String {
        let outcome = Box::new(AnswerOutcome { text: text.into(), receipt: Some(receipt(10)), instead: None, result });
        self.step(Event::Answered { chat: chat("1"), job: JobId(job), outcome })
    }

    /// Each line is a person's text and what it leads to.
    fn check(&mut self, lines: &[(&str, &str)]) {
        for (text, expected) in lines {
            assert_eq!(self.says(text), *expected, "{text}");
        }
    }
}

/// An effect in short: `say key`, `ask #1 provider/model [question|answer|question]`, …
fn shown(effect: &Effect) -> String {
    let key = |message: &Option<Message>| message.as_ref().map_or("-".into(), |m| m.template().into_owned());
    match effect {
        Effect::Say { lang: Lang::En, message, .. } => format!("say {}", message.template()),
        Effect::Say { lang, message, .. } => format!("say {} in {lang}", message.template()),
        Effect::Ask { job } => {
            let turns: Vec<&str> = job.turns.iter().map(|turn| &*turn.text).collect();
            format!("ask #{} {}/{} [{}]", job.id.0, job.choice.provider, job.choice.model, turns.join("|"))
        }
        Effect::End { job, footer, note, .. } => format!("end #{} {} {}", job.0, key(footer), key(note)),
        Effect::Cancel { job } => format!("cancel #{}", job.0),
        Effect::Acknowledge { message, .. } => format!("toast {}", key(message)),
        Effect::Manage { request, .. } => format!("manage {request:?}"),
        Effect::KeepLang { lang, .. } => format!("keep {lang}"),
        Effect::ShowStats { period, view, lang, .. } => format!("stats {} {} {lang}", period.as_str(), view.as_str()),
        Effect::ListModels { wanted, .. } => format!("models {}", wanted.as_deref().unwrap_or("-")),
        Effect::ResetStats { person, .. } => format!("reset by {}", person.id),
        Effect::UndoReset { .. } => "undo the reset".into(),
        Effect::ActOnAlert { person, id, act, .. } => format!("{} {id} {act:?}", person.id),
        Effect::Leave => "leave".into(),
    }
}

#[test]
fn a_conversation_remembers_and_starts_afresh() {
    let mut d = Dialogue::new();
    d.check(&[("hello", "ask #1 ollama/llama3.2 [hello]")]);
    assert_eq!(d.answered(1, "hi", Ok(())), "end #1 usage_footer -");
    d.check(&[("and you?", "ask #2 ollama/llama3.2 [hello|hi|and you?]")]);
    d.answered(2, "fine", Ok(()));
    d.check(&[("/new", "say new_conversation"), ("again", "ask #3 ollama/llama3.2 [again]")]);
}

#[test]
fn the_session_identity_changes_with_a_new_conversation_only() {
    let mut d = Dialogue::new();
    let identity = |d: &mut Dialogue, text: &str, job: u64| {
        d.secs += 1;
        let event = Event::said(chat("1"), d.person(), text);
        let effects = d.conversation.step(event, at(d.secs));
        let [Effect::Ask { job: asked }] = &effects[..] else { panic!("{effects:?}") };
        let session = asked.session.clone();
        d.answered(job, "a", Ok(()));
        session
    };
    let first = identity(&mut d, "one", 1);
    assert_eq!(identity(&mut d, "two", 2), first);
    d.says("/new");
    assert_ne!(identity(&mut d, "three", 3), first);
}

#[test]
fn while_an_answer_is_written_commands_are_served_and_questions_are_not() {
    let mut d = Dialogue::new();
    d.check(&[
        ("hello", "ask #1 ollama/llama3.2 [hello]"),
        ("more", "say busy"),
        ("/retry", "say busy"),
        ("/stats", "stats all overview en"),
        ("/help", "say help"),
        ("/cost", "say cost"),
        ("/id", "say id"),
        ("/model", "models -"),
        ("/usage off", "say usage_off"),
        ("/cancel", "cancel #1"),
        ("/cancel", "cancel #1"),
    ]);
    assert_eq!(d.answered(1, "par", Err(Problem::Cancelled)), "end #1 - cancelled");
    d.check(&[("/cancel", "say nothing_to_cancel"), ("go on", "ask #2 ollama/llama3.2 [hello|par|go on]")]);
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let mut d = Dialogue::new();
    d.check(&[("hello", "ask #1 ollama/llama3.2 [hello]"), ("/cancel", "cancel #1")]);
    assert_eq!(d.answered(1, "done already", Ok(())), "end #1 usage_footer -");
    d.check(&[("next", "ask #2 ollama/llama3.2 [hello|done already|next]")]);
    assert_eq!(d.answered(1, "a ghost", Ok(())), "end #1 usage_footer -", "an answer nobody waits for");
    d.check(&[("still?", "say busy")]);
    assert_eq!(d.answered(2, "yes", Ok(())), "end #2 usage_footer -");
    d.check(&[("now", "ask #3 ollama/llama3.2 [hello|done already|next|yes|now]")]);
}

#[test]
fn an_answer_to_a_forgotten_conversation_is_not_remembered() {
    let mut d = Dialogue::new();
    d.check(&[("hello", "ask #1 ollama/llama3.2 [hello]"), ("/new", "cancel #1; say new_conversation")]);
    d.check(&[("quick", "say busy")]);
    assert_eq!(d.answered(1, "partial", Err(Problem::Cancelled)), "end #1 usage_footer cancelled");
    d.check(&[("/retry", "say retry_nothing"), ("quick", "ask #2 ollama/llama3.2 [quick]")]);
}

#[test]
fn a_failure_says_its_kind_and_retry_asks_once_more() {
    let mut d = Dialogue::new();
    d.check(&[("/retry", "say retry_nothing"), ("hello", "ask #1 ollama/llama3.2 [hello]")]);
    let failed = Problem::Failed { kind: ErrorKind::Gone, http_status: Some(410), retry_in_seconds: None };
    assert_eq!(d.answered(1, " \n", Err(failed)), "end #1 usage_footer error/gone");
    d.check(&[("/retry", "ask #2 ollama/llama3.2 [hello]")]);
    let limit = LimitView {
        limit: "requests_per_minute".into(),
        scope: Some("provider:ollama".into()),
        own: None,
        used: 15,
        max: 15,
        figures: true,
        resets_at: None,
        resets_in_seconds: Some(7),
        now: at(0).at,
        never_fits: false,
        learned: false,
        stopped: false,
        held: false,
        local_model: None,
        raise: None,
    };
    assert_eq!(d.answered(2, "", Err(Problem::Refused(limit))), "end #2 usage_footer refused_limit");
    d.check(&[("/retry", "ask #3 ollama/llama3.2 [hello]")]);
    d.answered(3, "one", Ok(()));
    d.check(&[("/retry", "ask #4 ollama/llama3.2 [hello]")]);
    d.answered(4, "two", Ok(()));
    d.check(&[("next", "ask #5 ollama/llama3.2 [hello|two|next]")]);
}

#[test]
fn a_reset_is_for_admins_and_confirmed_within_a_minute() {
    let mut d = Dialogue::new();
    d.check(&[("/reset_stats confirm", "say reset_confirm"), ("/reset_stats confirm", "reset by 111")]);
    d.check(&[("/reset_stats", "say reset_confirm")]);
    d.secs += 59;
    d.check(&[("/reset_stats confirm", "reset by 111"), ("/reset_stats", "say reset_confirm")]);
    d.secs += 60;
    d.check(&[("/reset_stats confirm", "say reset_confirm")]);
    let done = d.step(Event::StatsReset { chat: chat("1"), result: Ok(at(0).at), replace: None });
    assert_eq!(done, "say reset_done");
    let failed = d.step(Event::StatsReset { chat: chat("1"), result: Err(ErrorKind::Other), replace: None });
    assert_eq!(failed, "say error/other");
    d.admin = false;
    d.check(&[("/reset_stats", "say reset_denied"), ("/raymundo stats reiniciar", "say reset_denied")]);
    d.admin = true;
    d.check(&[("/lang fr", "keep fr; say lang_switched in fr"), ("/reset_stats", "say reset_confirm in fr")]);
    d.check(&[("/reset_stats CONFIRMER", "reset by 111")]);
}

#[test]
fn a_plain_word_answers_whether_to_count_from_zero_and_asks_no_model() {
    let mut d = Dialogue::new();
    for no in ["no", "No.", "não", "non", "cancel", "cancela", "cancelar", "annuler", "/cancel"] {
        d.check(&[("/reset_stats", "say reset_confirm"), (no, "say reset_kept")]);
        d.check(&[("/reset_stats confirm", "say reset_confirm"), ("/cancel", "say reset_kept")]);
    }
    d.check(&[("/reset_stats", "say reset_confirm"), ("Yes", "say reset_confirm"), ("confirm", "reset by 111")]);
    // Whoever was not asked, or says something else, speaks to the model.
    d.check(&[("no", "ask #1 ollama/llama3.2 [no]")]);
    d.answered(1, "ok", Ok(()));
    d.check(&[("/reset_stats", "say reset_confirm")]);
    let other = d.step(Event::said(chat("1"), Person::new("222", true), "no"));
    assert_eq!(other, "ask #2 ollama/llama3.2 [no|ok|no]");
    d.check(&[("/cancel", "cancel #2"), ("no", "say reset_kept")]);
    d.answered(2, "", Ok(()));
    d.check(&[("/reset_stats", "say reset_confirm"), ("no idea", "ask #3 ollama/llama3.2 [no|ok|no idea]")]);
    d.secs += 60;
    d.check(&[("no", "say busy")]);
}

#[test]
fn an_admin_takes_a_reset_back_if_there_is_one() {
    let mut d = Dialogue::new();
    d.check(&[("/reset_stats undo", "undo the reset"), ("/raymundo stats reset deshacer", "undo the reset")]);
    for (result, said) in [
        (Ok(Some(at(0).at)), "say reset_undone"),
        (Ok(None), "say reset_nothing_to_undo"),
        (Err(ErrorKind::LedgerUnavailable), "say error/ledger_unavailable"),
    ] {
        assert_eq!(d.step(Event::ResetUndone { chat: chat("1"), result }), said);
    }
    d.admin = false;
    d.check(&[("/reset_stats undo", "say reset_denied")]);
}

#[test]
fn only_who_asked_for_a_reset_confirms_it() {
    let mut d = Dialogue::new();
    d.says("/reset_stats");
    let other = Person::new("222", true);
    let event = Event::said(chat("1"), other, "/reset_stats confirm");
    assert_eq!(d.step(event), "say reset_confirm");
}

#[test]
fn models_are_listed_and_chosen() {
    let mut d = Dialogue::new();
    let list = ModelList { offers: vec![choice("ollama", "llama3.2"), choice("cloud", "gpt-4o")], silent: Vec::new() };
    let models = |d: &mut Dialogue, wanted: Option<&str>| {
        let wanted = wanted.map(PrivateText::from);
        d.step(Event::Models { chat: chat("1"), wanted, list: list.clone() })
    };
    d.check(&[("/model", "models -"), ("/modelo 2", "models 2")]);
    assert_eq!(models(&mut d, None), "say model_list");
    assert_eq!(models(&mut d, Some("gpt-5")), "say model_unknown");
    assert_eq!(models(&mut d, Some("2")), "say model_switched");
    d.check(&[("hello", "ask #1 cloud/gpt-4o [hello]")]);
}

#[test]
fn every_simple_command_in_every_language() {
    let mut d = Dialogue::new();
    d.check(&[
        ("/start", "say welcome"),
        ("/help", "say help"),
        ("/id", "say id"),
        ("/cost", "say cost"),
        ("/usage", "say usage_off"),
        ("/usage", "say usage_on"),
        ("/lang", "say lang_unknown"),
        ("/lang de", "say lang_unknown"),
        ("/idioma español", "keep es; say lang_switched in es"),
        ("/ayuda", "say help in es"),
        ("/raymundo estadísticas semana", "stats 7d overview es"),
        ("/uso no", "say usage_off in es"),
        ("/reintentar", "say retry_nothing in es"),
        ("/cancelar", "say nothing_to_cancel in es"),
        ("/lang pt-BR", "keep pt; say lang_switched in pt"),
        ("/stats mês modelos", "stats 30d models pt"),
        ("/ajuda", "say help in pt"),
        ("/novo", "say new_conversation in pt"),
        ("/langue français", "keep fr; say lang_switched in fr"),
        ("/stats aujourd’hui limites", "stats today limits fr"),
        ("/coût", "say cost in fr"),
        ("/stast", "say unknown_command in fr"),
        ("/stats demain", "say unknown_command in fr"),
        ("/stats@otherbot", ""),
        ("", ""),
        ("/quitter", "say goodbye in fr; leave"),
    ]);
}

#[test]
fn help_shows_what_this_person_may_do_here() {
    let names = |place: Place, admin: bool| {
        let mut conversation = Conversation::new(Settings { place, ..settings() });
        let person = Person::new("1", admin);
        let effects = conversation.step(Event::said(chat("1"), person, "/help"), at(1));
        let [Effect::Say { message: Message::Help { commands, .. }, .. }] = &effects[..] else { panic!("{effects:?}") };
        commands.iter().map(|line| line.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names(Place::Console, true),
        "stats reset_stats usage cost budget model new retry cancel lang help id health quit"
    );
    assert_eq!(names(Place::Chat, false), "stats usage cost budget model new retry cancel lang help id");
}

#[test]
fn an_interrupt_stops_the_answer_and_a_second_leaves() {
    let mut d = Dialogue::new();
    d.says("hello");
    assert_eq!(d.interrupts(), "cancel #1");
    assert_eq!(d.interrupts(), "cancel #1; say goodbye; leave");
    d.answered(1, "", Err(Problem::Cancelled));

    let mut d = Dialogue::new();
    assert_eq!(d.interrupts(), "say interrupted_hint");
    assert_eq!(d.says("no, wait"), "ask #1 ollama/llama3.2 [no, wait]");
    assert_eq!(d.interrupts(), "cancel #1");
    d.answered(1, "", Err(Problem::Cancelled));
    assert_eq!(d.interrupts(), "say goodbye; leave");

    let mut d = Dialogue::with(Settings { place: Place::Chat, ..settings() });
    assert_eq!(d.interrupts(), "say nothing_to_cancel");
    assert_eq!(d.interrupts(), "say nothing_to_cancel", "nobody leaves a messenger");
}

#[test]
fn closing_leaves_and_opening_greets() {
    let mut d = Dialogue::new();
    let person = d.person();
    assert_eq!(d.step(Event::Opened { chat: chat("1"), person: person.clone() }), "say welcome");
    assert_eq!(d.step(Event::Closed { chat: chat("1"), person }), "say goodbye; leave");
}

#[test]
fn a_question_that_does_not_fit_is_not_asked() {
    let system = Some(PrivateText::from("be kind!"));
    let bounds = Bounds { tokens: 10, ..settings().bounds };
    let mut d = Dialogue::with(Settings { system, bounds, ..settings() });
    d.check(&[(&"x".repeat(33), "say too_long"), ("hello", "ask #1 ollama/llama3.2 [be kind!|hello]")]);
}

#[test]
fn that_another_model_answered_is_told_below_the_answer_and_not_below_a_failure() {
    let mut d = Dialogue::new();
    let instead = Instead { limited: Some("cloud".into()), until: None, now: at(0).at };
    let failed = Err(Problem::Failed { kind: ErrorKind::Connect, http_status: None, retry_in_seconds: None });
    let ended = [(1, Ok(()), "answered_instead"), (2, failed, "error/connect"), (3, Err(Problem::CutOff), "cut_off")];
    for (job, result, expected) in ended {
        d.says("hello");
        let (text, instead) = ("hi".into(), Some(instead.clone()));
        let outcome = Box::new(AnswerOutcome { text, receipt: Some(receipt(10)), instead, result });
        let shown = d.step(Event::Answered { chat: chat("1"), job: JobId(job), outcome });
        assert_eq!(shown, format!("end #{job} usage_footer {expected}"));
    }
}

#[test]
fn the_session_longest_idle_makes_room_but_never_one_being_answered() {
    let mut d = Dialogue::new();
    assert_eq!(d.says_in("1", "/lang es"), "keep es; say lang_switched in es");
    assert_eq!(d.says_in("2", "hello"), "ask #1 ollama/llama3.2 [hello]");
    assert_eq!(d.says_in("3", "hello"), "ask #2 ollama/llama3.2 [hello]");
    assert_eq!(d.conversation.session_count(), 2, "chat 1 was idle and made room");
    assert_eq!(d.says_in("1", "hello"), "say busy", "two sessions, both being answered");
    let outcome = Box::new(AnswerOutcome { text: "hi".into(), receipt: None, instead: None, result: Ok(()) });
    d.step(Event::Answered { chat: chat("2"), job: JobId(1), outcome });
    assert_eq!(d.says_in("1", "hello"), "ask #3 ollama/llama3.2 [hello]");
}

#[test]
fn nothing_said_is_in_any_debug_output() {
    let mut d = Dialogue::new();
    let mut seen = String::new();
    for text in ["MARKED question", "/MARKED", "/model MARKED", "/lang MARKED"] {
        let event = Event::said(chat("1"), d.person(), text);
        seen += &format!("{event:?}");
        seen += &format!("{:?}", d.conversation.step(event, at(1)));
    }
    let outcome =
        Box::new(AnswerOutcome { text: "MARKED answer".into(), receipt: None, instead: None, result: Ok(()) });
    let event = Event::Answered { chat: chat("1"), job: JobId(1), outcome };
    seen += &format!("{event:?}");
    seen += &format!("{:?}{:?}", d.conversation.step(event, at(2)), d.conversation);
    assert!(!seen.contains("MARKED"), "{seen}");
}

mod any_order {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Happening {
        Says(u8, &'static str),
        Interrupts(u8),
        /// The oldest generation of this chat ends, if one runs.
        Ends(u8, bool),
        /// An answer nobody waits for.
        Ghost(u8),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let texts = ["hello", "/new", "/retry", "/cancel", "/stats", "/reset_stats confirm", "/lang es", "/quit", "/x"];
        let says = prop::sample::select(texts.to_vec());
        prop_oneof![
            4 => (0..4u8, says).prop_map(|(chat, text)| Happening::Says(chat, text)),
            1 => (0..4u8).prop_map(Happening::Interrupts),
            3 => (0..4u8, any::<bool>()).prop_map(|(chat, ok)| Happening::Ends(chat, ok)),
            1 => (0..4u8).prop_map(Happening::Ghost),
        ]
    }

    fn event(happening: &Happening, running: &mut HashMap<String, JobId>) -> Option<Event> {
        let person = Person::new("1", true);
        let answered = |chat: ChatKey, job, ok: bool| {
            let result = if ok { Ok(()) } else { Err(Problem::Cancelled) };
            let outcome = Box::new(AnswerOutcome { text: "answer".into(), receipt: None, instead: None, result });
            Event::Answered { chat, job, outcome }
        };
        Some(match happening {
            Happening::Says(id, text) => Event::said(chat(&id.to_string()), person, *text),
            Happening::Interrupts(id) => Event::Interrupt { chat: chat(&id.to_string()), person },
            Happening::Ends(id, ok) => answered(chat(&id.to_string()), running.remove(&id.to_string())?, *ok),
            Happening::Ghost(id) => answered(chat(&id.to_string()), JobId(u64::MAX), true),
        })
    }

    proptest! {
        #[test]
        fn one_generation_per_chat_and_everything_gets_an_answer(
            happenings in prop::collection::vec(happening(), 0..60),
        ) {
            let mut conversation = Conversation::new(settings());
            let (mut running, mut ids) = (HashMap::new(), HashSet::new());
            for (secs, happening) in happenings.iter().enumerate() {
                let Some(event) = event(happening, &mut running) else { continue };
                let effects = conversation.step(event, at(secs as u64));
                prop_assert!(!effects.is_empty(), "{happening:?} is answered");
                let ends = effects.iter().filter(|effect| matches!(effect, Effect::End { .. })).count();
                let answered = matches!(happening, Happening::Ends(..) | Happening::Ghost(_));
                prop_assert_eq!(ends, usize::from(answered));
                for effect in &effects {
                    match effect {
                        Effect::Ask { job } => {
                            prop_assert!(ids.insert(job.id), "an id is used once");
                            prop_assert!(running.insert(job.chat.id.clone(), job.id).is_none(), "one at a time");
                            prop_assert_eq!(job.turns.last().map(|turn| turn.role), Some(Role::User));
                        }
                        Effect::Cancel { job } => prop_assert!(running.values().any(|id| id == job)),
                        _ => {}
                    }
                }
                prop_assert!(conversation.session_count() <= settings().bounds.sessions);
            }
        }
    }
}
