//! Who may speak in the chats: roles, codes and acts behind the door, over restarts; what admins are told; and that none
//! of it is written where it does not belong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tallybot::app::{ChatDoor, Desk, DoorParts, random};
use tallybot::config::{self, Config};
use tallybot::conversation::driver::{Assistant, Books, Door, ManageRequest, Role};
use tallybot::conversation::{CancelToken, ChatKey, Group, ListedRole, Message, Person, PrivateText, Request};
use tallybot::ledger::{Durability, Folder, People};
use tallybot::limits::{Caps, Facet, LimitKind, Pick, Rule, Scope};
use tallybot::metering::Metering;
use tallybot::models::{Kind, Provider, Timeouts};
use tallybot::templates::{Lang, Templates};
use tallybot::usage::{Clock, ErrorKind, Timestamp, Zone, seal_line};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use crate::in_process::{Bench, VirtualClock, job, provider, setup, sink};
use crate::providers::{ScriptedProvider, openai};
use crate::running::Home;

const TELEGRAM: &str = "telegram";
const TOKEN: &str = "123456789:AAF-not-a-token-of-anybody-0123456789";

/// Ids that are found in a file at a glance.
const ADMIN: &str = "424200001";
const USER: &str = "424200002";
const OTHER: &str = "424200003";
const GROUP: &str = "-1004242000042";

fn configuration(telegram: &str) -> Config {
    let text = format!("[bot]\nname = \"Raymundo\"\n[telegram]\n{telegram}\n");
    let env = |name: &str| (name == "TELOXIDE_TOKEN").then(|| TOKEN.to_owned());
    let checked = config::check(&text, "t.toml", &env, &|_: &str| Err("no file".to_owned()));
    checked.map_err(|mistakes| mistakes.to_string()).expect("it holds").config
}

/// The books and the door of a folder, as one run of the program has them.
struct Run {
    desk: Desk,
    claim: Option<String>,
    clock: Arc<VirtualClock>,
}

impl Run {
    fn new(folder: &Path, telegram: &str) -> Run {
        Run::with(folder, telegram, Vec::new())
    }

    fn with(folder: &Path, telegram: &str, providers: Vec<Provider>) -> Run {
        let clock = VirtualClock::at("2026-11-22T12:00:00Z");
        let shared: Arc<dyn Clock> = clock.clone();
        let (metering, _) = Metering::start(folder, setup(Vec::new(), Durability::Kill, &shared)).expect("it opens");
        let (people, tasks) = (Arc::new(People::open(folder, [7; 32]).expect("it opens")), TaskTracker::new());
        let parts = DoorParts {
            people: Arc::clone(&people),
            metering: metering.clone(),
            clock: Arc::clone(&shared),
            random,
            tasks: tasks.clone(),
        };
        let (door, claim) = ChatDoor::new(&configuration(telegram), parts);
        door.introduce("raymundo_bot");
        let desk = Desk {
            bot: "Raymundo".to_owned(),
            language: Lang::En,
            pressing: Default::default(),
            deliveries: None,
            compat: Default::default(),
            zone: Zone::UTC,
            started_at: shared.now().at,
            metering,
            providers: providers.into(),
            provider_infos: Vec::new(),
            people,
            rules: Vec::new().into(),
            door: Arc::new(door),
            folder: folder.to_owned(),
            templates: Arc::new(Templates::load(None).expect("the built-in templates")),
            clock: shared,
            tasks,
        };
        let claim = claim.map(|code| secrecy::ExposeSecret::expose_secret(&code).to_owned());
        Run { desk, claim, clock }
    }

    fn role(&self, id: &str) -> Option<Role> {
        self.desk.door.role_of(TELEGRAM, id)
    }

    fn team(&self, group: &str) -> Option<String> {
        self.desk.door.group(TELEGRAM, group).map(|group| group.team)
    }

    async fn redeem(&self, id: &str, code: &str) -> Message {
        self.desk.door.redeem(TELEGRAM, id, code).await
    }

