//! Two fortnights of fixed-clock life in Madrid, around its 23-hour and its 25-hour day: chat, limits that fill and come
//! back, failures, a reset and its undo, restarts from the snapshot and from the journal alone, a crash in the middle of
//! a call. The screens of each point are snapshots; those of a restart are also those before it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use tallybot::ledger::{Durability, People};
use tallybot::limits::{Caps, Facet, LimitKind, Pick, Rule, Scope};
use tallybot::metering::{Call, Metering, Outcome, Permit, Refused};
use tallybot::reports::stats::ServiceStatus;
use tallybot::reports::{Audience, Facts, Look, View};
use tallybot::stats::Period;
use tallybot::templates::{Lang, Surface, Templates};
use tallybot::usage::names::Name;
use tallybot::usage::{Clock, ErrorKind, Failure, Now, Status, Tick, Timestamp, TokenCounts, UsageSource, Zone};
use tempfile::TempDir;

use crate::in_process::setup;

fn zone() -> Zone {
    Zone::named("Europe/Madrid").expect("a zone")
}

/// The team of the one group.
const TEAM: &str = "equipo";

/// Madrid's wall clock; stands still until it is told.
struct MadridClock {
    began_micros: i64,
    since_micros: AtomicU64,
}

impl MadridClock {
    fn advance(&self, by: Duration) {
        self.since_micros.fetch_add(u64::try_from(by.as_micros()).expect("not for ever"), Ordering::SeqCst);
    }

    fn go_to(&self, at_micros: i64) {
        let since = u64::try_from(at_micros - self.began_micros).expect("not before the beginning");
        let before = self.since_micros.fetch_max(since, Ordering::SeqCst);
        assert!(before <= since, "time goes on");
    }
}

impl Clock for MadridClock {
    fn now(&self) -> Now {
        let since = self.since_micros.load(Ordering::SeqCst);
        let micros = self.began_micros + i64::try_from(since).expect("not for ever");
        Now { at: Timestamp::in_zone(micros, zone()), tick: Tick(1_000_000_000 + since) }
    }
}

/// Who looks: an admin alone, somebody alone, or anybody in the group.
#[derive(Clone, Copy)]
enum Viewer {
    Admin,
    Alone(&'static str),
    Group,
}

/// A model, and what a call of it used.
#[derive(Clone, Copy)]
enum Ask {
    Cloud,
    /// Priced by nobody, its tokens our estimate.
    Unpriced,
    Local,
    /// Cloud, and it fails like this.
    Fails(Status, ErrorKind),
}

/// One life of the bot: its books, its clock and the pages written of it.
struct Life {
    home: TempDir,
    /// Folders of lives that a crash ended.
    left: Vec<TempDir>,
    monday: NaiveDate,
    clock: Arc<MadridClock>,
    metering: Metering,
    started_at: Timestamp,
    people: People,
    templates: Templates,
    pages: String,
}

/// Eight requests a day to the cloud, on its own day; ten thousand tokens at home, on ours; three
/// requests a minute for everybody.
fn rules() -> Vec<Rule> {
    vec![
        Rule::new(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 8)]), Zone::UTC),
        Rule::new(Scope::provider("ollama"), Caps::of([(LimitKind::TokensPerDay, 10_000)]), zone()),
        Rule::new(
            Scope::everything().with(Facet::User, Pick::Each),
            Caps::of([(LimitKind::RequestsPerMinute, 3)]),
            zone(),
        ),
    ]
}

fn start(folder: &Path, clock: &Arc<MadridClock>) -> Metering {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let (metering, _) = Metering::start(folder, setup(rules(), Durability::Kill, &clock)).expect("the books open");
    metering
}

impl Life {
    /// Begins on a Monday at eight.
    fn begin(monday: &str) -> Life {
        let home = TempDir::new().expect("a temporary folder");
        let monday: NaiveDate = monday.parse().expect("a date");
        let began_micros = micros_of(monday, 8, 0);
        let clock = Arc::new(MadridClock { began_micros, since_micros: AtomicU64::new(0) });
        let metering = start(home.path(), &clock);
        let people = People::open(home.path(), [7; 32]).expect("a writable folder");
        let templates = Templates::load(None).expect("the built-in texts are whole");
        let started_at = clock.now().at;
        Life { home, left: Vec::new(), monday, clock, metering, started_at, people, templates, pages: String::new() }
    }

    /// Goes to a time of a day, counted from the first Monday.
    fn go(&self, day: i64, hour: u32, minute: u32) {
        self.clock.go_to(micros_of(self.monday + TimeDelta::days(day), hour, minute));
    }

