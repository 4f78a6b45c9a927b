//! Who sees what, over random books: each screen is the fold of what its audience may know, and of nothing else.

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::group::GroupScreen;
use super::own::OwnScreen;
use super::people::PeopleScreen;
use super::*;
use crate::ledger::{Durability, KnownNames, Ledger, Options};
use crate::limits::{Label, LimitKind, Window};
use crate::reports::fill::tokens_of;
use crate::reports::stats::ServiceStatus;
use crate::reports::tests::templates;
use crate::stats::{Picture, Stats};
use crate::usage::arbitrary::{BASE_MICROS, record};
use crate::usage::names::Name;
use crate::usage::{Kind, Money, RecordId, Status, SubjectId, Timestamp, UsageRecord, UsageSource, Zone};

type Record = UsageRecord<'static>;

/// What stands in everything that is about one person, and nowhere else.
const MARKS: [&str; 3] = ["ZORRO", "QUIXOTE", "XIMENA"];

fn now() -> Timestamp {
    Timestamp::new(BASE_MICROS, 0)
}

fn person(n: usize) -> SubjectId {
    SubjectId::of(b"pepper", "telegram", MARKS[n])
}

/// Books in a folder in memory, where the system has one.
struct Books {
    ledger: Ledger,
    _folder: TempDir,
}

impl Books {
    fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Books {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder");
        let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
        let (ledger, _) = Ledger::open(folder.path(), options, Uuid::from_u128(1), now()).expect("the folder opens");
        for record in records {
            ledger.append(record, now()).expect("appended");
        }
        Books { ledger, _folder: folder }
    }

    fn people(&self, look: &Look) -> PeopleUse {
        let people = look.people(&self.ledger.users(), now().day()).expect("readable");
        PeopleUse { incomplete: false, ..people }
    }
}

fn facts<'a>(picture: &'a Picture, windows: &'a [Window]) -> Facts<'a> {
    Facts {
        bot: "Raymundo",
        version: "0",
        status: ServiceStatus::Ok,
        started_at: Some(now().plus_micros(-60_000_000)),
        begun: None,
        picture,
        windows,
        learned: &[],
        providers: Vec::new(),
        timezone: Zone::UTC,
        now: now(),
    }
}

fn look(audience: Audience, period: Period, view: View) -> Look {
    Look { audience, period, view, lang: Lang::En, surface: Surface::Plain }
}

fn looks(audience: &Audience) -> impl Iterator<Item = Look> {
    let views = Period::ALL.into_iter().flat_map(|period| View::ALL.map(|view| (period, view)));
    views.map(|(period, view)| look(audience.clone(), period, view))
}

fn json(screen: impl serde::Serialize) -> Value {
    serde_json::to_value(screen).expect("JSON")
}

fn picture<'r>(records: impl IntoIterator<Item = &'r Record>) -> std::sync::Arc<Picture> {
    let mut stats = Stats::default();
    records.into_iter().for_each(|record| stats.apply(record));
    stats.picture()
}

/// Records of three people, of two groups and of nobody. Numbers stay where their sums fit.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (record(), 0usize..4, 0usize..3, any::<bool>()).prop_map(|(mut record, who, team, own_names)| {
        record.user = (who < MARKS.len()).then(|| person(who));
        record.team = (team < 2).then(|| Name::from(format!("team-{team}")));
        record.source = None;
        record.tokens.prompt %= 1 << 40;
        record.tokens.completion %= 1 << 40;
        record.tokens = record.tokens.made_consistent();
        if own_names && who < MARKS.len() {
            record.model = Name::from(format!("{}-model", MARKS[who]));
        }
        record
    });
    prop::collection::vec(one, 0..40)
}

