//! Budgets as chats show and change them: who sees which, what an order does, what an answer was charged to.

mod change;
mod known;
mod whose;

pub(super) use change::share_of;

use std::cmp::Reverse;
use std::sync::Arc;

use super::Desk;
use crate::conversation::{
    BudgetAsk, BudgetChangedView, BudgetLine, BudgetMistakeView, BudgetOf, BudgetOrder, BudgetsView, ChatKey, CostView,
    Message, Person, ReceiptView,
};
use crate::ledger::LedgerError;
use crate::limits::{Cap, Facet, Label, LimitKind, Measure, Window};
use crate::reports::stats::LimitUse;
use crate::reports::{Audience, nearly_full};
use crate::settings::Setting;
use crate::usage::{ErrorKind, Now, SubjectId, Timestamp};

use change::Change;
use known::{Budgets, is_each_of};
use whose::Named;

/// Budgets in one message at most.
const MAX_SHOWN: usize = 10;

/// Budgets told with the cost of an answer at most.
const MAX_CHARGED: usize = 3;

impl Desk {
    /// Shows budgets, or changes one. Whoever gets here may.
    pub(super) async fn budget(&self, chat: &ChatKey, person: &Person, ask: BudgetAsk) -> Message {
        match ask {
            BudgetAsk::Show(of) => self.budgets_of(chat, person, of),
            BudgetAsk::Change(order) => self.change_budget(chat, person, order).await,
            BudgetAsk::Misread(mistake) => Message::BudgetMistake(mistake.into()),
        }
    }

    fn budgets_of(&self, chat: &ChatKey, person: &Person, of: Option<BudgetOf>) -> Message {
        let now = self.clock.now();
        let asker = self.people.hash(chat.channel, &person.id);
        let audience = Audience::of(asker, person.admin, person.group.as_ref().map(|group| group.team.as_str()));
        let shown = Shown::new(self, asker, now);
        let of = match of.map(|of| self.named(&of, chat, &shown.budgets)).transpose() {
            Ok(of) => of,
            Err(mistake) => return Message::BudgetMistake(mistake),
        };
        let (mut lines, limits) = match (&audience, of) {
            (Audience::Everything, None) => (shown.all(&self.metering.windows(now)), Vec::new()),
            (Audience::Everything, Some(named)) => {
                let lines = shown.of(&named.whose.subject, &self.windows_of(&named, now));
                if lines.is_empty() {
                    return Message::BudgetMistake(change::none_of(&named.whose));
                }
                (lines, Vec::new())
            }
            (own, _) => {
                let (facet, value) = own.own().expect("whoever does not see everything has something of their own");
                let windows = self.metering.windows_about(facet, &value, now);
                let is_in_group = facet == Facet::Team;
                let lines = if is_in_group { Vec::new() } else { shown.own(&windows) };
                let mut limits = nearly_full(&windows, own, now.at);
                limits.retain(|limit| is_in_group || limit.own.is_none());
                (lines, limits)
            }
        };
        lines.sort_by_key(|line| (line.each, Reverse(line.permille)));
        let more = lines.len().saturating_sub(MAX_SHOWN);
        lines.truncate(MAX_SHOWN);
        let (admin, group) = (audience == Audience::Everything, matches!(audience, Audience::Group(_)));
        Message::Budgets(BudgetsView { admin, group, budgets: lines, more, limits, now: now.at })
    }

    async fn change_budget(&self, chat: &ChatKey, person: &Person, order: BudgetOrder) -> Message {
        let now = self.clock.now();
        let settings = self.metering.acts().settings;
        let budgets = Budgets::of(&self.rules, &settings, self.zone);
        let named = match self.named(&order.of, chat, &budgets) {
            Ok(named) => named,
            Err(mistake) => return Message::BudgetMistake(mistake),
        };
        let change = match change::change(&order, &named.whose, &budgets, now.at) {
            Ok(change) if settings.has_room_for(&change.of) => change,
            Ok(_) => return Message::BudgetMistake(BudgetMistakeView::new("too_many", named.whose.typed.into())),
            Err(mistake) => return Message::BudgetMistake(mistake),
        };
        let by = self.people.subject(chat.channel, &person.id);
        named.remember(&self.people);
        if let Err(error) = self.write_budget(&change, by).await {
            tracing::error!(error = %error, "a change of a budget could not be written");
            return Message::failed(ErrorKind::LedgerUnavailable);
        }
        tracing::info!(budget = %change.of.subject, limit = %change.limit, deed = change.deed, "a budget was changed");
        Message::BudgetChanged(self.changed(change, &named, &budgets))
    }