    fn go_to(&self, at: &str) {
        self.clock.go_to(Timestamp::parse(at).expect("a time").unix_micros());
    }

    async fn open(&self, who: &str, team: Option<&str>, ask: Ask) -> Result<Permit, Refused> {
        let (provider, api, model) = match ask {
            Ask::Local => ("ollama", "ollama", "llama3.2"),
            Ask::Unpriced => ("cloud", "openai", "brand-new"),
            _ => ("cloud", "openai", "gpt-4o-mini"),
        };
        let mut call = Call::new(provider, api, model, "telegram");
        call.local = matches!(ask, Ask::Local);
        call.user = Some(self.people.subject("telegram", who));
        call.session = call.user;
        call.team = team.map(Name::clean);
        call.prompt_tokens = 10;
        call.request_type = if who == "Ana" { "chat".into() } else { "document".into() };
        self.metering.open(call, self.clock.now()).await
    }

    /// Asks and waits for the answer, which takes two seconds; a refusal is an answer too.
    async fn ask(&self, who: &str, team: Option<&str>, ask: Ask) {
        let Ok(permit) = self.open(who, team, ask).await else { return };
        self.clock.advance(Duration::from_secs(2));
        let mut outcome = match ask {
            Ask::Fails(status, kind) => Outcome::failed(status, Failure::of(kind)),
            _ => Outcome { failure: None, ..Outcome::failed(Status::Ok, Failure::of(ErrorKind::Other)) },
        };
        if matches!(ask, Ask::Cloud | Ask::Unpriced | Ask::Local) {
            outcome.tokens = TokenCounts { prompt: 1_200, completion: 300, ..TokenCounts::default() };
            outcome.usage_source =
                if matches!(ask, Ask::Unpriced) { UsageSource::Estimated } else { UsageSource::Reported };
        }
        let receipt = permit.finish(outcome, self.clock.now()).await;
        assert!(receipt.acknowledged);
    }

    /// A morning as any other: Ana asks the cloud and at home, Luis in the group.
    async fn an_ordinary_day(&self, day: i64) {
        self.go(day, 9, 0);
        self.ask("Ana", None, Ask::Cloud).await;
        self.ask("Ana", None, Ask::Local).await;
        self.go(day, 17, 30);
        self.ask("Luis", Some(TEAM), Ask::Cloud).await;
        self.metering.tick(self.clock.now());
        self.metering.snapshot(self.clock.now()).expect("written");
    }

    fn look(&self, viewer: Viewer, period: Period, view: View, lang: Lang, surface: Surface) -> String {
        let (who, admin, team) = match viewer {
            Viewer::Admin => ("Ana", true, None),
            Viewer::Alone(who) => (who, false, None),
            Viewer::Group => ("Ana", true, Some(TEAM)),
        };
        let look = Look {
            audience: Audience::of(self.people.hash("telegram", who), admin, team),
            period,
            view,
            lang,
            surface,
        };
        let now = self.clock.now();
        self.metering.write_counted_refusals(now);
        let windows = match look.audience.own() {
            Some((facet, value)) => self.metering.windows_about(facet, &value, now),
            None => self.metering.windows(now),
        };
        let people = look.people(&self.users_when_read(), now.at.day()).expect("readable");
        let facts = Facts {
            bot: "Raymundo",
            version: "1.0.0",
            status: ServiceStatus::Ok,
            started_at: Some(self.started_at),
            begun: Some(self.metering.acts().begun),
            picture: &self.metering.picture(),
            windows: &windows,
            learned: &self.metering.learned(),
            providers: Vec::new(),
            timezone: zone(),
            now: now.at,
        };
        look.text(&facts, &people, |subject| self.people.identity(subject), &self.templates)
    }

