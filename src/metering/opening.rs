//! How a call gets its permit: at once, after it has waited in line, or not at all.

use std::pin::pin;
use std::sync::MutexGuard;

use tokio::sync::watch;
use tokio::time::sleep;

use super::line::{Admitted, Line, Standing};
use super::{Call, Metering, Patience, Permit, Place, Refused, user_text};
use crate::ledger::LedgerError;
use crate::limits::Refusal;
use crate::usage::{ErrorKind, Now};

/// What came of the first try.
enum Entered<'a> {
    Admitted(Admitted),
    InLine(Box<InLine<'a>>),
    Refused(Refusal),
}

/// Why a call in line was not admitted.
enum Ended {
    Refused(Refusal),
    Left(ErrorKind),
}

impl Metering {
    /// Admits a call, or refuses it. The permit must be brought to its end; dropped, it records itself as cancelled.
    ///
    /// It waits only in the line of a limit that says so.
    ///
    /// # Errors
    /// [`Refused`]: a limit or too many calls at once, which are recorded; or a ledger that cannot be written, which
    /// nothing can record.
    pub async fn open(&self, mut call: Call, now: Now) -> Result<Permit, Refused> {
        self.open_in_line(&mut call, now, &Patience::default(), |_| {}, std::future::pending()).await
    }

    /// [`Metering::open`] for somebody with patience: where a limit is in the way, the call waits in line until it fits.
    ///
    /// `told` hears its place whenever that changes. When `left` says why, whoever asked is gone and the call leaves the
    /// line. What is refused has left its record; the call is then its own next attempt, linked to that one, unless that
    /// was only counted.
    ///
    /// A call that leaves the line was asked for and never made: it is recorded as refused, with the reason for which
    /// it left, also when this is dropped. Nothing is booked for it.
    ///
    /// # Errors
    /// As [`Metering::open`], and [`Refused::Left`].
    pub async fn open_in_line(
        &self,
        call: &mut Call,
        now: Now,
        patience: &Patience,
        told: impl FnMut(&Place),
        left: impl Future<Output = ErrorKind>,
    ) -> Result<Permit, Refused> {
        self.writable()?;
        let ended = match self.enter(call, patience, now) {
            Entered::Admitted(admitted) => return self.begin(admitted, Ok(())),
            Entered::Refused(refusal) => Ended::Refused(refusal),
            Entered::InLine(mut in_line) => match Box::pin(in_line.wait(patience, told, left)).await {
                // Meanwhile the disk may have filled up.
                Ok(admitted) => return self.begin(admitted, self.writable()),
                Err(ended) => ended,
            },
        };
        Err(self.turned_away(call, ended))
    }

