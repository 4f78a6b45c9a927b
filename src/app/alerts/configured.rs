//! Alerts as `[alerts]` asks for them: from where on, and the places that are not chats.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::alerts::{Notice, Outlet, Policy, Told};
use crate::config::{AlertThreshold, Alerts, LargePrompts};
use crate::conversation::CancelToken;
use crate::deliveries::{self, Deliveries, DeliveryError};
use crate::limits::{Threshold, Thresholds};
use crate::templates::{Lang, Templates};

/// From where on something is told.
pub(in crate::app) fn policy_of(alerts: &Alerts) -> Policy {
    let threshold = |threshold: AlertThreshold| match threshold {
        AlertThreshold::Permille(permille) => Threshold::Permille(permille),
        AlertThreshold::Tokens(tokens) => Threshold::Tokens(tokens),
    };
    Policy {
        thresholds: Thresholds(alerts.levels.map(threshold)),
        recovered: alerts.recovered,
        error_rate_percent: alerts.error_rate_percent,
        provider_down_secs: alerts.provider_down_minutes.saturating_mul(60),
        cost_spike_factor: alerts.cost_spike_factor,
        large_prompt_tokens: alerts.large_prompt_tokens,
        large_prompts_to_chat: alerts.large_prompts == LargePrompts::Chat,
        ..Policy::default()
    }
}

/// Sends what goes to places, until `stop`.
pub(in crate::app) async fn deliver(deliveries: Deliveries, stop: CancelToken) {
    let stopped = async { _ = stop.cancelled().await };
    deliveries.run(stopped).await;
}

/// One of the places of `[alerts]`. Each is an outlet by itself, so that one that does not answer holds no other up.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) deliveries: Deliveries,
    pub(super) templates: Arc<Templates>,
    pub(super) lang: Lang,
}

impl Outlet for Place {
    fn name(&self) -> &'static str {
        self.name
    }

    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Told> {
        let text = deliveries::text(&self.templates, self.lang, notice);
        let delivered = self.deliveries.deliver_to(self.name, notice, &text);
        Box::pin(async {
            match delivered.await {
                Err(DeliveryError::Stopped) => Told::Stopped,
                // What it does not take is logged by its worker, and shown as its health.
                Ok(()) | Err(_) => Told::Done,
            }
        })
    }
}