    /// What the admin is answered in a chat of their own, or in a group.
    async fn ask_in(&self, chat: &str, request: Request) -> Message {
        let group = chat.starts_with('-').then(|| Group { team: String::new() });
        let person = Person { group, ..Person::new(ADMIN, true) };
        self.desk.manage(ManageRequest { chat: chat_key(chat), person, request }).await
    }

    async fn ask(&self, request: Request) -> Message {
        self.ask_in(ADMIN, request).await
    }

    async fn allow(&self, id: &str) -> Message {
        self.ask(Request::Allow(Some(id.into()))).await
    }

    async fn deny(&self, id: &str) -> Message {
        self.ask(Request::Deny(Some(id.into()))).await
    }

    /// The code of a link that an admin asked for.
    async fn pairing(&self) -> String {
        let Message::AllowLink { link, valid_minutes: 60 } = self.ask(Request::Allow(None)).await else {
            panic!("a link was asked for");
        };
        link.strip_prefix("https://t.me/raymundo_bot?start=").expect("a link to the bot").to_owned()
    }

    /// Ends it as a stop does.
    fn stop(self) {
        self.desk.people.save().expect("written");
        self.desk.metering.close(self.clock.now()).expect("closed");
    }
}

fn chat_key(id: &str) -> ChatKey {
    ChatKey { channel: TELEGRAM, id: id.to_owned() }
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn of_config(role: &str) -> String {
    format!("{role} = [{ADMIN}]")
}

#[tokio::test]
async fn nobody_may_speak_until_the_claim_code_makes_the_one_first_admin() {
    let folder = home();
    let run = Run::new(folder.path(), "");
    let claim = run.claim.clone().expect("there is no admin");
    assert_eq!([ADMIN, USER, "0", "", "x", GROUP].map(|id| run.role(id)), [None; 6]);
    assert_eq!(run.team(GROUP), None);
    assert_eq!(run.redeem(USER, "AAAAA-AAAAA").await, Message::ClaimWrong);
    assert_eq!(run.redeem(GROUP, &claim).await, Message::ClaimWrong, "a group is nobody's first admin");
    assert_eq!(run.redeem(ADMIN, &claim.to_lowercase()).await, Message::ClaimDone { bot: "Raymundo".to_owned() });
    assert_eq!([ADMIN, USER].map(|id| run.role(id)), [Some(Role::Admin), None]);
    assert_eq!(run.redeem(USER, &claim).await, Message::ClaimOver);
    assert_eq!((run.role(USER), run.desk.door.role_of("whatsapp", ADMIN)), (None, None));
    run.stop();
    let again = Run::new(folder.path(), "");
    assert_eq!((again.claim.as_deref(), again.role(ADMIN)), (None, Some(Role::Admin)), "there is one, so no code");
}

#[test]
fn no_claim_code_is_made_where_there_is_an_admin_or_no_channel() {
    let folder = home();
    assert!(Run::new(folder.path(), &of_config("admins")).claim.is_none());
    let folder = home();
    assert!(Run::new(folder.path(), &of_config("users")).claim.is_some(), "a user is no admin");
    let folder = home();
    let run = Run::new(folder.path(), "");
    let parts = DoorParts {
        people: Arc::clone(&run.desk.people),
        metering: run.desk.metering.clone(),
        clock: Arc::clone(&run.desk.clock),
        random,
        tasks: run.desk.tasks.clone(),
    };
    assert!(ChatDoor::new(&Config::default(), parts).1.is_none());
}

#[tokio::test]
async fn who_guesses_codes_is_told_to_wait_and_the_right_one_waits_too() {
    let folder = home();
    let run = Run::new(folder.path(), "");
    let claim = run.claim.clone().expect("there is no admin");
    for _ in 0..5 {
        assert_eq!(run.redeem(USER, "AAAAA-AAAAA").await, Message::ClaimWrong);
    }
    assert_eq!(run.redeem(USER, &claim).await, Message::CodeWait { retry_in_seconds: 3600 });
    run.clock.advance(Duration::from_secs(3600));
    assert_eq!(run.redeem(USER, &claim).await, Message::ClaimDone { bot: "Raymundo".to_owned() });
}

#[tokio::test]
async fn a_link_lets_one_person_in_within_an_hour() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    let paired = || Message::Paired { bot: "Raymundo".to_owned() };
    let code = run.pairing().await;
    let known = run.redeem(ADMIN, &code).await;
    assert_eq!(known, Message::AlreadyAllowed { id: ADMIN.to_owned() }, "it is for somebody else, and not used up");
    assert_eq!(run.redeem(USER, &code).await, paired());
    assert_eq!([USER, OTHER].map(|id| run.role(id)), [Some(Role::User), None]);
    assert_eq!(run.redeem(OTHER, &code).await, Message::PairingWrong);
    let late = run.pairing().await;
    run.clock.advance(Duration::from_secs(3600));
    assert_eq!(run.redeem(OTHER, &late).await, Message::PairingWrong);
    assert_eq!(run.redeem(OTHER, &run.pairing().await).await, paired());
}

