//! A notice on its way to every outlet, and what the log says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;

use crate::alerts::{Alert, Happened, Notice, Outlet, Severity, Told};
use crate::deliveries;

/// Notices that wait for one outlet at most: more than one look finds.
const MAX_WAITING: usize = 1_024;

/// Notices that one outlet is telling at once: they begin in their order, and none waits for the tries of another. More
/// than wait for a place, which has to have them to let go of the oldest.
const AT_ONCE: usize = 2 * deliveries::MAX_WAITING;

/// One notice, on its way to several outlets.
pub(super) struct Telling {
    notice: Notice,
    /// Outlets that have not ended with it.
    left: AtomicUsize,
    /// To whom it is told that all have.
    confirm: mpsc::UnboundedSender<String>,
}

impl Telling {
    pub(super) fn new(notice: Notice, outlets: usize, confirm: mpsc::UnboundedSender<String>) -> Arc<Telling> {
        let telling = Telling { notice, left: AtomicUsize::new(outlets.max(1)), confirm };
        if outlets == 0 {
            telling.ended(); // the log has it
        }
        Arc::new(telling)
    }

    fn ended(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Whoever looks is gone: it is told again at the next start.
            let _gone = self.confirm.send(self.notice.id.clone());
        }
    }
}

/// What waits for one outlet, and its name.
pub(super) struct Queue(mpsc::Sender<Arc<Telling>>, &'static str);

impl Queue {
    /// A queue whose notices begin to be told one after the other.
    pub(super) fn begin(outlet: Arc<dyn Outlet>, tasks: &mut JoinSet<()>) -> Queue {
        let name = outlet.name();
        let (queue, mut waiting) = mpsc::channel::<Arc<Telling>>(MAX_WAITING);
        tasks.spawn(async move {
            let outlet = &*outlet;
            let mut under_way = FuturesUnordered::new();
            loop {
                tokio::select! {
                    next = waiting.recv(), if under_way.len() < AT_ONCE => match next {
                        Some(telling) => under_way.push(told(outlet, telling)),
                        None => break,
                    },
                    Some(()) = under_way.next(), if !under_way.is_empty() => {}
                }
            }
            while under_way.next().await.is_some() {}
        });
        Queue(queue, name)
    }

    /// Where too many wait for one outlet, it alone gives the notice up: the others and the log go on.
    pub(super) fn push(&self, telling: &Arc<Telling>) {
        let Err(error) = self.0.try_send(Arc::clone(telling)) else { return };
        let (alert, outlet) = (&telling.notice.id, self.1);
        match error {
            TrySendError::Full(_) => {
                tracing::error!(alert, outlet, "an alert was not told: too many wait there");
                telling.ended();
            }
            // It stays noted as firing, and is told at the next start.
            TrySendError::Closed(_) => tracing::warn!(alert, outlet, "an alert waits for the next start"),
        }
    }
}

/// Tells one notice at one outlet.
async fn told(outlet: &dyn Outlet, telling: Arc<Telling>) {
    match outlet.tell(&telling.notice).await {
        Told::Done => telling.ended(),
        Told::GivenUp(reason) => {
            tracing::error!(alert = %telling.notice.id, outlet = outlet.name(), reason, "an alert was not told");
            telling.ended();
        }
        Told::Stopped => {}
    }
}

/// The line in the log. People are told by their subject ids, which name nobody.
pub(super) fn log(notice: &Notice) {
    let (id, view) = (&notice.id, notice.view(|_| None));
    let said = match &view.happened {
        Happened::Level { level, window } => format!(
            "{} of `{}` is at {} percent: {level}",
            window.limit,
            window.scope.as_deref().unwrap_or("everything"),
            window.percent
        ),
        Happened::Many { level, scope, limit, count } => {
            let scope = scope.as_deref().unwrap_or("everything");
            format!("{limit} of at least {count} of `{scope}` has reached {level}")
        }
        Happened::Recovered { window } => {
            format!("{} of `{}` is normal again", window.limit, window.scope.as_deref().unwrap_or("everything"))
        }
        Happened::ErrorRate { failed, total, minutes, .. } => {
            format!("{failed} of {total} calls failed in the last {minutes} minutes")
        }
        Happened::ErrorRateBack => "calls succeed again".to_owned(),
        Happened::ProviderDown { provider, kind, since } => {
            format!("provider `{provider}` has not answered since {since}: {kind}")
        }
        Happened::ProviderBack { provider, seconds } => {
            format!("provider `{provider}` answers again after {seconds} s")
        }
        Happened::UnknownPrice { provider, model, others } => {
            let others = if *others > 0 { format!("; {others} others neither") } else { String::new() };
            format!("model `{model}` of provider `{provider}` was used and has no known price{others}")
        }
        Happened::CostSpike { hour_usd, usual_usd } => {
            format!("this hour cost {hour_usd} dollars so far, otherwise {usual_usd}")
        }
        Happened::LedgerDown { trouble } => format!("the books cannot be written: {trouble}"),
        Happened::LedgerBack => "the books can be written again".to_owned(),
        Happened::LargePrompt { model, tokens } => format!("a prompt of {tokens} tokens went to model `{model}`"),
        Happened::Test => "an alert to try whether alerts arrive".to_owned(),
        Happened::Forgotten => "an alert was about to be told when the program ended; what it said is lost".to_owned(),
    };
    if notice.severity() == Severity::Info || matches!(notice.alert, Alert::LargePrompt { .. }) {
        tracing::info!(alert = %id, severity = view.severity, "{said}");
    } else {
        tracing::warn!(alert = %id, severity = view.severity, "{said}");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use tokio::sync::Semaphore;

    use super::super::configured::Place;
    use super::*;
    use crate::config::{AlertSeverity, AlertWebhook, Alerts};
    use crate::deliveries::Deliveries;
    use crate::templates::{Lang, Templates};
    use crate::usage::{Clock, Now, Tick, Timestamp};

    /// Tells as soon as it is let, and then says what came of it.
    struct Scripted {
        let_go: Arc<Semaphore>,
        came: Told,
    }

    impl Outlet for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn tell<'a>(&'a self, _: &'a Notice) -> BoxFuture<'a, Told> {
            Box::pin(async {
                let let_go = self.let_go.acquire().await;
                let_go.expect("it is never closed").forget();
                self.came.clone()
            })
        }
    }

    fn notice(id: &str) -> Notice {
        Notice { id: id.to_owned(), at: Timestamp::new(1_795_305_600_000_000, 0), alert: Alert::Test }
    }

    #[tokio::test]
    async fn a_notice_is_confirmed_when_every_outlet_has_told_it_or_given_up_and_not_where_one_was_stopped() {
        let (confirm, mut confirmed) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let (free, slow) = (Arc::new(Semaphore::new(100)), Arc::new(Semaphore::new(0)));
        let outlet = |let_go: &Arc<Semaphore>, came| -> Arc<dyn Outlet> {
            Arc::new(Scripted { let_go: Arc::clone(let_go), came })
        };
        let given_up = || Told::GivenUp("nobody is there".to_owned());
        let queues = [outlet(&free, Told::Done), outlet(&free, given_up()), outlet(&slow, Told::Done)];
        let queues = queues.map(|outlet| Queue::begin(outlet, &mut tasks));
        for id in ["a", "b"] {
            let telling = Telling::new(notice(id), queues.len(), confirm.clone());
            queues.iter().for_each(|queue| queue.push(&telling));
        }
        tokio::task::yield_now().await;
        assert!(confirmed.try_recv().is_err(), "one has not told it");
        slow.add_permits(1);
        assert_eq!(confirmed.recv().await.as_deref(), Some("a"));
        slow.add_permits(1);
        assert_eq!(confirmed.recv().await.as_deref(), Some("b"));
        let stopped = [outlet(&free, Told::Stopped), outlet(&free, Told::Done)];
        let stopped = stopped.map(|outlet| Queue::begin(outlet, &mut tasks));
        let telling = Telling::new(notice("c"), stopped.len(), confirm.clone());
        stopped.iter().for_each(|queue| queue.push(&telling));
        drop((stopped, telling, queues));
        while tasks.join_next().await.is_some() {}
        assert!(confirmed.try_recv().is_err(), "it is told again at the next start");
        // With nobody to tell beside the log, it is told.
        Telling::new(notice("d"), 0, confirm);
        assert_eq!(confirmed.recv().await.as_deref(), Some("d"));
    }

    struct StandingClock;

    impl Clock for StandingClock {
        fn now(&self) -> Now {
            Now { at: Timestamp::new(1_795_305_600_000_000, 0), tick: Tick(0) }
        }
    }

    #[tokio::test]
    async fn a_place_that_does_not_answer_lets_go_of_the_oldest_and_keeps_the_newest() {
        let (confirm, mut confirmed) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let webhook = AlertWebhook { url: "http://127.0.0.1:9/".into(), secret: None, min_level: AlertSeverity::Info };
        let alerts = Alerts { webhook: Some(webhook), ..Alerts::default() };
        let deliveries = Deliveries::new(&alerts, Arc::new(StandingClock)).expect("a URL");
        let templates = Arc::new(Templates::load(None).expect("ours"));
        let place = Place { name: "webhook", deliveries: deliveries.clone(), templates, lang: Lang::En };
        let queue = Queue::begin(Arc::new(place), &mut tasks);
        let all = 2 * AT_ONCE;
        for n in 0..all {
            queue.push(&Telling::new(notice(&n.to_string()), 1, confirm.clone()));
            tokio::task::yield_now().await;
        }
        for n in 0..all - deliveries::MAX_WAITING {
            assert_eq!(confirmed.try_recv(), Ok(n.to_string()), "it was let go");
        }
        let health = &deliveries.health()[0];
        assert_eq!((health.waiting, health.dropped), (deliveries::MAX_WAITING, (all - deliveries::MAX_WAITING) as u64));
    }

    #[tokio::test]
    async fn an_outlet_that_is_stuck_holds_up_itself_alone() {
        let (confirm, mut confirmed) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let outlet = |permits| -> Arc<dyn Outlet> {
            Arc::new(Scripted { let_go: Arc::new(Semaphore::new(permits)), came: Told::Done })
        };
        let (room, further) = (AT_ONCE + MAX_WAITING, 9);
        let queues = [outlet(0), outlet(room + further)].map(|outlet| Queue::begin(outlet, &mut tasks));
        for n in 0..room + further {
            let telling = Telling::new(notice(&n.to_string()), queues.len(), confirm.clone());
            queues.iter().for_each(|queue| queue.push(&telling));
            tokio::task::yield_now().await;
        }
        for n in room..room + further {
            assert_eq!(confirmed.recv().await, Some(n.to_string()), "the stuck one has given it up");
        }
        assert!(confirmed.try_recv().is_err(), "what waits there still may be told");
    }
}
