//! The books as chats and REST see them: one answer to each question, whoever asks.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::task::TaskTracker;

use super::ChatDoor;
use super::alerts::Pressing;
use crate::config::Compat;
use crate::conversation::driver::{Books, Door, ManageRequest, StatsRequest};
use crate::conversation::{AlertAct, ChatKey, Message, ModelList, Person, SilentProvider, choice_of};
use crate::deliveries::Deliveries;
use crate::http::{
    Api, ApiError, Check, Form, Health, ItemError, Noted, ProviderCheck, Readiness, ResetAnswer, ResetBody, ResetQuery,
    StatsBody, StatsFormat, StatsQuery, UsageBody, UsageRequest, Written,
};
use crate::ledger::{LedgerError, People, Undone, UsersBy};
use crate::limits::{Learned, Rule, Window};
use crate::metering::{self, KeyNotChanged, Metering};
use crate::models::Provider;
use crate::reports::stats::{ProviderInfo, ServiceStatus};
use crate::reports::{Audience, Facts, Look, NoSuchEpoch, StatsReport, View, raymundo};
use crate::service::import::ImportLine;
use crate::service::items::UsageItem;
use crate::service::keys::{AddedKey, KeyAsk, KeyError, KeyList, KeyRow};
use crate::stats::{Period, Picture};
use crate::templates::{Lang, Templates};
use crate::usage::{Clock, ErrorKind, Failure, Now, Opening, SubjectId, Timestamp, UsageRecord, Zone};

/// How long a list of models or a readiness check waits for one provider.
const PATIENCE: Duration = Duration::from_secs(3);

/// People named in raymundo's form, the busiest first.
const USERS_LISTED: usize = 100;

/// Everything that is asked of the books.
pub struct Desk {
    /// The bot's name.
    pub bot: String,
    /// The owner's language.
    pub language: Lang,
    /// The forms of older programs.
    pub compat: Compat,
    /// The owner's zone.
    pub zone: Zone,
    /// When the process started.
    pub started_at: Timestamp,
    /// The door.
    pub metering: Metering,
    /// The providers.
    pub providers: Arc<[Provider]>,
    /// What reports say of them.
    pub provider_infos: Vec<ProviderInfo>,
    /// Who is who.
    pub people: Arc<People>,
    /// The configured limits and budgets.
    pub rules: Arc<[Rule]>,
    /// The places outside the chats that are told alerts; `None` where nothing is told.
    pub deliveries: Option<Deliveries>,
    /// Who may speak in the chats.
    pub door: Arc<ChatDoor>,
    /// Where the books lie.
    pub folder: PathBuf,
    /// The words.
    pub templates: Arc<Templates>,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// Tasks that outlive the request that began them; awaited at the end.
    pub tasks: TaskTracker,
    /// The buttons below alerts: what they are about, and one press at a time.
    pub pressing: Arc<Pressing>,
}

impl Desk {
    fn report_of_epoch(&self, period: Period, epoch: usize) -> Result<StatsReport, NoSuchEpoch> {
        let now = self.clock.now();
        self.metering.write_counted_refusals(now);
        let (picture, windows) = (self.metering.picture(), self.metering.windows(now));
        StatsReport::of_epoch(&self.facts(&picture, &windows, &self.metering.learned(), now), period, epoch)
    }

