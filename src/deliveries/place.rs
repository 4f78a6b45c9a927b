//! One place: where it is, what it wants to hear of, what waits for it, and how it is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

#[cfg(feature = "mail")]
use super::mail::Mail;
use super::parcel::Parcel;
use super::persistence::persist;
use super::post::Post;
use super::queue::{Job, MAX_WAITING, Queue};
use super::{DeliveryError, DeliveryHealth, discord, slack, webhook};
use crate::alerts::{Notice, Severity};
use crate::config::{AlertSeverity, Alerts};
use crate::usage::{Clock, Timestamp};

use super::failure::Failed;

/// One place.
pub(super) struct Place {
    target: Target,
    min_level: AlertSeverity,
    queue: Queue,
    health: Mutex<DeliveryHealth>,
}

/// Where it is, and in which form it takes alerts.
enum Target {
    Webhook {
        post: Post,
        secret: Option<SecretString>,
    },
    Slack(Post),
    Discord(Post),
    #[cfg(feature = "mail")]
    Mail(Box<Mail>),
}

/// Every place of a configuration.
pub(super) fn all(alerts: &Alerts) -> Result<Vec<Place>, DeliveryError> {
    let mut places = Vec::new();
    if let Some(webhook) = &alerts.webhook {
        let target = Target::Webhook { post: Post::new(&webhook.url)?, secret: webhook.secret.clone() };
        places.push(Place::new(target, webhook.min_level));
    }
    if let Some(slack) = &alerts.slack {
        places.push(Place::new(Target::Slack(Post::new(slack.url.expose_secret())?), slack.min_level));
    }
    if let Some(discord) = &alerts.discord {
        places.push(Place::new(Target::Discord(Post::new(discord.url.expose_secret())?), discord.min_level));
    }
    #[cfg(feature = "mail")]
    if let Some(mail) = &alerts.mail {
        places.push(Place::new(Target::Mail(Box::new(Mail::new(mail)?)), mail.min_level));
    }
    Ok(places)
}

impl Place {
    fn new(target: Target, min_level: AlertSeverity) -> Place {
        let health = DeliveryHealth { place: target.name(), ..DeliveryHealth::default() };
        Place { target, min_level, queue: Queue::default(), health: Mutex::new(health) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.target.name()
    }

    /// Whether it wants to hear of alerts as bad as this.
    pub(super) fn wants(&self, severity: Severity) -> bool {
        severity
            >= match self.min_level {
                AlertSeverity::Info => Severity::Info,
                AlertSeverity::Caution => Severity::Caution,
                AlertSeverity::Warning => Severity::Warning,
                AlertSeverity::Critical => Severity::Critical,
            }
    }

    /// An alert in the form this place takes.
    pub(super) fn parcel(&self, notice: &Notice, text: &str) -> Parcel {
        let body = match &self.target {
            Target::Webhook { .. } => webhook::body(notice, text),
            Target::Slack(_) => slack::body(text),
            Target::Discord(_) => discord::body(text),
            #[cfg(feature = "mail")]
            Target::Mail(_) => text.as_bytes().to_vec(),
        };
        Parcel::new(notice, body)
    }

    /// Puts an alert in line.
    pub(super) fn accept(&self, notice: &Notice, text: &str) -> oneshot::Receiver<Result<(), DeliveryError>> {
        let (done, receipt) = oneshot::channel();
        if let Some(oldest) = self.queue.push(Job { parcel: self.parcel(notice, text), done }) {
            let dropped = {
                let mut health = self.state();
                health.dropped += 1;
                health.dropped
            };
            tracing::error!(
                place = self.name(),
                alert = oldest.parcel.id,
                dropped,
                "more than {MAX_WAITING} alerts wait; the oldest was dropped"
            );
            let _nobody_asked = oldest.done.send(Err(DeliveryError::Crowded));
        }
        receipt
    }

    /// Sends what waits, one after the other, for ever.
    pub(super) async fn work(&self, clock: &dyn Clock) {
        loop {
            let Job { parcel, done } = self.queue.next().await;
            let attempt = || self.send(&parcel, clock.now().at);
            let ended = persist(attempt, |error, wait| self.note_failure(&parcel, error, wait, clock.now().at)).await;
            if ended.is_ok() {
                self.note_success(&parcel, clock.now().at);
            }
            let _nobody_asked = done.send(ended);
        }
    }

    /// One try.
    pub(super) async fn send(&self, parcel: &Parcel, now: Timestamp) -> Result<(), Failed> {
        match &self.target {
            Target::Webhook { post, secret } => {
                let signature = secret.as_ref().map(|secret| webhook::signature(secret, now, &parcel.body));
                post.send(parcel, signature.map(|signature| (webhook::SIGNATURE, signature))).await
            }
            Target::Slack(post) | Target::Discord(post) => post.send(parcel, None).await,
            #[cfg(feature = "mail")]
            Target::Mail(mail) => mail.send(parcel).await,
        }
    }

    pub(super) fn health(&self) -> DeliveryHealth {
        DeliveryHealth { waiting: self.queue.len(), ..self.state().clone() }
    }

    /// Takes nothing more; whoever waits is told.
    pub(super) fn close(&self) {
        for job in self.queue.close() {
            let _nobody_asked = job.done.send(Err(DeliveryError::Stopped));
        }
    }

    fn note_success(&self, parcel: &Parcel, now: Timestamp) {
        let failed_since = {
            let mut health = self.state();
            let since = health.failing.as_ref().map(|failing| failing.since);
            health.succeeded(now);
            since
        };
        match failed_since {
            Some(since) => {
                tracing::info!(place = self.name(), alert = parcel.id, %since, "alerts are delivered again");
            }
            None => tracing::debug!(place = self.name(), alert = parcel.id, "an alert was delivered"),
        }
    }

    fn note_failure(&self, parcel: &Parcel, error: DeliveryError, wait: Option<Duration>, now: Timestamp) {
        self.state().failed(error, now);
        let (place, alert) = (self.name(), &parcel.id);
        match wait {
            Some(wait) => {
                let retry_in_secs = wait.as_secs();
                tracing::warn!(place, alert, %error, retry_in_secs, "an alert could not be delivered yet");
            }
            None => tracing::error!(place, alert, %error, "an alert was not delivered, and is not tried again"),
        }
    }

    fn state(&self) -> MutexGuard<'_, DeliveryHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn name(&self) -> &'static str {
        match self {
            Target::Webhook { .. } => "webhook",
            Target::Slack(_) => "slack",
            Target::Discord(_) => "discord",
            #[cfg(feature = "mail")]
            Target::Mail(_) => "mail",
        }
    }
}
