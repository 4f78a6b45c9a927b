//! The permit of one attempt: whatever becomes of it, it ends in one record.

use std::time::Duration;

use futures_util::FutureExt;

use crate::ledger::{Appended, LedgerError, OpenCall, SlotNumber};
use crate::usage::{ErrorKind, Estimated, Factors, Failure, Now, RecordId, Status, UsageRecord, UsageSource};

use super::{Call, Metering, Outcome, Receipt};

/// After this many more tokens of output the slot is brought up to date, for the record a crash would leave.
const NOTED_EVERY: u64 = 32;

/// An answer is held back at most this long for its record to become durable.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The right to make one attempt. End it with [`Permit::finish`]; dropped, it records itself.
pub struct Permit {
    metering: Metering,
    call: Box<Call>,
    id: RecordId,
    slot: SlotNumber,
    admitted: Now,
    /// What was estimated of input and output before it was calibrated.
    raw: Estimated,
    factors: Factors,
    /// Estimated output tokens seen so far, noted in the slot, and reserved at the gate.
    output_seen: u64,
    output_noted: u64,
    output_reserved: u64,
    first_token_ms: Option<u64>,
    is_open: bool,
}

impl Permit {
    /// The call is calibrated; `raw_prompt` is what its prompt was estimated at before, by these `factors`.
    pub(super) fn new(
        metering: Metering,
        call: Box<Call>,
        (raw_prompt, factors): (u64, Factors),
        id: RecordId,
        slot: SlotNumber,
        admitted: Now,
    ) -> Permit {
        let output_reserved = call.estimate().output;
        Permit {
            metering,
            call,
            id,
            slot,
            admitted,
            raw: Estimated { prompt: raw_prompt, output: 0 },
            factors,
            output_seen: 0,
            output_noted: 0,
            output_reserved,
            first_token_ms: None,
            is_open: true,
        }
    }

    /// The id of the record it will become.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The door it was given at.
    pub(super) fn metering(&self) -> &Metering {
        &self.metering
    }

    /// The call it was given for, its estimates calibrated.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// A raw estimate of its output, calibrated: for the record of an answer whose tokens nobody reported.
    pub fn calibrated_output(&self, raw_tokens: u64) -> u64 {
        self.factors.output(raw_tokens)
    }

    /// Notes how much output has been seen so far, by our raw estimate: for the limits while it streams, and for the
    /// record should nobody get to finish it.
    pub fn saw_output(&mut self, raw_tokens: u64) {
        self.first_token_ms.get_or_insert_with(|| self.metering.now().tick.millis_since(self.admitted.tick));
        self.raw.output = raw_tokens;
        let estimated_tokens = self.calibrated_output(raw_tokens);
        self.output_seen = estimated_tokens;
        if estimated_tokens >= self.output_noted + NOTED_EVERY {
            self.output_noted = estimated_tokens;
            let open = OpenCall { output_tokens: estimated_tokens, ..self.call.open(self.id, self.admitted.at) };
            self.metering.inner.ledger.update_call(self.slot, &open);
        }
        if estimated_tokens > self.output_reserved {
            // What is over the reserve was already produced: it is booked whether or not there is room.
            let more = (estimated_tokens - self.output_reserved).max(256);
            let more_of_it = self.metering.estimate_more(&self.call, self.output_reserved, more, self.admitted.at);
            self.metering.gate().top_up(self.id, more_of_it, self.metering.now());
            self.output_reserved += more;
        }
    }

    /// Notes how much output there is in an answer that came in one piece, by our raw estimate.
    pub fn saw_whole(&mut self, raw_tokens: u64) {
        self.raw.output = raw_tokens;
        self.output_seen = self.calibrated_output(raw_tokens);
    }

    /// Records the end of the attempt and waits (at most two seconds) until the record is durable. It is accepted when
    /// this is first polled, and written with those of other calls that end at that moment.
    pub async fn finish(mut self, outcome: Outcome, now: Now) -> Receipt {
        let record = self.record(outcome, now);
        let mut receipt = receipt_of(&record);
        let ledger = &self.metering.inner.ledger;
        let accepted = ledger.stage(record, now.at);
        self.is_open = false;
        let Some(settling) = Settling::of(&self, accepted, now) else { return receipt };
        let appended = settling.appended;
        ledger.written(appended).await;
        drop(settling);
        receipt.acknowledged = matches!(tokio::time::timeout(MAX_WAIT, ledger.durable(appended)).await, Ok(Ok(())));
        receipt
    }