    fn facts<'a>(
        &'a self,
        picture: &'a Picture,
        windows: &'a [Window],
        learned: &'a [(String, Learned)],
        now: Now,
    ) -> Facts<'a> {
        let healthy = self.metering.health().trouble.is_none();
        Facts {
            bot: &self.bot,
            version: env!("CARGO_PKG_VERSION"),
            status: if healthy { ServiceStatus::Ok } else { ServiceStatus::Degraded },
            started_at: Some(self.started_at),
            begun: Some(self.metering.acts().begun),
            picture,
            windows,
            learned,
            providers: self.provider_infos.clone(),
            timezone: self.zone,
            now: now.at,
        }
    }

    /// The language of a chat: the one that was chosen there, else the owner's.
    pub(super) fn lang_of(&self, chat: &ChatKey) -> Lang {
        self.door.lang_of(chat).unwrap_or(self.language)
    }

    /// What a request may see.
    fn look(&self, request: &StatsRequest) -> Look {
        let StatsRequest { chat, person, period, view, lang, surface } = request;
        let subject = self.people.hash(chat.channel, &person.id);
        let team = person.group.as_ref().map(|group| group.team.as_str());
        let audience = Audience::of(subject, person.admin, team);
        Look { audience, period: *period, view: *view, lang: *lang, surface: *surface }
    }

    /// The screen of a look. What it says of people is read on a thread of its own: sealed days are on the disk.
    ///
    /// # Errors
    /// When a sealed day cannot be read.
    async fn screen(&self, look: Look) -> io::Result<String> {
        let now = self.clock.now();
        self.metering.write_counted_refusals(now);
        let (users, asked) = (self.metering.users(), look.clone());
        let people = tokio::task::spawn_blocking(move || asked.people(&users, now.at.day()));
        let people = people.await.map_err(io::Error::other)??;
        let windows = match look.audience.own() {
            Some((facet, value)) => self.metering.windows_about(facet, &value, now),
            None => self.metering.windows(now),
        };
        let (picture, learned) = (self.metering.picture(), self.metering.learned());
        let facts = self.facts(&picture, &windows, &learned, now);
        Ok(look.text(&facts, &people, |person| self.people.identity(person), &self.templates))
    }

    /// Writes the reset in a task of its own: it waits for the disk, and it ends whoever hangs up.
    async fn reset_now(&self) -> Result<Timestamp, LedgerError> {
        let metering = self.metering.clone();
        let written = self.tasks.spawn_blocking(move || metering.reset()).await;
        let begin = written.map_err(|_| LedgerError::Closed)??;
        tracing::info!(counting_since = %begin, "counting begins anew");
        Ok(begin)
    }

    /// Takes the last reset back, as [`Desk::reset_now`] writes one; `None` when there is none.
    async fn undo_reset_now(&self) -> Result<Option<Undone>, LedgerError> {
        let metering = self.metering.clone();
        let written = self.tasks.spawn_blocking(move || metering.undo_reset()).await;
        let undone = written.map_err(|_| LedgerError::Closed)??;
        if let Some(Undone { begin, counting_since }) = &undone {
            tracing::info!(%begin, %counting_since, "a reset is taken back");
        }
        Ok(undone)
    }

    /// The form of an answer: the one asked for, else the configured one.
    fn form(&self, asked: Option<Form>) -> Form {
        asked.unwrap_or(if self.compat.raymundo { Form::Raymundo } else { Form::Tallybot })
    }

    /// What raymundo's form says beside a report. Users are those of the current epoch.
    ///
    /// # Errors
    /// When a sealed day cannot be read.
    async fn raymundo_terms(&self, query: StatsQuery) -> io::Result<raymundo::Terms> {
        let users = if query.epoch == 0 { self.users(query.period).await? } else { Vec::new() };
        Ok(raymundo::Terms { zone: self.zone, usd_per_1000: self.compat.raymundo_usd_per_1000, users })
    }

    /// The busiest users of a period, on a thread of its own: sealed days are read from the disk.
    async fn users(&self, period: Period) -> io::Result<Vec<SubjectId>> {
        let (users, today) = (self.metering.users(), self.clock.now().at.day());
        let top = tokio::task::spawn_blocking(move || users.top(period, today, USERS_LISTED, UsersBy::Records));
        Ok(top.await.map_err(io::Error::other)??.top.into_iter().map(|(user, _)| user).collect())
    }

    fn reset_answer(&self, query: ResetQuery, begin: Timestamp) -> ResetAnswer {
        match self.form(query.form) {
            Form::Raymundo => ResetAnswer::Raymundo(raymundo::Reset::of(begin, self.zone)),
            Form::Tallybot => ResetAnswer::Tallybot(self.reset_body(query, "reset_done", begin, None)),
        }
    }

    fn undo_answer(&self, query: ResetQuery, undone: Undone) -> ResetAnswer {
        let Undone { begin, counting_since } = undone;
        match self.form(query.form) {
            Form::Raymundo => ResetAnswer::Raymundo(raymundo::Reset::undone(counting_since, self.zone)),
            Form::Tallybot => {
                ResetAnswer::Tallybot(self.reset_body(query, "reset_undone", counting_since, Some(begin)))
            }
        }
    }

    fn reset_body(&self, query: ResetQuery, message: &str, since: Timestamp, undone: Option<Timestamp>) -> ResetBody {
        let lang = query.lang.unwrap_or(self.language);
        let message = self.templates.render(lang, message, serde_json::json!({ "counting_since": since }));
        ResetBody {
            message: message.trim().to_owned(),
            counting_since: since.to_string(),
            undone: undone.map(|begin| begin.to_string()),
        }
    }

    async fn check(&self, provider: &Provider) -> ProviderCheck {
        let check = probed(provider).await.map_or_else(|failure| Check::failing(failure.to_string()), |()| Check::ok());
        ProviderCheck { name: provider.name().to_owned(), check }
    }
}

