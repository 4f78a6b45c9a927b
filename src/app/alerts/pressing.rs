//! The buttons below an alert: what an admin does about a budget, once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::alerts::{Alert, Notice, budget_of, level_id, scope};
use crate::app::Desk;
use crate::app::budgets::share_of;
use crate::conversation::{AlertAct, AlertDone, BudgetMistakeView, ChatKey, Message, Person};
use crate::ledger::People;
use crate::limits::{Label, Level, Measure, Window};
use crate::metering::Metering;
use crate::settings::{AlertState, BudgetChange, Setting};
use crate::usage::{ErrorKind, Money, Now, SubjectId, Timestamp};

/// Alerts of which it is remembered whose window they tell of.
const MAX_TOLD: usize = 1_000;

/// What the buttons below alerts are about.
#[derive(Debug, Default)]
pub struct Pressing {
    /// Held while a button is being obeyed: pressed twice at once, it counts once.
    one_at_a_time: Mutex<()>,
    /// The ids of the last alerts that this process told of windows, and whose those are: of a rule for each of many the
    /// gate shows the fullest few, and whoever was told of may not be one of them any more.
    told: Mutex<VecDeque<(String, Label)>>,
}

impl Pressing {
    /// Remembers whose window a notice tells of.
    pub(super) fn remember(&self, notice: &Notice) {
        let Alert::Level { window, .. } = &notice.alert else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() == MAX_TOLD {
            told.pop_front();
        }
        told.push_back((notice.id.clone(), window.label.clone()));
    }

    /// Whose window an alert told of; `None` where this process did not tell it.
    fn label(&self, id: &str) -> Option<Label> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().rev().find(|(of, _)| of == id).map(|(_, label)| label.clone())
    }

    /// The window that an alert told of, while it lasts and has the same cap.
    fn window(&self, metering: &Metering, id: &str, now: Now) -> Option<Window> {
        let lineage = metering.acts().lineage;
        let is_meant = |window: &Window| {
            window.limit.is_calendar() && Level::TOLD.iter().any(|level| level_id(lineage, window, *level) == id)
        };
        let shown = metering.windows(now).into_iter().find(is_meant);
        shown.or_else(|| {
            let about = self.label(id)?.0;
            about.iter().find_map(|(facet, value)| {
                let windows = metering.windows_about(*facet, value, now);
                windows.into_iter().find(is_meant)
            })
        })
    }
}

impl Desk {
    /// Does what a button below an alert says, and tells what was done.
    ///
    /// # Errors
    /// That it is old: its window is over, its cap is another one, or it was obeyed before. Or that it cannot be
    /// written, or that too many budgets were changed already.
    pub(in crate::app) async fn acted_on_alert(
        &self,
        chat: &ChatKey,
        by: &Person,
        id: String,
        act: AlertAct,
    ) -> Result<Message, Box<Message>> {
        let by = self.people.subject(chat.channel, &by.id);
        let (metering, clock, people) = (self.metering.clone(), Arc::clone(&self.clock), Arc::clone(&self.people));
        let pressing = Arc::clone(&self.pressing);
        // In a task of its own: it waits for the disk, and it ends whoever hangs up.
        let done = self.tasks.spawn_blocking(move || {
            let _one_at_a_time = pressing.one_at_a_time.lock();
            let now = clock.now();
            let window = pressing.window(&metering, &id, now).ok_or_else(|| Box::new(Message::PressOld))?;
            obey(&metering, &window, &id, act, by)?;
            Ok(Message::AlertDone(done(&window, act, &people, now.at)))
        });
        done.await.unwrap_or_else(|_| Err(Box::new(Message::failed(ErrorKind::Panic))))
    }
}

/// Writes what a button asks for, and that it was pressed.
fn obey(metering: &Metering, window: &Window, id: &str, act: AlertAct, by: SubjectId) -> Result<(), Box<Message>> {
    let settings = metering.acts().settings;
    let pressed = format!("{id}.{}", act.as_str());
    if settings.alert(&pressed).is_some() {
        return Err(Box::new(Message::PressOld));
    }
    let of = budget_of(window);
    if !settings.has_room_for(&of) {
        return Err(Box::new(Message::BudgetMistake(BudgetMistakeView::new("too_many", of.subject.into()))));
    }
    let first_day = window.first_day;
    let change = match act {
        AlertAct::Raise => BudgetChange::Raise { window: first_day, by: share_of(window.max, AlertAct::RAISE_PERCENT) },
        AlertAct::Stop => BudgetChange::Stop { window: first_day },
        AlertAct::Mute => BudgetChange::Mute { window: first_day },
    };
    let budget = Setting::Budget { of, change, by: Some(by) };
    let once = Setting::Alert { id: pressed, state: AlertState::Fired };
    metering.set(&[budget, once]).map_err(|error| {
        tracing::error!(error = %error, "what an alert's button asked for could not be written");
        Box::new(Message::failed(ErrorKind::LedgerUnavailable))
    })?;
    tracing::info!(alert = id, done = act.as_str(), "a button below an alert was pressed");
    Ok(())
}

