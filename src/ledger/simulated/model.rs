//! A ledger on the simulated disk beside the plain knowledge of what it said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::disk::SimDisk;
use super::history::{self, Line};
use super::steps::{Happens, Step};
use crate::ledger::files::DataFolder;
use crate::ledger::journal::{Appended, Syncing};
use crate::ledger::{Durability, Follower, KnownNames, Ledger, LedgerError, OpenCall, Opened, Options, SlotNumber};
use crate::usage::arbitrary::BASE_MICROS;
use crate::usage::{Given, Kind, RecordId, Status, Timestamp, UsageRecord};

const FOLDER: &str = "data";

/// What a run of some seeds came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) steps: u64,
    pub(super) requests: u64,
    pub(super) power_cuts: u64,
    pub(super) kills: u64,
    pub(super) acknowledged: u64,
    pub(super) interrupted: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.steps += other.steps;
        self.requests += other.requests;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.acknowledged += other.acknowledged;
        self.interrupted += other.interrupted;
    }
}

/// What a record may expect.
#[derive(Clone, Copy, Default)]
struct Fate {
    /// It must be there after the process died.
    survives_kill: bool,
    /// It must be there after the power went.
    survives_power_cut: bool,
    given: Option<u64>,
}

/// Folds along: how often each record came.
#[derive(Clone, Default)]
struct Witness {
    seen: Arc<Mutex<BTreeMap<RecordId, u64>>>,
    refuses: bool,
}

impl Witness {
    fn seen(&self) -> BTreeMap<RecordId, u64> {
        self.seen.lock().expect("nobody panics while holding it").clone()
    }
}

impl Follower for Witness {
    fn apply(&mut self, record: &UsageRecord<'_>) {
        *self.seen.lock().expect("nobody panics while holding it").entry(record.id).or_default() += 1;
    }
    fn save(&self) -> serde_json::Value {
        let seen = self.seen();
        seen.iter().map(|(id, count)| (id.to_string(), serde_json::Value::from(*count))).collect()
    }
    fn restore(&mut self, saved: &serde_json::Value) -> bool {
        let Some(saved) = saved.as_object().filter(|_| !self.refuses) else { return false };
        let entry = |(id, count): (&String, &serde_json::Value)| Some((id.parse().ok()?, count.as_u64()?));
        *self.seen.lock().expect("nobody panics while holding it") = saved.iter().filter_map(entry).collect();
        true
    }
    fn horizon(&self) -> Timestamp {
        Timestamp::new(0, 0)
    }
}

/// An open call as its caller knows it.
struct Call {
    call: OpenCall,
    /// In this process.
    slot: Option<SlotNumber>,
    /// A snapshot made its slot durable.
    synced: bool,
    /// Its record was handed over.
    settled: bool,
}

pub(super) struct Model {
    disk: SimDisk,
    durability: Durability,
    ledger: Option<Ledger>,
    witness: Witness,
    now: i64,
    made: u64,
    /// What may be in the files.
    fates: HashMap<RecordId, Fate>,
    /// Accepted by this process, by number.
    fresh: Vec<(Appended, RecordId)>,
    last: Option<UsageRecord<'static>>,
    calls: BTreeMap<RecordId, Call>,
    resets_done: Vec<Timestamp>,
    resets_tried: Vec<Timestamp>,
    wild_clock: bool,
    faulty: bool,
    counts: Counts,
}

/// Runs steps from the beginning; the error says what was wrong after which step.
pub(super) fn run(seed: u64, steps: &[Step]) -> Result<Counts, String> {
    run_on(SimDisk::new(seed), seed, steps)
}

/// [`run`] on a certain disk.
pub(super) fn run_on(disk: SimDisk, seed: u64, steps: &[Step]) -> Result<Counts, String> {
    let mut model = Model {
        disk,
        durability: if seed.is_multiple_of(2) { Durability::Power } else { Durability::Kill },
        ledger: None,
        witness: Witness::default(),
        now: 0,
        made: 0,
        fates: HashMap::new(),
        fresh: Vec::new(),
        last: None,
        calls: BTreeMap::new(),
        resets_done: Vec::new(),
        resets_tried: Vec::new(),
        wild_clock: false,
        faulty: false,
        counts: Counts::default(),
    };
    for (n, step) in steps.iter().enumerate() {
        model.disk.reseed(step.chance);
        model.take(step).map_err(|problem| format!("step {n}, {:?}: {problem}", step.happens))?;
        model.counts.steps += 1;
    }
    // What is there at the end is what is there after a last power cut.
    model.disk.behave();
    model.end(true);
    model.ensure_open(0).map_err(|problem| format!("at the end: {problem}"))?;
    model.counts.requests = model.disk.requests();
    model.counts.acknowledged = model.fates.values().filter(|fate| fate.survives_kill).count() as u64;
    Ok(model.counts)
}