    /// Written in a task of its own: it waits for the disk, and it ends whoever hangs up.
    async fn write_budget(&self, change: &Change, by: SubjectId) -> Result<(), LedgerError> {
        let setting = |deed| Setting::Budget { of: change.of.clone(), change: deed, by: Some(by) };
        let settings: Vec<Setting> = change.changes.iter().cloned().map(setting).collect();
        let (metering, people) = (self.metering.clone(), Arc::clone(&self.people));
        let written = self.tasks.spawn_blocking(move || {
            people.save_or_tell();
            metering.set(&settings)
        });
        written.await.map_err(|_| LedgerError::Closed)?
    }

    fn changed(&self, change: Change, named: &Named, budgets: &Budgets) -> BudgetChangedView {
        let now = self.clock.now();
        let Change { limit, deed, before, after, .. } = change;
        let is_it = |window: &Window| window.limit == limit && window.label.to_string() == named.whose.subject;
        let window = self.windows_of(named, now).into_iter().find(is_it);
        let ends = budgets.window(&named.whose.subject, limit, now.at).1;
        let used = window.map(|window| window.used);
        BudgetChangedView {
            deed,
            subject: named.whose.shown.clone(),
            limit,
            before,
            after,
            used,
            full: used.zip(after).is_some_and(|(used, after)| used >= after),
            resets_at: ends,
            resets_in_seconds: ends.map(|at| at.seconds_since(now.at)),
            remark: named.remark,
            now: now.at,
        }
    }

    /// The windows in which those of a subject are: all of them, as far as they are not somebody else's.
    fn windows_of(&self, named: &Named, now: Now) -> Vec<Window> {
        match &named.user {
            Some(user) => self.metering.windows_about(Facet::User, user, now),
            None => self.metering.windows(now),
        }
    }

    /// What an answer cost, and what is left of the budgets it was charged to: of their own, and for admins of all.
    pub(super) fn cost(&self, chat: &ChatKey, person: &Person, receipt: ReceiptView, replied: bool) -> Message {
        let now = self.clock.now();
        let asker = self.people.hash(chat.channel, &person.id);
        let shown = Shown::new(self, asker, now);
        let charged = |facet: Facet, value: &str| match facet {
            Facet::Provider => value == receipt.choice.provider,
            Facet::Model => value == receipt.choice.model,
            Facet::User => value == shown.asker,
            Facet::Channel => value == chat.channel,
            Facet::Team | Facet::Feature | Facet::Key => false,
        };
        let windows = self.metering.windows_about(Facet::User, &shown.asker, now);
        let is_charged = |window: &&Window| {
            window.limit.is_calendar()
                && window.label.0.iter().all(|(facet, value)| charged(*facet, value))
                && (person.admin || window.label.get(Facet::User).is_some())
        };
        let mut charged: Vec<&Window> = windows.iter().filter(is_charged).collect();
        charged.sort_by_key(|window| {
            (window.limit.measure() != Measure::Money, Reverse(LimitUse::permille_of(window.used, window.max)))
        });
        let budgets = charged.into_iter().take(MAX_CHARGED).map(|window| shown.line(window)).collect();
        Message::Cost(Some(CostView { receipt, replied, budgets }))
    }
}

/// Windows as they are shown to somebody.
struct Shown<'a> {
    desk: &'a Desk,
    budgets: Budgets,
    /// The text of the subject id of who asks.
    asker: String,
    now: Timestamp,
}