#[tokio::test]
async fn what_admins_set_holds_at_once_and_after_a_restart() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    assert_eq!(run.allow(USER).await, Message::Allowed { id: USER.to_owned(), group: false });
    assert_eq!(run.allow(&format!(" +{USER}")).await, Message::AlreadyAllowed { id: USER.to_owned() });
    assert_eq!(run.allow(OTHER).await, Message::Allowed { id: OTHER.to_owned(), group: false });
    assert_eq!(run.deny(OTHER).await, Message::Denied { id: OTHER.to_owned() });
    assert_eq!(run.deny(OTHER).await, Message::NotListed { id: OTHER.to_owned() });
    assert_eq!(run.allow(GROUP).await, Message::Allowed { id: GROUP.to_owned(), group: true });
    run.desk.keep_lang(chat_key(USER), Lang::Fr).await;
    let roles = |run: &Run| [ADMIN, USER, OTHER, GROUP].map(|id| run.role(id));
    let (before, team) = (roles(&run), run.team(GROUP));
    assert_eq!(before, [Some(Role::Admin), Some(Role::User), None, None], "a group is nobody");
    let shown = team.clone().expect("it is let in");
    assert!(shown.starts_with("group-") && !shown.contains("4242"), "{shown}");
    let acts = run.desk.metering.acts().settings;
    run.stop();
    // As it was closed, and as whoever reads the folder folds it.
    let read = Folder::new(folder.path()).read(&mut (), Timestamp::new(0, 0)).expect("readable");
    assert_eq!(read.acts.expect("there are acts").settings, acts);
    let again = Run::new(folder.path(), &of_config("admins"));
    assert_eq!((roles(&again), again.team(GROUP)), (before, team));
    assert_eq!(again.desk.door.lang_of(&chat_key(USER)), Some(Lang::Fr));
    assert_eq!(again.deny(GROUP).await, Message::Denied { id: GROUP.to_owned() });
    assert_eq!(again.team(GROUP), None);
}

#[tokio::test]
async fn what_the_configuration_says_no_chat_changes() {
    let folder = home();
    let run = Run::new(folder.path(), &format!("users = [{USER}]\nadmins = [{ADMIN}]"));
    for id in [ADMIN, USER] {
        assert_eq!(run.allow(id).await, Message::AlreadyAllowed { id: id.to_owned() });
        assert_eq!(run.deny(id).await, Message::Configured { id: id.to_owned() });
    }
    assert_eq!([ADMIN, USER].map(|id| run.role(id)), [Some(Role::Admin), Some(Role::User)]);
    assert_eq!(run.desk.metering.acts().settings.admitted().count(), 0, "nothing was written");

    let folder = home();
    let groups = format!("groups = [{{ id = {GROUP}, team = \"editors\" }}, -77]");
    let run = Run::new(folder.path(), &format!("admins = [{ADMIN}]\n{groups}"));
    assert_eq!(run.team(GROUP).as_deref(), Some("editors"));
    assert!(run.team("-77").is_some_and(|team| team.starts_with("group-")) && run.team("-78").is_none());
    assert_eq!(run.deny(GROUP).await, Message::Configured { id: GROUP.to_owned() });
}