fn done(window: &Window, act: AlertAct, people: &People, now: Timestamp) -> AlertDone {
    let raised_by = if act == AlertAct::Raise { share_of(window.max, AlertAct::RAISE_PERCENT) } else { 0 };
    let max = window.max.saturating_add(raised_by);
    let who = |person: &str| people.identity(&SubjectId::parse(person)?);
    let is_money = window.limit.measure() == Measure::Money;
    AlertDone {
        done: act.as_str(),
        scope: scope(&window.label, &who),
        limit: window.limit.as_str().to_owned(),
        max: (!is_money).then_some(max),
        max_usd: is_money.then(|| Money::from_pico_usd(i128::from(max))),
        resets_at: window.resets_at,
        now,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::alerts::WindowAlert;
    use crate::ledger::{Durability, KnownNames};
    use crate::limits::{Caps, FULLEST_SHOWN, Facet, LimitKind, Pick, Rule, Scope};
    use crate::metering::{Call, Setup};
    use crate::usage::prices::PriceBook;
    use crate::usage::{Clock, Tick, Zone};

    /// A clock that moves a millisecond with every look.
    #[derive(Default)]
    struct Moving(AtomicU64);

    impl Clock for Moving {
        fn now(&self) -> Now {
            let millis = self.0.fetch_add(1, Ordering::Relaxed);
            Now { at: Timestamp::new(1_795_305_600_000_000 + millis as i64 * 1000, 0), tick: Tick(millis * 1000) }
        }
    }

    /// The door with ten requests a day for each team.
    fn metering(folder: &TempDir, clock: &Arc<dyn Clock>) -> Metering {
        let each = Scope::everything().with(Facet::Team, Pick::Each);
        let rule = Rule::new(each, Caps::of([(LimitKind::RequestsPerDay, 10)]), Zone::UTC);
        let setup = Setup {
            durability: Durability::Kill,
            known: KnownNames::none(),
            rules: vec![rule].into(),
            providers: vec!["cloud".into()],
            prices: PriceBook::bundled(),
            vendors: HashMap::new(),
            clock: Arc::clone(clock),
            random: || [7; 16],
        };
        Metering::start(folder.path(), setup).expect("the folder opens").0
    }

    #[tokio::test]
    async fn a_button_finds_the_window_of_somebody_whom_many_others_have_passed() {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let metering = metering(&folder, &clock);
        let call = async |team: &str| {
            let call = Call { team: Some(team.to_owned().into()), ..Call::new("cloud", "openai", "m", "terminal") };
            drop(metering.open(call, clock.now()).await.expect("it fits"));
        };
        call("sales").await;
        let window = metering.windows(clock.now()).remove(0);
        let id = level_id(metering.acts().lineage, &window, Level::Critical);
        let alert = Alert::Level { window: WindowAlert::of(&window), level: Level::Critical };
        let notice = Notice { id: id.clone(), at: clock.now().at, alert };
        for n in 0..FULLEST_SHOWN {
            let team = format!("t{n}");
            call(&team).await;
            call(&team).await;
        }
        let pressing = Pressing::default();
        assert_eq!(pressing.window(&metering, &id, clock.now()), None, "it is not one of those that are shown");
        pressing.remember(&notice);
        let found = pressing.window(&metering, &id, clock.now()).expect("it was told by this process");
        assert_eq!(found.label, window.label);
        let by = SubjectId::of(&[1; 32], "telegram", "111");
        assert!(obey(&metering, &found, &id, AlertAct::Raise, by).is_ok());
        let raised = metering.windows_about(Facet::Team, "sales", clock.now());
        assert_eq!((raised[0].max, raised[0].raised_by), (12, 2));
        let again = obey(&metering, &found, &id, AlertAct::Raise, by).expect_err("it was obeyed before");
        assert_eq!(*again, Message::PressOld);
        assert_eq!(pressing.window(&metering, &id, clock.now()), None, "its cap is another one now");
    }
}