impl<'a> Shown<'a> {
    fn new(desk: &'a Desk, asker: SubjectId, now: Now) -> Shown<'a> {
        let budgets = Budgets::of(&desk.rules, &desk.metering.acts().settings, desk.zone);
        Shown { desk, budgets, asker: asker.to_string(), now: now.at }
    }

    /// All budgets, and beside what is used what holds for each. Minutes are the limits' screen's, unless an act set them.
    fn all(&self, windows: &[Window]) -> Vec<BudgetLine> {
        let is_budget = |window: &&Window| {
            window.limit.is_calendar() || self.budgets.acts(&window.label.to_string(), window.limit).set.is_some()
        };
        let used = windows.iter().filter(is_budget).map(|window| self.line(window));
        let each = self.budgets.of_each().map(|(subject, limit, cap)| self.unused(subject, limit, cap));
        used.chain(each).collect()
    }

    /// Those of one subject, also those of which nothing is used.
    fn of(&self, subject: &str, windows: &[Window]) -> Vec<BudgetLine> {
        let is_of = |window: &&Window| {
            let label = window.label.to_string();
            label == subject || is_each_of(subject, &label)
        };
        let mut lines: Vec<BudgetLine> = windows.iter().filter(is_of).map(|window| self.line(window)).collect();
        self.add_unused(subject, &mut lines);
        lines
    }

    /// Those of who asks.
    fn own(&self, windows: &[Window]) -> Vec<BudgetLine> {
        let is_own = |window: &&Window| window.label.get(Facet::User) == Some(&*self.asker);
        let mut lines: Vec<BudgetLine> = windows.iter().filter(is_own).map(|window| self.line(window)).collect();
        self.add_unused(&format!("user:{}", self.asker), &mut lines);
        lines
    }

    /// What holds for a subject and is not in the lines: nothing of it is used, or it has no end.
    fn add_unused(&self, subject: &str, lines: &mut Vec<BudgetLine>) {
        let shown = self.desk.shown(subject);
        for limit in self.budgets.kinds(subject) {
            if let Some(cap) = self.budgets.cap(subject, limit)
                && !lines.iter().any(|line| line.limit == limit && line.subject == shown)
            {
                lines.push(self.unused(subject, limit, cap));
            }
        }
    }

    fn line(&self, window: &Window) -> BudgetLine {
        let subject = window.label.to_string();
        let acts = self.budgets.acts(&subject, window.limit);
        let held = window.used.saturating_add(window.reserved);
        let resets_at = window.resets_at.map(|at| at.shown_in(self.desk.zone));
        BudgetLine {
            own: self.own_facet(&window.label),
            limit: window.limit,
            used: window.used,
            reserved: window.reserved,
            max: Some(window.max),
            left: Some(window.max.saturating_sub(held)),
            permille: LimitUse::permille_of(window.used, window.max),
            resets_at,
            resets_in_seconds: resets_at.map(|at| at.seconds_since(self.now)),
            raised_by: window.raised_by,
            paused: window.paused,
            stopped: window.stopped,
            muted: acts.muted == Some(window.first_day),
            each: false,
            subject: self.desk.shown(&subject),
        }
    }

    fn unused(&self, subject: &str, limit: LimitKind, cap: Cap) -> BudgetLine {
        let (window, resets_at) = self.budgets.window(subject, limit, self.now);
        let acts = self.budgets.acts(subject, limit);
        let raised_by = acts.raised.filter(|(of, _)| *of == window).map_or(0, |(_, by)| by);
        let max = match cap {
            Cap::At(cap) => Some(cap.saturating_add(raised_by)),
            Cap::Unlimited => None,
        };
        BudgetLine {
            subject: self.desk.shown(subject),
            own: (subject == format!("user:{}", self.asker)).then_some("user"),
            limit,
            used: 0,
            reserved: 0,
            max,
            left: max,
            permille: if max == Some(0) { 1000 } else { 0 },
            resets_at,
            resets_in_seconds: resets_at.map(|at| at.seconds_since(self.now)),
            raised_by,
            paused: acts.paused,
            stopped: acts.stopped == Some(window),
            muted: acts.muted == Some(window),
            each: known::is_for_each(subject),
        }
    }

    fn own_facet(&self, label: &Label) -> Option<&'static str> {
        (label.0.len() == 1 && label.get(Facet::User) == Some(&*self.asker)).then_some("user")
    }
}