#[tokio::test]
async fn what_is_no_id_is_answered_with_what_was_expected() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    for typed in ["@ana", "0", "12.5", "ana", "99999999999999999999", "me"] {
        assert_eq!(run.allow(typed).await, Message::IdExpected { command: "/allow" }, "{typed}");
        assert_eq!(run.deny(typed).await, Message::IdExpected { command: "/deny" }, "{typed}");
    }
}

#[tokio::test]
async fn in_a_group_an_admin_speaks_of_the_group_and_nobody_is_named() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    let topic = format!("{GROUP}/7");
    let allowed = run.ask_in(&topic, Request::Allow(None)).await;
    assert_eq!(allowed, Message::Allowed { id: GROUP.to_owned(), group: true });
    assert!(run.team(GROUP).is_some());
    assert_eq!(run.ask_in(GROUP, Request::Health).await, Message::PrivateOnly);
    assert_eq!(run.ask_in(GROUP, Request::Deny(None)).await, Message::Denied { id: GROUP.to_owned() });
    assert_eq!(run.team(GROUP), None);
}

#[tokio::test]
async fn a_group_that_moves_stays_let_in() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    let _allowed = run.allow("-4242").await;
    for (from, to, is_let_in) in [("-4242", GROUP, true), ("-1", "-2", false), ("-4242", OTHER, false)] {
        run.desk.door.moved(TELEGRAM, from, to).await;
        assert_eq!(run.team(to).is_some() || run.role(to).is_some(), is_let_in, "{from} to {to}");
    }
}

#[tokio::test]
async fn the_list_names_everybody_who_may_speak_and_the_forgotten_can_still_be_denied() {
    let folder = home();
    let run = Run::new(folder.path(), &of_config("admins"));
    for id in [USER, OTHER, GROUP] {
        let _allowed = run.allow(id).await;
    }
    let subject = run.desk.people.hash(TELEGRAM, OTHER).to_string();
    run.stop();
    let people = folder.path().join("people.json");
    let mut rows: serde_json::Value = serde_json::from_slice(&std::fs::read(&people).expect("there")).expect("JSON");
    rows.as_object_mut().expect("an object").remove(&subject).expect("it has a row");
    std::fs::write(&people, rows.to_string()).expect("writable");

    let run = Run::new(folder.path(), &of_config("admins"));
    let Message::AllowList { people, groups } = run.ask(Request::Deny(None)).await else { panic!("a list") };
    let mut rows: Vec<_> = people.iter().map(|person| (person.id.as_str(), person.role, person.by_config)).collect();
    assert_eq!(rows.remove(0), (ADMIN, ListedRole::Admin, true), "those of the configuration first");
    rows.sort_by_key(|(id, ..)| *id != USER);
    assert_eq!(rows, [(USER, ListedRole::User, false), (subject.as_str(), ListedRole::User, false)]);
    assert_eq!(groups.iter().map(|group| (group.id.as_str(), group.by_config)).collect::<Vec<_>>(), [(GROUP, false)]);
    assert_eq!(run.role(OTHER), Some(Role::User), "erased from the names, not from the list");
    assert_eq!(run.deny(&subject).await, Message::Denied { id: subject.clone() });
    assert_eq!((run.role(OTHER), run.deny(&subject).await), (None, Message::IdExpected { command: "/deny" }));
}

