//! Faults a test writes down beforehand: which call they hit, and what happens to it.

use std::time::Duration;

use super::call::Call;
use super::refusal::Refusal;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It is refused and not done.
    Refuse(Refusal),
    /// A page of HTML with this status, as from something in between; not done.
    Page(u16),
    /// Its connection is closed; nothing was done.
    DropBefore,
    /// It is done, and then its connection is closed without an answer.
    DropAfter,
    /// It is done after a while.
    Slow(Duration),
    /// It is done once the test calls `release`.
    Held,
}

impl Effect {
    /// 429 with `retry_after`, in seconds.
    pub fn retry_after(seconds: u32) -> Effect {
        Effect::Refuse(Refusal::retry_after(seconds))
    }

    /// A 5xx, with the words of the usual one.
    pub fn server_error(code: u16) -> Effect {
        let words = match code {
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Internal Server Error",
        };
        Effect::Refuse(Refusal::new(code, words))
    }

    /// 400 with this description, the part behind `Bad Request: `.
    pub fn bad(what: &str) -> Effect {
        Effect::Refuse(Refusal::bad(what))
    }

    /// 403 of a person who blocked the bot.
    pub fn blocked() -> Effect {
        Effect::Refuse(Refusal::forbidden("bot was blocked by the user"))
    }

    /// 400 of a group that has become a supergroup.
    pub fn migrated(to: i64) -> Effect {
        Effect::Refuse(Refusal::migrated(to))
    }

    /// 409 of a poll, as if another bot ran with this token.
    pub fn conflict() -> Effect {
        Effect::Refuse(Refusal::other_poll())
    }

    /// 404, as from a server that is older than the method.
    pub fn no_method() -> Effect {
        Effect::Refuse(Refusal::no_method())
    }
}

/// An effect on the next calls of a method.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    chat: Option<i64>,
    /// Calls that pass before the first one that is hit.
    skip: usize,
    /// Calls left to hit.
    times: usize,
    effect: Effect,
}

impl Fault {
    /// Hits the next call of this method; `file` is a download.
    pub fn on(method: &str, effect: Effect) -> Fault {
        Fault { method: method.to_owned(), chat: None, skip: 0, times: 1, effect }
    }

    /// Only calls to this chat.
    pub fn to(self, chat: i64) -> Fault {
        Fault { chat: Some(chat), ..self }
    }

    /// So many calls instead of one.
    pub fn times(self, times: usize) -> Fault {
        Fault { times, ..self }
    }

    /// Every call from now on.
    pub fn always(self) -> Fault {
        self.times(usize::MAX)
    }

    /// Lets so many calls pass first.
    pub fn after(self, skip: usize) -> Fault {
        Fault { skip, ..self }
    }

    fn fits(&self, call: &Call) -> bool {
        self.method.eq_ignore_ascii_case(&call.method) && (self.chat.is_none() || self.chat == call.chat)
    }
}

/// Takes what is to happen to a call; the first fault that fits.
pub fn take(faults: &mut Vec<Fault>, call: &Call) -> Option<Effect> {
    let at = faults.iter().position(|fault| fault.fits(call))?;
    let fault = &mut faults[at];
    if fault.skip > 0 {
        fault.skip -= 1;
        return None;
    }
    let effect = fault.effect.clone();
    fault.times -= 1;
    if fault.times == 0 {
        faults.remove(at);
    }
    Some(effect)
}
