//! The books of a folder for commands and for programs: by the system's clock, its chance, the configured prices.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::{SystemClock, prices_of, random, zone_of};
use crate::config::{self, Config, SecretFile};
use crate::service::items::UsageItem;
use crate::service::{Books, Logged, Place};

/// Opens the books of a folder for writing, or finds the running tallybot that holds them.
///
/// # Errors
/// As [`Books::open`], and when the configured prices do not fit.
pub async fn open_books(config: &Config, folder: &Path) -> anyhow::Result<Books> {
    Books::open(place(config, folder)?).await
}

/// The books of a folder, not yet opened, with everything that writing in them needs.
///
/// # Errors
/// When the configured prices do not fit.
pub fn place<'a>(config: &'a Config, folder: &'a Path) -> anyhow::Result<Place<'a>> {
    let zone = zone_of(config);
    Ok(Place {
        config,
        folder,
        zone,
        prices: prices_of(config, folder)?,
        clock: Arc::new(SystemClock::new(zone)),
        random,
    })
}

/// Records one model call in the books of `folder`, and returns when the record is durable. Where a tallybot is running
/// on the folder the call goes to it, with the token in `TALLYBOT_ADMIN_TOKEN` if it wants one.
///
/// Everything else is as without a configuration: the zone of `TZ` or else the system's, the bundled prices. A program
/// that records often, or has a configuration, keeps the books open instead: [`open_books`], [`Books::log`],
/// [`Books::close`].
///
/// ```
/// use tallybot::app::log_tokens;
/// use tallybot::service::items::UsageItem;
///
/// # fn main() -> anyhow::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let call = UsageItem::tokens(150, 320).api("gemini").model("gemini-2.5-flash");
/// let logged = log_tokens(folder, call)?;
/// assert_eq!(logged.total_tokens, 470);
///
/// // A failure keeps its class and its HTTP status, not its words.
/// let call = UsageItem::tokens(100, 0).api("gemini").model("gemini-2.5-flash").error("429 Quota excedida");
/// let logged = log_tokens(folder, call.metadata("article_id", 123)?)?;
/// assert_eq!(logged.error_message.as_deref(), Some("rate_limited 429"));
/// # Ok(())
/// # }
/// ```
///
/// It blocks, on a thread of its own: asynchronous code may call it, and waits as well.
///
/// # Errors
/// When the call could not be recorded, or nobody knows whether it was.
pub fn log_tokens(folder: impl AsRef<Path>, item: UsageItem) -> anyhow::Result<Logged> {
    let folder = folder.as_ref();
    let unread = |_: &str| -> Result<SecretFile, String> { Err("no file is read here".to_owned()) };
    let checked = config::check("", "no configuration file", &|name: &str| std::env::var(name).ok(), &unread);
    let config = checked.map_err(|mistakes| anyhow!("{mistakes}"))?.config;
    let log = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
        runtime.block_on(async {
            let books = open_books(&config, folder).await?;
            let logged = books.log(item).await;
            books.close().and(logged)
        })
    };
    let logged = std::thread::scope(|scope| scope.spawn(log).join());
    logged.map_err(|_| anyhow!("recording the call met a bug of tallybot's own"))?
}
