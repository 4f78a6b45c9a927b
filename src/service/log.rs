//! Recording one call that was made elsewhere: `tallybot log`, and programs that use this library.

use anyhow::{Context, bail};
use serde::Serialize;

use super::books::{Books, Here, There};
use super::items::{UsageItem, admitted_at};
use super::remote;
use crate::metering::Noted;
use crate::usage::{Money, RecordId, Timestamp, UsageRecord, Zone};

/// What became of a call that was to be recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logged {
    /// False when its given id was there already, and nothing was counted.
    pub new: bool,
    /// The record's id, unless nothing was written.
    pub id: Option<RecordId>,
    /// When it was, as recorded.
    pub timestamp: Option<Timestamp>,
    /// The API spoken.
    pub api_type: String,
    /// The model.
    pub model: String,
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// How it ended.
    pub status: &'static str,
    /// Why it failed: a class and an HTTP status.
    pub error_message: Option<String>,
    /// What it cost: `None` when the price is not known.
    pub cost_usd: Option<Money>,
    /// Which price that was.
    pub price_id: Option<String>,
    /// The time that was told, where that is still to come: the call counts as of now.
    pub was_to_come: Option<Timestamp>,
    /// The tallybot that wrote it, when it was another one.
    pub through: Option<String>,
}

impl Books {
    /// Records a call and waits until that is durable.
    ///
    /// # Errors
    /// When it could not be recorded, or nobody knows whether it was.
    pub async fn log(&self, item: UsageItem) -> anyhow::Result<Logged> {
        match self {
            Books::Here(here) => here.log(item).await,
            Books::There(there) => there.log(item).await,
        }
    }
}

impl Here {
    async fn log(&self, item: UsageItem) -> anyhow::Result<Logged> {
        let now = self.clock.now().at;
        let mut logged = Logged::of(&item, now, self.zone);
        let mut record = item.into_record(self.metering.new_id(now), now, self.zone, &self.people);
        self.metering.price(&mut record);
        logged.recorded_as(&record);
        let verdict = self.metering.note(vec![record]).await.pop().context("no verdict on the call")?;
        match verdict.context("cannot record the call")? {
            Noted::Accepted => Ok(logged),
            Noted::Duplicate => Ok(Logged { new: false, id: None, ..logged }),
        }
    }
}

impl There {
    async fn log(&self, item: UsageItem) -> anyhow::Result<Logged> {
        let answer = remote::note(&self.address, self.token.as_ref(), &item).await;
        let answer = answer.with_context(|| self.failed())?;
        if let Some(rejected) = answer.rejected.first() {
            bail!("{}: {}", self.failed(), rejected.error);
        }
        let through = Some(format!("http://{}", self.address));
        let mut logged =
            Logged { new: answer.accepted > 0, through, ..Logged::of(&item, self.clock.now().at, self.zone) };
        if let Some(written) = answer.record {
            (logged.id, logged.timestamp) = (Some(written.id), Some(written.timestamp));
            (logged.cost_usd, logged.price_id) = (written.cost_usd, written.price_id);
        }
        Ok(logged)
    }
}

impl Logged {
    fn of(item: &UsageItem, now: Timestamp, zone: Zone) -> Logged {
        let told = item.at.map(|at| admitted_at(at, zone));
        Logged {
            new: true,
            id: None,
            timestamp: None,
            api_type: item.api_type.to_string(),
            model: item.model.to_string(),
            prompt_tokens: item.tokens.prompt,
            completion_tokens: item.tokens.completion,
            total_tokens: item.tokens.total(),
            status: item.status.as_str(),
            error_message: item.failure.map(|failure| failure.to_string()),
            cost_usd: item.cost,
            price_id: None,
            was_to_come: told.filter(|told| *told > now),
            through: None,
        }
    }

    fn recorded_as(&mut self, record: &UsageRecord<'_>) {
        (self.id, self.timestamp) = (Some(record.id), Some(record.timestamp));
        self.cost_usd = record.cost;
        self.price_id = record.price_id.as_deref().map(str::to_owned);
    }

    /// What was recorded, in one line.
    pub fn text(&self) -> String {
        let model = format!("{}/{}", self.api_type, self.model);
        if !self.new {
            return format!("already there: a call of {model} with this id; nothing was counted");
        }
        let tokens = format!("{} + {} tokens of {model}", self.prompt_tokens, self.completion_tokens);
        let ended = match &self.error_message {
            Some(failure) => format!(", {} ({failure})", self.status),
            None => String::new(),
        };
        let cost = self.cost_usd.map_or(", cost unknown".to_owned(), |cost| format!(", ${cost}"));
        let through = self.through.as_ref().map_or_else(String::new, |through| format!(", through {through}"));
        format!("recorded {tokens}{ended}{cost}{through}")
    }
}