    /// Who used what, once the lines of a start are read.
    fn users_when_read(&self) -> tallybot::ledger::Users {
        for _ in 0..30_000 {
            let users = self.metering.users();
            if users.is_complete() {
                return users;
            }
            self.metering.snapshot(self.clock.now()).expect("written"); // the chore that has days sealed
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the days are never read");
    }

    /// A heading with the time, then what is shown of it.
    fn point(&mut self, what: &str) {
        let at = self.clock.now().at.to_chrono().format("%a %Y-%m-%d %H:%M %:z");
        self.pages.push_str(&format!("════ {at} · {what}\n"));
    }

    fn show_as(&mut self, viewer: Viewer, period: Period, view: View, lang: Lang, surface: Surface) {
        let who = match viewer {
            Viewer::Admin => "admin",
            Viewer::Alone(who) => who,
            Viewer::Group => "group",
        };
        let text = self.look(viewer, period, view, lang, surface);
        let heading = format!("── {who}, {}, {}, {lang}, {surface}", period.as_str(), view.as_str());
        self.pages.push_str(&format!("{heading}\n{text}\n"));
    }

    /// On Telegram, in Spanish.
    fn show(&mut self, viewer: Viewer, period: Period, view: View) {
        self.show_as(viewer, period, view, Lang::Es, Surface::Telegram);
    }

    /// Every screen there is, but for the time the process runs.
    fn all_screens(&mut self) -> Vec<String> {
        let started_at = std::mem::replace(&mut self.started_at, self.clock.now().at);
        let viewers = [Viewer::Admin, Viewer::Alone("Ana"), Viewer::Alone("Luis"), Viewer::Group];
        let mut screens = Vec::new();
        for viewer in viewers {
            for (period, view) in Period::ALL.into_iter().flat_map(|period| View::ALL.map(|view| (period, view))) {
                screens.push(self.look(viewer, period, view, Lang::Es, Surface::Telegram));
            }
        }
        self.started_at = started_at;
        screens
    }

    /// Ends the process in order and starts another, which shows the same.
    fn restart(&mut self, from_journal_alone: bool) {
        let before = self.all_screens();
        self.metering.close(self.clock.now()).expect("the books close");
        let elsewhere = TempDir::new().expect("a temporary folder");
        let elsewhere_clock = Arc::clone(&self.clock);
        self.metering = start(elsewhere.path(), &elsewhere_clock); // the old one is let go of
        if from_journal_alone {
            let names = fs::read_dir(self.home.path()).expect("a folder").flatten().map(|entry| entry.path());
            let is_derived = |path: &Path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with("metrics") || name == "derived"
            };
            for path in names.filter(|path| is_derived(path)) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.expect("removed");
            }
        }
        self.metering = start(self.home.path(), &self.clock);
        self.started_at = self.clock.now().at;
        self.left.push(elsewhere);
        assert_eq!(self.all_screens(), before, "a restart changes no number");
    }

    /// Starts from what is on the disk while a call is under way.
    async fn crash(&mut self) {
        let permit = self.open("Ana", None, Ask::Cloud).await.expect("there is room");
        let copy = TempDir::new().expect("a temporary folder");
        copy_files(self.home.path(), copy.path());
        self.clock.advance(Duration::from_secs(60));
        self.metering = start(copy.path(), &self.clock);
        self.left.push(std::mem::replace(&mut self.home, copy));
        self.started_at = self.clock.now().at;
        drop(permit); // of the process that is no more, into its own folder
    }
}

fn micros_of(date: NaiveDate, hour: u32, minute: u32) -> i64 {
    let local = date.and_hms_opt(hour, minute, 0).expect("a time of a day");
    let (first, _) = zone().instants(local).expect("a time that is");
    first
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// What both fortnights have in common, up to the first hour of the Sunday on which the clocks are changed.
async fn first_days(life: &mut Life, sunday: &str) {
    use Viewer::{Admin, Alone, Group};
    life.point("a new bot");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Alone("Ana"), Period::All, View::Overview);
    life.show(Group, Period::All, View::Overview);

    life.an_ordinary_day(0).await;
    life.point("the first day is over");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Alone("Ana"), Period::Today, View::Overview);
    life.show(Alone("Luis"), Period::Today, View::Overview);
    life.show(Group, Period::Today, View::Overview);
    life.an_ordinary_day(1).await;

    life.go(2, 11, 0);
    life.ask("Luis", None, Ask::Fails(Status::Timeout, ErrorKind::TotalTimeout)).await;
    life.ask("Luis", None, Ask::Fails(Status::Error, ErrorKind::RateLimited)).await;
    life.ask("Ana", None, Ask::Unpriced).await;
    life.point("the provider has a bad day");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Alone("Luis"), Period::Today, View::Overview);
    life.show(Alone("Ana"), Period::Week, View::Models);

    life.go(3, 12, 0);
    for _ in 0..4 {
        life.ask("Ana", None, Ask::Cloud).await;
    }
    life.point("one too many in a minute");
    life.show(Admin, Period::Today, View::Limits);
    life.show(Alone("Ana"), Period::Today, View::Limits);
    life.show(Alone("Luis"), Period::Today, View::Limits);
    for minute in 2..8 {
        life.go(3, 12, minute);
        life.ask("Luis", Some(TEAM), Ask::Cloud).await;
    }
    life.ask("Luis", Some(TEAM), Ask::Local).await;
    life.point("the cloud's day is full");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Group, Period::Today, View::Limits);
    life.show(Group, Period::Today, View::Types);
    for (lang, surface) in [
        (Lang::En, Surface::Plain),
        (Lang::Pt, Surface::WhatsApp),
        (Lang::Fr, Surface::Telegram),
        (Lang::Es, Surface::WhatsApp),
    ] {
        life.show_as(Alone("Luis"), Period::Today, View::Overview, lang, surface);
    }
    life.go(4, 0, 30);
    life.point("our day is new, the cloud's is not");
    life.show(Admin, Period::Today, View::Limits);
    life.go(4, 2, 0);
    life.point("the cloud's day is new too");
    life.show(Admin, Period::Today, View::Limits);

    life.an_ordinary_day(4).await;
    life.go(4, 20, 0);
    life.metering.reset().expect("reset");
    life.point("counting begins anew");
    life.show(Admin, Period::All, View::Overview);
    life.show(Alone("Ana"), Period::All, View::Overview);
    life.show(Admin, Period::All, View::Users);
    life.ask("Ana", None, Ask::Local).await;
    life.show(Admin, Period::All, View::Users);
    life.go(4, 21, 0);
    life.metering.undo_reset().expect("written").expect("there is one");
    life.point("the reset is taken back");
    life.show(Admin, Period::All, View::Users);
    life.show(Alone("Ana"), Period::All, View::Models);
    life.an_ordinary_day(5).await;
    life.go(6, 0, 30);
    life.ask("Ana", None, Ask::Local).await;
    life.point(sunday);
    life.show(Admin, Period::Today, View::Limits);
}

