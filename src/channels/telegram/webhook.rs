//! Updates by webhook: the route that Telegram posts to. It answers 200 only when the update is in the account.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::api::RawUpdate;
use super::intake::Intake;
use super::polling::{read_update, set_webhook};
use crate::conversation::CancelToken;
use crate::conversation::driver::{Door, Renderer};

/// The largest update that is read. Texts have at most 4,096 characters.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The header that carries the secret.
pub const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Updates that wait to be taken in; Telegram sends the others again.
const ROOM: usize = 64;

/// How long a post waits for its update to be taken in.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to answer a post with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken in, or there is nothing to take in: 200.
    Taken,
    /// Not the secret: 401.
    WrongSecret,
    /// Not an update: 400, which Telegram never sees.
    NotAnUpdate,
    /// Not now: 503, and Telegram sends it again.
    Later,
}

/// The route's end.
#[derive(Clone)]
pub struct Hook {
    secret: Arc<str>,
    posts: mpsc::Sender<Post>,
}

/// The channel's end.
pub struct Hooked {
    url: String,
    secret: Arc<str>,
    posts: mpsc::Receiver<Post>,
}

struct Post {
    update: RawUpdate,
    taken: oneshot::Sender<bool>,
}

/// Both ends of a webhook at `url`.
pub fn hook(url: &str, secret: &str) -> (Hook, Hooked) {
    let (sender, posts) = mpsc::channel(ROOM);
    let secret: Arc<str> = secret.into();
    (Hook { secret: Arc::clone(&secret), posts: sender }, Hooked { url: url.to_owned(), secret, posts })
}

impl Hook {
    /// Whether a post carries the secret. Takes as long for a nearly right one as for a wrong one.
    pub fn knows(&self, secret: Option<&[u8]>) -> bool {
        secret.is_some_and(|secret| bool::from(secret.ct_eq(self.secret.as_bytes())))
    }

    /// Takes in what Telegram posted.
    pub async fn take(&self, secret: Option<&[u8]>, body: &[u8]) -> Verdict {
        if !self.knows(secret) {
            return Verdict::WrongSecret;
        }
        let Some(update) = read_update(body) else { return Verdict::NotAnUpdate };
        let (taken, is_taken) = oneshot::channel();
        if self.posts.try_send(Post { update, taken }).is_err() {
            return Verdict::Later;
        }
        match timeout(PATIENCE, is_taken).await {
            Ok(Ok(true)) => Verdict::Taken,
            _ => Verdict::Later,
        }
    }
}

/// Takes updates until the program ends.
pub(super) async fn run<D: Door, R: Renderer>(intake: &Arc<Intake<D, R>>, mut hooked: Hooked, stop: &CancelToken) {
    if set_webhook(&intake.tools.api, &hooked.url, &hooked.secret, stop).await.is_none() {
        return;
    }
    // What was confirmed does not come again; what was not is known when it comes.
    intake.settle_former();
    loop {
        let post = tokio::select! {
            post = hooked.posts.recv() => post,
            _ = stop.cancelled() => return,
        };
        let Some(Post { update, taken }) = post else { return };
        let is_taken = match intake.take(&[update]).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the Telegram inbox cannot be written; updates wait");
                false
            }
        };
        let _hung_up = taken.send(is_taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_post_without_the_secret_is_not_even_read() {
        let (hook, mut hooked) = hook("https://bot.example/telegram", "right");
        let update = br#"{"update_id":7,"message":{}}"#;
        for secret in [None, Some(&b""[..]), Some(b"wrong"), Some(b"righ"), Some(b"right ")] {
            assert_eq!(hook.take(secret, update).await, Verdict::WrongSecret);
        }
        assert_eq!(hook.take(Some(b"right"), b"{}").await, Verdict::NotAnUpdate);
        assert_eq!(hook.take(Some(b"right"), b"no json").await, Verdict::NotAnUpdate);
        let taken = async {
            let post = hooked.posts.recv().await.expect("a post");
            assert_eq!(post.update.id, 7);
            post.taken.send(true).expect("it is waited for");
        };
        let (verdict, ()) = tokio::join!(hook.take(Some(b"right"), update), taken);
        assert_eq!(verdict, Verdict::Taken);
        drop(hooked);
        assert_eq!(hook.take(Some(b"right"), update).await, Verdict::Later);
    }
}