impl Model {
    fn at(&self) -> Timestamp {
        Timestamp::new(BASE_MICROS + self.now * 1_000_000, 0)
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        self.ensure_open(step.chance)?;
        self.now += 1;
        let ledger = self.ledger.clone().expect("it was just opened");
        match step.happens {
            Happens::Append { records, given } => {
                let append = |record: &UsageRecord<'static>, at| ledger.append(record, at);
                for n in 0..records {
                    self.hand_over(&ledger, given.filter(|_| n == 0), append)?;
                }
            }
            Happens::Stage { records, given } => {
                let stage = |record: &UsageRecord<'static>, at| ledger.stage(Box::new(record.clone()), at);
                for n in 0..records {
                    self.hand_over(&ledger, given.filter(|_| n == 0), stage)?;
                }
            }
            Happens::Flush => ledger.inner.journal.flush(),
            Happens::Queue => {
                let record = self.record();
                let accepted = ledger.append_or_queue(&record, self.at());
                self.note(&record, None, &accepted);
            }
            Happens::Void => {
                if let Some(before) = self.last.take() {
                    let fresh = self.record();
                    let void = UsageRecord { kind: Kind::Void { of: before.id }, id: fresh.id, ..before };
                    let accepted = ledger.append(&void, self.at());
                    self.note(&void, None, &accepted);
                }
            }
            Happens::Sync => ledger.inner.journal.step_for_test(),
            Happens::Snapshot => {
                // A slot's sync that failed once may lie from then on: slots are promised against a kill alone.
                if ledger.snapshot(self.at()).is_ok() && !self.faulty {
                    self.calls.values_mut().for_each(|call| call.synced = true);
                }
            }
            Happens::Reset => self.reset(&ledger),
            Happens::OpenCall => self.open_call(&ledger),
            Happens::CloseCall => self.close_call(&ledger),
            Happens::Clock(secs) => {
                self.now += secs;
                self.wild_clock |= secs.abs() > 86_400 || secs < 0;
            }
            Happens::Refuse(request, after) => {
                self.disk.refuse(request, after);
                self.faulty = true;
            }
            Happens::Full(bytes) => {
                self.disk.limit_room(bytes);
                self.faulty = true;
            }
            Happens::Behave => self.behave(&ledger)?,
            Happens::DieAfter(requests) => self.disk.die_after(requests),
            Happens::Kill => {
                self.learn(&ledger);
                drop(ledger);
                self.end(false);
                return Ok(());
            }
            Happens::PowerCut => {
                self.learn(&ledger);
                drop(ledger);
                self.end(true);
                return Ok(());
            }
            Happens::Close => {
                let closed = ledger.close(self.at());
                self.learn(&ledger);
                drop(ledger);
                if closed.is_ok() && !self.disk.is_dead() {
                    self.assert_all_safe()?;
                }
                self.end(step.chance.is_multiple_of(2));
                return Ok(());
            }
        }
        self.learn(&ledger);
        drop(ledger);
        if self.disk.is_dead() {
            self.end(step.chance.is_multiple_of(2));
        }
        Ok(())
    }