    /// Tries a call, unless others wait for the same limit, and puts it in line where it is to wait. In one step, so
    /// that no end of another call can come in between.
    fn enter<'a>(&'a self, call: &Call, patience: &Patience, now: Now) -> Entered<'a> {
        let mut line = self.line();
        let labels = if line.is_empty() { Vec::new() } else { self.labels(call, now) };
        let refusal = match line.ahead_of(&labels) {
            Some(refusal) => refusal,
            None => match self.admit(call, now) {
                Ok(admitted) => return Entered::Admitted(admitted),
                Err(refusal) => refusal,
            },
        };
        if !patience.waits_for(&refusal) {
            return Entered::Refused(refusal);
        }
        match line.join(call.clone(), self.labels(call, now), refusal.clone(), patience) {
            Some((number, standing)) => {
                let gone = Some(ErrorKind::ClientGone);
                Entered::InLine(Box::new(InLine { metering: self, call: call.clone(), number, standing, gone }))
            }
            None => Entered::Refused(refusal),
        }
    }

    /// Reserves a call at the gate under an id of this moment.
    fn admit(&self, call: &Call, now: Now) -> Result<Admitted, Refusal> {
        let mut call = Box::new(call.clone());
        let id = self.new_id(now.at);
        let estimated = (call.prompt_tokens, self.factors(&call.model));
        call.calibrate(estimated.1);
        self.reserve(id, &mut call, now)?;
        Ok(Admitted { id, call, estimated, at: now })
    }

    fn labels(&self, call: &Call, now: Now) -> Vec<crate::limits::Label> {
        self.gate().labels(&call.subject(&user_text(call)), now)
    }

    /// Lets everybody in line go who fits now.
    pub(super) fn serve_line(&self, now: Now) {
        let mut line = self.line();
        if !line.is_empty() {
            line.serve(|call| self.admit(call, now));
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.inner.line.lock().expect("nothing under the line's lock panics")
    }

    /// Notes an admitted call in its slot, if the ledger takes records.
    fn begin(&self, admitted: Admitted, writable: Result<(), Refused>) -> Result<Permit, Refused> {
        let Admitted { id, call, estimated, at: now } = admitted;
        let slot = writable.and_then(|()| {
            self.inner.ledger.open_call(&call.open(id, now.at)).map_err(|error| match error {
                LedgerError::TooManyOpenCalls => Refused::Busy,
                error => Refused::Ledger(error.to_string()),
            })
        });
        match slot {
            Ok(slot) => Ok(Permit::new(self.clone(), call, estimated, id, slot, now)),
            Err(refused) => {
                self.gate().cancel(id);
                self.serve_line(now);
                if refused == Refused::Busy {
                    self.record_refusal(id, &call, "busy".to_owned(), ErrorKind::Busy, now);
                }
                Err(refused)
            }
        }
    }

    /// That the ledger takes records.
    fn writable(&self) -> Result<(), Refused> {
        self.inner.ledger.trouble().map_or(Ok(()), |trouble| Err(Refused::Ledger(trouble)))
    }

    /// Records a call that was not admitted; what is asked instead will be linked to this, if it has a line of its own.
    /// It was never sent, so the next attempt has the same number: a message that another provider answers is one still.
    fn turned_away(&self, call: &mut Call, ended: Ended) -> Refused {
        let refusal = match ended {
            Ended::Refused(refusal) => refusal,
            Ended::Left(kind) => return Refused::Left(kind),
        };
        let now = self.inner.clock.now();
        let id = self.new_id(now.at);
        let reason = format!("{} {}", refusal.label, refusal.limit);
        let class = if refusal.budget { ErrorKind::Budget } else { ErrorKind::Limit };
        if self.record_refusal(id, call, reason, class, now) {
            call.call.get_or_insert(id);
        }
        Refused::Limit(Box::new(refusal))
    }
}

/// A call in line. Dropped, it is out of it, and what was reserved for it meanwhile is given back.
struct InLine<'a> {
    metering: &'a Metering,
    call: Call,
    number: u64,
    standing: watch::Receiver<Standing>,
    /// Why it leaves unserved, unless somebody says otherwise; `None` once it was served.
    gone: Option<ErrorKind>,
}

impl InLine<'_> {
    async fn wait(
        &mut self,
        patience: &Patience,
        mut told: impl FnMut(&Place),
        left: impl Future<Output = ErrorKind>,
    ) -> Result<Admitted, Ended> {
        let (mut left, mut too_long) = (pin!(left), pin!(sleep(patience.longest)));
        let mut last = None;
        loop {
            let standing = self.standing.borrow_and_update().clone();
            let place = match standing {
                Standing::Waits(place) => place,
                standing => return self.served(standing),
            };
            if last.as_ref() != Some(&place) {
                told(&place);
            }
            let tries_in = place.tries_in();
            tokio::select! {
                biased;
                kind = &mut left => {
                    self.gone = Some(kind);
                    return Err(Ended::Left(kind));
                }
                _served_or_moved = self.standing.changed() => {}
                () = &mut too_long => {
                    self.metering.line().leave(self.number);
                    let standing = self.standing.borrow().clone();
                    return self.served(standing);
                }
                () = sleep(tries_in.unwrap_or_default()), if tries_in.is_some() => {
                    self.metering.serve_line(self.metering.inner.clock.now());
                }
            }
            last = Some(place);
        }
    }

    /// The end of waiting, which is not to be recorded as leaving.
    fn served(&mut self, standing: Standing) -> Result<Admitted, Ended> {
        self.gone = None;
        match standing {
            Standing::Goes(admitted) => Ok(*admitted),
            Standing::Refused(refusal) | Standing::Waits(Place { refusal, .. }) => {
                self.metering.serve_line(self.metering.inner.clock.now());
                Err(Ended::Refused(refusal))
            }
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let Some(kind) = self.gone else { return };
        let (metering, now) = (self.metering, self.metering.inner.clock.now());
        metering.line().leave(self.number);
        if let Standing::Goes(admitted) = self.standing.borrow().clone() {
            metering.gate().cancel(admitted.id);
        }
        metering.record_refusal(metering.new_id(now.at), &self.call, "left the line".to_owned(), kind, now);
        metering.serve_line(now);
    }
}