/// Whether a provider answers soon.
pub(super) async fn probed(provider: &Provider) -> Result<(), Failure> {
    match tokio::time::timeout(PATIENCE, provider.probe()).await {
        Ok(answered) => answered.map_err(|error| error.failure),
        Err(_) => Err(Failure::of(ErrorKind::FirstByteTimeout)),
    }
}

impl Books for Desk {
    async fn stats_text(&self, request: StatsRequest) -> String {
        let (lang, surface) = (request.lang, request.surface);
        self.screen(self.look(&request)).await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "who used what cannot be read");
            self.templates.render_for(surface, lang, "stats_unreadable", serde_json::json!({}))
        })
    }

    async fn reset(&self, _person: Person) -> Result<Timestamp, ErrorKind> {
        self.reset_now().await.map_err(|error| {
            tracing::error!(error = %error, "a reset could not be written");
            ErrorKind::LedgerUnavailable
        })
    }

    async fn undo_reset(&self) -> Result<Option<Timestamp>, ErrorKind> {
        let undone = self.undo_reset_now().await.map_err(|error| {
            tracing::error!(error = %error, "the undoing of a reset could not be written");
            ErrorKind::LedgerUnavailable
        })?;
        Ok(undone.map(|undone| undone.counting_since))
    }

    async fn manage(&self, request: ManageRequest) -> Message {
        self.managed(request).await
    }

    async fn act_on_alert(
        &self,
        chat: ChatKey,
        by: Person,
        id: String,
        act: AlertAct,
    ) -> Result<Message, Box<Message>> {
        self.acted_on_alert(&chat, &by, id, act).await
    }

    async fn keep_lang(&self, chat: ChatKey, lang: Lang) {
        self.door.keep_lang(chat, lang).await;
    }

    async fn models(&self) -> ModelList {
        let lists = join_all(self.providers.iter().map(async |provider| {
            let listed = tokio::time::timeout(PATIENCE, provider.list_models()).await;
            (provider, listed)
        }));
        let mut models = ModelList::default();
        for (provider, listed) in lists.await {
            match listed {
                Ok(Ok(list)) => {
                    models
                        .offers
                        .extend(list.iter().filter(|model| model.chats).map(|model| choice_of(provider, &model.name)));
                }
                _ => {
                    let choice = choice_of(provider, provider.model());
                    models.silent.push(SilentProvider { provider: choice.provider.clone(), local: choice.local });
                    models.offers.push(choice);
                }
            }
        }
        models
    }
}

