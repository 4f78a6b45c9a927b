//! The buttons below an alert: what an admin does about a budget, once.

use std::sync::Arc;

use crate::alerts::{budget_of, level_id, scope};
use crate::app::Desk;
use crate::conversation::{AlertAct, AlertDone, ChatKey, Message, Person};
use crate::ledger::People;
use crate::limits::{Level, Measure, Window};
use crate::metering::Metering;
use crate::settings::{AlertState, BudgetChange, Setting};
use crate::usage::{Clock, ErrorKind, Money, SubjectId, Timestamp};

impl Desk {
    /// Does what a button below an alert says, and tells what was done.
    ///
    /// # Errors
    /// That it is old: its window is over, its cap is another one, or it was obeyed before. Or that it cannot be
    /// written.
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
            let _one_at_a_time = pressing.lock();
            obey(&metering, &*clock, &people, &id, act, by)
        });
        done.await.unwrap_or_else(|_| Err(Box::new(Message::failed(ErrorKind::Panic))))
    }
}

fn obey(
    metering: &Metering,
    clock: &dyn Clock,
    people: &People,
    id: &str,
    act: AlertAct,
    by: SubjectId,
) -> Result<Message, Box<Message>> {
    let (now, acts) = (clock.now(), metering.acts());
    let is_meant = |window: &Window| {
        let ids = Level::TOLD.map(|level| level_id(acts.lineage, window, level));
        window.limit.is_calendar() && ids.iter().any(|of| of == id)
    };
    let window = metering.windows(now).into_iter().find(is_meant).ok_or_else(|| Box::new(Message::PressOld))?;
    let pressed = format!("{id}.{}", act.as_str());
    if acts.settings.alert(&pressed).is_some() {
        return Err(Box::new(Message::PressOld));
    }
    let first_day = window.first_day;
    let more = u64::try_from(u128::from(window.max) * u128::from(AlertAct::RAISE_PERCENT) / 100).unwrap_or(u64::MAX);
    let change = match act {
        AlertAct::Raise => BudgetChange::Raise { window: first_day, by: more.max(1) },
        AlertAct::Stop => BudgetChange::Stop { window: first_day },
        AlertAct::Mute => BudgetChange::Mute { window: first_day },
    };
    let budget = Setting::Budget { of: budget_of(&window), change, by: Some(by) };
    let once = Setting::Alert { id: pressed, state: AlertState::Fired };
    metering.set(&[budget, once]).map_err(|error| {
        tracing::error!(error = %error, "what an alert's button asked for could not be written");
        Box::new(Message::failed(ErrorKind::LedgerUnavailable))
    })?;
    tracing::info!(alert = id, done = act.as_str(), "a button below an alert was pressed");
    let max = if act == AlertAct::Raise { window.max.saturating_add(more.max(1)) } else { window.max };
    Ok(Message::AlertDone(done(&window, act, max, people, now.at)))
}

fn done(window: &Window, act: AlertAct, max: u64, people: &People, now: Timestamp) -> AlertDone {
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
