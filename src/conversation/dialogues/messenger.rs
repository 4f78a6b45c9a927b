//! What a messenger adds: questions that wait, edits, buttons, photos, bare words.

use super::*;
use crate::conversation::{Bounds, Group, MessageRef, Origin, Photo, Press};
use crate::reports::View;
use crate::stats::Period;

fn messenger() -> Dialogue {
    Dialogue::with(Settings { place: Place::Chat, ..settings() })
}

fn message(n: u64) -> Origin {
    Origin::of(MessageRef(n.to_string().into()))
}

impl Dialogue {
    /// Says something in a message of this number.
    fn writes(&mut self, n: u64, text: &str) -> String {
        let event = Event::Message {
            chat: chat("1"),
            person: self.person(),
            text: text.into(),
            photos: Vec::new(),
            origin: message(n),
        };
        self.step(event)
    }

    fn edits(&mut self, n: u64, text: &str) -> String {
        let person = self.person();
        self.step(Event::Edited { chat: chat("1"), person, text: text.into(), origin: message(n) })
    }

    fn presses(&mut self, by: &str, admin: bool, press: Press) -> String {
        let origin = Origin { press: Some("press".into()), ..message(50) };
        self.step(Event::Pressed { chat: chat("1"), person: Person::new(by, admin), press, origin })
    }
}

fn stats_press(asker: &str, view: View) -> Press {
    Press::Stats { period: Period::Week, view, asker: asker.into() }
}

#[test]
fn questions_wait_in_line_and_whoever_asks_more_is_told_once() {
    let mut d = messenger();
    d.check(&[
        ("one", "ask #1 ollama/llama3.2 [one]"),
        ("two", "say queued"),
        ("three", "say queued"),
        ("four", "say queued"),
        ("five", "say queue_full"),
        ("six", ""),
        ("/cost", "say cost"),
    ]);
    assert_eq!(d.answered(1, "a", Ok(())), "end #1 usage_footer -; ask #2 ollama/llama3.2 [one|a|two]");
    d.check(&[("five", "say queued"), ("six", "say queue_full")]);
    assert_eq!(d.answered(2, "b", Ok(())), "end #2 usage_footer -; ask #3 ollama/llama3.2 [one|a|two|b|three]");
    d.check(&[("/cancel", "cancel #3")]);
    assert_eq!(d.answered(3, "", Err(Problem::Cancelled)), "end #3 usage_footer cancelled", "nothing waits any more");
}

#[test]
fn an_edited_question_is_asked_as_it_stands_now() {
    let mut d = messenger();
    d.writes(1, "teh weather?");
    assert_eq!(d.edits(1, "the weather?"), "cancel #1");
    assert_eq!(
        d.answered(1, "so far", Err(Problem::Cancelled)),
        "end #1 usage_footer cancelled; ask #2 ollama/llama3.2 [the weather?]",
        "what came of the first is forgotten"
    );
    d.writes(2, "and tomrow?");
    assert_eq!(d.edits(2, "and tomorrow?"), "", "it waits, and is changed where it waits");
    assert_eq!(
        d.answered(2, "rain", Ok(())),
        "end #2 usage_footer -; ask #3 ollama/llama3.2 [the weather?|rain|and tomorrow?]"
    );
    d.answered(3, "sun", Ok(()));
    assert_eq!(d.edits(2, "and on Monday?"), "ask #4 ollama/llama3.2 [the weather?|rain|and on Monday?]");
    d.answered(4, "fog", Ok(()));
    assert_eq!(d.edits(1, "the time?"), "", "long answered");
    assert_eq!(d.edits(2, "/stats"), "", "a command is not given by an edit");
}

#[test]
fn a_screen_is_pressed_by_who_asked_or_an_admin() {
    let mut d = messenger();
    assert_eq!(d.presses("1", false, stats_press("1", View::Models)), "toast -; stats 7d models en");
    assert_eq!(d.presses("2", false, stats_press("1", View::Models)), "toast press_foreign");
    assert_eq!(d.presses("2", true, stats_press("1", View::Users)), "toast -; stats 7d users en");
    assert_eq!(d.presses("1", false, stats_press("1", View::Users)), "toast admin_only");
    assert_eq!(d.presses("1", false, Press::Unknown), "toast press_old");
}

#[test]
fn a_reset_is_pressed_twice_by_the_same_admin_within_a_minute() {
    let mut d = messenger();
    assert_eq!(d.presses("1", false, Press::AskReset), "toast admin_only");
    assert_eq!(d.presses("1", true, Press::ConfirmReset), "toast press_old", "nobody asked");
    assert_eq!(d.presses("1", true, Press::AskReset), "toast -; say reset_confirm");
    assert_eq!(d.presses("2", true, Press::ConfirmReset), "toast press_old", "another admin was not asked");
    d.presses("1", true, Press::AskReset);
    assert_eq!(d.presses("1", true, Press::ConfirmReset), "toast -; reset by 1");
    d.presses("1", true, Press::AskReset);
    assert_eq!(d.presses("1", true, Press::CancelReset), "toast -; stats all overview en");
    assert_eq!(d.presses("1", true, Press::ConfirmReset), "toast press_old", "rather not, they said");
    d.presses("1", true, Press::AskReset);
    d.secs += 61;
    assert_eq!(d.presses("1", true, Press::ConfirmReset), "toast press_old");
}

/// Somebody says something in the group.
fn in_group(d: &mut Dialogue, by: &str, text: &str) -> String {
    let person = Person { group: Some(Group { team: "sales".into() }), ..Person::new(by, false) };
    d.step(Event::said(chat("1"), person, text))
}