    /// A record nobody made before.
    fn record(&mut self) -> UsageRecord<'static> {
        self.made += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.made.to_be_bytes());
        let at = self.at();
        let model = ["llama3.2", "gpt-4o"][(self.made % 2) as usize];
        let mut record = UsageRecord::new(RecordId::new(at, random), at, "ollama".into(), model.into());
        record.tokens.prompt = self.made;
        if self.made.is_multiple_of(11) {
            // Some lines are long: they cross sectors.
            record.feature = Some("f".repeat(120).into());
            record.team = Some("t".repeat(120).into());
        }
        record
    }

    fn hand_over(
        &mut self,
        ledger: &Ledger,
        given: Option<u64>,
        accept: impl Fn(&UsageRecord<'static>, Timestamp) -> Result<Appended, LedgerError>,
    ) -> Result<(), String> {
        let mut record = self.record();
        record.source = given.map(|given| Given { name: "script".into(), id: given.to_string().into() });
        let there: Vec<RecordId> = match given {
            Some(_) => self.fates.iter().filter(|(_, fate)| fate.given == given).map(|(id, _)| *id).collect(),
            None => Vec::new(),
        };
        let appended = accept(&record, self.at());
        if self.disk.is_dead() {
            self.note(&record, given, &appended);
            return Ok(());
        }
        match &appended {
            Err(LedgerError::Duplicate) => match there[..] {
                [] => return Err("called a duplicate, and none is there".to_owned()),
                // Whoever is told so waits for the newest record, and then relies on the one that is there.
                [id] => self.fresh.push((ledger.newest(), id)),
                _ => {}
            },
            Ok(_) if !there.is_empty() && !self.wild_clock => {
                let safe = there.iter().filter(|id| self.fates[id].survives_kill).count();
                if safe > 0 {
                    return Err(format!("DUPLICATE: the given id {given:?} is there already"));
                }
            }
            _ => {}
        }
        self.note(&record, given, &appended);
        Ok(())
    }

    /// What became of a record that was handed over.
    fn note(&mut self, record: &UsageRecord<'static>, given: Option<u64>, said: &Result<Appended, LedgerError>) {
        let never_written =
            matches!(said, Err(LedgerError::NotWritable { .. } | LedgerError::Duplicate | LedgerError::QueueFull));
        if never_written && !self.disk.is_dead() {
            return;
        }
        self.fates.insert(record.id, Fate { given, ..Fate::default() });
        if let Ok(appended) = said {
            self.fresh.push((*appended, record.id));
            self.last = Some(record.clone());
        }
    }

    /// Takes down what has been acknowledged by now.
    fn learn(&mut self, ledger: &Ledger) {
        let (written, synced) = ledger.inner.journal.progress_for_test();
        let acknowledged = if self.durability == Durability::Power { synced } else { written };
        for (appended, id) in &self.fresh {
            let fate = self.fates.entry(*id).or_default();
            fate.survives_kill |= *appended <= acknowledged;
            fate.survives_power_cut |= *appended <= synced;
        }
    }

    fn assert_all_safe(&self) -> Result<(), String> {
        match self.fresh.iter().find(|(_, id)| !self.fates[id].survives_power_cut) {
            Some((_, id)) => Err(format!("closed well, and {id} is not safe")),
            None => Ok(()),
        }
    }

    fn reset(&mut self, ledger: &Ledger) {
        let before = ledger.acts().resets;
        // When it begins is the ledger's to say, also of one that it could not write.
        let mut stats = ledger.picture().saved().restored();
        self.resets_tried.push(stats.reset(self.at()));
        if let Ok(begin) = ledger.reset(self.at()) {
            self.resets_done.push(begin);
            self.resets_tried.push(begin);
        } else {
            assert_eq!(ledger.acts().resets, before, "what was not written did not happen");
        }
    }

    fn open_call(&mut self, ledger: &Ledger) {
        let id = self.record().id;
        let call = OpenCall::sample(id, self.at());
        // A call that could not be noted is not made; its note may be there all the same.
        if let Ok(slot) = ledger.open_call(&call) {
            self.calls.insert(id, Call { call, slot: Some(slot), synced: false, settled: false });
        }
    }

    /// The record of one of this process's open calls.
    fn close_call(&mut self, ledger: &Ledger) {
        let Some((slot, call)) =
            self.calls.values_mut().find_map(|known| Some((known.slot.take()?, known.call.clone())))
        else {
            return;
        };
        self.settle(ledger, slot, &call, Status::Ok);
    }

    fn settle(&mut self, ledger: &Ledger, slot: SlotNumber, call: &OpenCall, status: Status) {
        let mut record = UsageRecord::new(call.id, call.admitted, "ollama".into(), "m".into());
        record.status = status;
        record.tokens.prompt = 7;
        let accepted = match self.made.is_multiple_of(2) {
            true => ledger.stage(Box::new(record.clone()), self.at()),
            false => ledger.append_or_queue(&record, self.at()),
        };
        self.note(&record, None, &accepted);
        if let Some(known) = self.calls.get_mut(&call.id) {
            known.settled = true;
        }
        if let Ok(appended) = accepted {
            ledger.close_call_after(slot, appended);
        }
    }

    /// The disk is well again, and so is the ledger, by itself.
    fn behave(&mut self, ledger: &Ledger) -> Result<(), String> {
        self.disk.behave();
        for _ in 0..3 {
            ledger.inner.journal.step_for_test();
        }
        ledger.inner.slots.erase(); // as once a second
        let health = ledger.health();
        if !self.disk.is_dead() && (health.trouble.is_some() || health.queued > 0) {
            return Err(format!("the disk is well and the ledger is not: {health:?}"));
        }
        Ok(())
    }

    /// The process is gone, and perhaps the power.
    fn end(&mut self, power_cut: bool) {
        self.disk.kill();
        if power_cut {
            self.disk.crash();
            self.counts.power_cuts += 1;
        } else {
            self.counts.kills += 1;
        }
        self.ledger = None;
        for fate in self.fates.values_mut() {
            fate.survives_kill &= !power_cut || fate.survives_power_cut;
        }
        for known in self.calls.values_mut() {
            known.slot = None;
        }
        if power_cut {
            // Whether a slot that was never synced is still there, nobody promised.
            // In kill mode a record, and the freeing of its slot, are acknowledged before they are synced.
            let record_counts = self.durability == Durability::Kill;
            self.calls.retain(|_, known| known.synced && !(known.settled && record_counts));
        }
        self.fresh.clear();
        self.last = None;
        self.faulty = false;
        self.disk.behave();
    }

    fn ensure_open(&mut self, chance: u64) -> Result<(), String> {
        if self.ledger.is_some() {
            return Ok(());
        }
        // Some starts are cut off in their middle.
        let mut cut_off = if chance.is_multiple_of(3) { 1 + chance / 3 % 40 } else { 0 };
        loop {
            let witness = Witness { refuses: chance.is_multiple_of(7), ..Witness::default() };
            let data = DataFolder::on(self.disk.process(), Path::new(FOLDER));
            data.make().map_err(|error| error.to_string())?;
            if cut_off > 0 {
                self.disk.die_after(cut_off);
            }
            let options =
                Options { durability: self.durability, known: KnownNames::none(), follower: Box::new(witness.clone()) };
            match Ledger::open_locked(data, None, Syncing::ByHand, options, Uuid::from_u128(1), self.at()) {
                Ok(_) if self.disk.is_dead() => self.end(chance.is_multiple_of(2)),
                Ok((ledger, opened)) => {
                    self.witness = witness;
                    return self.check(ledger, opened);
                }
                Err(_) if self.disk.is_dead() => self.end(chance.is_multiple_of(2)),
                Err(error) => {
                    return Err(format!(
                        "cannot be opened: {error} {:?}",
                        std::error::Error::source(&error).map(ToString::to_string)
                    ));
                }
            }
            cut_off = 0;
        }
    }

    /// Holds what a start found against what was said before.
    fn check(&mut self, ledger: Ledger, opened: Opened) -> Result<(), String> {
        let lines = {
            let eyes = DataFolder::on(self.disk.same_process(), Path::new(FOLDER));
            history::lines_of(&eyes)
        };
        self.check_lines(&lines)?;
        let records = history::records(&lines);
        let acts = ledger.acts();
        // A clock that goes back within a process takes the hours of a day away, and no total: that is its law.
        let condensed = if self.wild_clock { self.at().plus_micros(3000 * 86_400_000_000) } else { self.at() };
        history::check_fold(&records, &acts, &ledger.picture(), condensed)?;
        let seen = self.witness.seen();
        if records.len() != seen.len() || records.iter().any(|record| seen.get(&record.id) != Some(&1)) {
            let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
            return Err(format!("DRIFT: the follower saw {seen:?}, in the files are {ids:?}"));
        }
        if let Some(lost) = self.resets_done.iter().find(|begin| !acts.resets.contains(begin)) {
            return Err(format!("LOST: the reset of {lost}"));
        }
        if let Some(strange) = acts.resets.iter().find(|begin| !self.resets_tried.contains(begin)) {
            return Err(format!("nobody reset at {strange}: {:?}", self.resets_tried));
        }
        self.resets_done.clone_from(&acts.resets);
        let stored: HashSet<RecordId> = records.iter().map(|record| record.id).collect();
        self.check_calls(&opened, &stored)?;
        // What a start shows is there for good.
        self.fates.retain(|id, _| stored.contains(id));
        for fate in self.fates.values_mut() {
            (fate.survives_kill, fate.survives_power_cut) = (true, true);
        }
        for (slot, call) in &opened.interrupted {
            self.counts.interrupted += 1;
            self.settle(&ledger, *slot, call, Status::Interrupted);
        }
        self.learn(&ledger);
        self.ledger = Some(ledger);
        if self.disk.is_dead() {
            self.end(false);
            return self.ensure_open(1);
        }
        Ok(())
    }

    fn check_lines(&self, lines: &[Line]) -> Result<(), String> {
        let must = self.fates.iter().filter(|(_, fate)| fate.survives_kill).map(|(id, _)| *id).collect();
        let may = self.fates.keys().copied().collect();
        history::check_lines(lines, &must, &may)
    }

    fn check_calls(&mut self, opened: &Opened, stored: &HashSet<RecordId>) -> Result<(), String> {
        let mut interrupted = HashSet::new();
        for (_, call) in &opened.interrupted {
            if stored.contains(&call.id) || !interrupted.insert(call.id) {
                return Err(format!("DUPLICATE: the call {} is interrupted and recorded", call.id));
            }
        }
        let open: Vec<RecordId> = self.calls.keys().filter(|id| !stored.contains(id)).copied().collect();
        if let Some(lost) = open.iter().find(|id| !interrupted.contains(*id)) {
            return Err(format!("LOST: the call {lost} was open"));
        }
        self.calls.retain(|id, _| interrupted.contains(id));
        Ok(())
    }
}