#[tokio::test]
async fn a_code_whose_act_could_not_be_written_is_valid_again() {
    let folder = home();
    let run = Run::new(folder.path(), "");
    let claim = run.claim.clone().expect("there is no admin");
    let path = folder.path().join("control.jsonl");
    let whole = std::fs::read(&path).expect("there");
    std::fs::write(&path, [&whole[..], b"x"].concat()).expect("writable");
    let failed = run.redeem(ADMIN, &claim).await;
    assert!(matches!(failed, Message::Error { kind: ErrorKind::LedgerUnavailable, .. }), "{failed:?}");
    assert_eq!(run.role(ADMIN), None, "what was not written does not hold");
    std::fs::write(&path, &whole).expect("writable");
    assert_eq!(run.redeem(ADMIN, &claim).await, Message::ClaimDone { bot: "Raymundo".to_owned() });
}

#[tokio::test]
async fn health_says_how_the_books_the_disk_and_each_provider_are_and_what_failed_last() {
    let folder = home();
    let down = provider(Kind::OpenAi, "http://127.0.0.1:1", Timeouts::default());
    let run = Run::with(folder.path(), &of_config("admins"), vec![down]);
    run.clock.advance(Duration::from_secs(90));
    let Message::Health(health) = run.ask(Request::Health).await else { panic!("the health") };
    assert_eq!((health.version.as_str(), health.uptime_seconds), (env!("CARGO_PKG_VERSION"), Some(90)));
    assert_eq!((health.ledger_ok, health.ledger_trouble, health.records_waiting), (true, None, 0));
    let (free, total) = (health.disk_free_bytes.expect("known"), health.disk_total_bytes.expect("known"));
    assert!(free <= total && total > 1_000_000, "{free} of {total}");
    let [cloud] = &health.providers[..] else { panic!("one provider") };
    assert_eq!((cloud.name.as_str(), cloud.ok, cloud.error), ("cloud", false, Some(ErrorKind::Connect)));
    assert_eq!(health.last_error, None, "a probe is no call");

    let server = ScriptedProvider::always(openai::error(429, "rate_limit_exceeded", "slow down")).await;
    let bench = Bench::new(Kind::OpenAi, &server);
    assert!(bench.ask().await.result.is_err());
    let (at, failure) = bench.answering.metering.last_failure().expect("it failed");
    let newest = bench.records().pop().expect("recorded");
    assert_eq!((Some(failure), at), (newest.failure, newest.timestamp));
    assert_eq!(failure.kind, ErrorKind::RateLimited);
}

#[tokio::test]
async fn a_call_of_a_group_is_of_its_team_and_the_teams_limit_holds() {
    let server = ScriptedProvider::always(openai::chat(&["Yes."], 20, 2)).await;
    let scope = Scope::everything().with(Facet::Team, Pick::parse("group-abcdefgh"));
    let rule = Rule::new(scope, Caps::of([(LimitKind::RequestsPerDay, 1)]), Zone::UTC);
    let clock = VirtualClock::at("2026-11-22T12:00:00Z");
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), vec![rule], clock);
    let ask = async |team: Option<&str>| {
        let mut job = job(Kind::OpenAi, "session", "?");
        job.person.group = team.map(|team| Group { team: team.to_owned() });
        bench.answering.ask(job, sink().0, CancelToken::new()).await.result.is_ok()
    };
    assert!(ask(Some("group-abcdefgh")).await);
    assert!(!ask(Some("group-abcdefgh")).await, "one a day");
    assert!(ask(Some("group-other")).await && ask(None).await);
    let teams: Vec<Option<String>> =
        bench.records().iter().map(|record| record.team.as_deref().map(str::to_owned)).collect();
    let group = || Some("group-abcdefgh".to_owned());
    assert_eq!(teams, [group(), group(), Some("group-other".to_owned()), None]);
}

