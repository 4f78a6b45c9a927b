//! `check-config --send-test-alert`: a test goes to each place of `[alerts]`, once, and it is said how that went.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::{print, tell};
use crate::alerts::{Alert, Notice};
use crate::app::{self, SystemClock};
use crate::config::Config;
use crate::deliveries::{self, Deliveries, DeliveryError};
use crate::templates::Templates;
use crate::usage::Clock;

/// Tries each place once. The exit code is 1 when one of them failed, or there is none.
pub(super) async fn send(config: &Config) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(app::zone_of(config)));
    let templates = Templates::load(config.templates_dir.as_deref()).context("cannot load the texts")?;
    let places = Deliveries::new(&config.alerts, Arc::clone(&clock)).context("cannot prepare the alerts")?;
    let at = clock.now().at;
    let notice = Notice { id: format!("test:{}", at.unix_micros()), at, alert: Alert::Test };
    let text = deliveries::text(&templates, config.alerts.language.unwrap_or(config.language), &notice);
    let delivered = places.try_each(&notice, &text).await;
    for (place, result) in &delivered {
        match result {
            Ok(()) => print(&format!("{place}: delivered\n"))?,
            Err(error) => tell(&format_args!("{place}: not delivered: {error}; {}", advice(place, *error))),
        }
    }
    if config.alerts.chats && config.telegram.is_some() {
        print("chats: not tried; the running bot tells its admins there\n")?;
    }
    if delivered.is_empty() {
        tell(
            &"no place to try: alerts stand in the log; add one, for example `[alerts.webhook]` (see \
               tallybot.example.toml)",
        );
    }
    let is_good = !delivered.is_empty() && delivered.iter().all(|(_, result)| result.is_ok());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to do about it.
fn advice(place: &str, error: DeliveryError) -> &'static str {
    match (place, error) {
        ("mail", DeliveryError::Refused(530..=538)) => {
            "check `user` and the password (many mail services want one made for programs)"
        }
        ("mail", DeliveryError::Refused(_)) => "check that the server takes mail `from` and `to` these addresses",
        ("mail", DeliveryError::Tls | DeliveryError::Timeout | DeliveryError::NoConnection) => {
            "check `smtp` and `security`: usual are port 587 with \"starttls\" and 465 with \"tls\""
        }
        ("slack", DeliveryError::Refused(_)) => {
            "make the URL anew, on the page Incoming Webhooks of the app, and put it where `[alerts.slack]` says"
        }
        ("discord", DeliveryError::Refused(_)) => {
            "make the URL anew, in the channel's settings under Integrations, and put it where `[alerts.discord]` says"
        }
        (_, DeliveryError::Refused(401 | 403)) => "check that the program there knows the same secret",
        (_, DeliveryError::Refused(_)) => "check the path of `url`, and what the program there says",
        (_, DeliveryError::Elsewhere(_)) => "write the address it leads to; redirects are not followed",
        (_, DeliveryError::Busy(_)) => "try again later",
        (_, DeliveryError::Timeout) => "check that the server answers within 10 seconds",
        (_, DeliveryError::Misconfigured) => "check its section in the configuration",
        _ => "check the address, and that this machine may reach it",
    }
}
