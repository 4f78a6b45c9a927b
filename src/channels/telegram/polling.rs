//! Updates by polling: one long call after the other. The next one confirms the updates of the one before, so it is made
//! only when these are in the account.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::api::{Api, Me, RawUpdate};
use super::failure::Failure;
use super::intake::Intake;
use super::tools::backoff;
use crate::conversation::CancelToken;
use crate::conversation::driver::{Door, Renderer};

/// How long a poll waits for something to happen.
const POLL_SECS: u64 = 30;

/// Updates in one answer; with so many there may be more.
const FULL_BATCH: usize = 100;

/// Between polls while another program polls with the same token.
const CONFLICT_WAIT: Duration = Duration::from_secs(3);

/// Asks who the bot is until it is told; `None` when the program ends, or there is no such bot.
///
/// A start without a network is no problem: the rest of the program runs, and the bot comes when it can.
pub async fn introduce(api: &Api, stop: &CancelToken) -> Option<Me> {
    let mut trouble = Trouble::default();
    loop {
        let asked = tokio::select! {
            asked = api.me() => asked,
            _ = stop.cancelled() => return None,
        };
        match asked {
            Ok(me) => return Some(me),
            Err(failure) => trouble.meets(&failure, stop).await?,
        }
    }
}

/// Takes updates until the program ends, or the token is taken back.
pub(super) async fn run<D: Door, R: Renderer>(intake: &Arc<Intake<D, R>>, stop: &CancelToken) {
    let polls = async {
        let api = &intake.tools.api;
        let mut trouble = Trouble::default();
        // Without this a webhook that was set once keeps all updates to itself.
        while let Err(failure) = api.delete_webhook().await {
            if trouble.meets(&failure, stop).await.is_none() {
                return;
            }
        }
        let (mut offset, mut is_caught_up) = (None, false);
        loop {
            // What waits since the last run comes at once; only then is known what will not come again.
            let updates = match api.updates(offset, if is_caught_up { POLL_SECS } else { 0 }).await {
                Ok(updates) => updates,
                Err(failure) => match trouble.meets(&failure, stop).await {
                    Some(()) => continue,
                    None => return,
                },
            };
            trouble.is_over();
            if let Err(error) = intake.take(&updates).await {
                tracing::error!(%error, "the Telegram inbox cannot be written; updates wait");
                sleep(backoff(3)).await;
                continue;
            }
            offset = updates.iter().map(|update| i64::from(update.id) + 1).max().or(offset);
            if !is_caught_up && updates.len() < FULL_BATCH {
                is_caught_up = true;
                intake.settle_former();
            }
        }
    };
    tokio::select! {
        () = polls => {}
        _ = stop.cancelled() => {}
    }
}

fn tell_wrong_token() {
    tracing::error!(
        "Telegram does not know this token; get one from @BotFather and put it into the variable that \
                     `[telegram] token_env` names. Everything else goes on without Telegram"
    );
}

/// Failures in a row, each kind told once.
#[derive(Default)]
struct Trouble {
    tries: u32,
    told: Option<Failure>,
}

impl Trouble {
    fn is_over(&mut self) {
        if self.told.take().is_some() {
            tracing::info!("Telegram answers again");
        }
        self.tries = 0;
    }

    /// Waits after a failure; `None` when there is no point in another try.
    async fn meets(&mut self, failure: &Failure, stop: &CancelToken) -> Option<()> {
        match failure {
            Failure::Unauthorized | Failure::NoMethod => {
                tell_wrong_token();
                None
            }
            Failure::Conflict => {
                if self.told.replace(Failure::Conflict) != Some(Failure::Conflict) {
                    tracing::warn!(
                        "another program polls with this token; stop it, or make a bot of your own with @BotFather. \
                         Trying again every few seconds"
                    );
                }
                pause(CONFLICT_WAIT, stop).await
            }
            Failure::Flood(wait) => pause(*wait, stop).await,
            failure => self.wait(failure, stop).await,
        }
    }

    async fn wait(&mut self, failure: &Failure, stop: &CancelToken) -> Option<()> {
        if self.told.as_ref() != Some(failure) {
            tracing::warn!(%failure, "Telegram cannot be reached; trying again");
            self.told = Some(failure.clone());
        }
        self.tries = self.tries.saturating_add(1);
        pause(backoff(self.tries - 1), stop).await
    }
}

/// Waits; `None` when the program ends meanwhile.
async fn pause(wait: Duration, stop: &CancelToken) -> Option<()> {
    tokio::select! {
        () = sleep(wait) => Some(()),
        _ = stop.cancelled() => None,
    }
}

/// Sets the webhook, as often as it takes; `None` when the program ends.
pub(super) async fn set_webhook(api: &Api, url: &str, secret: &str, stop: &CancelToken) -> Option<()> {
    let mut trouble = Trouble::default();
    loop {
        let set = tokio::select! {
            set = api.set_webhook(url, secret) => set,
            _ = stop.cancelled() => return None,
        };
        match set {
            Ok(()) => return Some(()),
            Err(failure) => {
                if matches!(failure, Failure::Other { .. }) {
                    tracing::error!(%failure, "Telegram does not take `[telegram] webhook_url`");
                }
                trouble.meets(&failure, stop).await?;
            }
        }
    }
}

/// An update as a webhook gets it.
pub(super) fn read_update(body: &[u8]) -> Option<RawUpdate> {
    serde_json::from_slice(body).ok().and_then(RawUpdate::read)
}
