//! What is made from the journal, held against the fold of the journal itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Deserialize;

use super::finding::{Check, Findings, Level, Where, count};
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::replay::Position;
use crate::ledger::sealed::{self, FoldState};
use crate::ledger::snapshot::{self, PREVIOUS, SNAPSHOT, Snapshot};
use crate::ledger::token_stats::{self, TOKEN_STATS};
use crate::ledger::{Acts, Follower, LedgerError, recovery};
use crate::stats::{Drift, Picture, Stats};
use crate::usage::Timestamp;

const MADE_AGAIN: &str = "`tallybot verify --repair` makes it again from the journal";

/// A snapshot to be compared when the walk through the journal comes to its position.
pub(super) struct Waiting {
    check: Check,
    name: &'static str,
    pub(super) snapshot: Snapshot,
    pub(super) position: Position,
    pub(super) reached: bool,
    /// What it has beyond the records, once reached.
    pub(super) drift: Option<Drift>,
}

/// A snapshot's file as it was before the walk.
pub(super) struct SnapshotText {
    check: Check,
    name: &'static str,
    text: Vec<u8>,
}

/// Reads the snapshots that are there, newest first.
pub(super) fn snapshot_texts(data: &DataFolder) -> Result<Vec<SnapshotText>, LedgerError> {
    let mut texts = Vec::new();
    for (check, name) in [(Check::Snapshot, SNAPSHOT), (Check::PreviousSnapshot, PREVIOUS)] {
        match data.read(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => texts.push(SnapshotText { check, name, text: read.map_err(data.failed("read", name))? }),
        }
    }
    Ok(texts)
}

/// The snapshots to be compared, newest first; says which cannot be.
pub(super) fn snapshots(
    texts: Vec<SnapshotText>,
    acts: Option<&Acts>,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for SnapshotText { check, name, text } in texts {
        findings.looked_at(check, "cannot be compared");
        let place = Where::file(name);
        let Some(snapshot) = snapshot::parse(&text) else {
            let (what, advice) = if snapshot::is_newer(&text) {
                ("written by a newer tallybot", "use that one; this one passes it over")
            } else {
                ("damaged; no number is lost with it, a start reads the journal instead", MADE_AGAIN)
            };
            findings.add(Level::Warning, check, place, what, advice);
            continue;
        };
        if let Some(acts) = acts
            && snapshot.lineage != acts.lineage
        {
            let what = format!("it belongs to another ledger (lineage {}, not {})", snapshot.lineage, acts.lineage);
            findings.add(Level::Error, check, place, what, MADE_AGAIN);
            continue;
        }
        let Some(position) = snapshot.position().filter(|_| acts.is_some()) else { continue };
        if snapshot.at.day() > now.day() {
            let why = if snapshot.at <= now { "in another zone" } else { "by a clock that was wrong" };
            let what = format!("taken on a day to come ({}), {why}", snapshot.at);
            findings.add(Level::Warning, check, place, what, MADE_AGAIN);
        }
        waiting.push(Waiting { check, name, snapshot, position, reached: false, drift: None });
    }
    waiting
}

impl Waiting {
    /// Compares it with the fold of the records up to its position.
    pub(super) fn compare(&mut self, mut fold: Stats, acts: &Acts, findings: &mut Findings) {
        self.reached = true;
        let place = Where::file(self.name);
        let looked_at = format!("as of {}, line number {}", self.snapshot.at, self.position.sealed.seq);
        findings.looked_at(self.check, looked_at);
        let Some(mut own) = recovery::fold_of(&self.snapshot, acts) else {
            let what = "it does not fit the owner's resets; a start reads the journal instead";
            findings.add(Level::Warning, self.check, place, what, MADE_AGAIN);
            return;
        };
        fold.roll(self.snapshot.at);
        own.roll(self.snapshot.at); // openings that came after it are of old days
        let drift = Drift::between(&fold.picture(), &own.picture());
        for what in &drift.named {
            findings.add(Level::Error, self.check, place.clone(), what.clone(), MADE_AGAIN);
        }
        let more = drift.differences - drift.named.len() as u64;
        if more > 0 {
            findings.add(Level::Error, self.check, place, format!("and {more} more rows that differ"), MADE_AGAIN);
        }
        self.drift = Some(drift);
    }

    /// Compares the limits' counts in it with those of one who was fed the same records.
    pub(super) fn compare_follower(&self, follower: &dyn Follower, findings: &mut Findings) {
        let found = follower.compare(&self.snapshot.follower);
        if found.compared + found.left_out + found.differences.len() == 0 {
            return;
        }
        findings.looked_at(Check::Limits, count(found.compared, "limit"));
        let place = || Where::file(self.name);
        if found.left_out > 0 {
            let what =
                format!("{} limit(s) are new since then or too long for a snapshot: not compared", found.left_out);
            findings.add(Level::Info, Check::Limits, place(), what, "");
        }
        for what in found.differences {
            findings.add(Level::Error, Check::Limits, place(), what, MADE_AGAIN);
        }
    }

    /// Whether nothing came after it.
    pub(super) fn is_the_end(&self, last_seq: u64, acts: &Acts) -> bool {
        self.reached && self.position.sealed.seq == last_seq && self.snapshot.act_seq == acts.seq
    }