/// From the Monday after to the second Sunday.
async fn last_days(life: &mut Life) {
    use Viewer::{Admin, Alone, Group};
    life.go(7, 0, 1);
    life.point("the day after has begun");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Admin, Period::Week, View::Overview);
    life.an_ordinary_day(7).await;
    life.metering.snapshot(life.clock.now()).expect("written");
    life.an_ordinary_day(8).await;
    life.restart(false);
    life.point("started from the snapshot");
    life.show(Alone("Ana"), Period::All, View::Overview);
    life.an_ordinary_day(9).await;
    life.restart(true);
    life.point("started from the journal alone");
    life.show(Group, Period::All, View::Overview);
    life.go(10, 10, 0);
    life.crash().await;
    life.point("started after a crash in the middle of a call");
    life.show(Admin, Period::Today, View::Overview);
    life.show(Alone("Ana"), Period::Today, View::Overview);
    life.go(11, 9, 0);
    life.metering.reset().expect("reset");
    life.an_ordinary_day(12).await;
    life.go(13, 23, 59);
    life.point("the fortnight is over");
    life.show(Admin, Period::All, View::Overview);
    for lang in [Lang::En, Lang::Pt, Lang::Fr] {
        life.show_as(Admin, Period::All, View::Overview, lang, Surface::Telegram);
        life.show_as(Admin, Period::Month, View::Users, lang, Surface::WhatsApp);
        life.show_as(Alone("Ana"), Period::Month, View::Models, lang, Surface::Plain);
        life.show_as(Group, Period::Month, View::Types, lang, Surface::Plain);
    }
}

#[tokio::test]
async fn a_fortnight_around_the_day_of_23_hours() {
    let mut life = Life::begin("2026-03-23");
    first_days(&mut life, "the day of 23 hours").await;
    life.go_to("2026-03-29T01:59:59+01:00");
    life.ask("Ana", None, Ask::Cloud).await;
    life.point("two o'clock is three o'clock");
    life.show(Viewer::Admin, Period::Today, View::Overview);
    life.show(Viewer::Admin, Period::Today, View::Limits);
    life.go(6, 23, 59);
    life.point("its last minute");
    life.show(Viewer::Admin, Period::Today, View::Overview);
    last_days(&mut life).await;
    insta::assert_snapshot!("spring", life.pages);
}

#[tokio::test]
async fn a_fortnight_around_the_day_of_25_hours() {
    let mut life = Life::begin("2026-10-19");
    first_days(&mut life, "the day of 25 hours").await;
    for (at, what) in [("2026-10-25T02:30:00+02:00", "half past two"), ("2026-10-25T02:30:00+01:00", "and once more")] {
        life.go_to(at);
        life.ask("Ana", None, Ask::Cloud).await;
        life.point(what);
        life.show(Viewer::Admin, Period::Today, View::Overview);
        life.show(Viewer::Admin, Period::Today, View::Limits);
    }
    life.go(6, 23, 59);
    life.point("its last minute");
    life.show(Viewer::Admin, Period::Today, View::Overview);
    last_days(&mut life).await;
    insta::assert_snapshot!("autumn", life.pages);
}
