//! What admins ask of the program in a chat: who may speak, and how everything is.

use futures_util::future::join_all;

use super::Desk;
use super::desk::probed;
use crate::conversation::driver::{Door, ManageRequest};
use crate::conversation::{HealthView, LastError, Message, PlaceHealth, ProviderHealth, Request};
use crate::deliveries::{Deliveries, DeliveryHealth};
use crate::models::Provider;

impl Desk {
    /// Does what is asked and says what came of it. In a group, an admin speaks of the group.
    pub(super) async fn managed(&self, asked: ManageRequest) -> Message {
        let ManageRequest { chat, person, request } = asked;
        let in_group = person.group.is_some() || chat.id.starts_with('-');
        // A topic is of its group.
        let group = chat.id.split('/').next().unwrap_or_default();
        let door = &self.door;
        match request {
            Request::Claim(code) => door.redeem(chat.channel, &person.id, code.as_deref().unwrap_or_default()).await,
            Request::Allow(Some(typed)) => door.allow(chat.channel, &typed).await,
            Request::Deny(Some(typed)) => door.deny(chat.channel, &typed).await,
            Request::Allow(None) if in_group => door.allow(chat.channel, group).await,
            Request::Deny(None) if in_group => door.deny(chat.channel, group).await,
            Request::Allow(None) => door.link(),
            Request::Deny(None) => door.list(chat.channel),
            Request::Health if in_group => Message::PrivateOnly,
            Request::Health => Message::Health(self.health_now().await),
            Request::Budget(ask) => self.budget(&chat, &person, ask).await,
            Request::Cost { receipt, replied } => self.cost(&chat, &person, *receipt, replied),
        }
    }

    async fn health_now(&self) -> HealthView {
        let now = self.clock.now();
        let providers = join_all(self.providers.iter().map(provider_health)).await;
        let ledger = self.metering.health();
        let disk = rustix::fs::statvfs(&self.folder).ok();
        let last_error = self.metering.last_failure().map(|(at, failure)| LastError { kind: failure.kind, at });
        HealthView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: Some(now.at.seconds_since(self.started_at)),
            disk_free_bytes: disk.as_ref().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            disk_total_bytes: disk.as_ref().map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
            ledger_ok: ledger.trouble.is_none(),
            ledger_trouble: ledger.trouble,
            records_waiting: ledger.queued as u64,
            providers,
            places: self.deliveries.iter().flat_map(Deliveries::health).map(place_health).collect(),
            large_prompts: self.metering.recent(|recent| recent.large_prompts()),
            last_error,
            now: now.at,
        }
    }
}

fn place_health(place: DeliveryHealth) -> PlaceHealth {
    PlaceHealth {
        name: place.place,
        failing_since: place.failing.map(|failing| failing.since),
        waiting: place.waiting as u64,
        dropped: place.dropped,
    }
}

async fn provider_health(provider: &Provider) -> ProviderHealth {
    let error = probed(provider).await.err().map(|failure| failure.kind);
    let local = Some(provider.is_local(provider.model()));
    ProviderHealth { name: provider.name().to_owned(), ok: error.is_none(), local, error }
}