/// Laws 7 and 8: ids and codes are in memory and in `people.json`, and nowhere else.
#[tokio::test]
async fn no_id_and_no_code_is_written_beside_people_json_or_shown_by_debug() {
    let folder = home();
    let run = Run::new(folder.path(), "");
    let mut codes = vec![run.claim.clone().expect("there is no admin")];
    let _admin = run.redeem(ADMIN, &codes[0]).await;
    let link = run.ask(Request::Allow(None)).await;
    let claimed = Request::Claim(Some(PrivateText::from(codes[0].as_str())));
    let shown = format!("{link:?} {claimed:?}");
    codes.push(run.pairing().await);
    let _user = run.redeem(USER, &codes[1]).await;
    let _group = run.allow(GROUP).await;
    run.desk.keep_lang(chat_key(&format!("{GROUP}/7")), Lang::Pt).await;
    run.stop();

    let Message::AllowLink { link, .. } = &link else { panic!("a link") };
    let code = link.rsplit('=').next().expect("a code");
    assert!(!shown.contains(code) && !shown.contains(&codes[0]), "{shown}");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let Ok(content) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&content).to_uppercase();
        for secret in codes.iter().map(String::as_str).chain([code]) {
            let plain = secret.replace('-', "");
            assert!(!text.contains(secret) && !text.contains(&plain), "a code in `{name}`");
        }
        assert!(name == "people.json" || !text.contains("4242000"), "an id in `{name}`");
        names.push(name);
    }
    assert!(["control.jsonl", "people.json", "subject.key"].iter().all(|name| names.contains(&(*name).to_owned())));
}

#[test]
fn the_program_shows_the_claim_code_to_whoever_starts_it_and_to_no_file() {
    let config = "[telegram]\napi_url = \"http://127.0.0.1:1\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                  [[providers]]\nname = \"demo\"\nkind = \"demo\"\n";
    let home = Home::new(config).with_env("TELOXIDE_TOKEN", TOKEN);
    let mut codes = Vec::new();
    for _ in 0..2 {
        let ended = home.serve().stop();
        let (_, rest) = ended.err.split_once("`/claim ").expect("it says what to send");
        codes.push(rest.split('`').next().expect("a code").to_owned());
        assert!(!ended.out.contains(&codes[codes.len() - 1]));
    }
    assert_ne!(codes[0], codes[1], "each run has its own");
    for (path, content) in home.written() {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!codes.iter().any(|code| text.contains(code)), "a code in {}", path.display());
    }
    home.configure(&config.replace("[telegram]", "[telegram]\nadmins = [111]"));
    assert!(!home.serve().stop().err.contains("/claim"));
}

/// Whoever checks, exports and counts reads acts of settings, and passes over those of a newer version.
#[tokio::test]
async fn acts_of_settings_and_of_newer_versions_are_in_nobodys_way() {
    let home = Home::new("[[providers]]\nname = \"demo\"\nkind = \"demo\"\n");
    assert_eq!(home.run(&["chat"], "hello\n").code(), Some(0));
    let run = Run::new(&home.data(), &of_config("admins"));
    let _allowed = run.allow(USER).await;
    run.stop();
    let path = home.data().join("control.jsonl");
    let mut control = std::fs::read(&path).expect("there");
    let acts = String::from_utf8_lossy(&control).lines().count() as u64;
    assert_eq!(acts, 2, "the lineage and who was let in");
    for (n, act) in
        [r#""act":"setting","setting":"colour","of":"the sky""#, r#""act":"dance","steps":3"#].iter().enumerate()
    {
        let start = control.len();
        control.extend_from_slice(format!(r#"{{"v":1,"at":"2026-11-22T12:00:00.000000+00:00",{act}}}"#).as_bytes());
        seal_line(&mut control, start, acts + 1 + n as u64);
    }
    std::fs::write(&path, &control).expect("writable");
    let verified = home.run(&["verify"], "");
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    let stats: serde_json::Value = serde_json::from_str(&home.run(&["stats", "--json"], "").out).expect("JSON");
    assert_eq!(stats["requests"]["total"], 1);
    assert_eq!(home.run(&["export"], "").code(), Some(0));
    assert_eq!(home.run(&["chat"], "hola\n").code(), Some(0));
    assert!(std::fs::read(&path).expect("there").starts_with(&control), "kept as they were");
    assert_eq!(Run::new(&home.data(), &of_config("admins")).role(USER), Some(Role::User));
}