    /// Says that its position was not found.
    pub(super) fn check_reached(&self, last_seq: u64, findings: &mut Findings) {
        if self.reached {
            return;
        }
        let (file, offset, seq) = (self.position.file, self.position.offset, self.position.sealed.seq);
        let what = if last_seq < seq {
            format!(
                "it covers line number {seq} at byte {offset} of `{file}`, and the journal ends with number {last_seq}: the \
                 journal was cut, or an older copy of it was restored"
            )
        } else {
            format!("line number {seq} is not where it says, before byte {offset} of `{file}`: that file was changed")
        };
        let advice =
            "restore the newer journal file if you have it; else `tallybot verify --repair` counts what is there";
        findings.add(Level::Error, self.check, Where::file(self.name), what, advice);
    }
}

/// The folds of closed files.
#[derive(Default)]
pub(super) struct Folds {
    there: usize,
    closed: usize,
}

impl Folds {
    /// Compares the fold of a closed file, if it has one, with the file and with the fold of its records.
    pub(super) fn check(
        &mut self,
        data: &DataFolder,
        acts: &Acts,
        file: FileName,
        of_records: &Stats,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        self.closed += 1;
        let state = sealed::check(data, acts, file)?;
        let problem = match (state, sealed::load_for(data, acts, file)) {
            (FoldState::Missing, _) => return Ok(()),
            (FoldState::DoesNotMatch(problem), _) => Some(problem),
            (FoldState::Matches, Err(_)) => return Ok(()), // made anew just now by the tallybot that runs
            (FoldState::Matches, Ok(fold)) => {
                let own = fold.stats().map(|mut own| own.set_resets(&acts.resets).then_some(own));
                match own {
                    Ok(Some(own)) => {
                        for what in Drift::between(&of_records.picture(), &own.picture()).named {
                            findings.add(Level::Error, Check::Folds, Where::file(fold.name()), what, MADE_AGAIN);
                        }
                        None
                    }
                    Ok(None) => Some("it does not fit the owner's resets".to_owned()),
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        self.there += 1;
        if let Some(problem) = problem {
            let what = format!("the fold of `{file}` is passed over: {problem}");
            findings.add(Level::Warning, Check::Folds, Where::file("derived"), what, MADE_AGAIN);
        }
        Ok(())
    }

    pub(super) fn finish(&self, findings: &mut Findings) {
        if self.there > 0 {
            findings.looked_at(Check::Folds, format!("of {} of {}", self.there, count(self.closed, "closed file")));
        }
    }
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
struct Totals {
    total_prompt_tokens: i128,
    total_completion_tokens: i128,
    total_requests: i128,
    successful_requests: i128,
    failed_requests: i128,
}

type Apis = BTreeMap<String, BTreeMap<String, Totals>>;

/// `token_stats.json` as it was before the walk.
pub(super) struct TokenStatsText(Vec<u8>);

impl TokenStatsText {
    pub(super) fn read(data: &DataFolder) -> Result<TokenStatsText, LedgerError> {
        data.read_if_there(TOKEN_STATS).map(TokenStatsText).map_err(data.failed("read", TOKEN_STATS))
    }

    /// Compares it with the whole fold. It is written every second, so what was appended in the last one may be missing
    /// from it, unless the ledger came to its end (`ended`).
    pub(super) fn check(&self, picture: &Picture, held: bool, ended: bool, findings: &mut Findings) {
        if self.0.is_empty() {
            return;
        }
        let expected = token_stats::text_of(picture);
        let place = || Where::file(TOKEN_STATS);
        let Ok(found) = serde_json::from_slice::<Apis>(&self.0) else {
            findings.looked_at(Check::TokenStats, "cannot be read");
            findings.add(Level::Warning, Check::TokenStats, place(), "it is not in its form", MADE_AGAIN);
            return;
        };
        findings.looked_at(Check::TokenStats, count(found.values().map(BTreeMap::len).sum::<usize>(), "model"));
        if self.0 == expected {
            return;
        }
        let expected: Apis = serde_json::from_slice(&expected).expect("it was just written");
        let (mut behind, mut wrong) = (0, Vec::new());
        let apis: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        for api in apis {
            let (found, expected) = (found.get(api), expected.get(api));
            let models: BTreeSet<&String> = [found, expected].into_iter().flatten().flat_map(BTreeMap::keys).collect();
            for model in models {
                let [found, expected] = [found, expected]
                    .map(|models| models.and_then(|models| models.get(model)).copied().unwrap_or_default());
                if found == expected {
                    continue;
                }
                let grew = expected.total_requests - found.total_requests;
                if grew > 0 && expected.total_prompt_tokens >= found.total_prompt_tokens {
                    behind += grew;
                } else {
                    wrong.push(format!(
                        "{api} {model}: {} requests and {} tokens, the records give {} and {}",
                        found.total_requests,
                        found.total_prompt_tokens + found.total_completion_tokens,
                        expected.total_requests,
                        expected.total_prompt_tokens + expected.total_completion_tokens,
                    ));
                }
            }
        }
        if behind > 0 && !held {
            let what = format!("behind by {behind} request(s): the tallybot that wrote it did not come to its end");
            let advice = "the next start writes it anew";
            findings.add(Level::Warning, Check::TokenStats, place(), what, advice);
        }
        let level = match (held, ended) {
            (true, _) => Level::Info,
            (false, false) => Level::Warning,
            (false, true) => Level::Error,
        };
        let advice = if held { "" } else { MADE_AGAIN };
        for what in wrong {
            findings.add(level, Check::TokenStats, place(), what, advice);
        }
    }
}