/// REST, behind an `Arc` so that what must end can go on when the client hangs up.
#[derive(Clone)]
pub struct RestDesk(pub Arc<Desk>);

impl RestDesk {
    /// The verdicts as REST tells them; when nothing was taken, that.
    fn verdicts(
        &self,
        noted: Vec<Result<metering::Noted, LedgerError>>,
    ) -> Result<Vec<Result<Noted, ItemError>>, ApiError> {
        let is_not_taken = |noted: &Result<_, LedgerError>| !matches!(noted, Ok(_) | Err(LedgerError::Unconfirmed));
        if let Some(Err(error)) = noted.first().filter(|_| noted.iter().all(is_not_taken)) {
            return Err(self.unavailable(error));
        }
        let verdict = |noted| match noted {
            Ok(metering::Noted::Accepted) => Ok(Noted::Accepted(None)),
            Ok(metering::Noted::Duplicate) => Ok(Noted::Duplicate),
            Err(LedgerError::Unconfirmed) => Err(ItemError::Unconfirmed),
            Err(_) => Err(ItemError::Unavailable),
        };
        Ok(noted.into_iter().map(verdict).collect())
    }

    fn about_keys(&self, error: KeyError) -> ApiError {
        match error {
            KeyError::NotChanged(KeyNotChanged::Ledger(error)) => self.unavailable(&error),
            told => ApiError::Key(told),
        }
    }

    /// The answer when the books take nothing, with what the system says of the disk.
    fn unavailable(&self, error: &LedgerError) -> ApiError {
        tracing::error!(error = %error, "the ledger refused");
        let trouble = self.0.metering.health().trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
        ApiError::Unavailable { reason: format!("the ledger cannot be written now{trouble}"), retry_after_secs: 5 }
    }
}

impl Api for RestDesk {
    async fn stats(&self, query: StatsQuery) -> Result<StatsBody, ApiError> {
        let report = self.0.report_of_epoch(query.period, query.epoch).map_err(ApiError::NoSuchEpoch)?;
        let json = |body: Result<Vec<u8>, serde_json::Error>| body.map_err(|error| ApiError::Internal(error.into()));
        if self.0.form(query.form) == Form::Raymundo {
            let terms = self.0.raymundo_terms(query).await.map_err(|error| ApiError::Internal(error.into()))?;
            return Ok(match query.format {
                StatsFormat::Json => StatsBody::Json(json(serde_json::to_vec(&raymundo::Stats::of(&report, &terms)))?),
                StatsFormat::Text => StatsBody::Text(raymundo::text(&report, &terms)),
            });
        }
        Ok(match query.format {
            StatsFormat::Json => StatsBody::Json(json(serde_json::to_vec(&report))?),
            StatsFormat::Text => {
                let lang = query.lang.unwrap_or(self.0.language);
                StatsBody::Text(with_newline(report.text(&self.0.templates, lang, View::Overview)))
            }
        })
    }

    async fn usage(&self, request: UsageRequest) -> Result<UsageBody, ApiError> {
        self.0.usage_by_group(request).await
    }

    async fn reset(&self, query: ResetQuery) -> Result<ResetAnswer, ApiError> {
        let begin = self.0.reset_now().await.map_err(|error| self.unavailable(&error))?;
        Ok(self.0.reset_answer(query, begin))
    }

    async fn undo_reset(&self, query: ResetQuery) -> Result<Option<ResetAnswer>, ApiError> {
        let Some(undone) = self.0.undo_reset_now().await.map_err(|error| self.unavailable(&error))? else {
            return Ok(None);
        };
        Ok(Some(self.0.undo_answer(query, undone)))
    }