#[test]
fn an_answer_in_a_group_is_stopped_by_who_asked_or_an_admin() {
    let mut d = messenger();
    assert_eq!(in_group(&mut d, "111", "hello"), "ask #1 ollama/llama3.2 [hello]");
    assert_eq!(d.presses("7", false, Press::Stop(JobId(1))), "toast press_foreign");
    assert_eq!(in_group(&mut d, "7", "/cancel"), "say nothing_to_cancel");
    assert_eq!(in_group(&mut d, "7", "and me"), "say queued");
    assert_eq!(in_group(&mut d, "8", "/new"), "say new_conversation", "the question of another waits on");
    assert_eq!(d.presses("111", false, Press::Stop(JobId(1))), "toast stopped; cancel #1");
    let end = d.answered(1, "", Err(Problem::Cancelled));
    assert_eq!(end, "end #1 - cancelled; ask #2 ollama/llama3.2 [and me]", "no price in a group");
    assert_eq!(d.presses("111", false, Press::Stop(JobId(1))), "toast press_old");
}

#[test]
fn what_answers_cost_is_not_told_in_a_group() {
    let mut d = messenger();
    for text in ["/cost", "/usage on", "/claim ABCDE"] {
        assert_eq!(in_group(&mut d, "1", text), "say private_only", "{text}");
    }
}

#[test]
fn a_question_that_does_not_fit_holds_up_none_behind_it() {
    let bounds = Bounds { tokens: 20, ..Bounds::default() };
    let mut d = Dialogue::with(Settings { place: Place::Chat, bounds, ..settings() });
    d.check(&[("one", "ask #1 ollama/llama3.2 [one]"), (&"long ".repeat(40), "say queued"), ("two", "say queued")]);
    let end = d.answered(1, "a", Ok(()));
    assert_eq!(end, "end #1 usage_footer -; say too_long; ask #2 ollama/llama3.2 [one|a|two]");
}

#[test]
fn a_few_words_are_commands_without_their_slash_in_a_chat_of_ones_own() {
    let mut d = messenger();
    d.check(&[
        ("stats", "stats all overview en"),
        ("Estadísticas hoy", "stats today overview en"),
        ("ayuda", "say help"),
        ("help me with my homework", "ask #1 ollama/llama3.2 [help me with my homework]"),
    ]);
    d.answered(1, "", Ok(()));
    d.check(&[("stats are hard", "ask #2 ollama/llama3.2 [stats are hard]")]);
    d.answered(2, "", Ok(()));
    let group = Some(Group { team: "sales".into() });
    let event = Event::said(chat("1"), Person { group, ..d.person() }, "stats");
    assert_eq!(d.step(event), "ask #3 ollama/llama3.2 [stats]");
}

#[test]
fn photos_are_asked_about_and_not_kept() {
    let mut d = messenger();
    let event = Event::Message {
        chat: chat("1"),
        person: d.person(),
        text: "".into(),
        photos: vec![Photo::from(vec![1, 2, 3])],
        origin: message(1),
    };
    let effects = d.conversation.step(event, at(1));
    let [Effect::Ask { job }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(job.photos.len(), 1);
    assert_eq!(&*job.turns.last().expect("a question").text, "What do you see here?");
    d.answered(1, "a cat", Ok(()));
    d.check(&[("/retry", "say retry_nothing")]);
    assert!(!format!("{effects:?}").contains("[1, 2, 3]"));
}

#[test]
fn a_chat_speaks_the_language_of_its_app_until_it_chooses_one() {
    let mut d = messenger();
    let person = Person { lang: Some(Lang::Fr), ..d.person() };
    assert_eq!(d.step(Event::said(chat("1"), person.clone(), "/cost")), "say cost in fr");
    assert_eq!(d.step(Event::said(chat("1"), person, "/lang pt")), "keep pt; say lang_switched in pt");
}

#[test]
fn everybody_in_a_group_is_answered_in_their_own_language_until_one_is_chosen_for_all() {
    let mut d = messenger();
    let said = |d: &mut Dialogue, by: &str, lang, text: &str| {
        let group = Some(Group { team: "sales".into() });
        let person = Person { lang: Some(lang), group, ..Person::new(by, false) };
        d.step(Event::said(chat("1"), person, text))
    };
    assert_eq!(said(&mut d, "7", Lang::Es, "/new"), "say new_conversation in es");
    assert_eq!(said(&mut d, "8", Lang::Fr, "hello"), "ask #1 ollama/llama3.2 [hello]");
    assert_eq!(said(&mut d, "7", Lang::Es, "and me"), "say queued in es");
    let ended = d.conversation.step(
        Event::Answered { chat: chat("1"), job: JobId(1), outcome: Box::new(AnswerOutcome::failed(ErrorKind::Other)) },
        at(99),
    );
    let lang = ended.iter().find_map(|effect| match effect {
        Effect::End { lang, .. } => Some(*lang),
        _ => None,
    });
    assert_eq!(lang, Some(Lang::Fr), "the end of an answer is told in the language of who asked");
    assert_eq!(said(&mut d, "7", Lang::Es, "/lang pt"), "keep pt; say lang_switched in pt");
    assert_eq!(said(&mut d, "8", Lang::Fr, "/help"), "say help in pt");
}

#[test]
fn managing_is_for_admins_and_the_claim_for_everybody() {
    let mut d = messenger();
    d.check(&[("/health", "manage Health"), ("/allow 5", "manage Allow(Some(PrivateText(1 bytes)))")]);
    d.admin = false;
    d.check(&[
        ("/health", "say admin_only"),
        ("/deny 5", "say admin_only"),
        ("/stats users", "say admin_only"),
        ("/claim ABC", "manage Claim(Some(PrivateText(3 bytes)))"),
    ]);
}