fn number(screen: &Value, field: &str) -> u64 {
    screen.pointer(&format!("/{field}")).and_then(Value::as_u64).expect(field)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_persons_numbers_are_the_fold_of_their_records(records in records()) {
        let books = Books::of(&records);
        let picture = books.ledger.picture();
        for n in 0..MARKS.len() {
            for look in looks(&Audience::Person(person(n))) {
                let people = books.people(&look);
                let screen = json(OwnScreen::of(&look, &facts(&picture, &[]), &people));
                let mut own = UserSums::default();
                let is_own = |record: &&Record| record.user == Some(person(n))
                    && look.period.contains(record.timestamp.day(), now().day());
                records.iter().filter(is_own).for_each(|record| own.merge(&UserSums::of(record)));
                let expected = [own.records.into(), own.failed.into(), own.prompt, own.completion].map(tokens_of);
                let shown = ["requests", "failed", "prompt", "completion"].map(|field| number(&screen, field));
                prop_assert_eq!(shown, expected, "{:?}", look);
                prop_assert!(own.cost <= Default::default() || screen["cost_usd"] == json(own.cost), "{}", screen);
            }
        }
    }

    #[test]
    fn what_others_do_with_models_of_their_own_changes_nothing_for_a_person(records in records()) {
        let mut records = records;
        for record in &mut records {
            let whose = MARKS.iter().enumerate().find(|(n, _)| record.user == Some(person(*n)));
            record.model = Name::from(format!("{}-{}", whose.map_or("nobody", |(_, mark)| mark), record.model.as_str()));
            record.other.clear();
        }
        let all = Books::of(&records);
        for n in 0..MARKS.len() {
            let alone = Books::of(records.iter().filter(|record| record.user == Some(person(n))));
            for look in looks(&Audience::Person(person(n))) {
                let shown = |books: &Books| {
                    json(OwnScreen::of(&look, &facts(&books.ledger.picture(), &[]), &books.people(&look)))
                };
                prop_assert_eq!(shown(&all), shown(&alone));
            }
        }
    }

    #[test]
    fn a_groups_screen_is_the_fold_of_its_teams_records(records in records()) {
        let all = picture(&records);
        for team in ["team-0", "team-1", "team-9", ""] {
            let own = picture(records.iter().filter(|record| record.team.as_deref().is_some_and(|of| of == team)));
            for look in looks(&Audience::Group(team.into())) {
                let shown = |picture: &Picture| json(GroupScreen::of(&look, &facts(picture, &[]), team));
                prop_assert_eq!(shown(&all), shown(&own), "{}", team);
            }
        }
    }

    #[test]
    fn the_rows_of_people_sum_to_the_total(records in records()) {
        let mut records = records;
        records.iter_mut().for_each(|record| record.kind = Kind::Usage);
        let books = Books::of(&records);
        let picture = books.ledger.picture();
        for period in Period::ALL {
            let look = look(Audience::Everything, period, View::Users);
            let mut people = books.people(&look);
            for _ in 0..2 {
                let screen = json(PeopleScreen::of(&look, &facts(&picture, &[]), &people, |_| None));
                for field in ["requests", "tokens"] {
                    let rows = screen["people"].as_array().expect("rows").iter().map(|row| number(row, field));
                    let others = ["rest", "nobody"].map(|of| number(&screen[of], field));
                    let sum = rows.chain(others).sum::<u64>();
                    prop_assert_eq!(sum, number(&screen, field), "{} {}", field, screen);
                }
                // And as well when not everybody has a row.
                people.people.truncate(1);
                people.all.top.truncate(1);
            }
        }
    }
}

#[test]
fn what_was_answered_to_a_person_without_counts_is_not_free() {
    let call = |n: u8, status: Status| {
        let mut record = UsageRecord::new(RecordId::new(now(), [n; 10]), now(), "p".into(), "pictures".into());
        (record.user, record.status, record.usage_source) = (Some(person(0)), status, UsageSource::None);
        record
    };
    let spent = |records: &[Record]| {
        let picture = picture(records);
        let certainty = super::spent::Certainty::of(&picture.select(Period::All, now().day()));
        let mut sums = UserSums::default();
        records.iter().for_each(|record| sums.merge(&UserSums::of(record)));
        certainty.spent([("pictures", &sums)])
    };
    let answered = spent(&[call(1, Status::Ok), call(2, Status::Error)]);
    assert_eq!((answered.cost_usd, answered.unpriced_requests), (None, 1));
    assert_eq!(spent(&[call(1, Status::Error)]).cost_usd, Some(Money::default()));
}

fn window(facets: &[(Facet, &str)], used: u64) -> Window {
    Window {
        label: Label(facets.iter().map(|(facet, value)| (*facet, (*value).into())).collect()),
        limit: LimitKind::RequestsPerDay,
        used,
        reserved: 0,
        max: 10,
        raised_by: 0,
        paused: false,
        each: false,
        stopped: false,
        first_day: now().day(),
        resets_at: Some(now().plus_micros(25_200_000_000)),
    }
}