    async fn note(&self, items: Vec<UsageItem>) -> Result<Vec<Result<Noted, ItemError>>, ApiError> {
        let now = self.0.clock.now();
        let record =
            |item: UsageItem| item.into_record(self.0.metering.new_id(now.at), now.at, self.0.zone, &self.0.people);
        let mut records: Vec<UsageRecord<'static>> = items.into_iter().map(record).collect();
        let alone = match &mut records[..] {
            [record] => {
                self.0.metering.price(record);
                Some(Box::new(written(record)))
            }
            _ => None,
        };
        // In a task of its own: a client that hangs up does not leave half of its items behind.
        let metering = self.0.metering.clone();
        let task = self.0.tasks.spawn(async move { metering.note(records).await });
        let mut verdicts = self.verdicts(task.await.map_err(|error| ApiError::Internal(error.into()))?)?;
        if let [Ok(Noted::Accepted(record))] = &mut verdicts[..] {
            *record = alone;
        }
        Ok(verdicts)
    }

    async fn import(&self, lines: Vec<ImportLine>) -> Result<Vec<Result<Noted, ItemError>>, ApiError> {
        let metering = self.0.metering.clone();
        let task = self.0.tasks.spawn(async move { take_over(&metering, lines).await });
        self.verdicts(task.await.map_err(|error| ApiError::Internal(error.into()))?)
    }

    async fn add_key(&self, ask: KeyAsk) -> Result<AddedKey, ApiError> {
        self.0.add_key(ask).await.map_err(|error| self.about_keys(error))
    }

    async fn keys(&self) -> Result<KeyList, ApiError> {
        Ok(self.0.keys())
    }

    async fn revoke_key(&self, name: String) -> Result<KeyRow, ApiError> {
        self.0.revoke_key(name).await.map_err(|error| self.about_keys(error))
    }

    async fn ready(&self) -> Readiness {
        let journal = match self.0.metering.health().trouble {
            None => Check::ok(),
            Some(trouble) => Check::failing(trouble),
        };
        let providers = join_all(self.0.providers.iter().map(|provider| self.0.check(provider))).await;
        let ready = journal.ok && providers.iter().any(|provider| provider.check.ok);
        Readiness { ready, journal, providers }
    }

    async fn health(&self) -> Health {
        Health { alive: true }
    }
}

fn written(record: &UsageRecord<'_>) -> Written {
    Written {
        id: record.id,
        timestamp: record.timestamp,
        cost_usd: record.cost,
        price_id: record.price_id.as_deref().map(str::to_owned),
    }
}

/// Takes over the records and the openings of some lines, each with its own verdict, in the order of the lines.
async fn take_over(metering: &Metering, lines: Vec<ImportLine>) -> Vec<Result<metering::Noted, LedgerError>> {
    let (mut records, mut openings, mut is_opening) = (Vec::new(), Vec::new(), Vec::with_capacity(lines.len()));
    for line in lines {
        is_opening.push(matches!(line, ImportLine::Opening(_)));
        match line {
            ImportLine::Record(record) => records.push(*record),
            ImportLine::Opening(opening) => openings.push(*opening),
        }
    }
    let written = if openings.is_empty() { Ok(()) } else { add_openings(metering.clone(), openings).await };
    let mut of_records = metering.take_over(records).await.into_iter();
    let of_opening = || match &written {
        Ok(()) => Ok(metering::Noted::Accepted),
        Err(error) => Err(LedgerError::NotWritable { reason: error.to_string() }),
    };
    let verdict =
        |is_opening| if is_opening { of_opening() } else { of_records.next().unwrap_or(Err(LedgerError::Closed)) };
    is_opening.into_iter().map(verdict).collect()
}

/// Waits for the disk on a thread of its own.
async fn add_openings(metering: Metering, openings: Vec<Opening>) -> Result<(), LedgerError> {
    let written = tokio::task::spawn_blocking(move || metering.add_openings(&openings)).await;
    written.map_err(|_| LedgerError::Closed)?
}

/// As a terminal wants it that shows the answer of `curl`.
fn with_newline(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
