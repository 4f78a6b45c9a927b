//! Alerts on their way to places of the owner's: a signed webhook, Slack, Discord, mail.
//!
//! Each place has a queue of its own and one worker, so that a place that does not answer delays no other. Who hands an
//! alert over never waits for the network unless it wants to know how it went. What arrives holds no name of a person:
//! people are told by their subject ids. No URL, secret or answer of a server is in any error or log.

mod discord;
mod failure;
mod health;
#[cfg(feature = "mail")]
mod mail;
mod parcel;
mod persistence;
mod place;
mod post;
mod queue;
mod slack;
#[cfg(test)]
mod tests;
mod webhook;

use std::future::{Future, pending};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::alerts::Notice;
use crate::config::Alerts;
use crate::templates::{Lang, Templates};
use crate::usage::Clock;

pub use failure::DeliveryError;
pub use health::{DeliveryHealth, Failing};
use place::Place;
pub use queue::MAX_WAITING;

/// How a place took one alert, with the name of the place.
pub type Delivered = (&'static str, Result<(), DeliveryError>);

/// Every configured place. Cheap to clone; clones share the queues.
#[derive(Clone)]
pub struct Deliveries {
    places: Arc<[Place]>,
    clock: Arc<dyn Clock>,
}

impl Deliveries {
    /// The places of a configuration. [`run`](Deliveries::run) has to run for anything to be sent.
    ///
    /// # Errors
    /// When a place cannot be used as it is configured, or the system has no sockets to make a client of.
    pub fn new(alerts: &Alerts, clock: Arc<dyn Clock>) -> Result<Deliveries, DeliveryError> {
        Ok(Deliveries { places: place::all(alerts)?.into(), clock })
    }

    /// The names of the places, each once.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.places.iter().map(Place::name)
    }

    /// Hands an alert to a place at once. The future tells, when the place has taken it or was given up, how it went;
    /// nobody has to wait for it. A place that does not want to hear of it, or is not there, has nothing to do.
    ///
    /// `text` is the alert as plain text, with people by their subject ids: see [`text`].
    pub fn deliver_to(
        &self,
        name: &str,
        notice: &Notice,
        text: &str,
    ) -> impl Future<Output = Result<(), DeliveryError>> + Send + use<> {
        let place = self.places.iter().find(|place| place.name() == name && place.wants(notice.severity()));
        let receipt = place.map(|place| place.accept(notice, text));
        async move {
            match receipt {
                Some(receipt) => receipt.await.unwrap_or(Err(DeliveryError::Stopped)),
                None => Ok(()),
            }
        }
    }

    /// Sends what is handed over until `stop` is done. What then still waits is answered with
    /// [`DeliveryError::Stopped`].
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let work = join_all(self.places.iter().map(|place| place.work(&*self.clock)));
        tokio::select! {
            biased;
            () = stop => {}
            () = work.then(|_| pending()) => {} // without any place it waits for the end too
        }
        self.places.iter().for_each(Place::close);
    }

    /// Tries each place once, whatever it wants to hear of, beside the queues.
    pub async fn try_each(&self, notice: &Notice, text: &str) -> Vec<Delivered> {
        let tries = self.places.iter().map(|place| async move {
            (
                place.name(),
                place.send(&place.parcel(notice, text), self.clock.now().at).await.map_err(|failed| failed.error),
            )
        });
        join_all(tries).await
    }

    /// How each place is.
    pub fn health(&self) -> Vec<DeliveryHealth> {
        self.places.iter().map(Place::health).collect()
    }
}

/// An alert as plain text that may leave the house: people by their subject ids.
pub fn text(templates: &Templates, lang: Lang, notice: &Notice) -> String {
    templates.render(lang, "alert", notice.view(|_| None))
}