    /// Records the end of the attempt and waits for nothing: the record is acknowledged only if it is durable already.
    /// Needs no runtime.
    pub fn finish_now(mut self, outcome: Outcome, now: Now) -> Receipt {
        let record = self.record(outcome, now);
        let mut receipt = receipt_of(&record);
        if let Some(appended) = self.append(&record, now) {
            let durable = self.metering.inner.ledger.durable(appended).now_or_never();
            receipt.acknowledged = matches!(durable, Some(Ok(())));
        }
        receipt
    }

    fn record(&self, outcome: Outcome, now: Now) -> Box<UsageRecord<'static>> {
        let mut record = Box::new(self.call.record(self.id, self.admitted.at));
        record.status = outcome.status;
        record.failure = outcome.failure;
        record.tokens = outcome.tokens.made_consistent();
        record.usage_source = outcome.usage_source;
        let is_reported = outcome.usage_source == UsageSource::Reported;
        record.estimated = Some(self.raw).filter(|raw| is_reported && *raw != Estimated::default());
        record.service_tier = outcome.service_tier;
        record.first_token_ms = outcome.first_token_ms.or(self.first_token_ms);
        record.metadata = outcome.metadata;
        record.latency_ms = Some(now.tick.millis_since(self.admitted.tick));
        record.local = outcome.local.unwrap_or(record.local);
        if let Some(served) = outcome.served_model.filter(|served| *served != record.model) {
            record.requested_model = Some(std::mem::replace(&mut record.model, served));
        }
        self.metering.price(&mut record);
        record
    }

    fn append(&mut self, record: &UsageRecord<'static>, now: Now) -> Option<Appended> {
        self.is_open = false;
        let accepted = self.metering.inner.ledger.append_or_queue(record, now.at);
        Settling::of(self, accepted, now).map(|settling| settling.appended)
    }
}

/// An attempt whose record was accepted. Dropped, it gives back what the call held.
struct Settling<'a> {
    permit: &'a Permit,
    appended: Appended,
    now: Now,
}

impl<'a> Settling<'a> {
    /// `None` when it was not: then the slot stays, and the next start records the call as interrupted.
    fn of(permit: &'a Permit, accepted: Result<Appended, LedgerError>, now: Now) -> Option<Settling<'a>> {
        let failed = |error: &LedgerError| {
            tracing::error!(error = %error, "a call could not be recorded; it will be at the next start");
        };
        match accepted.inspect_err(failed) {
            Ok(appended) => Some(Settling { permit, appended, now }),
            Err(_) => {
                permit.metering.serve_line(now);
                None
            }
        }
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let metering = &self.permit.metering;
        metering.inner.ledger.close_call_after(self.permit.slot, self.appended);
        metering.serve_line(self.now);
    }
}

impl Drop for Permit {
    /// Nobody finished it: the task was aborted, or something panicked.
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let (status, kind) = match std::thread::panicking() {
            true => (Status::Error, ErrorKind::Panic),
            false => (Status::Cancelled, ErrorKind::ClientGone),
        };
        let now = self.metering.inner.clock.now();
        let mut outcome = Outcome::failed(status, Failure::of(kind));
        outcome.tokens.prompt = self.call.prompt_tokens;
        outcome.tokens.completion = self.output_seen;
        outcome.usage_source = UsageSource::Estimated;
        let record = self.record(outcome, now);
        self.append(&record, now);
    }
}

fn receipt_of(record: &UsageRecord<'_>) -> Receipt {
    Receipt {
        id: record.id,
        status: record.status,
        tokens: record.tokens,
        usage_source: record.usage_source,
        cost: record.cost,
        local: record.local,
        latency_ms: record.latency_ms.unwrap_or_default(),
        acknowledged: false,
    }
}