#[test]
fn nothing_of_others_is_in_the_text_of_a_person_or_a_group() {
    let users: Vec<String> = (0..MARKS.len()).map(|n| person(n).to_string()).collect();
    let mut windows = vec![window(&[], 10), window(&[(Facet::Provider, "cloud")], 8)];
    let mut records: Vec<Record> = Vec::new();
    for (n, mark) in MARKS.iter().enumerate() {
        windows.push(window(&[(Facet::User, &users[n])], 10));
        windows.push(window(&[(Facet::Team, mark)], 9));
        windows.push(window(&[(Facet::Provider, mark), (Facet::User, &users[n])], 10));
        windows.extend([Facet::Key, Facet::Feature].map(|facet| window(&[(facet, mark)], 10)));
        let at = now().plus_micros(n as i64 * 1_000_000);
        let mut record =
            Record::new(crate::usage::RecordId::new(at, [n as u8; 10]), at, Name::clean(mark), Name::clean(mark));
        (record.request_type, record.feature) = (Name::clean(mark), Some(Name::clean(mark)));
        (record.user, record.team) = (Some(person(n)), Some(Name::clean(mark)));
        record.tokens.prompt = [731, 547, 613][n];
        record.cost = Some(crate::usage::Money::from_pico_usd([731, 547, 613][n] * 10_i128.pow(10)));
        records.push(record);
    }
    let books = Books::of(&records);
    let picture = books.ledger.picture();
    let name_of = |subject: &SubjectId| Some(MARKS[(0..3).find(|n| person(*n) == *subject)?].to_owned());
    for (n, own) in MARKS.iter().enumerate() {
        let of_others = (0..3).filter(|other| *other != n);
        let others: Vec<&str> =
            of_others.flat_map(|other| [MARKS[other], &users[other], ["731", "547", "613"][other]]).collect();
        for audience in [Audience::Person(person(n)), Audience::Group((*own).to_owned())] {
            for (lang, surface) in Lang::ALL.into_iter().flat_map(|lang| Surface::ALL.map(|surface| (lang, surface))) {
                for look in looks(&audience).map(|look| Look { lang, surface, ..look }) {
                    let people = books.people(&look);
                    let text = look.text(&facts(&picture, &windows), &people, name_of, templates());
                    let leaked = others.iter().find(|mark| text.contains(**mark));
                    assert_eq!(leaked, None, "{look:?}\n{text}");
                    assert!(!text.contains(&users[n]) && !text.contains("10/10") && !text.starts_with('['), "{text}");
                    let is_group = matches!(audience, Audience::Group(_));
                    assert!(!is_group || !text.contains('$'), "a group sees no cost\n{text}");
                    let has_own = [731, 547, 613][n].to_string();
                    assert!(look.view == View::Limits || text.contains(&has_own), "{look:?}\n{text}");
                }
            }
        }
    }
}

#[test]
fn an_admin_sees_everything_alone_and_in_a_group_what_the_group_sees() {
    let me = person(0);
    assert_eq!(Audience::of(me, true, None), Audience::Everything);
    assert_eq!(Audience::of(me, false, None), Audience::Person(me));
    for admin in [false, true] {
        assert_eq!(Audience::of(me, admin, Some("sales")), Audience::Group("sales".into()));
    }
}

#[test]
fn a_limit_is_told_without_numbers_the_worst_of_each_name() {
    let own = person(0).to_string();
    let mut soon = window(&[(Facet::Provider, "cloud")], 10);
    soon.limit = LimitKind::RequestsPerMinute;
    soon.resets_at = Some(now().plus_micros(20_000_000));
    let windows = [
        window(&[(Facet::Provider, "cloud")], 10),
        soon,
        window(&[(Facet::Provider, "lab")], 8),
        window(&[(Facet::Provider, "home")], 7),
        window(&[(Facet::User, &own)], 9),
    ];
    let look = Look { lang: Lang::Es, ..look(Audience::Person(person(0)), Period::Today, View::Limits) };
    let text = look.text(&facts(&Picture::default(), &windows), &PeopleUse::default(), |_| None, templates());
    assert_eq!(
        text.lines().skip(2).collect::<Vec<_>>(),
        ["cloud · agotado, disponible en 7\u{a0}h", "lab · casi agotado", "Tu propio límite · casi agotado"]
    );
}

#[test]
fn the_screens_hand_over_fields_that_their_templates_know() {
    let (picture, people) = (Picture::default(), PeopleUse::default());
    let facts = facts(&picture, &[]);
    let of = |audience| look(audience, Period::All, View::Overview);
    let screens = [
        ("stats_own", json(OwnScreen::of(&of(Audience::Person(person(0))), &facts, &people))),
        ("stats_group", json(GroupScreen::of(&of(Audience::Group("sales".into())), &facts, "sales"))),
        ("stats_users", json(PeopleScreen::of(&of(Audience::Everything), &facts, &people, |_| None))),
    ];
    for (name, screen) in screens {
        let known = crate::templates::messages::message(name).expect("a message").fields;
        for field in screen.as_object().expect("an object").keys() {
            assert!(known.contains(&field.as_str()), "{name}: {field}");
        }
    }
}
