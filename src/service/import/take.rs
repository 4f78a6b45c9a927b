//! Where imported calls and openings go: into the folder, or to the tallybot that holds it.

use anyhow::{Context, bail};
use bytes::Bytes;

use super::found::Found;
use crate::ledger::People;
use crate::metering::{Noted, Pricing, vendors_of};
use crate::service::books::{Books, Place};
use crate::service::remote;
use crate::usage::{Clock, Opening, RecordId, UsageRecord, Zone, write_record};

/// Openings that are sent together.
const OPENINGS: usize = 1_000;

/// The most bytes that are sent together.
const BODY_BYTES: usize = 8 * 1024 * 1024;

/// How many calls were written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taking {
    /// Calls that were new to the books.
    pub(super) new: u64,
}

/// Books that take what is imported.
pub(super) struct Taker {
    books: Books,
    /// For calls that another tallybot writes, whose people we only know by their ids.
    people: Option<People>,
    pricing: Pricing,
    zone: Zone,
    clock: std::sync::Arc<dyn Clock>,
    random: fn() -> [u8; 16],
}

impl Taker {
    pub(super) async fn open(place: Place<'_>) -> anyhow::Result<Taker> {
        let (folder, zone, clock, random) = (place.folder.to_owned(), place.zone, place.clock.clone(), place.random);
        let vendors = vendors_of(place.config, &place.prices);
        let pricing = Pricing::new(place.prices.clone(), vendors);
        let books = Books::open(place).await?;
        let people = match &books {
            Books::Here(_) => None,
            Books::There(_) => Some(crate::service::open_people(&folder, random)?),
        };
        Ok(Taker { books, people, pricing, zone, clock, random })
    }

    pub(super) fn through(&self) -> Option<String> {
        self.books.through()
    }

    pub(super) fn close(self) -> anyhow::Result<()> {
        self.books.close()
    }

    /// Writes opening balances.
    pub(super) async fn openings(&self, openings: &[Opening]) -> anyhow::Result<()> {
        match &self.books {
            Books::Here(here) => here.metering.add_openings(openings).context("cannot write an opening balance"),
            Books::There(_) => {
                for openings in openings.chunks(OPENINGS) {
                    let line = |opening| serde_json::json!({ "opening": opening }).to_string() + "\n";
                    self.send(openings.iter().map(line).collect::<String>().into_bytes()).await?;
                }
                Ok(())
            }
        }
    }

    /// Writes calls.
    pub(super) async fn calls(&self, batch: Vec<Found>, taking: &mut Taking) -> anyhow::Result<()> {
        let records: Vec<_> = batch.into_iter().filter_map(|found| self.record(found)).collect();
        match &self.books {
            Books::Here(here) => {
                for verdict in here.metering.take_over(records).await {
                    taking.new += u64::from(verdict.context("cannot write a call")? == Noted::Accepted);
                }
            }
            Books::There(_) => {
                let mut body = Vec::new();
                for record in &records {
                    write_record(record, &mut body);
                    body.push(b'\n');
                    if body.len() > BODY_BYTES {
                        taking.new += self.send(std::mem::take(&mut body)).await?;
                    }
                }
                taking.new += self.send(body).await?;
            }
        }
        Ok(())
    }

    fn record(&self, found: Found) -> Option<UsageRecord<'static>> {
        match found {
            Found::Record { record, .. } => Some(*record),
            Found::Item { item, .. } => {
                let now = self.clock.now().at;
                let mut chance = [0; 10];
                chance.copy_from_slice(&(self.random)()[..10]);
                let people = match (&self.books, &self.people) {
                    (Books::Here(here), _) => &here.people,
                    (_, people) => people.as_ref().expect("opened with the books"),
                };
                let mut record = item.into_record(RecordId::new(now, chance), now, self.zone, people);
                self.pricing.price(&mut record);
                Some(record)
            }
            Found::Total(_) | Found::Bad { .. } => None,
        }
    }

    /// Sends lines to the tallybot that holds the books. Gives how many were new to it.
    async fn send(&self, body: Vec<u8>) -> anyhow::Result<u64> {
        let Books::There(there) = &self.books else { return Ok(0) };
        if body.is_empty() {
            return Ok(0);
        }
        let answer = remote::import(&there.address, there.token.as_ref(), Bytes::from(body)).await;
        let answer = answer.with_context(|| there.failed())?;
        if let Some(rejected) = answer.rejected.first() {
            bail!("{}: {}", there.failed(), rejected.error);
        }
        Ok(answer.accepted)
    }
}
